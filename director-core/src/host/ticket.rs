//! Requests: the recovery engine, asked step by step.
//!
//! [`director_recovery::Ticket`] decides; this carries out what is the host's (pick a node, connect
//! or find a link at rest, wait), hands the rest to the plugin, and turns what the plugin says into
//! the engine's events.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use director_recovery::{self as recovery, Event, Exception, Failed, Kind, Order, Resend};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::chain::{Chain, Link};
use super::clock::{self, NEVER};
use super::connect::{Connecting, connect, unreachable};
use super::failure::{Answer, is_the_nodes};
use super::instance::Inner;
use super::measures::Switch;
use super::slab::Void;
use super::step::{Found, Step, What, Why};
use super::stream::{Ending, Side, Stream};
use super::tables::{self, Counted, Live};
use super::waker::{Lent, WakerSlot};
use crate::chance;
use crate::cluster::{InFlight, Node, NodeId, Seen, Standing};

/// One request.
#[derive(Debug)]
pub(super) struct Ticket {
    number: u64,
    chain: Rc<Chain>,
    request: RefCell<Request>,
    /// What the plugin does now.
    step: RefCell<Option<Step>>,
    /// The failure that the session moves away from, until the first good byte.
    trouble: RefCell<Option<Trouble>>,
    slot: WakerSlot,
    cut_slot: WakerSlot,
    /// The node to which the host connects was declared down.
    connect_cut: Cell<bool>,
    /// Its place among what the keeper looks at.
    watched: Cell<Option<u32>>,
    _live: Counted,
}

struct Request {
    machine: recovery::Ticket,
    doing: Doing,
    /// Where the request is.
    node: Option<Arc<Node>>,
    flight: Option<InFlight>,
    /// The stream on which a link is being established.
    fresh: Option<Rc<Stream>>,
    attempts: u32,
    /// When it is given up whatever its progress.
    until: u64,
    /// Bytes that the last step sent to its node, and that the client accepted meanwhile.
    counts: (u64, u64),
    /// The exception in words, for the plugin to read until its next call.
    detail: String,
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
    fn close(&mut self) {
        self.doing = Doing::Over;
        self.flight = None;
        if let Some(fresh) = self.fresh.take() {
            fresh.end(Ending::Host);
        }
    }

    /// Whether the event is one of the host's own doing, so that no step of the plugin's is broken off
    /// when the request ends here.
    fn is_between_steps(&self, event: &Event) -> bool {
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

    fn action(
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

enum Doing {
    /// Not begun.
    Nothing,
    Connecting(Connecting),
    Waiting(Pin<Box<Sleep>>),
    /// The plugin has been told to.
    Asked(What),
    Over,
}

#[derive(Debug)]
struct Trouble {
    from: Arc<Node>,
    why: Exception,
    first_sign: u64,
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

    fn inner(&self) -> &Arc<Inner> {
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

    fn refuse(&self, request: &mut Request, why: &str) -> Refused {
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

    /// What the plugin has told, as the engine takes it.
    fn answered(&self, request: &mut Request, answer: Answer) -> Result<Event, Refused> {
        let said = answer.as_str();
        let asked = match (&request.doing, &answer) {
            (Doing::Nothing, Answer::Begin) => {
                let link = self.chain.fit_link();
                request.node = link.and_then(|node| self.inner().cluster.node(node));
                return Ok(Event::Begin { link });
            }
            (Doing::Asked(what), _) => Some(*what),
            (Doing::Nothing | Doing::Connecting(_) | Doing::Waiting(_) | Doing::Over, _) => None,
        };
        let (Some(what), Some(step)) = (asked, self.end_step()) else {
            return Err(self.refuse(request, &format!("`{said}` answers nothing that was asked")));
        };
        match (answer, what) {
            (Answer::Established(state), What::Establish) => {
                let (stream, flight) = (request.fresh.take(), request.flight.take());
                let (Some(stream), Some(flight)) = (stream, flight) else {
                    return Err(self.refuse(request, "there is no stream to establish a link on"));
                };
                let link = Link::new(stream, flight, state);
                let Some(why) = step.why_cut() else {
                    self.chain.set_link(Some(link));
                    return Ok(Event::Established);
                };
                drop(link);
                Ok(self.failed(request, &step, self.cut_exception(request, why), false))
            }
            (Answer::Failed(failure), What::Establish | What::Attempt | What::Ask) => {
                let fit = failure.fit
                    && what != What::Establish
                    && step.stream.as_ref().is_some_and(|stream| stream.is_whole());
                let node = request.node.as_ref().map_or(NodeId::MAX, |node| node.id);
                let exception = failure.exception(&self.inner().plugin, &step, node);
                Ok(self.failed(request, &step, exception, fit))
            }
            (Answer::Replied, What::Attempt) => {
                self.replied(request, &step);
                Ok(Event::Replied)
            }
            (Answer::Cleaned(resend), What::CleanUp) => {
                let late = clock::now() >= request.until;
                Ok(Event::Cleaned(if late { Resend::Never } else { resend }))
            }
            (Answer::Asked(outcome), What::Ask) => Ok(Event::Asked(outcome)),
            (Answer::Torn, _) if step.is_over() => {
                self.inner().meters.torn.increment(1);
                let why = step.why_cut().unwrap_or(Why::Late);
                let mut exception = self.cut_exception(request, why);
                exception
                    .detail
                    .push_str("; it did not return, and was dropped");
                self.note_trouble(request, &step, &exception);
                self.drop_link(request);
                Ok(Event::Torn(exception))
            }
            (answer, what) => {
                drop(answer);
                let why = format!("`{said}` does not answer `{}`", what.as_str());
                Err(self.refuse(request, &why))
            }
        }
    }

    fn cut_exception(&self, request: &Request, why: Why) -> Exception {
        let node = request.node.as_ref().map(|node| node.id);
        Exception::new(why.kind(), node, why.in_words())
    }

    /// A step failed: the cluster is told, an unfit link is reset.
    fn failed(&self, request: &mut Request, step: &Step, exception: Exception, fit: bool) -> Event {
        let answered = step.answered();
        self.see_first_byte(request, step);
        if let Some(node) = &request.node
            && is_the_nodes(exception.kind)
        {
            self.inner()
                .cluster
                .observe(node.id, Seen::Failed(exception.kind));
            self.note_trouble(request, step, &exception);
        }
        if !fit {
            self.drop_link(request);
        }
        request.counts = (step.sent(), answered);
        self.failed_at(request.node.as_deref(), exception, fit, answered)
    }

    fn failed_at(
        &self,
        node: Option<&Node>,
        exception: Exception,
        fit: bool,
        answered: u64,
    ) -> Event {
        let node_died = node.is_some_and(|node| match node.standing() {
            Standing::Suspect | Standing::Down => true,
            Standing::Up | Standing::Leaving => false,
        });
        let spread = node.map_or(Duration::ZERO, |node| self.inner().cluster.spread(node.id));
        Event::Failed(Failed {
            exception,
            fit,
            answered,
            node_died,
            spread,
        })
    }

    fn drop_link(&self, request: &mut Request) {
        if let Some(fresh) = request.fresh.take() {
            fresh.end(Ending::Host);
        }
        request.flight = None;
        self.chain.set_link(None);
    }

    fn replied(&self, request: &Request, step: &Step) {
        let now = clock::now();
        self.see_first_byte(request, step);
        // A reply without a byte of the node's ends the trouble too.
        self.switched(request, now);
        if let Some(node) = &request.node {
            let first_byte = step.first_byte().unwrap_or(now).saturating_sub(step.begun);
            let first_byte = Duration::from_nanos(first_byte);
            self.inner()
                .cluster
                .observe(node.id, Seen::Replied { first_byte });
        }
    }

    fn note_trouble(&self, request: &Request, step: &Step, why: &Exception) {
        if let Some(from) = &request.node {
            self.trouble_at(from, why, step.first_sign.unwrap_or_else(clock::now));
        }
    }

    fn trouble_at(&self, from: &Arc<Node>, why: &Exception, first_sign: u64) {
        if let Ok(mut trouble) = self.trouble.try_borrow_mut() {
            trouble.get_or_insert_with(|| Trouble {
                from: Arc::clone(from),
                why: why.clone(),
                first_sign,
            });
        }
    }

    /// The trouble is over with the first byte that the attempt gets.
    fn see_first_byte(&self, request: &Request, step: &Step) {
        if step.what == What::Attempt
            && let Some(first_byte) = step.first_byte()
        {
            self.switched(request, first_byte);
        }
    }

    fn switched(&self, request: &Request, at: u64) {
        let trouble = self
            .trouble
            .try_borrow_mut()
            .ok()
            .and_then(|mut all| all.take());
        let (Some(trouble), Some(to)) = (trouble, &request.node) else {
            return;
        };
        if trouble.from.id == to.id {
            return; // the same node again: a resend, and no switch
        }
        let task = &self.chain.task;
        task.switches.set(task.switches.get() + 1);
        self.inner().meters.switched(&Switch {
            session: task.session,
            from: &trouble.from,
            to,
            why: &trouble.why,
            took: Duration::from_nanos(at.saturating_sub(trouble.first_sign)),
        });
    }

    /// Carries on with what the host itself does.
    fn poll_doing(&self, request: &mut Request, waker: Lent<'_>) -> Poll<Result<Event, Refused>> {
        let connected = match &mut request.doing {
            Doing::Waiting(sleep) => {
                ready!(self.slot.poll_with(waker, |cx| sleep.as_mut().poll(cx)));
                return Poll::Ready(Ok(Event::Waited));
            }
            Doing::Connecting(connecting) => {
                let polled = self
                    .slot
                    .poll_with(waker, |cx| connecting.as_mut().poll(cx));
                match polled {
                    Poll::Pending if self.connect_cut.get() => Err(io::Error::other(
                        "the node was declared down while the director connected to it",
                    )),
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(connected) => connected,
                }
            }
            Doing::Nothing | Doing::Asked(_) | Doing::Over => {
                let why = "the plugin asks for the next step, and has not told of the last";
                return Poll::Ready(Err(self.refuse(request, why)));
            }
        };
        Poll::Ready(Ok(self.connected(request, connected)))
    }

    fn connected(&self, request: &mut Request, connected: io::Result<TcpStream>) -> Event {
        self.unwatch();
        self.connect_cut.set(false);
        request.doing = Doing::Nothing;
        let Some(node) = request.node.clone() else {
            return Event::NonePicked; // cannot be: a node was picked before it was connected to
        };
        let side = Side::Link {
            instance: self.inner().number,
            node: node.id,
        };
        let fresh = connected.and_then(|socket| {
            Stream::begin(socket, side)
                .ok_or_else(|| io::Error::other("the host has no number left for a stream"))
        });
        match fresh {
            Ok(fresh) => {
                request.fresh = Some(fresh);
                Event::Connected
            }
            Err(error) => {
                request.flight = None;
                let exception = unreachable(&node, &error);
                self.trouble_at(&node, &exception, clock::now());
                self.failed_at(Some(&node), exception, false, 0)
            }
        }
    }

    /// Carries out an order, or hands it to the plugin.
    fn carry_out(&self, request: &mut Request, order: Order) -> Carried {
        let inner = self.inner();
        match order {
            Order::Pick { avoid, only } => {
                // A link that a failure left whole is not the one that is sought now.
                self.release_link();
                self.pick(request, &avoid, only)
            }
            Order::Connect(id) => self.begin_to_connect(request, id),
            Order::Wait(wait) => {
                let left = Duration::from_nanos(request.until.saturating_sub(clock::now()));
                request.doing = Doing::Waiting(Box::pin(tokio::time::sleep(wait.min(left))));
                Carried::Waits
            }
            Order::Establish(_) => {
                let fresh = request.fresh.as_ref().map(Rc::clone);
                Carried::Action(self.begin_step(request, What::Establish, fresh, None))
            }
            Order::Attempt(_) => {
                request.attempts = request.attempts.saturating_add(1);
                inner.meters.attempts.increment(1);
                let stream = self.link_stream();
                Carried::Action(self.begin_step(request, What::Attempt, stream, None))
            }
            Order::Ask(_) => {
                let stream = self.link_stream();
                Carried::Action(self.begin_step(request, What::Ask, stream, None))
            }
            Order::CleanUp {
                exception, link, ..
            } => {
                let stream = link.then(|| self.link_stream()).flatten();
                Carried::Action(self.begin_step(request, What::CleanUp, stream, Some(exception)))
            }
            Order::Reply(_) => {
                inner.meters.request_replied();
                Carried::Action(self.over(request, Do::Reply, None))
            }
            Order::GiveUp(exception) => {
                inner.meters.request_failed(exception.kind);
                Carried::Action(self.over(request, Do::GiveUp, Some(exception)))
            }
        }
    }

    fn pick(&self, request: &mut Request, avoid: &[NodeId], only: Option<NodeId>) -> Carried {
        Carried::Event(match self.inner().cluster.pick(avoid, only) {
            Some(node) => {
                let id = node.id;
                request.flight = Some(node.enter());
                request.node = Some(node);
                Event::Picked(id)
            }
            None => Event::NonePicked,
        })
    }

    fn link_stream(&self) -> Option<Rc<Stream>> {
        let link = self.chain.link.borrow();
        link.as_ref().map(|link| Rc::clone(&link.stream))
    }

    /// Takes a link that rests, or begins to connect.
    fn begin_to_connect(&self, request: &mut Request, id: NodeId) -> Carried {
        let local = &self.chain.task.local;
        if self.inner().plugin.description.pooled_links
            && let Some(link) = local
                .pool
                .take(id, self.chain.link_type, &mut request.flight)
        {
            self.chain.set_link(Some(link));
            return Carried::Event(Event::Established);
        }
        let Some(node) = request.node.clone() else {
            return Carried::Event(Event::NonePicked); // cannot be: it was picked
        };
        let left = Duration::from_nanos(request.until.saturating_sub(clock::now()));
        let within = self.inner().timeouts.connect.min(left);
        let cluster = Arc::clone(&self.inner().cluster);
        request.doing = Doing::Connecting(Box::pin(connect(cluster, node, within)));
        self.watch(NEVER);
        Carried::Waits
    }

    fn begin_step(
        &self,
        request: &mut Request,
        what: What,
        stream: Option<Rc<Stream>>,
        exception: Option<Exception>,
    ) -> Action {
        let inner = self.inner();
        let deadline = match what {
            What::CleanUp => {
                clock::now().saturating_add(clock::nanoseconds(inner.timeouts.cleanup))
            }
            What::Establish | What::Attempt | What::Ask => request.until,
        };
        let number = stream.as_ref().map_or(0, |stream| stream.number);
        let link = if stream.is_some() && what != What::Establish {
            let link = self.chain.link.borrow();
            link.as_ref().map_or(std::ptr::null_mut(), Link::data)
        } else {
            std::ptr::null_mut()
        };
        let client = self.chain.task.client();
        self.step
            .replace(Some(Step::begin(what, stream, client, deadline)));
        request.doing = Doing::Asked(what);
        self.cut_slot.clear();
        self.watch(deadline);
        let (sent, answered) = request.counts;
        request.action(
            Do::Step(what),
            number,
            link,
            deadline,
            exception,
            (sent, answered),
        )
    }

    /// The request is over: its link is kept, laid to rest, or reset.
    fn over(&self, request: &mut Request, what: Do, exception: Option<Exception>) -> Action {
        request.close();
        if self.inner().plugin.description.pooled_links {
            self.release_link();
        } else {
            // Kept for the chain's next request when it is fit, reset when it is not.
            let _kept = self.chain.fit_link();
        }
        request.action(what, 0, std::ptr::null_mut(), NEVER, exception, (0, 0))
    }

    /// The chain lets go of its link: it rests in the pool, or is reset.
    fn release_link(&self) {
        let Some(link) = self.chain.take_link() else {
            return;
        };
        if self.inner().plugin.description.pooled_links {
            let local = &self.chain.task.local;
            local.pool.give(link, self.chain.link_type);
            local.rested();
        }
    }

    /// Lends the plugin an exception's words until its next call with this request.
    pub(super) fn lend_detail(&self, detail: String) -> director_abi::Bytes {
        let Ok(mut request) = self.request.try_borrow_mut() else {
            return director_abi::Bytes::EMPTY;
        };
        request.detail = detail;
        director_abi::Bytes::lend(request.detail.as_bytes())
    }

    fn too_late(&self, request: &mut Request) -> Action {
        let trouble = self.trouble.take();
        let last = trouble.map(|trouble| trouble.why.to_string());
        let node = request.node.as_ref().map(|node| node.id);
        let detail = format!(
            "its time is over; {}",
            last.as_deref().unwrap_or("nothing failed")
        );
        self.inner().meters.request_failed(Kind::Exhausted);
        let exception = Exception::new(Kind::Exhausted, node, detail);
        self.drop_link(request);
        self.over(request, Do::GiveUp, Some(exception))
    }

    fn watch(&self, deadline: u64) {
        self.unwatch();
        self.watched
            .set(self.chain.task.local.watch(self.number, deadline));
    }

    fn unwatch(&self) {
        if let Some(place) = self.watched.take() {
            self.chain.task.local.unwatch(place);
        }
    }

    fn end_step(&self) -> Option<Step> {
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
            Found::Silent(node, next) => {
                self.inner().cluster.observe(node, Seen::Silent);
                next
            }
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

/// What became of an order.
enum Carried {
    Event(Event),
    /// The host is at it.
    Waits,
    Action(Action),
}
