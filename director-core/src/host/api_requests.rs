//! The functions about requests that a plugin may call: chains, tickets, steps.
#![allow(unsafe_code)]

use std::task::Poll;
use std::time::Duration;

use director_abi as abi;
use director_abi::{FAILED, PANICKED, PENDING, READY};
use director_recovery::{Kind, Outcome, Resend};

use super::api::guard;
use super::chain::{Chain, LinkState};
use super::failure::{Answer, Failure};
use super::layout::{adopt, give_back, text};
use super::library::LONGEST_MESSAGE;
use super::node_task::node_info;
use super::request::{Action, Do};
use super::step::What;
use super::tables;
use super::task::Task;
use super::ticket::Ticket;
use super::waker::Lent;

pub(super) unsafe extern "C" fn chain(task: u64, link_type: u64) -> u64 {
    guard("chain", 0, || {
        tables::get::<Task>(task)
            .ok()
            .and_then(|task| Chain::begin(&task, link_type))
            .unwrap_or(0)
    })
}

pub(super) unsafe extern "C" fn chain_end(chain: u64) {
    // A void number: it was ended before.
    guard("chain_end", (), || {
        let _void = Chain::end(chain);
    });
}

pub(super) unsafe extern "C" fn ticket(chain: u64, spec: *const abi::TicketSpec) -> u64 {
    guard("ticket", 0, || {
        // SAFETY: lent for the call. No specification is one without a bound of its own.
        let within = unsafe { adopt(spec) }.map_or(0, |spec| spec.within_ns);
        tables::get::<Chain>(chain)
            .ok()
            .and_then(|chain| Ticket::begin(&chain, Duration::from_nanos(within)))
            .unwrap_or(0)
    })
}

pub(super) unsafe extern "C" fn ticket_end(ticket: u64) {
    // A void number: it was ended before.
    guard("ticket_end", (), || {
        let _void = Ticket::end(ticket);
    });
}

pub(super) unsafe extern "C" fn poll_cut(ticket: u64, waker: *const abi::Waker) -> u32 {
    guard("poll_cut", PANICKED, || {
        let Ok(ticket) = tables::get::<Ticket>(ticket) else {
            return FAILED;
        };
        // SAFETY: lent for the call.
        match ticket.poll_cut(unsafe { Lent::read(waker) }) {
            Poll::Pending => PENDING,
            Poll::Ready(()) => READY,
        }
    })
}

pub(super) unsafe extern "C" fn poll_step(
    ticket: u64,
    event: *const abi::Event,
    waker: *const abi::Waker,
    action: *mut abi::Action,
) -> u32 {
    guard("poll_step", PANICKED, || {
        let Ok(ticket) = tables::get::<Ticket>(ticket) else {
            return FAILED;
        };
        // SAFETY: lent for the call.
        let answer = match unsafe { adopt(event) } {
            None => None,
            // SAFETY: as above; a link that it brings is the host's from here on.
            Some(event) => match unsafe { read(&event, &ticket) } {
                Some(answer) => Some(answer),
                None => {
                    ticket.broken(&format!(
                        "an event with tag {} that means nothing",
                        event.tag
                    ));
                    return FAILED;
                }
            },
        };
        // SAFETY: lent for the call.
        match ticket.poll_step(answer, unsafe { Lent::read(waker) }) {
            Poll::Pending => PENDING,
            Poll::Ready(Err(_refused)) => FAILED,
            Poll::Ready(Ok(told)) => {
                let told = write(told, &ticket);
                // SAFETY: null, or to be written by the contract.
                if unsafe { give_back(action, &told) } {
                    READY
                } else {
                    ticket.broken("there is no room for the action");
                    FAILED
                }
            }
        }
    })
}

/// Reads an event; `None` for one that means nothing.
///
/// # Safety
///
/// `event` is as [`abi::Event`] says, for the call.
unsafe fn read(event: &abi::Event, ticket: &Ticket) -> Option<Answer> {
    Some(match event.tag {
        abi::Event::BEGIN => Answer::Begin,
        // SAFETY: handed on: data and its function are one link's, given once.
        abi::Event::ESTABLISHED => Answer::Established(unsafe {
            LinkState::new(event.link, event.link_drop, ticket.instance())
        }),
        abi::Event::FAILED => {
            let wait = Duration::from_millis(u64::from(event.retry_after_ms));
            let kind = match event.kind {
                abi::Ended::BY_CODE => None,
                code => Some(Kind::from_code(code)?),
            };
            Answer::Failed(Failure {
                kind,
                code: event.code,
                retry_after: (!wait.is_zero()).then_some(wait),
                fit: event.flags & abi::Event::LINK_FIT != 0,
                by_client: event.flags & abi::Event::CLIENT_SIDE != 0,
                // SAFETY: lent for the call.
                detail: unsafe { text(event.detail, LONGEST_MESSAGE) },
            })
        }
        abi::Event::REPLIED => Answer::Replied,
        abi::Event::CLEANED => Answer::Cleaned(match event.answer {
            abi::resend::ANYWHERE => Resend::Anywhere,
            abi::resend::SAME_NODE => Resend::SameNode,
            abi::resend::ASK => Resend::Ask,
            abi::resend::NEVER => Resend::Never,
            _unknown => return None,
        }),
        abi::Event::ASKED => Answer::Asked(match event.answer {
            abi::outcome::HAPPENED => Outcome::Happened,
            abi::outcome::NOT_DONE => Outcome::NotDone,
            abi::outcome::UNKNOWN => Outcome::Unknown,
            _unknown => return None,
        }),
        abi::Event::TORN => Answer::Torn,
        _unknown => return None,
    })
}

/// Writes an action as it crosses.
fn write(action: Action, ticket: &Ticket) -> abi::Action {
    let tag = match action.what {
        Do::Step(What::Establish) => abi::Action::ESTABLISH,
        Do::Step(What::Attempt) => abi::Action::ATTEMPT,
        Do::Step(What::CleanUp) => abi::Action::CLEAN_UP,
        Do::Step(What::Ask) => abi::Action::ASK,
        Do::Reply => abi::Action::REPLY,
        Do::GiveUp => abi::Action::GIVE_UP,
    };
    let node = action.node.as_ref().map_or(
        abi::NodeInfo {
            size: size_of::<abi::NodeInfo>(),
            id: u32::MAX,
            _pad: 0,
            name: abi::Bytes::EMPTY,
        },
        |node| node_info(node),
    );
    let (kind, code, wait, detail) = match action.exception {
        None => (abi::kind::NONE, 0, None, abi::Bytes::EMPTY),
        Some(exception) => (
            exception.kind.code(),
            exception.code,
            exception.retry_after,
            ticket.lend_detail(exception.detail),
        ),
    };
    let wait = wait.map_or(0, |wait| {
        u32::try_from(wait.as_millis()).unwrap_or(u32::MAX)
    });
    abi::Action {
        size: size_of::<abi::Action>(),
        tag,
        kind,
        code,
        attempt: action.attempt,
        retry_after_ms: wait,
        _pad: 0,
        stream: action.stream,
        link: action.link,
        sent: action.sent,
        answered: action.answered,
        deadline_ns: action.deadline,
        node,
        detail,
        _reserved: [0; 4],
    }
}
