//! Steps: what a plugin does for a request between two calls of `poll_step`, watched for cuts and
//! for silence.
//!
//! A cut never drops a step at first. Every operation on its link fails at once and the plugin
//! returns by itself, its counts right. Only a step that has not returned when its grace is over is
//! to be dropped, and counts as torn. The grace stands still while the step waits for the client.

use std::rc::Rc;
use std::time::Duration;

use director_recovery::Kind;

use super::clock::{self, NEVER};
use super::instance::Timeouts;
use super::stream::{Side, Stream};
use crate::cluster::NodeId;

/// How often a step is looked at while its grace runs, in nanoseconds.
const GRACE_LOOK: u64 = 10_000_000;

/// What the plugin does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Establish,
    Attempt,
    CleanUp,
    Ask,
}

impl What {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Establish => "establish",
            Self::Attempt => "attempt",
            Self::CleanUp => "cleanup",
            Self::Ask => "ask",
        }
    }
}

/// Why a step was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Its node was declared down.
    Down,
    /// A byte was due for too long, on a node that answers its probes.
    Stalled,
    /// Its time is over.
    Late,
}

impl Why {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Stalled => "stalled",
            Self::Late => "late",
        }
    }

    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Down => Kind::Lost,
            Self::Stalled | Self::Late => Kind::Stalled,
        }
    }

    pub(super) const fn in_words(self) -> &'static str {
        match self {
            Self::Down => "cut: the node was declared down",
            Self::Stalled => "cut: a byte was due for too long",
            Self::Late => "cut: its time was over",
        }
    }
}

/// A step under way.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) what: What,
    /// The link's stream; `None` for a cleanup whose link is gone.
    pub(super) stream: Option<Rc<Stream>>,
    /// The client's stream, if there is a client.
    client: Option<Rc<Stream>>,
    pub(super) begun: u64,
    /// When it is cut.
    pub(super) deadline: u64,
    sent_before: u64,
    answered_before: u64,
    cut: Option<Cut>,
    /// Silence is counted from here on at the earliest: until then the client was the one to wait for.
    not_before: u64,
    suspected_at: Option<u64>,
    /// When its node first showed a sign of failure.
    pub(super) first_sign: Option<u64>,
}

#[derive(Debug)]
struct Cut {
    why: Why,
    at: u64,
    /// How much of the grace is used up.
    used: u64,
    looked_at: u64,
    /// What the client had accepted at the last look.
    accepted: u64,
    over: bool,
}

/// What a look at a step found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing; look again then.
    Fine(u64),
    /// A byte was due for `silence`: the node is to be probed. Look again then.
    Silent(NodeId, u64),
    /// It is to be cut.
    Cut(Why),
    /// Its grace is over.
    Over,
}

impl Step {
    pub(super) fn begin(
        what: What,
        stream: Option<Rc<Stream>>,
        client: Option<Rc<Stream>>,
        deadline: u64,
    ) -> Self {
        if let Some(stream) = &stream {
            stream.set_due(true);
            stream.bundle.expect_first_byte();
        }
        let now = clock::now();
        Self {
            sent_before: accepted(stream.as_ref()),
            answered_before: accepted(client.as_ref()),
            // The node died while nothing was under way on the link.
            cut: stream
                .as_ref()
                .is_some_and(|stream| stream.is_cut())
                .then(|| Cut::new(Why::Down, now)),
            what,
            stream,
            client,
            begun: now,
            deadline,
            not_before: now,
            suspected_at: None,
            first_sign: None,
        }
    }

    /// Bytes that went to the node, over all streams of the link.
    pub(super) fn sent(&self) -> u64 {
        accepted(self.stream.as_ref()).saturating_sub(self.sent_before)
    }

    /// Bytes that the client accepted, over all streams of the session.
    pub(super) fn answered(&self) -> u64 {
        accepted(self.client.as_ref()).saturating_sub(self.answered_before)
    }

    /// How long it has lasted, when the node owes nothing now; zero when a byte is due.
    pub(super) fn stood(&self) -> Duration {
        match &self.stream {
            Some(stream) if !stream.any_due() => clock::since(self.begun),
            Some(_) | None => Duration::ZERO,
        }
    }

    /// When the first byte came from the node.
    pub(super) fn first_byte(&self) -> Option<u64> {
        self.stream
            .as_ref()
            .and_then(|stream| stream.bundle.first_byte())
    }

    /// A stream of the client's has failed.
    pub(super) fn client_failed(&self) -> bool {
        self.client
            .as_ref()
            .is_some_and(|client| client.any_failed())
    }

    pub(super) fn why_cut(&self) -> Option<Why> {
        self.cut.as_ref().map(|cut| cut.why)
    }

    /// Whether its grace is over.
    pub(super) fn is_over(&self) -> bool {
        self.cut.as_ref().is_some_and(|cut| cut.over)
    }

    /// The node it is at work on.
    pub(super) fn node(&self) -> Option<NodeId> {
        self.stream.as_ref().and_then(|stream| match stream.side {
            Side::Link { node, .. } => Some(node),
            Side::Client { .. } | Side::Health { .. } => None,
        })
    }

    /// Cuts it; `false` when it was cut before. Its stream is to be cut with it.
    pub(super) fn cut(&mut self, why: Why) -> bool {
        if self.cut.is_some() {
            return false;
        }
        let now = clock::now();
        self.first_sign.get_or_insert(now);
        self.cut = Some(Cut::new(why, now));
        true
    }

    /// Sees how it stands at `now`.
    pub(super) fn look(&mut self, now: u64, timeouts: &Timeouts) -> Found {
        if self.cut.is_some() {
            let waits = self.waits_for_client(now, timeouts);
            let accepted = self.answered();
            return self.cut.as_mut().map_or(Found::Fine(NEVER), |cut| {
                cut.look(now, waits, accepted, clock::nanoseconds(timeouts.cut_grace))
            });
        }
        if now >= self.deadline {
            return Found::Cut(Why::Late);
        }
        self.look_for_silence(now, timeouts)
    }

    fn look_for_silence(&mut self, now: u64, timeouts: &Timeouts) -> Found {
        let silence = clock::nanoseconds(timeouts.silence);
        let (Some(stream), Some(node)) = (&self.stream, self.node()) else {
            return Found::Fine(self.deadline);
        };
        if !stream.any_due() {
            self.suspected_at = None;
            self.not_before = now;
            return Found::Fine(self.deadline.min(now.saturating_add(silence)));
        }
        let moved_at = stream.bundle.moved_at();
        let since = moved_at.max(self.begun).max(self.not_before);
        let look_again = since.saturating_add(silence);
        if now < look_again {
            if self.suspected_at.is_some_and(|suspected| suspected < since) {
                (self.suspected_at, self.first_sign) = (None, None);
            }
            return Found::Fine(self.deadline.min(look_again));
        }
        let held_up = self
            .client
            .as_ref()
            .is_some_and(|client| client.any_held_up());
        if held_up || !stream.any_owes() {
            self.not_before = now;
            return Found::Fine(self.deadline.min(now.saturating_add(silence)));
        }
        if now.saturating_sub(since) >= clock::nanoseconds(timeouts.stall) {
            return Found::Cut(Why::Stalled);
        }
        let next = self.deadline.min(now.saturating_add(silence));
        // A probe that was answered says little about now: as long as the silence lasts, ask again.
        let due = |suspected: u64| now >= suspected.saturating_add(silence);
        if self.suspected_at.is_none_or(due) {
            self.suspected_at = Some(now);
            self.first_sign.get_or_insert(now);
            return Found::Silent(node, next);
        }
        Found::Fine(next)
    }

    /// Whether its grace stands still. A cleanup is not waited for longer than its client's window
    /// is closed. An attempt may also wait for what the client has to say, but not for ever: some
    /// task of the plugin's may always be reading, whatever the attempt itself waits for.
    fn waits_for_client(&self, now: u64, timeouts: &Timeouts) -> bool {
        let Some(client) = &self.client else {
            return false;
        };
        let cut_at = self.cut.as_ref().map_or(now, |cut| cut.at);
        let early = now.saturating_sub(cut_at) < clock::nanoseconds(timeouts.stall);
        match self.what {
            What::Attempt => client.any_held_up() || (early && client.any_awaited()),
            What::CleanUp => client.any_held_up(),
            What::Establish | What::Ask => false,
        }
    }
}

/// What the peer of a bundle has accepted.
fn accepted(first: Option<&Rc<Stream>>) -> u64 {
    first.map_or(0, |first| first.bundle.accepted())
}

impl Cut {
    fn new(why: Why, now: u64) -> Self {
        Self {
            why,
            at: now,
            used: 0,
            looked_at: now,
            accepted: 0,
            over: false,
        }
    }

    /// `waits` for the client; a client that takes bytes is waited for too.
    fn look(&mut self, now: u64, waits: bool, accepted: u64, grace: u64) -> Found {
        if self.over {
            return Found::Fine(NEVER);
        }
        let passed = now.saturating_sub(self.looked_at);
        self.looked_at = now;
        let takes = std::mem::replace(&mut self.accepted, accepted) < accepted;
        if !waits && !takes {
            self.used = self.used.saturating_add(passed);
        }
        if self.used >= grace {
            self.over = true;
            return Found::Over;
        }
        Found::Fine(now.saturating_add(GRACE_LOOK))
    }
}
