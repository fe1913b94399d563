//! The dialogue with one client, from its greeting to its end.
//!
//! Commands are performed one after the other, in the order in which they came; a client may send many
//! at once. While a transfer runs the line is read on: ABOR and STAT are for the transfer, everything
//! else waits its turn.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use director_sdk::{Chain, Client, Director, Elapsed, Exception, Failure, Kind};

use super::exchange::Exchange;
use super::line::{BadLine, Command, Heard};
use super::link::NOT_AVAILABLE;
use super::login::{Account, Learn, Leave, LogIn, NOT_LOGGED_IN};
use super::replier::{ControlLine, Replier};
use super::reply::Reply;
use super::state::{Prot, State};
use super::walk::Walk;
use crate::data::ClientEnd;
use crate::options::Tls;
use crate::shared::Shared;
use crate::verbs::{self, Argument};

/// Denied logins after which a client is sent away.
const MOST_DENIED: u32 = 3;
/// How long taking leave of a node may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long a client's handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// Commands that move data over a connection of their own.
const MOVE_DATA: [&str; 7] = ["APPE", "LIST", "MLSD", "NLST", "RETR", "STOR", "STOU"];

/// The dialogue with one client.
#[derive(Debug)]
pub(crate) struct Conversation {
    /// The client's control connection.
    pub(crate) client: ControlLine,
    /// What says replies on it.
    pub(crate) replier: Replier,
    /// The director.
    pub(crate) director: Director,
    /// The session, and its link.
    pub(crate) chain: Chain<Account>,
    /// What PASV, EPSV, PORT or EPRT left for the next transfer.
    pub(crate) data: ClientEnd,
    /// The instance's.
    pub(crate) shared: Arc<Shared>,
    /// Heard while a transfer ran.
    pub(super) waiting: VecDeque<Heard>,
    /// The client's last word was said, or heard.
    over: bool,
    /// How often a login was denied.
    denied: u32,
    /// The control connection began with TLS.
    pub(crate) tls_first: bool,
}

/// How a transfer hears of ABOR, and who reads the line of the transfer's mark. Clones are the same ear.
#[derive(Debug, Clone, Default)]
pub(crate) struct Abort(Arc<Asked>);

#[derive(Debug, Default)]
struct Asked {
    asked: AtomicBool,
    marked: AtomicBool,
    wakers: std::sync::Mutex<Vec<Waker>>,
}

impl Abort {
    /// Waits until the client wants the transfer to end.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped: it stays asked.
    pub(crate) async fn asked(&self) {
        std::future::poll_fn(|cx| {
            if self.is_asked() {
                return Poll::Ready(());
            }
            let mut wakers = self
                .0
                .wakers
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                wakers.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// Whether the client wants the transfer to end.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::Acquire)
    }

    /// The client is told now that the transfer begins: from its mark on, what it asks about it can be answered.
    pub(crate) fn mark(&self) {
        self.0.marked.store(true, Ordering::Release);
    }

    /// Whether the client was told that the transfer begins.
    pub(super) fn is_marked(&self) -> bool {
        self.0.marked.load(Ordering::Acquire)
    }

    pub(super) fn ask(&self) {
        self.0.asked.store(true, Ordering::Release);
        let wakers = std::mem::take(
            &mut *self
                .0
                .wakers
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// Serves one client.
///
/// # Errors
///
/// How the session failed; its streams are reset.
pub(crate) async fn converse(
    shared: &Arc<Shared>,
    client: Client,
    director: Director,
) -> Result<(), Failure> {
    let line = ControlLine::new(client.stream, shared.options.line_limit, director.clone());
    let mut talk = Conversation {
        replier: line.replier(),
        client: line,
        chain: director.chain(Account::new(Arc::clone(shared))),
        director,
        data: ClientEnd::default(),
        shared: Arc::clone(shared),
        waiting: VecDeque::new(),
        over: false,
        denied: 0,
        tls_first: false,
    };
    talk.tls_first = talk.is_secure();
    talk.chain.state = State::greeted(talk.tls_first);
    talk.say(Reply::new(220, &shared.options.banner)).await?;
    while let Some(heard) = talk.next().await? {
        talk.perform(heard).await?;
        if talk.over {
            break;
        }
    }
    talk.leave().await;
    talk.client.close().await
}

impl Conversation {
    /// Says a reply to the client.
    ///
    /// # Errors
    ///
    /// The client is gone, or reads nothing.
    pub(crate) async fn say(&mut self, reply: Reply) -> Result<(), Failure> {
        self.replier.say(&reply).await
    }

    /// Ends the dialogue after the present command.
    pub(crate) fn end(&mut self) {
        self.over = true;
    }

    /// The next line; `None` when the dialogue is over: the client has left, has slept for too long, or
    /// the director is stopping.
    async fn next(&mut self) -> Result<Option<Heard>, Failure> {
        if let Some(heard) = self.waiting.pop_front() {
            return Ok(Some(heard));
        }
        let idle = Duration::from_secs(self.shared.options.idle_seconds);
        let next = self.director.timeout(idle, self.client.next());
        let goodbye = match self.director.unless_stopping(next).await {
            Some(Ok(heard)) => return heard,
            Some(Err(Elapsed)) => "Timeout: no command for too long.",
            None => "The service is stopping.",
        };
        self.say(Reply::new(NOT_AVAILABLE, goodbye)).await?;
        Ok(None)
    }

    /// Performs one line.
    async fn perform(&mut self, heard: Heard) -> Result<(), Failure> {
        let command = match heard {
            Heard::Command(command) => command,
            Heard::Bad(bad) => return self.say(refusal(bad)).await,
        };
        let Some(verb) = verbs::find(&command.verb) else {
            return self.say(Reply::new(500, "Unknown command.")).await;
        };
        if !verb.before_login() && !self.chain.state.login.is_in() {
            return self
                .say(Reply::new(
                    NOT_LOGGED_IN,
                    "Please login with USER and PASS.",
                ))
                .await;
        }
        if self.must_protect_data() && MOVE_DATA.contains(&verb.name()) {
            // RFC 4217 section 10: the connection cannot be opened with this PROT.
            return self.say(Reply::new(521, "PROT P first.")).await;
        }
        let Command { argument, .. } = command;
        // `VERB ` is `VERB`: clients send it when a name is empty.
        let argument = argument.filter(|argument| !argument.is_empty());
        let fits = match (verb.argument(), &argument) {
            (Argument::None, None) | (Argument::Required, Some(_)) | (Argument::Optional, _) => {
                true
            }
            (Argument::None, Some(_)) | (Argument::Required, None) => false,
        };
        if !fits {
            let text = match verb.argument() {
                Argument::None => format!("{} takes no argument.", verb.name()),
                Argument::Optional | Argument::Required => {
                    format!("{} needs an argument.", verb.name())
                }
            };
            return self.say(Reply::new(501, text)).await;
        }
        let argument = argument.unwrap_or_default();
        if verb.name() != "RNTO" {
            // It must come next (RFC 959 section 4.1.3): names mean another file after a CWD.
            self.chain.state.rnfr = None;
        }
        verb.run(self, &argument).await
    }

    /// Performs a command at a node, and yields what the client is to be told.
    ///
    /// # Errors
    ///
    /// The session cannot go on.
    pub(crate) async fn exchange(&mut self, mut exchange: Exchange) -> Result<Reply, Failure> {
        match self.director.direct(&mut self.chain, &mut exchange).await {
            Ok(reply) => Ok(reply),
            Err(exception) => self.told(exception, exchange.last()),
        }
    }

    /// Performs a step of a login, and yields what the client is to be told.
    ///
    /// # Errors
    ///
    /// The session cannot go on.
    pub(crate) async fn log_in(&mut self, mut step: LogIn) -> Result<Reply, Failure> {
        self.chain.take_not_understood();
        match self.director.direct(&mut self.chain, &mut step).await {
            Ok(reply) => {
                if reply.code == NOT_LOGGED_IN {
                    self.denied += 1;
                    // A node ends its connection then; a fresh one each time would help who guesses.
                    self.over = self.denied >= MOST_DENIED;
                }
                Ok(reply)
            }
            Err(exception) => {
                let last = self.chain.take_not_understood();
                let code = self.told(exception, None)?.code;
                if let Some(last) = last {
                    return Ok(last);
                }
                // RFC 959 section 5.4 has nothing else for USER and PASS that cannot be answered.
                self.over = true;
                let text = "No server can let you in now.";
                Ok(Reply::new(
                    if code == NOT_LOGGED_IN {
                        code
                    } else {
                        NOT_AVAILABLE
                    },
                    text,
                ))
            }
        }
    }

    /// Changes the working directory, and yields what the client is to be told.
    ///
    /// # Errors
    ///
    /// The session cannot go on.
    pub(crate) async fn walk(&mut self, mut walk: Walk) -> Result<Reply, Failure> {
        match self.director.direct(&mut self.chain, &mut walk).await {
            Ok(reply) => Ok(reply),
            Err(exception) => self.told(exception, None),
        }
    }

    /// Has a node say what it offers, unless that is known of the session's node.
    ///
    /// # Errors
    ///
    /// No node could.
    pub(crate) async fn learn(&mut self) -> Result<(), Exception> {
        self.director.direct(&mut self.chain, &mut Learn).await
    }

    /// Says `go`, and upgrades the client's control connection. Whoever had logged in has to again, and what
    /// was heard before is forgotten.
    ///
    /// # Errors
    ///
    /// The client is gone, or its handshake failed.
    pub(crate) async fn start_tls(&mut self, go: &Reply) -> Result<(), Failure> {
        self.waiting.clear();
        let upgraded = self.client.start_tls(go);
        if let Err(error) = self
            .director
            .timeout(HANDSHAKE, upgraded)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        {
            let trouble = self.client.with(|stream| stream.trouble()).ok().flatten();
            let detail = trouble.unwrap_or_else(|| error.to_string());
            return Err(Failure::new(Kind::ClientGone, format!("AUTH TLS: {detail}")).by_client());
        }
        if self.chain.state.login.credentials().is_some() {
            self.leave().await;
            self.log_out();
        }
        self.chain.state.pbsz = false;
        Ok(())
    }

    /// Whether the control connection is protected.
    pub(crate) fn is_secure(&self) -> bool {
        self.client
            .with(|stream| stream.tls().is_some())
            .unwrap_or(false)
    }

    /// Whether clients are offered AUTH TLS.
    pub(crate) fn offers_tls(&self) -> bool {
        match self.shared.options.tls {
            Tls::Off => false,
            Tls::Offered | Tls::Required => true,
        }
    }

    /// Whether a login has to wait for TLS.
    pub(crate) fn must_be_secure(&self) -> bool {
        match self.shared.options.tls {
            Tls::Off | Tls::Offered => false,
            Tls::Required => !self.is_secure(),
        }
    }

    fn must_protect_data(&self) -> bool {
        let clear = self.chain.state.prot == Prot::Clear;
        match self.shared.options.tls {
            Tls::Off | Tls::Offered => false,
            Tls::Required => clear,
        }
    }

    /// Takes leave of the session's node, if there is one; the chain is of no use then. Not said on a link that is
    /// broken, or in the middle of a transfer: the host has let that go.
    pub(crate) async fn leave(&mut self) {
        if !self.chain.is_leaving_a_link() {
            return;
        }
        let mut leave = Leave;
        let left = self.director.direct(&mut self.chain, &mut leave);
        match self.director.timeout(FAREWELL, left).await {
            Ok(Ok(())) => {}
            Ok(Err(exception)) => tracing::debug!(%exception, "no leave was taken of the node"),
            Err(Elapsed) => tracing::debug!("the node did not take its QUIT"),
        }
    }

    /// Goes on with another state at a fresh link; the old one is let go.
    pub(crate) fn start_over(&mut self, state: State) {
        let mut account = Account::new(Arc::clone(&self.shared));
        account.state = state;
        self.chain = self.director.chain(account);
        self.data = ClientEnd::default();
    }

    /// Forgets who is logged in, and where.
    pub(crate) fn log_out(&mut self) {
        let state = self.chain.state.without_login();
        self.start_over(state);
    }

    /// What the client is told of an exception that no node could spare it. `last` is a node's own reply,
    /// if one gave any.
    ///
    /// # Errors
    ///
    /// The exception is the client's end, or the plugin's.
    pub(crate) fn told(
        &mut self,
        exception: Exception,
        last: Option<Reply>,
    ) -> Result<Reply, Failure> {
        if matches!(exception.kind, Kind::ClientGone | Kind::Fault) {
            return Err(exception.into());
        }
        tracing::warn!(%exception, "no node could spare the client");
        if self.chain.state.login.is_in() && self.chain.is_denied_everywhere(&exception) {
            // Whoever goes on asking is not told a 530 by every node each time.
            self.log_out();
            let text = "No server accepts this login any more.";
            return Ok(Reply::new(NOT_LOGGED_IN, text));
        }
        if let Some(last) = last {
            return Ok(last);
        }
        let unknown = exception.kind == Kind::Unknown;
        Ok(match unknown {
            true => Reply::new(451, "The server was lost; it is not known what it did."),
            false => Reply::new(451, "No server can do this now."),
        })
    }
}

/// RFC 959 section 4.2: 500 for a line that cannot be understood, a line too long included.
fn refusal(bad: BadLine) -> Reply {
    match bad {
        BadLine::TooLong => Reply::new(500, "Command line too long."),
        BadLine::NoVerb => Reply::new(500, "Unknown command."),
        BadLine::Control => Reply::new(501, "A command line with a bare CR or a NUL."),
    }
}
