//! Requests: the recovery engine, asked step by step.
//!
//! [`director_recovery::Ticket`] decides; this carries out what is the host's (pick a node, connect
//! or find a link at rest, wait), hands the rest to the plugin, and turns what the plugin says into
//! the engine's events.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use director_recovery::{self as recovery, Event, Kind, Order};

use super::chain::Chain;
use super::clock::{self, NEVER};
use super::failure::Answer;
use super::instance::Inner;
use super::orders::Carried;
use super::request::{Action, Doing, Request, Trouble};
use super::slab::Void;
use super::step::{Found, Step, What, Why};
use super::tables::{self, Counted, Live};
use super::waker::{Lent, WakerSlot};
use crate::chance;
use crate::cluster::{NodeId, Seen, Standing};

/// One request.
#[derive(Debug)]
pub(super) struct Ticket {
    number: u64,
    pub(super) chain: Rc<Chain>,
    pub(super) request: RefCell<Request>,
    /// What the plugin does now.
    pub(super) step: RefCell<Option<Step>>,
    /// The failure that the session moves away from, until the first good byte.
    pub(super) trouble: RefCell<Option<Trouble>>,
    pub(super) slot: WakerSlot,
    pub(super) cut_slot: WakerSlot,
    /// The node to which the host connects was declared down.
    pub(super) connect_cut: Cell<bool>,
    /// Its place among what the keeper looks at.
    watched: Cell<Option<u32>>,
    _live: Counted,
}

/// The plugin has broken the order of events. The request is over.
#[derive(Debug)]
pub(super) struct Refused;

impl Ticket {
    /// Opens a request in a chain; `None` when one is open, or there is no number left.
    pub(super) fn begin(chain: &Rc<Chain>, within: Duration) -> Option<u64> {
        if tables::get::<Self>(chain.ticket.get()).is_ok() {
            return None;
        }
        let inner = &chain.task.inner;
        let until = if within.is_zero() {
            NEVER
        } else {
            clock::now().saturating_add(clock::nanoseconds(within))
        };
        let ticket = tables::insert(|number| Self {
            number,
            chain: Rc::clone(chain),
            request: RefCell::new(Request {
                machine: recovery::Ticket::new(inner.limits),
                doing: Doing::Nothing,
                node: None,
                flight: None,
                fresh: None,
                attempts: 0,
                until,
                counts: (0, 0),
                detail: String::new(),
            }),
            step: RefCell::default(),
            trouble: RefCell::default(),
            slot: WakerSlot::default(),
            cut_slot: WakerSlot::default(),
            connect_cut: Cell::new(false),
            watched: Cell::new(None),
            _live: Counted::new(Live::Ticket),
        })?;
        chain.ticket.set(ticket.number);
        chain.task.requests.set(chain.task.requests.get() + 1);
        Some(ticket.number)
    }

    /// Ends the request of a number. In the middle of a step its link is in the middle of a dialogue,
    /// and is reset.
    ///
    /// # Errors
    ///
    /// [`Void`] when it names none.
    pub(super) fn end(number: u64) -> Result<(), Void> {
        let ticket = tables::remove::<Self>(number)?;
        if ticket.chain.ticket.get() == number {
            ticket.chain.ticket.set(0);
        }
        if ticket.end_step().is_some() {
            ticket.chain.set_link(None);
        }
        if let Ok(mut request) = ticket.request.try_borrow_mut() {
            request.close();
        }
        Ok(())
    }

    /// The instance whose request this is.
    pub(super) fn instance(&self) -> Arc<Inner> {
        Arc::clone(self.inner())
    }

    /// The plugin has told something that cannot be read: the request is over.
    pub(super) fn broken(&self, why: &str) {
        if let Ok(mut request) = self.request.try_borrow_mut() {
            self.refuse(&mut request, why);
        }
    }

    pub(super) fn inner(&self) -> &Arc<Inner> {
        &self.chain.task.inner
    }

    /// Takes what became of the last action, and says what is next.
    pub(super) fn poll_step(
        &self,
        answer: Option<Answer>,
        waker: Lent<'_>,
    ) -> Poll<Result<Action, Refused>> {
        let Ok(mut request) = self.request.try_borrow_mut() else {
            return Poll::Ready(Err(Refused));
        };
        let request = &mut *request;
        let mut event = match answer {
            Some(answer) => match self.answered(request, answer) {
                Ok(event) => Some(event),
                Err(refused) => return Poll::Ready(Err(refused)),
            },
            None => None,
        };
        loop {
            let next = match event.take() {
                Some(event) => event,
                None => match ready!(self.poll_doing(request, waker)) {
                    Ok(event) => event,
                    Err(refused) => return Poll::Ready(Err(refused)),
                },
            };
            if clock::now() >= request.until && request.is_between_steps(&next) {
                return Poll::Ready(Ok(self.too_late(request)));
            }
            let order = match self.drive(request, next) {
                Ok(order) => order,
                Err(refused) => return Poll::Ready(Err(refused)),
            };
            match self.carry_out(request, order) {
                Carried::Event(next) => event = Some(next),
                Carried::Waits => {}
                Carried::Action(action) => return Poll::Ready(Ok(action)),
            }
        }
    }

    fn drive(&self, request: &mut Request, event: Event) -> Result<Order, Refused> {
        let cluster = &self.inner().cluster;
        let now = cluster.now();
        let order = request
            .machine
            .on(event, now, &mut cluster.budget(), &mut chance::share);
        order.map_err(|refused| self.refuse(request, &refused.to_string()))
    }

    pub(super) fn refuse(&self, request: &mut Request, why: &str) -> Refused {
        tracing::error!(
            service = self.inner().service,
            session = self.chain.task.session,
            why,
            "the plugin broke the order of a request's events: the request is over"
        );
        self.inner().meters.request_failed(Kind::Fault);
        self.end_step();
        self.chain.set_link(None);
        request.close();
        Refused
    }

    /// Lends the plugin an exception's words until its next call with this request.
    pub(super) fn lend_detail(&self, detail: String) -> director_abi::Bytes {
        let Ok(mut request) = self.request.try_borrow_mut() else {
            return director_abi::Bytes::EMPTY;
        };
        request.detail = detail;
        director_abi::Bytes::lend(request.detail.as_bytes())
    }

    pub(super) fn watch(&self, deadline: u64) {
        self.unwatch();
        self.watched
            .set(self.chain.task.local.watch(self.number, deadline));
    }

    pub(super) fn unwatch(&self) {
        if let Some(place) = self.watched.take() {
            self.chain.task.local.unwatch(place);
        }
    }

    pub(super) fn end_step(&self) -> Option<Step> {
        self.unwatch();
        self.step.try_borrow_mut().ok()?.take()
    }

    /// Ready when the present step was cut and its grace is over.
    pub(super) fn poll_cut(&self, waker: Lent<'_>) -> Poll<()> {
        let over = |step: &Option<Step>| step.as_ref().is_some_and(Step::is_over);
        if self.step.try_borrow().is_ok_and(|step| over(&step)) {
            return Poll::Ready(());
        }
        self.cut_slot.register(waker);
        Poll::Pending
    }

    /// The keeper looks at the step; returns when to look again.
    pub(super) fn look(&self, now: u64) -> u64 {
        let (found, first_byte) = {
            let Ok(mut step) = self.step.try_borrow_mut() else {
                return NEVER;
            };
            let Some(step) = step.as_mut() else {
                return NEVER;
            };
            let attempt = step.what == What::Attempt;
            let first_byte = step.first_byte().filter(|_| attempt);
            (step.look(now, &self.inner().timeouts), first_byte)
        };
        if let Some(first_byte) = first_byte
            && let Ok(request) = self.request.try_borrow()
        {
            self.switched(&request, first_byte);
        }
        match found {
            Found::Fine(next) => next,
            Found::Silent(node, next) => self.silent(node, now, next),
            Found::Cut(why) => {
                self.cut(why);
                now
            }
            Found::Over => {
                self.cut_slot.wake();
                NEVER
            }
        }
    }

    /// The node owes a byte for too long: it is to be probed, and one that is down already is dead.
    fn silent(&self, node: NodeId, now: u64, next: u64) -> u64 {
        let cluster = &self.inner().cluster;
        let down = cluster
            .node(node)
            .is_none_or(|node| node.standing() == Standing::Down);
        if down {
            self.cut(Why::Down);
            return now;
        }
        cluster.observe(node, Seen::Silent);
        next
    }

    fn cut(&self, why: Why) {
        let stream = {
            let Ok(mut step) = self.step.try_borrow_mut() else {
                return;
            };
            let Some(step) = step.as_mut().filter(|step| step.why_cut().is_none()) else {
                return;
            };
            step.cut(why);
            step.stream.as_ref().map(Rc::clone)
        };
        self.inner().meters.cut(why);
        if let Some(stream) = stream {
            stream.cut();
        }
    }

    /// A node was declared down.
    pub(super) fn node_died(&self, node: NodeId) {
        let on_it = self
            .step
            .try_borrow()
            .is_ok_and(|step| step.as_ref().and_then(Step::node) == Some(node));
        if on_it {
            self.cut(Why::Down);
            return;
        }
        let connects = self.request.try_borrow().is_ok_and(|request| {
            let there = request.node.as_ref().is_some_and(|at| at.id == node);
            there && matches!(request.doing, Doing::Connecting(_))
        });
        if connects {
            self.connect_cut.set(true);
            self.slot.wake();
        }
    }
}
