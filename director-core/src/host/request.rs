//! What is kept of a request while it is under way, and what the plugin is told to do.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use director_recovery::{self as recovery, Event, Exception, Kind};
use tokio::time::Sleep;

use super::connect::Connecting;
use super::step::What;
use super::stream::{Ending, Stream};
use crate::cluster::{InFlight, Node};

pub(super) struct Request {
    pub(super) machine: recovery::Ticket,
    pub(super) doing: Doing,
    /// Where the request is.
    pub(super) node: Option<Arc<Node>>,
    pub(super) flight: Option<InFlight>,
    /// The stream on which a link is being established.
    pub(super) fresh: Option<Rc<Stream>>,
    pub(super) attempts: u32,
    /// When it is given up whatever its progress.
    pub(super) until: u64,
    /// Bytes that the last step sent to its node, and that the client accepted meanwhile.
    pub(super) counts: (u64, u64),
    /// The exception in words, for the plugin to read until its next call.
    pub(super) detail: String,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("machine", &self.machine)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// Nothing of it is under way any more.
    pub(super) fn close(&mut self) {
        self.doing = Doing::Over;
        self.flight = None;
        if let Some(fresh) = self.fresh.take() {
            fresh.end(Ending::Host);
        }
    }

    /// Whether the event is one of the host's own doing, so that no step of the plugin's is broken off
    /// when the request ends here.
    pub(super) fn is_between_steps(&self, event: &Event) -> bool {
        match event {
            Event::Waited | Event::Picked(_) | Event::NonePicked | Event::Connected => true,
            Event::Failed(failed) => failed.exception.kind == Kind::Unreachable && !self.in_step(),
            Event::Begin { .. }
            | Event::Established
            | Event::Torn(_)
            | Event::Replied
            | Event::Cleaned(_)
            | Event::Asked(_) => false,
        }
    }

    fn in_step(&self) -> bool {
        matches!(self.doing, Doing::Asked(_))
    }

    pub(super) fn action(
        &mut self,
        what: Do,
        stream: u64,
        link: *mut std::ffi::c_void,
        deadline: u64,
        exception: Option<Exception>,
        (sent, answered): (u64, u64),
    ) -> Action {
        Action {
            what,
            node: self.node.clone(),
            attempt: self.attempts,
            stream,
            link,
            deadline,
            sent,
            answered,
            exception,
        }
    }
}

pub(super) enum Doing {
    /// Not begun.
    Nothing,
    Connecting(Connecting),
    Waiting(Pin<Box<Sleep>>),
    /// The plugin has been told to.
    Asked(What),
    Over,
}

#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) from: Arc<Node>,
    pub(super) why: Exception,
    pub(super) first_sign: u64,
}

/// What the plugin is to do.
#[derive(Debug)]
pub(super) struct Action {
    pub(super) what: Do,
    pub(super) node: Option<Arc<Node>>,
    pub(super) attempt: u32,
    pub(super) stream: u64,
    pub(super) link: *mut std::ffi::c_void,
    pub(super) deadline: u64,
    pub(super) sent: u64,
    pub(super) answered: u64,
    pub(super) exception: Option<Exception>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Do {
    Step(What),
    Reply,
    GiveUp,
}
