//! The session of a client as a node must know it: greeted, logged in, restored.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use director_sdk::{Director, Exception, Failure, Kind, NodeStream, Request, Resend, Session};
use zeroize::Zeroizing;

use super::feat::Features;
use super::link::{Link, NOT_AVAILABLE};
use super::lockout::Lockout;
use super::reply::{Degree, Reply};
use super::state::{Credentials, Login, Prot, State};
use crate::options::{LoginAs, NodeTls};
use crate::shared::Shared;
use crate::up::placement::Wanted;

/// 530: not logged in. RFC 959 section 5.4.
pub(crate) const NOT_LOGGED_IN: u16 = 530;

/// 500: not understood. RFC 959 section 5.4 has it as a reply to USER, PASS and ACCT, and it says nothing about who
/// logs in: vsftpd says it where its own configuration is wrong, and ends the connection.
const NOT_UNDERSTOOD: u16 = 500;

/// What one client is to a node.
#[derive(Debug)]
pub(crate) struct Account {
    /// What is restored.
    pub(crate) state: State,
    /// The instance's.
    pub(crate) shared: Arc<Shared>,
    /// Which nodes the present request wants.
    pub(crate) wanted: Wanted,
    /// What a node said to a login that it did not understand; the answer when no other node understands it.
    not_understood: Option<Reply>,
    /// Nodes that are not told this login's password again.
    lockout: Lockout,
    /// Alive as long as the session's link.
    link: Weak<()>,
    /// The session is over: no node is to be logged in at.
    leaving: bool,
}

#[async_trait]
impl Session for Account {
    type Link = Link;

    /// In this order: the greeting, AUTH TLS, PBSZ, PROT, HOST, USER, PASS, ACCT, CLNT, OPTS, LANG, CWD. Type, structure and mode
    /// follow when they matter ([`Link::bring`]).
    async fn establish(&mut self, node: NodeStream, _: &Director) -> Result<Link, Failure> {
        if self.leaving {
            return Err(Failure::new(Kind::ClientGone, "the session is over").by_client());
        }
        if self.lockout.leaves_out(node.node()) {
            let detail = "this node denied the login before";
            return Err(Failure::new(Kind::Diverged, detail).with_code(NOT_LOGGED_IN.into()));
        }
        self.wanted.accepts(node.node_name())?;
        let mut link = Link::new(node, Arc::clone(&self.shared));
        greeting(&mut link).await?;
        self.protect(&mut link).await?;
        if let Some(host) = &self.state.host {
            taken(&mut link, "HOST", host).await?;
        }
        if let Some(credentials) = self.told_to_nodes().cloned() {
            let reply = log_in(&mut link, &credentials, &mut self.lockout).await?;
            let as_before = match reply.degree() {
                Degree::Complete => true,
                Degree::Intermediate => !self.state.login.is_in(),
                Degree::Preliminary | Degree::Transient | Degree::Permanent => false,
            };
            if !as_before {
                if reply.degree() == Degree::Permanent {
                    self.lockout.deny(link.control.node());
                }
                // Not its words: some servers repeat a command that they do not know.
                let code = reply.code;
                let detail = format!("another node accepted the login, this one says {code}");
                return Err(Failure::new(Kind::Diverged, detail).with_code(reply.code.into()));
            }
        }
        if self.state.login.is_in() {
            self.learn(&mut link).await?;
            self.restore(&mut link).await?;
        } else {
            link.fresh = true;
        }
        self.link = Arc::downgrade(&link.held);
        Ok(link)
    }
}

impl Account {
    /// Whether no node is left that would let the client in, as an exception shows.
    pub(crate) fn is_denied_everywhere(&self, exception: &Exception) -> bool {
        exception.kind == Kind::Exhausted
            && exception.code == u32::from(NOT_LOGGED_IN)
            && self.lockout.is_any()
    }

    /// A client of which nothing is known.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            state: State::default(),
            shared,
            wanted: Wanted::any(),
            not_understood: None,
            lockout: Lockout::default(),
            link: Weak::new(),
            leaving: false,
        }
    }

    /// Another login begins: what nodes have said to the last one is not about it.
    pub(crate) fn begin_login(&mut self) {
        self.lockout = Lockout::default();
    }

    /// What a node said to the last login that no node could answer, if it was a word of its own.
    pub(crate) fn take_not_understood(&mut self) -> Option<Reply> {
        self.not_understood.take()
    }

    /// Whether there is a link to take leave of; from now on none is made.
    pub(crate) fn is_leaving_a_link(&mut self) -> bool {
        self.leaving = true;
        self.link.strong_count() > 0
    }

    /// Who a node is told that the client is. With an account of the service's own that is never what the
    /// client has begun to say.
    fn told_to_nodes(&self) -> Option<&Credentials> {
        match (&self.state.login, &self.shared.options.login) {
            (Login::Begun(_), LoginAs::Service { .. }) => None,
            (login, LoginAs::Word(_) | LoginAs::Service { .. }) => login.credentials(),
        }
    }

    /// Upgrades the link to TLS where the service's options say so, and has the node protect its data
    /// connections (RFC 4217). Independent of what the client has.
    async fn protect(&self, link: &mut Link) -> Result<(), Failure> {
        let refused = |what: &str, reply: &Reply| {
            let detail = format!("{what} is refused by the node: {reply}");
            Failure::new(Kind::Unreachable, detail).with_code(reply.code.into())
        };
        let wanted = match self.shared.options.node_tls {
            NodeTls::None => false,
            NodeTls::Explicit => link.control.tls().is_none(),
        };
        if wanted {
            let reply = link.command(b"AUTH TLS").await?;
            if reply.code != 234 {
                return Err(refused("AUTH TLS", &reply));
            }
            if let Err(error) = link.control.start_tls(None).await {
                let trouble = link.control.trouble().unwrap_or_else(|| error.to_string());
                let detail = format!("TLS with the node: {trouble}");
                return Err(Failure::new(Kind::Unreachable, detail));
            }
        }
        if link.control.tls().is_some() {
            for command in ["PBSZ 0", "PROT P"] {
                let reply = link.command(command.as_bytes()).await?;
                if !reply.is_complete() {
                    return Err(refused(command, &reply));
                }
            }
            link.applied.prot = Prot::Private;
        }
        Ok(())
    }

    /// What the node offers; asked once, of one link.
    ///
    /// # Errors
    ///
    /// As [`Link::command`].
    pub(crate) async fn learn(&self, link: &mut Link) -> Result<(), Failure> {
        let node = link.control.node();
        link.features = match self.shared.features(node) {
            Some(known) => known,
            None => {
                let reply = link.command(b"FEAT").await?;
                let features = Features::of(&reply);
                match reply.is_complete() || self.state.login.is_in() {
                    true => self.shared.learn(node, features),
                    // It may say so after the login.
                    false => Arc::new(features),
                }
            }
        };
        Ok(())
    }

    /// What was said after the login.
    async fn restore(&self, link: &mut Link) -> Result<(), Failure> {
        self.shared.leftovers.clear(link, &self.state).await?;
        if let Some(clnt) = &self.state.clnt {
            told(link, "CLNT", clnt).await?;
        }
        for (_, options) in &self.state.opts {
            told(link, "OPTS", options).await?;
        }
        if let Some(lang) = &self.state.lang {
            told(link, "LANG", lang).await?;
        }
        if let Some(umask) = &self.state.umask {
            taken(link, "SITE UMASK", umask).await?;
        }
        if let Some(cwd) = &self.state.cwd {
            let reply = command(link, "CWD", cwd).await?;
            if !reply.is_complete() {
                let cwd = String::from_utf8_lossy(cwd);
                let detail = format!("the session is in {cwd}, the node says {reply}");
                return Err(Failure::new(Kind::Missing, detail).with_code(reply.code.into()));
            }
        }
        Ok(())
    }
}

/// Waits for the greeting: 220, perhaps after a 120 (RFC 959 section 5.4).
///
/// # Errors
///
/// [`Kind::Busy`] for a 421 or any other no, [`Kind::Garbled`] for what is no greeting.
pub(crate) async fn greeting(link: &mut Link) -> Result<Reply, Failure> {
    loop {
        let reply = link.next_reply().await?;
        let detail = || format!("the greeting is {reply}");
        match reply.degree() {
            Degree::Preliminary => {}
            Degree::Complete => {
                link.greeted = true;
                return Ok(reply);
            }
            Degree::Intermediate => return Err(Failure::new(Kind::Garbled, detail())),
            Degree::Transient | Degree::Permanent => {
                return Err(Failure::new(Kind::Busy, detail()).with_code(NOT_AVAILABLE.into()));
            }
        }
    }
}

/// Says who the client is, as far as the node asks: RFC 959 section 5.4. Yields what the node said to the last
/// of it.
///
/// # Errors
///
/// As [`Link::command`].
async fn log_in(
    link: &mut Link,
    credentials: &Credentials,
    lockout: &mut Lockout,
) -> Result<Reply, Failure> {
    let mut reply = command(link, "USER", &credentials.user).await?;
    if reply.code == 331
        && let Some(pass) = credentials.pass_or_guest()
    {
        reply = secret(link, "PASS", pass, lockout).await?;
    }
    if reply.code == 332
        && let Some(acct) = &credentials.acct
    {
        reply = secret(link, "ACCT", acct, lockout).await?;
    }
    Ok(reply)
}

/// A login, or the next step of one. It is said again to another node when one is lost: a node that asks
/// for a password has not counted anything against it.
pub(crate) enum LogIn {
    /// The client's USER, PASS or ACCT, after what was said before.
    Step(&'static str, Zeroizing<Vec<u8>>),
    /// All at once, for the service account.
    Whole(Credentials),
}

#[async_trait]
impl Request<Account> for LogIn {
    type Reply = Reply;

    async fn attempt(
        &mut self,
        account: &mut Account,
        link: &mut Link,
        _director: &Director,
    ) -> Result<Reply, Failure> {
        let reply = match self {
            Self::Step("USER", argument) => command(link, "USER", argument).await?,
            Self::Step(verb, argument) => {
                secret(link, verb, argument, &mut account.lockout).await?
            }
            Self::Whole(credentials) => log_in(link, credentials, &mut account.lockout).await?,
        };
        if reply.code == NOT_UNDERSTOOD {
            account.not_understood = Some(reply);
            // Not its words: some servers repeat a command that they do not know.
            let failure = Failure::new(Kind::Garbled, "the node does not understand a login");
            return Err(failure.with_code(NOT_UNDERSTOOD.into()));
        }
        if reply.is_complete() {
            account.learn(link).await?;
            if std::mem::take(&mut link.fresh) {
                account.restore(link).await?;
            }
        }
        Ok(reply)
    }

    async fn cleanup(
        &mut self,
        _account: &mut Account,
        _link: Option<&mut Link>,
        _why: &Exception,
    ) -> Resend {
        Resend::Anywhere
    }
}

/// Takes leave of the session's node, so that its log does not speak of a session that was broken off.
pub(crate) struct Leave;

#[async_trait]
impl Request<Account> for Leave {
    type Reply = ();

    /// QUIT, and the end; nobody waits for the 221.
    async fn attempt(
        &mut self,
        _account: &mut Account,
        link: &mut Link,
        _director: &Director,
    ) -> Result<(), Failure> {
        link.send(b"QUIT").await?;
        Ok(link.control.close().await?)
    }

    async fn cleanup(
        &mut self,
        _account: &mut Account,
        _link: Option<&mut Link>,
        _why: &Exception,
    ) -> Resend {
        Resend::Never
    }
}

/// What the session's node offers.
pub(crate) struct Learn;

#[async_trait]
impl Request<Account> for Learn {
    type Reply = ();

    async fn attempt(
        &mut self,
        account: &mut Account,
        link: &mut Link,
        _director: &Director,
    ) -> Result<(), Failure> {
        account.learn(link).await
    }

    async fn cleanup(
        &mut self,
        _account: &mut Account,
        _link: Option<&mut Link>,
        _why: &Exception,
    ) -> Resend {
        Resend::Anywhere
    }
}

/// Repeats a command that a node accepted. A node that does not know it is no trouble: what it sets is the
/// client's convenience.
async fn told(link: &mut Link, verb: &str, argument: &[u8]) -> Result<(), Failure> {
    let reply = command(link, verb, argument).await?;
    if !reply.is_complete() {
        tracing::debug!(%reply, verb, "a node did not take what another took");
    }
    Ok(())
}

/// Says what another node took, and without which this one would do something else: another site's files,
/// files that others may read.
async fn taken(link: &mut Link, verb: &str, argument: &[u8]) -> Result<(), Failure> {
    let reply = command(link, verb, argument).await?;
    if reply.is_complete() {
        return Ok(());
    }
    let detail = format!("another node took {verb}, this one says {reply}");
    Err(Failure::new(Kind::Diverged, detail).with_code(reply.code.into()))
}

/// Says a secret. What a node says to it stays out of the log, for some servers repeat a command that they do not
/// know.
async fn secret(
    link: &mut Link,
    verb: &str,
    argument: &[u8],
    lockout: &mut Lockout,
) -> Result<Reply, Failure> {
    let node = link.control.node();
    lockout.tell(node);
    match command(link, verb, argument).await {
        Ok(reply) => {
            if reply.is_complete() || reply.degree() == Degree::Intermediate {
                lockout.let_in(node);
            }
            Ok(reply)
        }
        Err(failure) => Err(match failure.kind() {
            Some(kind @ (Kind::Garbled | Kind::Unknown)) => {
                let code = failure.protocol_code();
                let detail = match code {
                    0 => format!("what the node said to {verb} is no reply"),
                    code => format!("the node ended the link with {code} at {verb}"),
                };
                Failure::new(kind, detail).with_code(code)
            }
            Some(_) | None => failure,
        }),
    }
}

async fn command(link: &mut Link, verb: &str, argument: &[u8]) -> Result<Reply, Failure> {
    let mut line = Zeroizing::new(Vec::with_capacity(verb.len() + 1 + argument.len()));
    line.extend_from_slice(verb.as_bytes());
    line.push(b' ');
    line.extend_from_slice(argument);
    link.command(&line).await
}
