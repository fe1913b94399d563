//! One command, one reply: the request that most verbs are.

use async_trait::async_trait;
use director_sdk::{Director, Exception, Failure, Kind, Request, Resend};
use zeroize::Zeroizing;

use super::link::{Link, NOT_AVAILABLE};
use super::login::Account;
use super::reply::Reply;
use super::state::Type;

/// One command, sent to whichever node is well.
pub(crate) struct Exchange {
    line: Zeroizing<Vec<u8>>,
    class: Class,
    /// The type that the session has when a node says yes.
    sets: Option<Type>,
    /// The command may have reached a node.
    sent: bool,
    /// The last reply of a node: what the client is told when no node has a better one.
    last: Option<Reply>,
}

/// What becomes of a command whose node was lost after it was sent.
pub(crate) enum Class {
    /// It changes nothing at a node: it is sent again.
    Safe,
    /// It is not sent again; that its outcome is unknown is told.
    Never,
}

impl Exchange {
    /// `verb argument`, or `verb` alone.
    pub(crate) fn new(verb: &str, argument: Option<&[u8]>, class: Class) -> Self {
        let mut line = Zeroizing::new(Vec::with_capacity(
            verb.len() + 1 + argument.map_or(0, <[u8]>::len),
        ));
        line.extend_from_slice(verb.as_bytes());
        if let Some(argument) = argument {
            line.push(b' ');
            line.extend_from_slice(argument);
        }
        Self {
            line,
            class,
            sets: None,
            sent: false,
            last: None,
        }
    }

    /// One that changes nothing at a node.
    pub(crate) fn safe(verb: &str, argument: Option<&[u8]>) -> Self {
        Self::new(verb, argument, Class::Safe)
    }

    /// One that sets the type of the session, at the node and for those to come.
    pub(crate) fn setting_type(argument: &[u8], kind: Type) -> Self {
        Self {
            sets: Some(kind),
            ..Self::safe("TYPE", Some(argument))
        }
    }

    /// What a node said last, when `direct` yielded an exception.
    pub(crate) fn last(&mut self) -> Option<Reply> {
        self.last.take()
    }
}

#[async_trait]
impl Request<Account> for Exchange {
    type Reply = Reply;

    async fn attempt(
        &mut self,
        account: &mut Account,
        link: &mut Link,
        _director: &Director,
    ) -> Result<Reply, Failure> {
        account.wanted.accepts(link.control.node_name())?;
        // A node takes no TYPE before the login.
        if self.sets.is_none() && account.state.login.is_in() {
            link.bring(&account.state).await?;
        }
        link.unasked()?;
        self.sent = true;
        let reply = link.command(&self.line).await?;
        if reply.is_complete() {
            self.set(account, link);
        }
        if self.may_be_better_elsewhere(reply.code) {
            let failure = Failure::new(Kind::Missing, format!("the node says {reply}"))
                .with_code(reply.code.into())
                .fit();
            self.last = Some(reply);
            return Err(failure);
        }
        Ok(reply)
    }

    async fn cleanup(
        &mut self,
        _account: &mut Account,
        _link: Option<&mut Link>,
        why: &Exception,
    ) -> Resend {
        // A 421 is an answer, and it is that nothing was done.
        if !std::mem::take(&mut self.sent) || why.code == u32::from(NOT_AVAILABLE) {
            return Resend::Anywhere;
        }
        match self.class {
            Class::Safe => Resend::Anywhere,
            Class::Never => Resend::Never,
        }
    }
}

impl Exchange {
    fn set(&self, account: &mut Account, link: &mut Link) {
        if let Some(kind) = self.sets {
            account.state.kind = kind;
            link.applied.kind = kind;
        }
    }

    /// Whether a reply is this node's trouble rather than an answer: 451 (RFC 959 section 4.2.2) is a
    /// local error in processing, so a command that changed nothing is asked of another node.
    fn may_be_better_elsewhere(&self, code: u16) -> bool {
        match self.class {
            Class::Safe => code == 451,
            Class::Never => false,
        }
    }
}
