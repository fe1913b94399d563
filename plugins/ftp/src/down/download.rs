//! Downloads: `RETR` and the listings. The request that goes on at another node.
//!
//! What a download carries from a node that failed to the next one: what the first said of the file
//! ([`Facts`]), how much of it the client's stream has taken and what is remembered of those bytes
//! ([`Delivered`]), and the client's own data connection, which stays open. A new node is held to
//! these before the client sees a byte of it. Only the node's 2yz ends a download well: the end of
//! its data connection alone is what a killed server looks like, too.

use std::time::Duration;

use async_trait::async_trait;
use director_sdk::{Director, Elapsed, Exception, Failure, Kind, Request, Resend};
use futures_util::FutureExt;

use crate::control::conversation::Abort;
use crate::control::link::Link;
use crate::control::login::Account;
use crate::control::replier::Replier;
use crate::control::reply::{Degree, Reply};
use crate::data::{ClientData, NodeEnd};
use crate::down::abort;
use crate::down::asking::Asking;
use crate::down::ended::End;
use crate::down::movement::{self, Held, Mover};
use crate::down::proof::{Facts, Verdict};
use crate::down::swallow::{Delivered, Swallow};
use crate::up::way::meant;

/// How long a node may take to say its last word after the end of its data: it has nothing else to do. A
/// server whose transferring process was killed may keep the control connection open and never say it.
const LAST_WORD: Duration = Duration::from_secs(5);

/// The same when its data ended before the file's size, which a well server does not do without a word.
const LAST_WORD_SHORT: Duration = Duration::from_secs(1);

/// What the client is told when all of a file is there and proved, and its node was lost before it said so.
const COMPLETE: &str = "Transfer complete.";

/// One download, and how far it got.
pub(crate) struct Download {
    /// The whole command, without its end.
    command: Vec<u8>,
    /// How a file is told from another; `None` for a listing, which is no file.
    asking: Option<Asking>,
    /// Where the client began (REST).
    offset: u64,
    binary: bool,
    replier: Replier,
    abort: Abort,
    data: ClientData,
    /// What the node said of the file at which the client's copy was begun.
    begun: Facts,
    delivered: Delivered,
    held: Held,
    /// The client was told that the transfer begins.
    marked: bool,
    /// It was aborted in the middle.
    aborted: bool,
    /// A node had another file than the one begun, or could not prove that it had the same.
    diverged: bool,
    /// What a node last refused it with.
    refused: Option<Reply>,
}

/// How an attempt begins.
struct Plan {
    /// The node sends from this octet on.
    from: u64,
    /// What it sends again, and the client has got.
    again: Option<Swallow>,
    /// The client has all of it, and this is the same file: only the node's word is missing.
    whole: bool,
}

impl Plan {
    fn from(from: u64, again: Option<Swallow>) -> Self {
        Self {
            from,
            again,
            whole: false,
        }
    }
}

impl Download {
    /// `RETR`: `offset` is that of the REST before it.
    pub(crate) fn file(
        command: Vec<u8>,
        asking: Asking,
        (offset, binary): (u64, bool),
        ends: (Replier, Abort, ClientData),
    ) -> Self {
        Self {
            asking: Some(asking),
            offset,
            binary,
            ..Self::listing(command, ends)
        }
    }

    /// `LIST`, `NLST`, `MLSD`.
    pub(crate) fn listing(
        command: Vec<u8>,
        (replier, abort, data): (Replier, Abort, ClientData),
    ) -> Self {
        Self {
            command,
            asking: None,
            offset: 0,
            binary: false,
            replier,
            abort,
            data,
            begun: Facts::default(),
            delivered: Delivered::with_digest(),
            held: Held::default(),
            marked: false,
            aborted: false,
            diverged: false,
            refused: None,
        }
    }

    /// What is left when it is over.
    pub(crate) fn into_end(self) -> End {
        End {
            data: self.data,
            marked: self.marked,
            aborted: self.aborted,
            diverged: self.diverged,
            untouched: self.delivered.count() == 0,
            refused: self.refused,
            held: self.held,
            delivered: self.delivered,
        }
    }

    /// What this node says of the file, and its answer to `along` where that was asked with it.
    async fn ask(
        &mut self,
        link: &mut Link,
        along: Option<&[u8]>,
        director: &Director,
    ) -> Result<(Facts, Option<Reply>), Failure> {
        let begun = self.marked.then_some(&self.begun);
        match &mut self.asking {
            Some(asking) => asking.ask(link, (begun, along), director).await,
            None => Ok((Facts::default(), None)),
        }
    }

    /// Whether the node that says this of the file has what was begun, and from where it is to send.
    fn plan(&mut self, found: Facts) -> Result<Plan, Failure> {
        if !self.marked {
            return Ok(self.anew(found));
        }
        let verdict = self.begun.verdict(&found);
        if let Verdict::Other(what) = verdict {
            return Err(self.diverged(format!("this node has another file: {what}")));
        }
        if verdict == Verdict::Unproven && self.delivered.count() == 0 {
            // What the client gets is from here, whatever was said where it got nothing.
            return Ok(self.anew(found));
        }
        if !self.binary {
            // Offsets mean nothing after a conversion, so all of it is sent again (RFC 3659 §5.3).
            return Ok(Plan::from(self.offset, self.delivered.again()));
        }
        let place = self.offset.saturating_add(self.delivered.count());
        match (verdict, self.delivered.again()) {
            (Verdict::Same, _) => Ok(Plan {
                from: place,
                again: None,
                whole: self.begun.size == Some(place),
            }),
            (_, Some(again)) => Ok(Plan::from(place.saturating_sub(again.left()), Some(again))),
            (_, None) => Err(self.diverged(
                "this node does not say what would prove that its file is the one begun".into(),
            )),
        }
    }

    /// The client's copy begins at the node that says this of the file.
    fn anew(&mut self, found: Facts) -> Plan {
        self.delivered = self.memory(&found);
        self.begun = found;
        Plan::from(self.offset, None)
    }

    /// What is to be remembered of a file of which a node says this.
    fn memory(&self, found: &Facts) -> Delivered {
        let compares = self.asking.as_ref().is_some_and(Asking::may_compare_bytes);
        match (self.binary, found.prove()) {
            (false, _) => Delivered::with_digest(),
            (true, true) => Delivered::counted(),
            (true, false) if compares => Delivered::with_tail(),
            (true, false) => Delivered::counted(),
        }
    }

    /// Begins the transfer at the node: its mark, or its refusal.
    async fn begin(&mut self, link: &mut Link, from: u64) -> Result<Reply, Failure> {
        if from > 0 {
            let reply = link.command(format!("REST {from}").as_bytes()).await?;
            match reply.degree() {
                Degree::Intermediate => {}
                Degree::Transient | Degree::Permanent => {
                    let detail = format!("the node restarts no download: {reply}");
                    let code = reply.code.into();
                    self.refused = Some(reply);
                    return Err(Failure::new(Kind::Missing, detail).with_code(code).fit());
                }
                Degree::Preliminary | Degree::Complete => {
                    let detail = format!("the node answers REST with {reply}");
                    return Err(Failure::new(Kind::Garbled, detail));
                }
            }
        }
        link.send(&self.command).await?;
        let reply = link.next_reply().await?;
        if reply.code == crate::control::link::NOT_AVAILABLE {
            return Err(Link::not_available(&reply));
        }
        match reply.degree() {
            Degree::Preliminary => Ok(reply),
            Degree::Complete | Degree::Intermediate => {
                let detail = format!("the node has no transfer to mark: {reply}");
                Err(Failure::new(Kind::Garbled, detail))
            }
            Degree::Transient | Degree::Permanent => Err(self.refuse(reply)),
        }
    }

    fn diverged(&mut self, what: String) -> Failure {
        self.diverged = true;
        Failure::new(Kind::Diverged, what).fit()
    }

    /// The node's answer is no; its dialogue is whole. In mid-transfer that is this node's answer, for another
    /// had the file, and let the client have it: others may, too.
    fn refuse(&mut self, reply: Reply) -> Failure {
        let elsewhere = self.marked && reply.degree() == Degree::Permanent;
        self.diverged |= elsewhere && reply.code == 550 && self.delivered.count() > 0;
        let failure = if elsewhere {
            let detail = format!("another node began to send it, this one says {reply}");
            Failure::new(Kind::Diverged, detail).with_code(reply.code.into())
        } else {
            Failure::code(reply.code.into(), reply.to_string())
        };
        self.refused = Some(reply);
        failure.fit()
    }

    /// The node's last word about its transfer.
    async fn end(
        &mut self,
        link: &mut Link,
        (continued, again): (bool, Option<&Swallow>),
        director: &Director,
    ) -> Result<Reply, Failure> {
        let place = self.offset.saturating_add(self.delivered.count());
        let short = self.binary && self.begun.size.is_some_and(|size| place < size);
        let bound = if short { LAST_WORD_SHORT } else { LAST_WORD };
        let reply = director.timeout(bound, link.last_reply()).await;
        let reply = reply.map_err(|_| {
            let detail = format!("its data ended at {place}, and no reply came within {bound:?}");
            Failure::new(Kind::Lost, detail)
        })??;
        let reply = meant(reply);
        if matches!(reply.code, 500..=504) {
            // No answer to a command that was under way: vsftpd says `500 OOPS` when its child has died.
            let detail = format!("in mid-transfer the node said {reply}");
            return Err(Failure::new(Kind::Lost, detail).with_code(reply.code.into()));
        }
        match reply.degree() {
            Degree::Complete => {}
            Degree::Transient | Degree::Permanent => return Err(self.refuse(reply)),
            Degree::Preliminary | Degree::Intermediate => {
                let detail = format!("at the end of its data the node said {reply}");
                return Err(Failure::new(Kind::Garbled, detail));
            }
        }
        if let (true, true, Some(size)) = (continued, self.binary, self.begun.size)
            && place != size
        {
            // A node that took REST and began anew, or whose file changed after it was asked: what the client
            // has now is no file's beginning and end.
            return Err(self.diverged(format!("{place} bytes came of a file of {size}")));
        }
        match again {
            Some(again) if again.left() > 0 => Err(self.diverged(format!(
                "the node's file ends {} bytes before the place",
                again.left()
            ))),
            Some(_) | None => Ok(reply),
        }
    }

    /// Tells the client once that the transfer begins.
    async fn mark(&mut self, mark: &Reply) -> Result<(), Failure> {
        if !self.marked {
            // Before it is waited for: once polled it is said, whatever becomes of this attempt.
            self.marked = true;
            self.abort.mark();
            self.replier.say(mark).await?;
        }
        Ok(())
    }

    /// What comes before the client is looked at: the node is told the type, asked about the file, and agreed
    /// with upon a data connection.
    async fn prepare(
        &mut self,
        account: &Account,
        link: &mut Link,
        director: &Director,
    ) -> Result<(Plan, NodeEnd), Failure> {
        link.bring(&account.state).await?;
        let mode = account.shared.options.node_data;
        let along = NodeEnd::first_command(link, mode);
        let (found, answered) = self.ask(link, along, director).await?;
        let plan = self.plan(found)?;
        let node = NodeEnd::agree_on(link, director, (mode, answered)).await?;
        Ok((plan, node))
    }

    /// As [`prepare`](Self::prepare). Its commands have one reply each, and after an ABOR the rest of them is
    /// waited for a while, so that the link's dialogue is whole.
    async fn prepared(
        &mut self,
        account: &Account,
        link: &mut Link,
        director: &Director,
    ) -> Result<(Plan, NodeEnd), Failure> {
        let abort = self.abort.clone();
        let whole = {
            let mut preparing = std::pin::pin!(self.prepare(account, link, director).fuse());
            futures_util::select_biased! {
                prepared = preparing => return prepared,
                () = abort.asked().fuse() => {}
            }
            match director.timeout(abort::PATIENCE, preparing).await {
                Ok(Ok(_)) => true,
                Ok(Err(failure)) => failure.is_fit(),
                Err(Elapsed) => false,
            }
        };
        self.aborted = true;
        Err(ended_by_client(whole))
    }

    /// The client's connection is there before the node begins, which would wait for it otherwise; until then
    /// the node owes nothing.
    async fn connected(&mut self, link: &mut Link, director: &Director) -> Result<(), Failure> {
        let abort = self.abort.clone();
        link.control.due(false);
        futures_util::select_biased! {
            () = abort.asked().fuse() => {
                self.aborted = true;
                return Err(ended_by_client(true));
            }
            made = self.data.connected(director).fuse() => made?,
        }
        link.control.due(true);
        Ok(())
    }

    /// All bytes, from the mark to the node's end of file.
    async fn transfer(
        &mut self,
        (link, node): (&mut Link, NodeEnd),
        again: Option<&mut Swallow>,
        mover: &Mover<'_>,
    ) -> Result<(), Failure> {
        let director = mover.director;
        link.control.due(false);
        let client = self.data.stream(director).await;
        link.control.due(true);
        let client = client?;
        let mut node = node.stream(link, director).await?;
        if let Some(again) = again {
            movement::swallow(&mut node, again).await?;
            if again.left() > 0 {
                return Ok(());
            }
        }
        let delivered = &mut self.delivered;
        if self.binary {
            mover.pass_on(&mut node, client, delivered).await
        } else {
            mover
                .hold(&mut node, client, delivered, &mut self.held)
                .await
        }
    }

    /// Makes an end of a transfer that the client no longer wants, and keeps the link if the node does, too.
    /// `why` is the client's own failure; `None` for ABOR.
    async fn give_up(
        &mut self,
        link: &mut Link,
        why: Option<Failure>,
        director: &Director,
    ) -> Failure {
        let asked = self.abort.is_asked();
        self.aborted |= asked;
        let whole = if asked {
            abort::abort(link, director).await
        } else {
            abort::settle(link, director).await
        };
        // Else the next transfer would begin at this one's place.
        let whole = whole && !link.restarted;
        match why {
            Some(why) if whole => why.fit(),
            Some(why) => why,
            None => ended_by_client(whole),
        }
    }
}

/// ABOR; `whole` says whether the link's dialogue is.
fn ended_by_client(whole: bool) -> Failure {
    let failure = Failure::new(Kind::ClientGone, "the client ended the transfer").by_client();
    if whole { failure.fit() } else { failure }
}

#[async_trait]
impl Request<Account> for Download {
    type Reply = Reply;

    async fn attempt(
        &mut self,
        account: &mut Account,
        link: &mut Link,
        director: &Director,
    ) -> Result<Reply, Failure> {
        account.wanted.accepts(link.control.node_name())?;
        self.held.forget();
        self.refused = None;
        let (mut plan, node) = self.prepared(account, link, director).await?;
        self.connected(link, director).await?;
        let abort = self.abort.clone();
        let begun = futures_util::select_biased! {
            begun = self.begin(link, plan.from).fuse() => Some(begun),
            () = abort.asked().fuse() => None,
        };
        let mark = match begun {
            Some(Ok(mark)) => mark,
            // Some servers have no transfer of nothing.
            Some(Err(failure)) if plan.whole && failure.is_fit() => {
                return Ok(Reply::new(226, COMPLETE));
            }
            Some(Err(failure)) => return Err(failure),
            None => return Err(self.give_up(link, None, director).await),
        };
        let continued = self.marked;
        self.mark(&mark).await?;
        let mover = Mover {
            director,
            patience: self.data.patience(),
        };
        let moved = futures_util::select_biased! {
            moved = self.transfer((&mut *link, node), plan.again.as_mut(), &mover).fuse() => Some(moved),
            () = abort.asked().fuse() => None,
        };
        match moved {
            Some(Ok(())) => {}
            Some(Err(failure)) if failure.is_by_client() => {
                return Err(self.give_up(link, Some(failure), director).await);
            }
            Some(Err(failure)) => {
                self.diverged |= failure.kind() == Some(Kind::Diverged);
                return Err(failure);
            }
            None => return Err(self.give_up(link, None, director).await),
        }
        let ended = futures_util::select_biased! {
            ended = self.end(link, (continued, plan.again.as_ref()), director).fuse() => Some(ended),
            () = abort.asked().fuse() => None,
        };
        match ended {
            Some(ended) => ended,
            None => Err(self.give_up(link, None, director).await),
        }
    }

    async fn cleanup(&mut self, _: &mut Account, _: Option<&mut Link>, why: &Exception) -> Resend {
        // A read changes nothing at a node, and it is known how far the client is.
        if why.kind == Kind::ClientGone {
            Resend::Never
        } else {
            Resend::Anywhere
        }
    }
}
