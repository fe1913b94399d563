//! The recovery engine, asked step by step: events out, actions in.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use director_abi as abi;
use director_abi::{Action, Bytes, Event, NodeInfo};

use super::host;
use super::layout::text;
use super::link::{self, Held};
use crate::failure::{Exception, Failure, Kind};
use crate::protocol::Resend;
use crate::stream::{NodeId, NodeStream};

/// What became of the last step.
pub(crate) enum Answer {
    Begin,
    Established(Box<dyn Any + Send>),
    Failed(Failure),
    Replied,
    Cleaned(Resend),
    Happened,
    NotDone,
    Unknown,
    Torn,
}

impl Answer {
    pub(crate) fn established<L: Send + 'static>(link: L) -> Self {
        Self::Established(Box::new(link))
    }

    /// The answer of a step: `None` when it was torn.
    pub(crate) fn of<T>(ended: Option<Result<T, Failure>>, well: impl FnOnce(T) -> Self) -> Self {
        match ended {
            None => Self::Torn,
            Some(Ok(made)) => well(made),
            Some(Err(failure)) => Self::Failed(failure),
        }
    }
}

/// What is to be done next.
pub(crate) enum Step {
    Establish(NodeStream),
    Attempt(Held),
    CleanUp(Option<Held>, Exception),
    Ask(Held),
    Reply,
    GiveUp(Exception),
}

/// One request of a chain; ended when it is dropped.
pub(crate) struct Ticket(u64);

impl Ticket {
    /// # Errors
    ///
    /// [`Kind::Fault`]: the chain is not one of a living task on this thread, or has a request open.
    pub(crate) fn open(chain: u64) -> Result<Self, Exception> {
        match host::ticket(chain) {
            0 => Err(Exception::fault(
                "the host gave no ticket: the chain's task is over, or it has a request open",
            )),
            number => Ok(Self(number)),
        }
    }

    /// Says what became of the last step, and waits for the next.
    ///
    /// # Errors
    ///
    /// [`Kind::Fault`]: the host refused the answer. The request is over.
    pub(crate) async fn step(&self, answer: Answer) -> Result<Step, Exception> {
        let mut answer = Some(answer);
        poll_fn(|cx| {
            let mut action = empty_action();
            let status = match answer.take() {
                None => host::poll_step(self.0, None, cx, &mut action),
                Some(answer) => with_event(answer, |event| {
                    host::poll_step(self.0, Some(event), cx, &mut action)
                }),
            };
            match status {
                abi::PENDING => Poll::Pending,
                // SAFETY: the host has written the action, and what it lends is there until the
                // next call with this ticket.
                abi::READY => Poll::Ready(unsafe { read(&action) }),
                _ => Poll::Ready(Err(Exception::fault(
                    "the host refused an answer: the request is over",
                ))),
            }
        })
        .await
    }

    /// Runs a step; `None` when it was cut and did not end in its grace. It is dropped by then.
    pub(crate) async fn unless_cut<T>(&self, step: impl Future<Output = T>) -> Option<T> {
        let mut step = pin!(step);
        poll_fn(|cx| match step.as_mut().poll(cx) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending => host::poll_cut(self.0, cx).map(|()| None),
        })
        .await
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        host::ticket_end(self.0);
    }
}

fn empty_action() -> Action {
    Action {
        size: size_of::<Action>(),
        tag: 0,
        kind: 0,
        code: 0,
        attempt: 0,
        retry_after_ms: 0,
        _pad: 0,
        stream: 0,
        link: std::ptr::null_mut(),
        sent: 0,
        answered: 0,
        deadline_ns: u64::MAX,
        node: NodeInfo {
            size: size_of::<NodeInfo>(),
            id: 0,
            _pad: 0,
            name: Bytes::EMPTY,
        },
        detail: Bytes::EMPTY,
        _reserved: [0; 4],
    }
}

/// Puts an answer into an event for one call.
fn with_event(answer: Answer, call: impl FnOnce(&Event) -> u32) -> u32 {
    let mut event = Event {
        size: size_of::<Event>(),
        tag: 0,
        kind: abi::kind::NONE,
        code: 0,
        flags: 0,
        answer: 0,
        retry_after_ms: 0,
        link: std::ptr::null_mut(),
        link_drop: None,
        detail: Bytes::EMPTY,
        _reserved: [0; 4],
    };
    let asked = |answer| (Event::ASKED, answer);
    (event.tag, event.answer) = match answer {
        Answer::Begin => (Event::BEGIN, 0),
        Answer::Replied => (Event::REPLIED, 0),
        Answer::Torn => (Event::TORN, 0),
        Answer::Cleaned(resend) => (
            Event::CLEANED,
            match resend {
                Resend::Anywhere => abi::resend::ANYWHERE,
                Resend::SameNode => abi::resend::SAME_NODE,
                Resend::Ask => abi::resend::ASK,
                Resend::Never => abi::resend::NEVER,
            },
        ),
        Answer::Happened => asked(abi::outcome::HAPPENED),
        Answer::NotDone => asked(abi::outcome::NOT_DONE),
        Answer::Unknown => asked(abi::outcome::UNKNOWN),
        Answer::Established(state) => {
            event.link = link::give(state);
            event.link_drop = Some(link::release);
            (Event::ESTABLISHED, 0)
        }
        Answer::Failed(failure) => {
            event.kind = failure.kind_code();
            event.code = failure.protocol_code();
            event.retry_after_ms = failure.retry_after_ms();
            event.flags = if failure.is_fit() { Event::LINK_FIT } else { 0 }
                | if failure.is_by_client() {
                    Event::CLIENT_SIDE
                } else {
                    0
                };
            event.tag = Event::FAILED;
            event.detail = Bytes::lend(failure.detail().as_bytes());
            return call(&event);
        }
    };
    call(&event)
}

/// Copies an action.
///
/// # Errors
///
/// [`Kind::Fault`]: an action that this version does not know, or without what belongs to it.
///
/// # Safety
///
/// The host has written `action`, and what it lends is there during the call.
unsafe fn read(action: &Action) -> Result<Step, Exception> {
    // SAFETY: handed on; a link in an action is one that we gave and that is not released while the
    // host hands it out.
    let held = unsafe { Held::of(action.link) };
    let missing = || Exception::fault("the host named no link for a step that needs one");
    match action.tag {
        Action::ESTABLISH => {
            // SAFETY: handed on.
            let name: Arc<str> = unsafe { text(action.node.name) }.into();
            Ok(Step::Establish(NodeStream::new(
                action.stream,
                NodeId(action.node.id),
                name,
            )))
        }
        Action::ATTEMPT => held.map(Step::Attempt).ok_or_else(missing),
        Action::ASK => held.map(Step::Ask).ok_or_else(missing),
        // SAFETY: handed on.
        Action::CLEAN_UP => Ok(Step::CleanUp(held, unsafe { exception(action) })),
        Action::REPLY => Ok(Step::Reply),
        // SAFETY: handed on.
        Action::GIVE_UP => Ok(Step::GiveUp(unsafe { exception(action) })),
        other => Err(Exception::fault(format!(
            "the host asked for step {other}, which this SDK does not know"
        ))),
    }
}

/// # Safety
///
/// As for [`read`].
unsafe fn exception(action: &Action) -> Exception {
    // SAFETY: handed on.
    let (name, detail) = unsafe { (text(action.node.name), text(action.detail)) };
    Exception {
        // A kind that a later host knows: nothing that this plugin could do about it.
        kind: Kind::from_code(action.kind).unwrap_or(Kind::Fault),
        code: action.code,
        retry_after: (action.retry_after_ms > 0)
            .then(|| Duration::from_millis(action.retry_after_ms.into())),
        node: (!name.is_empty()).then_some(name),
        attempt: action.attempt,
        sent: action.sent,
        answered: action.answered,
        detail,
    }
}
