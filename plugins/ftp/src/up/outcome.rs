//! What a node's last word about an upload means, and whether the file bears it out.

use director_sdk::{Failure, Kind};

use crate::control::link::{Link, NOT_AVAILABLE};
use crate::control::login::Account;
use crate::control::reply::{Degree, Reply};
use crate::up::look;
use crate::up::rules::{How, Plan, Seen};
use crate::up::upload::{COMPLETE, Upload};
use crate::up::way::Way;

impl Upload {
    /// The node's answer is no, and its dialogue is whole. A 5yz before the mark is the answer to the client, too:
    /// its permission, its name. One after it is this node's, for another had begun.
    pub(super) fn refuse(&mut self, reply: Reply) -> Result<Reply, Failure> {
        if reply.degree() == Degree::Permanent && !self.marked {
            return Ok(reply);
        }
        if matches!(reply.code, 500..=504) {
            // No answer to a command that was under way: vsftpd says `500 OOPS` when its child has died.
            let detail = format!("in mid-transfer the node said {reply}");
            return Err(Failure::new(Kind::Lost, detail).with_code(reply.code.into()));
        }
        let failure = match reply.degree() {
            Degree::Permanent => Failure::new(Kind::Missing, reply.to_string()),
            Degree::Preliminary | Degree::Complete | Degree::Intermediate | Degree::Transient => {
                Failure::code(reply.code.into(), reply.to_string())
            }
        };
        let failure = failure.with_code(reply.code.into()).fit();
        self.told = false;
        self.ended.refused = Some(reply);
        Err(failure)
    }

    /// The node's last word about the upload.
    pub(super) async fn end(
        &mut self,
        account: &Account,
        link: &mut Link,
        reply: Reply,
        plan: Plan,
    ) -> Result<Reply, Failure> {
        if reply.code == NOT_AVAILABLE {
            return Err(Link::not_available(&reply));
        }
        if !reply.is_complete() {
            return self.refuse(reply);
        }
        match &mut self.way {
            Way::Temporary(temporary) => match temporary.rename(link).await? {
                reply if reply.is_complete() => Ok(Reply::new(226, COMPLETE)),
                reply => self.refuse(reply),
            },
            Way::Shared(_, Some(before)) if matches!(plan, Plan::Resume { .. }) => {
                // Two have written it, so it is counted once more.
                let after = look::at_file(link, &account.state, &self.path).await?;
                let before = before.clone();
                self.counted(&before, &after)?;
                Ok(reply)
            }
            Way::Shared(..) | Way::Once(_) | Way::Unique => Ok(reply),
        }
    }

    /// Whether a file that two nodes have written has the size that it must have.
    pub(super) fn counted(&mut self, before: &Seen, after: &Seen) -> Result<(), Failure> {
        let Way::Shared(how, _) = &self.way else {
            return Ok(());
        };
        let begun_at = match (how, before) {
            (How::Store { from }, _) => *from,
            (How::Append, Seen::File { size, .. }) => *size,
            (How::Append, Seen::Nothing | Seen::Untold) => 0,
        };
        let right = begun_at.saturating_add(self.kept.end());
        match after {
            Seen::File { size, .. } if *size == right => Ok(()),
            Seen::File { .. } | Seen::Nothing | Seen::Untold => {
                Err(self.lost(format!("the file has not {right} bytes but is {after:?}")))
            }
        }
    }

    pub(super) fn lost(&mut self, why: String) -> Failure {
        let failure = Failure::new(Kind::Diverged, why.clone()).fit();
        self.ended.lost = Some(why);
        failure
    }
}
