//! A link: a node's control connection, and what the node has been told on it.

use std::sync::Arc;

use director_sdk::{Failure, Kind, NodeStream};
use futures_util::FutureExt;
use zeroize::Zeroizing;

use super::feat::Features;
use super::line::escape;
use super::reply::{Degree, Replies, Reply};
use super::state::{Prot, State, Type};
use crate::shared::Shared;

/// 421: the service is not available, the control connection is closed. RFC 959 section 5.4 has it as
/// a reply to any command.
pub(crate) const NOT_AVAILABLE: u16 = 421;

/// A node's control connection, logged in.
#[derive(Debug)]
pub(crate) struct Link {
    /// The stream; data connections are opened beside it.
    pub(crate) control: NodeStream,
    /// What the node has been told, so that it is not told twice.
    pub(crate) applied: Applied,
    /// What the node offers.
    pub(crate) features: Arc<Features>,
    /// The node has no EPSV: it was asked once.
    pub(crate) lacks_epsv: bool,
    /// The last command, when it was RNFR: servers take no second one before its RNTO (ProFTPD says 501).
    pub(crate) rnfr: Option<Vec<u8>>,
    /// The node was told a REST, and of no transfer since: some servers (vsftpd) keep it for the next one, however
    /// much comes between.
    pub(crate) restarted: bool,
    /// It was made in mid-login: CLNT, OPTS and LANG, if any, are to be said after it.
    pub(crate) fresh: bool,
    /// The node has greeted: a 421 is not for the many any more.
    pub(crate) greeted: bool,
    /// What tells the session that it has a link.
    pub(crate) held: Arc<()>,
    replies: Replies,
    shared: Arc<Shared>,
}

/// What a node has been told. A node that was told nothing has the RFC's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Applied {
    /// TYPE.
    pub(crate) kind: Type,
    /// PROT.
    pub(crate) prot: Prot,
}

impl Link {
    /// A link on a fresh stream, of which nothing was read.
    pub(crate) fn new(control: NodeStream, shared: Arc<Shared>) -> Self {
        Self {
            control,
            applied: Applied::default(),
            features: Arc::default(),
            lacks_epsv: false,
            rnfr: None,
            restarted: false,
            fresh: false,
            greeted: false,
            held: Arc::default(),
            replies: Replies::default(),
            shared,
        }
    }

    /// The node's next reply, whatever it is, 421 included.
    ///
    /// # Errors
    ///
    /// [`Kind::Lost`] at the node's end, [`Kind::Garbled`] when its bytes are no reply.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    pub(crate) async fn next_reply(&mut self) -> Result<Reply, Failure> {
        loop {
            let seen = self.control.fill().await?;
            if seen.is_empty() {
                return Err(Failure::new(Kind::Lost, "the node ended before its reply"));
            }
            let taken = self.replies.take(seen);
            let (n, reply) = taken
                .map_err(|broken| Failure::new(Kind::Garbled, format!("the node said {broken}")))?;
            self.control.consume(n);
            if let Some(reply) = reply {
                if reply.code == NOT_AVAILABLE && self.greeted {
                    self.shared.said_goodbye(self.control.node());
                }
                return Ok(reply);
            }
        }
    }

    /// Sends a command, its end not included.
    ///
    /// # Errors
    ///
    /// The stream broke, or the node said something before it was asked: a 421 to a sleeper
    /// ([`Self::not_available`]), or [`Kind::Garbled`]. Nothing was sent then.
    pub(crate) async fn send(&mut self, command: &[u8]) -> Result<(), Failure> {
        self.send_all([command].into_iter()).await
    }

    async fn send_all(
        &mut self,
        commands: impl Iterator<Item = &[u8]> + Send + Clone,
    ) -> Result<(), Failure> {
        self.unasked()?;
        // Made at once, so that no copy of a password is left where a smaller one stood.
        let size = commands.clone().map(|command| 2 * command.len() + 2).sum();
        let mut lines = Zeroizing::new(Vec::with_capacity(size));
        for command in commands {
            self.rnfr = command.starts_with(b"RNFR ").then(|| command.to_vec());
            self.restarted = match command.get(..5) {
                Some(b"REST ") => true,
                Some(b"RETR " | b"STOR " | b"APPE ") => false,
                Some(_) | None => self.restarted,
            };
            escape(command, &mut lines);
            lines.extend_from_slice(b"\r\n");
        }
        Ok(self.control.write_all(&lines).await?)
    }

    /// Whether data connections of this link are protected: the node's PROT P is in force.
    pub(crate) fn protects_data(&self) -> bool {
        self.applied.prot == Prot::Private
    }

    /// Sends commands as one piece, and waits for the last reply to each.
    ///
    /// # Errors
    ///
    /// As [`Self::command`].
    pub(crate) async fn commands(&mut self, commands: &[Vec<u8>]) -> Result<Vec<Reply>, Failure> {
        let mut replies = Vec::with_capacity(commands.len());
        if !commands.is_empty() {
            self.send_all(commands.iter().map(Vec::as_slice)).await?;
        }
        for _ in commands {
            replies.push(self.last_reply().await?);
        }
        Ok(replies)
    }

    /// Sends a command, and waits for its last reply; preliminary ones are passed over.
    ///
    /// # Errors
    ///
    /// As [`Self::send`] and [`Self::next_reply`]; a 421 is one, too.
    pub(crate) async fn command(&mut self, command: &[u8]) -> Result<Reply, Failure> {
        self.send(command).await?;
        self.last_reply().await
    }

    /// Waits for the last reply to a command that was sent; preliminary ones are passed over.
    ///
    /// # Errors
    ///
    /// As [`Self::next_reply`]; a 421 is one, too.
    pub(crate) async fn last_reply(&mut self) -> Result<Reply, Failure> {
        loop {
            let reply = self.next_reply().await?;
            if reply.code == NOT_AVAILABLE {
                return Err(Self::not_available(&reply));
            }
            if reply.degree() != Degree::Preliminary {
                return Ok(reply);
            }
        }
    }

    /// What a 421 after the greeting is: the end of this link, and no sign against the node, for
    /// servers say it to sleepy users. (In a greeting it is [`Kind::Busy`].)
    pub(crate) fn not_available(reply: &Reply) -> Failure {
        Failure::new(Kind::Unknown, format!("the node ended the link: {reply}"))
            .with_code(NOT_AVAILABLE.into())
    }

    /// Tells the node what it has not been told of the type.
    ///
    /// # Errors
    ///
    /// As [`Self::command`]; a node that refuses what another accepted is [`Kind::Diverged`].
    pub(crate) async fn bring(&mut self, state: &State) -> Result<(), Failure> {
        if self.applied.kind != state.kind {
            self.must(&format!("TYPE {}", state.kind.argument()))
                .await?;
            self.applied.kind = state.kind;
        }
        Ok(())
    }

    /// A command that another node has accepted.
    pub(crate) async fn must(&mut self, command: &str) -> Result<(), Failure> {
        let reply = self.command(command.as_bytes()).await?;
        if reply.is_complete() {
            return Ok(());
        }
        let detail = format!("{command} was accepted by another node, this one says {reply}");
        Err(Failure::new(Kind::Diverged, detail)
            .with_code(reply.code.into())
            .fit())
    }

    /// Looks whether the node has said anything unasked, or has ended: then a command would be lost.
    ///
    /// # Errors
    ///
    /// It has: a 421 to a sleeper ([`Self::not_available`]), [`Kind::Garbled`], or [`Kind::Lost`].
    pub(crate) fn unasked(&mut self) -> Result<(), Failure> {
        match self.next_reply().now_or_never() {
            None if !self.replies.is_in_a_reply() => Ok(()),
            None => Err(Failure::new(
                Kind::Garbled,
                "the node spoke before it was asked",
            )),
            Some(Ok(reply)) if reply.code == NOT_AVAILABLE => Err(Self::not_available(&reply)),
            Some(Ok(reply)) => {
                let detail = format!("the node spoke before it was asked: {reply}");
                Err(Failure::new(Kind::Garbled, detail))
            }
            Some(Err(failure)) => Err(failure),
        }
    }
}
