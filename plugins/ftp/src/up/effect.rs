//! Commands that change a node's files without a data connection: `DELE`, `MKD`, `RMD`, `RNTO`, `MFMT`.
//!
//! One whose node was lost after it was sent may have been done. Before it is sent, its node is asked
//! what stands under the name; afterwards another node is asked the same, and both answers together say
//! whether it was done. Where each node has storage of its own, another node has not done it.

use async_trait::async_trait;
use director_sdk::{
    Director, Exception, Failure, Kind, NodeId, Outcome as Happened, Request, Resend,
};

use crate::control::link::{Link, NOT_AVAILABLE};
use crate::control::login::Account;
use crate::control::reply::Reply;
use crate::down::proof::Modified;
use crate::options::Storage;
use crate::up::look::{self, There};

/// What is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    /// DELE.
    Delete,
    /// MKD.
    MakeDirectory,
    /// RMD.
    RemoveDirectory,
    /// RNTO.
    Rename {
        /// RNFR.
        from: Vec<u8>,
    },
    /// MFMT (draft-somers-ftp-mfxx).
    Modify {
        /// The time, as the client gave it.
        time: Vec<u8>,
    },
}

/// Whether a command was done by a node that was lost before it said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    /// It is to be sent again; what the node then says is the truth.
    NotDone,
    Unknown,
}

/// What stood under the name before the command, and what stands there now.
fn outcome(deed: &Deed, before: There, after: There) -> Outcome {
    let (begins, ends) = match deed {
        Deed::MakeDirectory => (There::No, There::Yes),
        Deed::Delete | Deed::RemoveDirectory | Deed::Rename { .. } => (There::Yes, There::No),
        // The same again changes nothing.
        Deed::Modify { .. } => {
            return if after == There::Yes {
                Outcome::Done
            } else {
                Outcome::NotDone
            };
        }
    };
    match (before, after) {
        (_, There::Untold) => Outcome::Unknown,
        (before, after) if before == begins && after == ends => Outcome::Done,
        // Nobody knows how it was.
        (There::Untold, after) if after == ends => Outcome::Unknown,
        (There::Yes | There::No | There::Untold, There::Yes | There::No) => Outcome::NotDone,
    }
}

/// What the code of a reply to RNFR says of the file; `None`: it is the answer to a command that was not sent yet.
fn there_to_rename(code: u16, sent: bool) -> Option<There> {
    match (code, sent) {
        (350, _) => Some(There::Yes),
        (550, true) => Some(There::No),
        (_, true) => Some(There::Untold),
        (_, false) => None,
    }
}

/// One command that changes a node's files.
pub(crate) struct Effect {
    deed: Deed,
    line: Vec<u8>,
    /// What it changes.
    path: Vec<u8>,
    cwd: Option<Vec<u8>>,
    before: There,
    /// The node that was sent it, with unknown outcome.
    sent: Option<NodeId>,
    /// It may have been done.
    unknown: bool,
    /// The name of the node that has the link.
    node: String,
}

impl Effect {
    /// `verb path` is the command; for MFMT the time stands between them.
    pub(crate) fn new(deed: Deed, verb: &str, path: &[u8]) -> Self {
        let line = match &deed {
            Deed::Modify { time } => [verb.as_bytes(), b" ", time, b" ", path].concat(),
            Deed::Delete | Deed::MakeDirectory | Deed::RemoveDirectory | Deed::Rename { .. } => {
                [verb.as_bytes(), b" ", path].concat()
            }
        };
        Self {
            deed,
            line,
            path: path.to_vec(),
            cwd: None,
            before: There::Untold,
            sent: None,
            unknown: false,
            node: String::new(),
        }
    }

    /// The name of the node that was last asked.
    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    /// Looks what stands there; of MFMT, whether the file has the time. `Err` of a reply: that is the answer.
    async fn look(
        &self,
        account: &Account,
        link: &mut Link,
    ) -> Result<Result<There, Reply>, Failure> {
        match &self.deed {
            Deed::Delete | Deed::MakeDirectory | Deed::RemoveDirectory => {
                Ok(Ok(look::for_anything(link, &self.path).await?))
            }
            // The question is the first half of the command itself.
            Deed::Rename { from } => {
                let line = [b"RNFR ", from.as_slice()].concat();
                if link.rnfr.as_ref() == Some(&line) {
                    // The client's own, which this node has answered with 350.
                    return Ok(Ok(There::Yes));
                }
                let reply = link.command(&line).await?;
                Ok(there_to_rename(reply.code, self.sent.is_some()).ok_or(reply))
            }
            Deed::Modify { .. } if self.sent.is_none() => Ok(Ok(There::Untold)),
            Deed::Modify { time } => {
                let has = look::time_of(link, &account.state, &self.path).await?;
                let same = has.is_some() && has == Modified::read(time);
                Ok(Ok(if same { There::Yes } else { There::No }))
            }
        }
    }

    /// What the client is told when it was done, and the node was lost before it said so.
    fn done(&self) -> Reply {
        let path = String::from_utf8_lossy(&self.path);
        match &self.deed {
            Deed::Delete => Reply::new(250, "Deleted."),
            Deed::MakeDirectory => {
                // RFC 959 appendix II: the absolute path, with quotes within doubled.
                let path = match &self.cwd {
                    Some(cwd) if !path.starts_with('/') => {
                        let cwd = String::from_utf8_lossy(cwd);
                        format!("{}/{path}", cwd.trim_end_matches('/'))
                    }
                    Some(_) | None => path.into_owned(),
                };
                let path = path.replace('"', "\"\"");
                Reply::new(257, format!("\"{path}\" created"))
            }
            Deed::RemoveDirectory => Reply::new(250, "Removed."),
            Deed::Rename { .. } => Reply::new(250, "Renamed."),
            Deed::Modify { time } => {
                let time = String::from_utf8_lossy(time);
                Reply::new(213, format!("Modify={time}; {path}"))
            }
        }
    }
}

#[async_trait]
impl Request<Account> for Effect {
    type Reply = Reply;

    async fn attempt(
        &mut self,
        account: &mut Account,
        link: &mut Link,
        _director: &Director,
    ) -> Result<Reply, Failure> {
        account.wanted.accepts(link.control.node_name())?;
        self.cwd.clone_from(&account.state.cwd);
        link.control.node_name().clone_into(&mut self.node);
        let node = link.control.node();
        let apart = account.shared.options.storage == Storage::Separate;
        if apart && self.sent.is_some_and(|sent| sent != node) {
            self.sent = None;
        }
        let there = match self.look(account, link).await? {
            Ok(there) => there,
            Err(reply) => return Ok(reply),
        };
        match self.sent {
            None => self.before = there,
            Some(_) => match outcome(&self.deed, self.before, there) {
                Outcome::Done => return Ok(self.done()),
                Outcome::NotDone => {}
                Outcome::Unknown => {
                    self.unknown = true;
                    let detail = "it may have been done, and the node does not tell";
                    return Err(Failure::new(Kind::Unknown, detail).fit());
                }
            },
        }
        link.unasked()?;
        self.sent = Some(node);
        link.command(&self.line).await
    }

    async fn cleanup(
        &mut self,
        account: &mut Account,
        link: Option<&mut Link>,
        why: &Exception,
    ) -> Resend {
        if self.unknown || why.kind == Kind::ClientGone {
            return Resend::Never;
        }
        if why.code == u32::from(NOT_AVAILABLE) {
            // An answer, and it is that nothing was done.
            self.sent = None;
        }
        if let (None, Some(node)) = (link, &why.node) {
            account.wanted.lost(node);
            let apart = account.shared.options.storage == Storage::Separate;
            if self.sent.is_some() && apart {
                // It may be done, there and nowhere else.
                account.wanted.first(node);
                return Resend::Ask;
            }
        }
        Resend::Anywhere
    }

    /// Each attempt begins with the question.
    async fn ask(&mut self, _: &mut Account, _: &mut Link) -> Result<Happened<Reply>, Failure> {
        Ok(Happened::NotDone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn deed() -> impl Strategy<Value = Deed> {
        prop_oneof![
            Just(Deed::Delete),
            Just(Deed::MakeDirectory),
            Just(Deed::RemoveDirectory),
            Just(Deed::Rename { from: Vec::new() }),
        ]
    }

    /// What a server makes of a command: whether something stands there now, and whether it says yes.
    fn perform(deed: &Deed, there: bool) -> (bool, bool) {
        match deed {
            Deed::MakeDirectory => (true, !there),
            Deed::Delete | Deed::RemoveDirectory | Deed::Rename { .. } => (false, there),
            Deed::Modify { .. } => (there, there),
        }
    }

    fn told(there: bool) -> There {
        if there { There::Yes } else { There::No }
    }

    proptest! {
        /// Whether or not the lost node did it, the client gets the reply of an unbroken command, and
        /// it was done once.
        #[test]
        fn a_command_is_done_once_and_told_truly(deed in deed(), before: bool, was_done: bool) {
            let (unbroken, yes) = perform(&deed, before);
            let now = if was_done { unbroken } else { before };
            let (left, said) = match outcome(&deed, told(before), told(now)) {
                Outcome::Done => (now, true),
                Outcome::NotDone => perform(&deed, now),
                Outcome::Unknown => panic!("both answers are known"),
            };
            prop_assert_eq!((left, said), (unbroken, yes));
        }

        /// Where a node did not tell, no reply is made up.
        #[test]
        fn what_is_not_told_is_not_guessed(deed in deed(), before: bool, after: bool) {
            prop_assert_eq!(outcome(&deed, told(before), There::Untold), Outcome::Unknown);
            prop_assert_ne!(outcome(&deed, There::Untold, told(after)), Outcome::Done);
        }
    }

    /// RFC 959 lets a server answer RNFR with 450 as well: no answer to an RNTO that may have been done.
    #[test]
    fn a_rename_that_may_be_done_is_not_refused_by_the_question() {
        for code in [450, 500, 530, 553] {
            let after = there_to_rename(code, true);
            assert_eq!(after, Some(There::Untold), "{code}");
            assert_eq!(there_to_rename(code, false), None, "{code}");
        }
        assert_eq!(there_to_rename(550, true), Some(There::No));
        assert_eq!(there_to_rename(350, true), Some(There::Yes));
    }

    #[test]
    fn names_in_made_up_replies_are_quoted() {
        let mut made = Effect::new(Deed::MakeDirectory, "MKD", b"a \"b\"");
        made.cwd = Some(b"/c".to_vec());
        assert_eq!(made.done().text(), "\"/c/a \"\"b\"\"\" created");
    }
}
