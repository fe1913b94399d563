//! Drives the states: an event in, an order out.

use std::time::Duration;

use crate::course::{Limits, Moment};
use crate::states::{
    Asking, Attempting, CleaningUp, Connecting, Establishing, Failed, Next, Seeking, Waiting,
};
use crate::{Budget, Exception, NodeId, Outcome, Resend};

/// What happened. Each answers one [`Order`]; any other is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The request begins, on the session's link if it has one.
    Begin {
        /// The node to which that link leads.
        link: Option<NodeId>,
    },
    /// Answers [`Order::Pick`].
    Picked(NodeId),
    /// Answers [`Order::Pick`]: there is none.
    NonePicked,
    /// Answers [`Order::Connect`]: a fresh stream stands.
    Connected,
    /// Answers [`Order::Establish`]; and [`Order::Connect`] when a link stood ready.
    Established,
    /// Answers [`Order::Connect`], [`Order::Establish`], [`Order::Attempt`] and [`Order::Ask`].
    Failed(Failed),
    /// Answers [`Order::Establish`], [`Order::Attempt`], [`Order::CleanUp`] and [`Order::Ask`]: it
    /// was cut, did not return in its grace, and was dropped.
    Torn(Exception),
    /// Answers [`Order::Attempt`].
    Replied,
    /// Answers [`Order::CleanUp`].
    Cleaned(Resend),
    /// Answers [`Order::Ask`].
    Asked(Outcome),
    /// Answers [`Order::Wait`].
    Waited,
}

/// What is to be done. `Pick`, `Connect` and `Wait` are the host's, the others the plugin's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Pick a node.
    Pick {
        /// None of these.
        avoid: Vec<NodeId>,
        /// This one or none.
        only: Option<NodeId>,
    },
    /// Connect to the node, or find a link to it that stands ready.
    Connect(NodeId),
    /// Greet, log in, restore the session's state.
    Establish(NodeId),
    /// Perform the request.
    Attempt(NodeId),
    /// Undo what the attempt left behind.
    CleanUp {
        /// Where it failed.
        node: NodeId,
        /// Why.
        exception: Exception,
        /// The link is whole and at the cleanup's disposal.
        link: bool,
    },
    /// Ask whether the request happened.
    Ask(NodeId),
    /// Wait.
    Wait(Duration),
    /// Over, with the reply that the node gave.
    Reply(NodeId),
    /// Over, with an exception that no node could spare the client.
    GiveUp(Exception),
}

/// An event that does not answer the last order. The ticket is at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The state, by name.
    pub state: &'static str,
    /// The event.
    pub event: Event,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "a request in state `{}` cannot take {:?}",
            self.state, self.event
        )
    }
}

impl std::error::Error for Refused {}

/// One request, from its first event to its reply or its last exception.
#[derive(Debug)]
pub struct Ticket {
    limits: Limits,
    state: State,
}

#[derive(Debug)]
enum State {
    New,
    Seeking(Seeking),
    Connecting(Connecting),
    Establishing(Establishing),
    Attempting(Attempting),
    CleaningUp(CleaningUp),
    Asking(Asking),
    Waiting(Waiting),
    Over,
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Seeking(_) => "seeking",
            Self::Connecting(_) => "connecting",
            Self::Establishing(_) => "establishing",
            Self::Attempting(_) => "attempting",
            Self::CleaningUp(_) => "cleaning up",
            Self::Asking(_) => "asking",
            Self::Waiting(_) => "waiting",
            Self::Over => "over",
        }
    }
}

impl Ticket {
    /// A request that has not begun.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::New,
        }
    }

    /// Whether the request has ended.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Takes what happened at `now` (from any fixed start) and says what is next. `chance` draws
    /// from 0 to 1.
    ///
    /// # Errors
    ///
    /// [`Refused`] when `event` does not answer the last order; the ticket is over then.
    pub fn on(
        &mut self,
        event: Event,
        now: Duration,
        budget: &mut Budget,
        chance: &mut dyn FnMut() -> f64,
    ) -> Result<Order, Refused> {
        let at = Moment {
            now,
            budget,
            chance,
        };
        let state = std::mem::replace(&mut self.state, State::Over);
        match (state, event) {
            (State::New, Event::Begin { link }) => {
                at.budget.deposit(now);
                Ok(match link {
                    Some(node) => self.attempt(Attempting::begin(self.limits, now, node)),
                    None => self.seek(Seeking::begin(self.limits, now)),
                })
            }
            (State::Seeking(seeking), Event::Picked(node)) => {
                self.state = State::Connecting(seeking.picked(node));
                Ok(Order::Connect(node))
            }
            (State::Seeking(seeking), Event::NonePicked) => Ok(self.enter(seeking.none(at))),
            (State::Connecting(connecting), Event::Connected) => {
                let node = connecting.node();
                self.state = State::Establishing(connecting.connected());
                Ok(Order::Establish(node))
            }
            (State::Connecting(connecting), Event::Established) => {
                Ok(self.enter(connecting.found_link()))
            }
            (State::Connecting(connecting), Event::Failed(failed)) => {
                Ok(self.enter(connecting.failed(failed, at)))
            }
            (State::Establishing(establishing), Event::Established) => {
                Ok(self.enter(establishing.established()))
            }
            (State::Establishing(establishing), Event::Failed(failed)) => {
                Ok(self.enter(establishing.failed(failed, at)))
            }
            (State::Establishing(establishing), Event::Torn(exception)) => {
                Ok(self.enter(establishing.failed(torn(exception), at)))
            }
            (State::Attempting(attempting), Event::Replied) => Ok(Order::Reply(attempting.node())),
            (State::Attempting(attempting), Event::Failed(failed)) => {
                Ok(self.clean_up(attempting.failed(failed, false)))
            }
            (State::Attempting(attempting), Event::Torn(exception)) => {
                Ok(self.clean_up(attempting.failed(torn(exception), true)))
            }
            (State::CleaningUp(cleaning), Event::Cleaned(resend)) => {
                Ok(self.enter(cleaning.cleaned(resend, at)))
            }
            // A cleanup that did not end in time has told nothing: the request is not resent.
            (State::CleaningUp(cleaning), Event::Torn(_)) => {
                Ok(self.enter(cleaning.cleaned(Resend::Never, at)))
            }
            (State::Asking(asking), Event::Asked(outcome)) => Ok(self.enter(asking.asked(outcome))),
            (State::Asking(asking), Event::Failed(failed)) => {
                Ok(self.enter(asking.failed(failed, at)))
            }
            (State::Asking(asking), Event::Torn(exception)) => {
                Ok(self.enter(asking.failed(torn(exception), at)))
            }
            (State::Waiting(waiting), Event::Waited) => Ok(self.enter(waiting.waited())),
            (state, event) => Err(Refused {
                state: state.name(),
                event,
            }),
        }
    }

    fn enter(&mut self, next: Next) -> Order {
        match next {
            Next::Seek(seeking) => self.seek(seeking),
            Next::Wait(waiting) => {
                let wait = waiting.wait;
                self.state = State::Waiting(waiting);
                Order::Wait(wait)
            }
            Next::Attempt(attempting) => self.attempt(attempting),
            Next::Ask(asking) => {
                let node = asking.node();
                self.state = State::Asking(asking);
                Order::Ask(node)
            }
            Next::Reply(node) => Order::Reply(node),
            Next::GiveUp(exception) => Order::GiveUp(exception),
        }
    }

    fn seek(&mut self, seeking: Seeking) -> Order {
        let order = Order::Pick {
            avoid: seeking.avoid(),
            only: seeking.only(),
        };
        self.state = State::Seeking(seeking);
        order
    }

    fn attempt(&mut self, attempting: Attempting) -> Order {
        let node = attempting.node();
        self.state = State::Attempting(attempting);
        Order::Attempt(node)
    }

    fn clean_up(&mut self, cleaning: CleaningUp) -> Order {
        let order = Order::CleanUp {
            node: cleaning.node(),
            exception: cleaning.exception().clone(),
            link: cleaning.link(),
        };
        self.state = State::CleaningUp(cleaning);
        order
    }
}

fn torn(exception: Exception) -> Failed {
    Failed {
        exception,
        fit: false,
        answered: 0,
        stood: Duration::ZERO,
        node_died: false,
        spread: Duration::ZERO,
    }
}
