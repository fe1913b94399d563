//! Uploads: `STOR`, `APPE` and `STOU`. The request that goes on at another node.
//!
//! What an upload carries from a node that failed to the next one: what stood under its name before it
//! began, what the client sent as far as it is kept ([`Kept`]), and the client's own data connection, which
//! stays open. Only the node's 2yz ends an upload well. Where the nodes share one storage, a new node is
//! asked what it sees of the file ([`rules`](crate::up::rules)); where each has its own, all bytes go to a
//! temporary name there, which becomes the file's at the end ([`Temporary`](crate::up::temporary::Temporary)).

use async_trait::async_trait;
use director_sdk::{Director, Exception, Failure, Kind, Outcome, Request, Resend};

use crate::control::conversation::Abort;
use crate::control::link::{Link, NOT_AVAILABLE};
use crate::control::login::Account;
use crate::control::replier::Replier;
use crate::control::reply::{Degree, Reply};
use crate::data::{ClientData, NodeEnd};
use crate::up::digest;
use crate::up::kept::Kept;
use crate::up::look;
use crate::up::moving::{Moved, was_silent};
use crate::up::rules::{self, How, Plan, Progress};
use crate::up::temporary::Renamed;
use crate::up::way::{Ended, Way, meant, restarts_apart, unique_name};

/// What the client is told when its file is there, and its node was lost before it said so.
pub(super) const COMPLETE: &str = "Transfer complete.";

/// One upload, and how far it got.
pub(crate) struct Upload {
    pub(super) way: Way,
    pub(super) path: Vec<u8>,
    pub(super) binary: bool,
    pub(super) replier: Replier,
    pub(super) abort: Abort,
    pub(super) data: ClientData,
    pub(super) kept: Kept,
    /// A node was sent the command.
    pub(super) begun: bool,
    /// The last such node was told that it has got all, and has not said no.
    pub(super) told: bool,
    /// The client was told that the transfer begins.
    pub(super) marked: bool,
    /// The present node was told to append: what reaches it late goes to the end of the file, wherever that is.
    appends: bool,
    /// Such a node fell silent, and may yet store what it was sent: so many octets of this upload.
    late: Option<u64>,
    pub(super) ended: Ended,
}

impl Upload {
    /// An upload that begins.
    pub(crate) fn new(
        way: Way,
        (path, binary): (&[u8], bool),
        (replier, abort, data): (Replier, Abort, ClientData),
        kept: Kept,
    ) -> Self {
        Self {
            way,
            path: path.to_vec(),
            binary,
            replier,
            abort,
            data,
            kept,
            begun: false,
            told: false,
            marked: false,
            appends: false,
            late: None,
            ended: Ended::default(),
        }
    }

    /// What is left of it: the client's data connection, and how it ended.
    pub(crate) fn into_end(self) -> (ClientData, Ended) {
        let ended = Ended {
            marked: self.marked,
            unprotected: !self.is_protected(),
            closed: self.kept.is_closed(),
            ..self.ended
        };
        (self.data, ended)
    }

    /// Whether its node could have been lost now.
    fn is_protected(&self) -> bool {
        let known = match &self.way {
            Way::Shared(how, before) => before.as_ref().is_none_or(|before| {
                rules::can_go_on(*how, self.binary, self.kept.first(), before)
            }),
            Way::Temporary(_) => true,
            Way::Once(_) | Way::Unique => false,
        };
        known && self.kept.protects()
    }

    /// Whether the upload can be begun otherwise at a node that has refused it: its temporary name has another form,
    /// and in the end there is the file's own, under which it is not sent again.
    fn has_another_name(&mut self, refusal: &Reply) -> bool {
        let Way::Temporary(temporary) = &mut self.way else {
            return false;
        };
        if !matches!(refusal.code, 550 | 553) {
            return false;
        }
        if !temporary.refused() {
            tracing::info!(%refusal, "no temporary name is taken: an upload is not protected");
            self.way = Way::Once(How::Store { from: 0 });
        }
        true
    }

    /// What this node is to do.
    async fn plan(&mut self, account: &Account, link: &mut Link) -> Result<Plan, Failure> {
        let (binary, total) = (self.binary, self.kept.end());
        match &mut self.way {
            Way::Shared(_, before @ None) => {
                *before = Some(look::at_file(link, &account.state, &self.path).await?);
                Ok(Plan::Whole)
            }
            Way::Shared(how, Some(before)) if self.begun => {
                let after = look::at_file(link, &account.state, &self.path).await?;
                let progress = Progress {
                    how: *how,
                    binary,
                    first: self.kept.first(),
                    end: total,
                    closed: self.kept.is_closed(),
                    told: self.told,
                    lines: self.kept.lines(),
                    late: self.late,
                };
                let mut plan = rules::plan(&progress, before, &after);
                let small = total <= account.shared.options.digest_limit();
                let whole = *how == How::Store { from: 0 } && binary && small;
                // Its size is right; a node that offers a digest can tell whether its bytes are.
                if plan == Plan::Done
                    && whole
                    && digest::is_of(link, &self.path, &self.kept).await? == Some(false)
                {
                    plan = Plan::Whole;
                }
                if plan == Plan::Lost {
                    tracing::info!(
                        ?progress,
                        ?before,
                        ?after,
                        "an upload cannot be gone on with"
                    );
                } else {
                    // It has stored all that it was sent.
                    self.late = None;
                }
                Ok(plan)
            }
            Way::Shared(..) | Way::Once(_) | Way::Unique => Ok(Plan::Whole),
            Way::Temporary(temporary) => {
                let sizes = [total, total.saturating_sub(self.kept.lines())];
                let sizes = if binary { &sizes[..1] } else { &sizes };
                match temporary.look(account, link, sizes).await? {
                    Renamed::Yes => Ok(Plan::Done),
                    Renamed::No if self.kept.first() == 0 => Ok(Plan::Whole),
                    Renamed::No => Ok(Plan::Lost),
                }
            }
        }
    }

    /// Begins the transfer at the node: its mark, or its refusal.
    async fn begin(&mut self, link: &mut Link, plan: Plan) -> Result<Begun, Failure> {
        let (verb, rest) = match (&self.way, plan) {
            (_, Plan::Resume { .. }) if restarts_apart(link) => ("APPE", 0),
            (_, Plan::Resume { size, .. }) => ("STOR", size),
            (Way::Shared(How::Append, _) | Way::Once(How::Append), _) => ("APPE", 0),
            (Way::Shared(How::Store { from }, _) | Way::Once(How::Store { from }), _) => {
                ("STOR", *from)
            }
            (Way::Temporary(_), _) => ("STOR", 0),
            (Way::Unique, _) => ("STOU", 0),
        };
        self.told = false;
        self.appends = verb == "APPE";
        Self::mark_of(self.command(link, verb, rest).await?)
    }

    /// Sends the command, behind a REST where one is needed; its first reply, or that to REST.
    async fn command(&mut self, link: &mut Link, verb: &str, rest: u64) -> Result<Reply, Failure> {
        if rest > 0 {
            let reply = link.command(format!("REST {rest}").as_bytes()).await?;
            if reply.degree() != Degree::Intermediate {
                return Ok(reply);
            }
        }
        let path = match &mut self.way {
            Way::Temporary(temporary) => temporary.begin(link),
            Way::Shared(..) | Way::Once(_) | Way::Unique => &self.path,
        };
        let line = match path {
            [] => verb.as_bytes().to_vec(),
            path => [verb.as_bytes(), b" ", path].concat(),
        };
        link.unasked()?;
        self.begun = true;
        // What another said is not the last word any more.
        self.ended.refused = None;
        link.send(&line).await?;
        let reply = link.next_reply().await?;
        if reply.code == NOT_AVAILABLE {
            return Err(Link::not_available(&reply));
        }
        Ok(reply)
    }

    fn mark_of(reply: Reply) -> Result<Begun, Failure> {
        match reply.degree() {
            Degree::Preliminary => Ok(Begun::Marked(reply)),
            Degree::Complete | Degree::Intermediate => {
                let detail = format!("the node has no transfer to mark: {reply}");
                Err(Failure::new(Kind::Garbled, detail))
            }
            Degree::Transient | Degree::Permanent => Ok(Begun::Refused(reply)),
        }
    }

    /// Tells the client once that the transfer begins.
    async fn mark(&mut self, mark: &Reply) -> Result<(), Failure> {
        if self.marked {
            return Ok(());
        }
        // Before it is waited for: once polled it is said, whatever becomes of this attempt.
        self.marked = true;
        self.abort.mark();
        match self.way {
            // The node's own names what the client does not know.
            Way::Temporary(_) => {
                let mark = Reply::new(150, "Ok to send data.");
                self.replier.say(&mark).await?;
            }
            Way::Unique => {
                self.ended.unique = unique_name(mark);
                self.replier.say(mark).await?;
            }
            Way::Shared(..) | Way::Once(_) => self.replier.say(mark).await?,
        }
        Ok(())
    }

    /// All that comes after the mark.
    async fn bring_home(
        &mut self,
        account: &Account,
        (link, node): (&mut Link, NodeEnd),
        (plan, from): (Plan, u64),
        director: &Director,
    ) -> Result<Reply, Failure> {
        let moved = self.transfer((&mut *link, node), from, director).await?;
        link.control.due(true);
        let reply = match moved {
            Moved::All(node) => {
                let reply = link.last_reply().await;
                drop(node);
                meant(reply?)
            }
            Moved::Early(reply) if !meant(reply.clone()).is_complete() => meant(reply),
            Moved::Early(reply) => {
                let detail = format!("before the file's end the node said {reply}");
                return Err(Failure::new(Kind::Garbled, detail));
            }
            Moved::ByClient => return Err(self.give_up(link, director).await),
        };
        self.end(account, link, reply, plan).await
    }
}

/// A node's first word about an upload.
enum Begun {
    Marked(Reply),
    Refused(Reply),
}

#[async_trait]
impl Request<Account> for Upload {
    type Reply = Reply;

    async fn attempt(
        &mut self,
        account: &mut Account,
        link: &mut Link,
        director: &Director,
    ) -> Result<Reply, Failure> {
        account.wanted.accepts(link.control.node_name())?;
        link.control.node_name().clone_into(&mut self.ended.node);
        let plan = self.plan(account, link).await?;
        let from = match plan {
            Plan::Done => return Ok(Reply::new(226, COMPLETE)),
            Plan::Whole => 0,
            Plan::Resume { from, .. } => from,
            Plan::Lost => {
                let why = match self.late {
                    Some(_) => "a server that fell silent may still add to the file",
                    None => "what the lost server stored of the file cannot be gone on with",
                };
                return Err(self.lost(why.to_owned()));
            }
        };
        link.bring(&account.state).await?;
        if self.begun
            && let Some(allo) = &account.state.allo
        {
            // A server that does not need it says so with 202, one that has it not with 502: as well.
            link.command(&[b"ALLO ", allo.as_slice()].concat()).await?;
        }
        let mode = account.shared.options.node_data;
        let mut node = NodeEnd::agree(link, director, mode).await?;
        // The client's connection is there before the node begins, which would wait for it otherwise. The
        // node owes nothing meanwhile.
        link.control.due(false);
        self.client_connected(director).await?;
        link.control.due(true);
        let mut begun = self.begin(link, plan).await?;
        while let Begun::Refused(reply) = &begun
            && self.has_another_name(reply)
        {
            node = NodeEnd::agree(link, director, mode).await?;
            begun = self.begin(link, plan).await?;
        }
        if let (Begun::Refused(reply), Plan::Resume { .. }) = (&begun, plan) {
            // Servers that let nobody restart an upload (ProFTPD without AllowStoreRestart) append.
            tracing::debug!(%reply, "an upload is gone on with by APPE");
            node = NodeEnd::agree(link, director, mode).await?;
            self.appends = true;
            begun = Self::mark_of(self.command(link, "APPE", 0).await?)?;
        }
        match begun {
            Begun::Marked(mark) => self.mark(&mark).await?,
            Begun::Refused(reply) => return self.refuse(reply),
        }
        let done = self
            .bring_home(account, (link, node), (plan, from), director)
            .await;
        if done.is_err() {
            // A long upload has not lacked progress when its node is lost, whoever owed what then.
            link.control.due(false);
            if self.appends && was_silent(link) {
                self.late = Some(self.kept.sent());
            }
        }
        done
    }

    async fn cleanup(
        &mut self,
        account: &mut Account,
        link: Option<&mut Link>,
        why: &Exception,
    ) -> Resend {
        let declined = link.is_some() && why.kind == Kind::Unknown && !self.begun;
        if let (Some(link), Way::Temporary(temporary)) = (link, &mut self.way)
            && let Err(failure) = temporary.clear(link).await
        {
            tracing::debug!(%failure, "a temporary file may be left at the node");
        }
        if declined {
            return Resend::Anywhere;
        }
        if let (Some(node), Kind::Unreachable | Kind::Lost | Kind::Stalled | Kind::Busy) =
            (&why.node, why.kind)
        {
            account.wanted.lost(node);
        }
        if why.kind == Kind::ClientGone || self.ended.lost.is_some() {
            return Resend::Never;
        }
        let whole = self.kept.first() == 0;
        let again = match &self.way {
            Way::Shared(..) => whole || self.kept.protects() || self.kept.is_closed(),
            Way::Temporary(temporary) => {
                if let Some(node) = why
                    .node
                    .as_ref()
                    .filter(|node| temporary.is_renaming_at(node))
                {
                    // It may be done, there and nowhere else.
                    account.wanted.first(node);
                    return Resend::Ask;
                }
                whole
            }
            Way::Once(_) | Way::Unique => !self.begun,
        };
        if again {
            Resend::Anywhere
        } else {
            Resend::Never
        }
    }

    /// Each attempt begins with the question.
    async fn ask(&mut self, _: &mut Account, _: &mut Link) -> Result<Outcome<Reply>, Failure> {
        Ok(Outcome::NotDone)
    }
}
