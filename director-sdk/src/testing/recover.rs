//! Nodes, chains and tickets: the recovery engine that ships, carried out in memory.

use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use director_abi::Action;
use director_recovery::{Event, Exception, Failed, Kind, NodeId, Order, Outcome, Resend, Ticket};

use super::ServeNode;
use super::abi::LinkState;
use super::net::Way;
use super::state::{Owner, State, number};

/// Silence of a node that owes bytes, until it is probed.
const SILENCE: Duration = Duration::from_millis(500);
/// How long a probe may take.
const PROBE: Duration = Duration::from_millis(300);
/// Silence on one connection of a node that answers.
const STALL: Duration = Duration::from_secs(15);
/// How long a connect may take.
const CONNECT: Duration = Duration::from_secs(1);
/// How long a cut step may take to return.
const GRACE: Duration = Duration::from_millis(200);
/// How long a cleanup may take.
const CLEANUP: Duration = Duration::from_secs(1);

/// A node in memory.
pub(super) struct Node {
    pub(super) name: Rc<str>,
    pub(super) serve: ServeNode,
    /// It runs, and takes connections.
    pub(super) up: bool,
    /// It is there, and says nothing.
    pub(super) silent: bool,
    /// The director holds it for dead.
    pub(super) down: bool,
}

/// A chain of requests.
pub(super) struct Chain {
    pub(super) task: u64,
    pub(super) link_type: u64,
    pub(super) link: Option<Link>,
    pub(super) ticket: Option<u64>,
}

/// A link: a node's stream and the plugin's state on it.
pub(super) struct Link {
    pub(super) node: NodeId,
    pub(super) stream: u64,
    pub(super) state: LinkState,
}

/// A request that is open.
pub(super) struct Open {
    pub(super) chain: u64,
    engine: Ticket,
    stage: Stage,
    attempt: u32,
    /// Where the step runs.
    node: Option<NodeId>,
    /// The stream of the step.
    stream: u64,
    sent_before: u64,
    answered_before: u64,
    /// What the failed attempt sent to the node, and to the client.
    sent: u64,
    answered: u64,
    cut: Option<Cutting>,
    cut_waker: Option<Waker>,
    deadline: Option<Duration>,
    /// What the last action said, for as long as the plugin may read it.
    pub(super) detail: String,
    waker: Option<Waker>,
}

struct Cutting {
    why: Exception,
    over_at: Duration,
    over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    Waiting(Duration),
    Connecting(NodeId, Duration),
    /// The plugin has an action, by its tag.
    Step(u32),
    Over,
}

/// What the plugin says became of its action.
pub(super) enum Said {
    Begin,
    Established(LinkState),
    Failed(SaidFailure),
    Replied,
    Cleaned(Resend),
    Asked(Outcome),
    Torn,
}

pub(super) struct SaidFailure {
    pub(super) kind: u32,
    pub(super) code: u32,
    pub(super) retry_after: Option<Duration>,
    pub(super) fit: bool,
    pub(super) by_client: bool,
    pub(super) detail: String,
}

/// What the plugin is to do next.
pub(super) struct Todo {
    pub(super) tag: u32,
    pub(super) exception: Option<Exception>,
    pub(super) attempt: u32,
    pub(super) stream: u64,
    pub(super) link: *mut std::ffi::c_void,
    pub(super) sent: u64,
    pub(super) answered: u64,
    pub(super) deadline: Option<Duration>,
    pub(super) node: Option<NodeId>,
}

impl State {
    // --- nodes ---

    pub(super) fn node(&mut self, node: NodeId) -> &mut Node {
        &mut self.nodes[node as usize]
    }

    pub(super) fn kill(&mut self, node: NodeId) {
        self.node(node).up = false;
        self.killed.push(node);
        for connection in &mut self.connections {
            if connection.node == Some(node) {
                connection.reset();
            }
        }
    }

    pub(super) fn silence(&mut self, node: NodeId) {
        self.node(node).silent = true;
        for connection in &mut self.connections {
            if connection.node == Some(node) {
                connection.stick();
            }
        }
    }

    pub(super) fn revive(&mut self, node: NodeId) {
        let node = self.node(node);
        (node.up, node.silent, node.down) = (true, false, false);
    }

    /// Holds a node for dead: its links are cut.
    pub(super) fn declare_down(&mut self, node: NodeId) {
        if std::mem::replace(&mut self.node(node).down, true) {
            return;
        }
        let (gone, kept) = std::mem::take(&mut self.pool)
            .into_iter()
            .partition(|(_, link)| link.node == node);
        self.pool = kept;
        let gone: Vec<(u64, Link)> = gone;
        gone.into_iter().for_each(|(_, link)| self.bury(link));
        let stepping: Vec<u64> = self
            .tickets
            .iter()
            .filter(|(_, open)| open.node == Some(node) && matches!(open.stage, Stage::Step(_)))
            .map(|(number, _)| *number)
            .collect();
        for ticket in stepping {
            self.cut_step(
                ticket,
                Exception::new(Kind::Lost, Some(node), "the node was declared down"),
            );
        }
        for chain in self.chains.keys().copied().collect::<Vec<_>>() {
            let at_rest = self.chains.get(&chain).is_some_and(|chain| {
                chain.link.as_ref().is_some_and(|link| link.node == node)
                    && !chain.ticket.is_some_and(|ticket| self.is_stepping(ticket))
            });
            if at_rest {
                self.drop_link(chain);
            }
        }
    }

    /// The node at which a task has a step or a link.
    pub(super) fn node_of(&self, task: u64) -> Option<NodeId> {
        let chains = || self.chains.values().filter(|chain| chain.task == task);
        let stepping = chains()
            .filter_map(|chain| self.tickets.get(&chain.ticket?))
            .filter(|open| matches!(open.stage, Stage::Step(_)))
            .find_map(|open| open.node);
        let linked = chains().find_map(|chain| chain.link.as_ref().map(|link| link.node));
        stepping.or(linked)
    }

    /// Gives every pooled link up.
    pub(super) fn empty_pool(&mut self) {
        for (_, link) in std::mem::take(&mut self.pool) {
            self.bury(link);
        }
    }

    fn is_stepping(&self, ticket: u64) -> bool {
        self.tickets
            .get(&ticket)
            .is_some_and(|open| matches!(open.stage, Stage::Step(_)))
    }

    fn bury(&mut self, link: Link) {
        self.give_up(link.stream);
        self.graveyard.push(link.state);
    }

    fn drop_link(&mut self, chain: u64) {
        let link = self
            .chains
            .get_mut(&chain)
            .and_then(|chain| chain.link.take());
        if let Some(link) = link {
            self.bury(link);
        }
    }

    /// Makes the present step's operations fail; what has not returned after its grace is torn.
    fn cut_step(&mut self, ticket: u64, why: Exception) {
        let now = self.now;
        let Some(open) = self.tickets.get_mut(&ticket) else {
            return;
        };
        if open.cut.is_some() {
            return;
        }
        open.cut = Some(Cutting {
            why,
            over_at: now + GRACE,
            over: false,
        });
        let stream = open.stream;
        self.cut_stream(stream);
    }

    /// When something next happens to a request by itself.
    pub(super) fn next_of_tickets(&self) -> Option<Duration> {
        self.tickets
            .values()
            .filter_map(|open| self.next_of(open))
            .min()
    }

    fn next_of(&self, open: &Open) -> Option<Duration> {
        match open.stage {
            Stage::Waiting(until) | Stage::Connecting(_, until) => {
                open.waker.as_ref().map(|_| until)
            }
            Stage::New | Stage::Over => None,
            Stage::Step(_) => match &open.cut {
                Some(cutting) if cutting.over => None,
                Some(cutting) => Some(cutting.over_at.max(self.now)),
                None => [open.deadline, self.silent_until(open)]
                    .into_iter()
                    .flatten()
                    .min(),
            },
        }
    }

    /// When the silence of a step's node is over its bound.
    fn silent_until(&self, open: &Open) -> Option<Duration> {
        let stream = self.streams.get(&open.stream)?;
        let pipe = &self.connections[stream.connection].pipes[Way::In.index()];
        let waiting = stream.waiting.filter(|_| stream.due && pipe.is_silent());
        let since = waiting.into_iter().chain(stream.blocked).min()?;
        let node = &self.nodes[open.node? as usize];
        let dead = node.silent || !node.up;
        Some(since + if dead { SILENCE + PROBE } else { STALL })
    }

    /// Lets happen what is due at the present time.
    pub(super) fn watch_tickets(&mut self) {
        let due: Vec<u64> = self
            .tickets
            .iter()
            .filter(|(_, open)| self.next_of(open).is_some_and(|at| at <= self.now))
            .map(|(number, _)| *number)
            .collect();
        for ticket in due {
            self.watch_ticket(ticket);
        }
    }

    fn watch_ticket(&mut self, ticket: u64) {
        let now = self.now;
        let Some(open) = self.tickets.get(&ticket) else {
            return;
        };
        let task = self.chains.get(&open.chain).map_or(0, |chain| chain.task);
        let held_up = self.waits_for_client(task);
        let silent = self.silent_until(open).is_some_and(|at| at <= now);
        let late = open.deadline.is_some_and(|at| at <= now);
        let node = open.node;
        let Some(open) = self.tickets.get_mut(&ticket) else {
            return;
        };
        match (open.stage, &mut open.cut) {
            (Stage::Step(_), Some(cutting)) if cutting.over_at <= now && !cutting.over => {
                if held_up {
                    // The client is slow, not the attempt: its grace stands still.
                    cutting.over_at = now + GRACE;
                    return;
                }
                cutting.over = true;
                if let Some(waker) = open.cut_waker.take() {
                    waker.wake();
                }
            }
            (Stage::Step(_), None) if late => {
                let why = Exception::new(Kind::Stalled, node, "the step took too long");
                self.cut_step(ticket, why);
            }
            (Stage::Step(_), None) if silent => {
                let Some(node) = node else { return };
                if self.node(node).silent || !self.node(node).up {
                    self.declare_down(node);
                } else {
                    let why = Exception::new(Kind::Stalled, Some(node), "silent for too long");
                    self.cut_step(ticket, why);
                }
            }
            (Stage::Waiting(_) | Stage::Connecting(..), _) => {
                if let Some(waker) = open.waker.take() {
                    waker.wake();
                }
            }
            (Stage::New | Stage::Step(_) | Stage::Over, _) => {}
        }
    }

    // --- chains ---

    pub(super) fn begin_chain(&mut self, task: u64, link_type: u64) -> u64 {
        if !self.tasks.contains_key(&task) {
            return 0;
        }
        let number = number();
        let chain = Chain {
            task,
            link_type,
            link: None,
            ticket: None,
        };
        self.chains.insert(number, chain);
        number
    }

    pub(super) fn end_chain(&mut self, number: u64) {
        if let Some(ticket) = self.chains.get(&number).and_then(|chain| chain.ticket) {
            self.end_ticket(ticket);
        }
        self.drop_link(number);
        self.chains.remove(&number);
    }

    // --- tickets ---

    pub(super) fn begin_ticket(&mut self, chain: u64) -> u64 {
        let number = number();
        match self.chains.get_mut(&chain) {
            Some(chain) if chain.ticket.is_none() => chain.ticket = Some(number),
            Some(_) | None => return 0,
        }
        let open = Open {
            chain,
            engine: Ticket::new(self.limits),
            stage: Stage::New,
            attempt: 0,
            node: None,
            stream: 0,
            sent_before: 0,
            answered_before: 0,
            sent: 0,
            answered: 0,
            cut: None,
            cut_waker: None,
            deadline: None,
            detail: String::new(),
            waker: None,
        };
        self.tickets.insert(number, open);
        number
    }

    pub(super) fn end_ticket(&mut self, number: u64) {
        let Some(open) = self.tickets.remove(&number) else {
            return;
        };
        if let Some(chain) = self.chains.get_mut(&open.chain) {
            chain.ticket = None;
        }
        match open.stage {
            // Dropped in the middle: nobody knows how the dialogue on the link stands.
            Stage::Step(_) => {
                self.drop_link(open.chain);
                self.give_up(open.stream);
            }
            Stage::New | Stage::Waiting(_) | Stage::Connecting(..) | Stage::Over => {}
        }
        if self.pooled {
            self.lay_down_link(open.chain);
        }
    }

    /// A pooled link to `node`, if one is fit: nothing came while it was at rest.
    fn pooled_link(&mut self, link_type: u64, node: NodeId) -> Option<Link> {
        loop {
            let at = self
                .pool
                .iter()
                .position(|(of, link)| *of == link_type && link.node == node)?;
            let (_, link) = self.pool.swap_remove(at);
            if self.is_quiet(link.stream) {
                return Some(link);
            }
            self.bury(link);
        }
    }

    fn is_quiet(&self, stream: u64) -> bool {
        self.streams.get(&stream).is_some_and(|stream| {
            !self.connections[stream.connection].pipes[Way::In.index()].has_news()
        })
    }

    pub(super) fn poll_cut(&mut self, number: u64, waker: &Waker) -> bool {
        let Some(open) = self.tickets.get_mut(&number) else {
            return false;
        };
        if open.cut.as_ref().is_some_and(|cutting| cutting.over) {
            return true;
        }
        open.cut_waker = Some(waker.clone());
        false
    }

    /// The engine: what became of the last action, and what is next. `Err` is a refusal.
    pub(super) fn step(
        &mut self,
        number: u64,
        said: Option<Said>,
        waker: &Waker,
    ) -> Poll<Result<Todo, ()>> {
        // Taken out, so that the rest of the state can be changed meanwhile.
        let Some(mut open) = self.tickets.remove(&number) else {
            if let Some(Said::Established(state)) = said {
                self.graveyard.push(state);
            }
            return Poll::Ready(Err(()));
        };
        let next = self.drive(&mut open, said, waker);
        if matches!(next, Poll::Ready(Err(()))) {
            open.stage = Stage::Over;
        }
        self.tickets.insert(number, open);
        next
    }

    fn drive(
        &mut self,
        open: &mut Open,
        said: Option<Said>,
        waker: &Waker,
    ) -> Poll<Result<Todo, ()>> {
        let mut event = match self.event(open, said) {
            Some(Some(event)) => event,
            Some(None) => {
                open.waker = Some(waker.clone());
                return Poll::Pending;
            }
            None => return Poll::Ready(Err(())),
        };
        loop {
            let chance = &mut self.chance;
            let order = open
                .engine
                .on(event, self.now, &mut self.budget, &mut || chance.fraction());
            let Ok(order) = order else {
                return Poll::Ready(Err(()));
            };
            event = match self.carry_out(open, order) {
                Done::Event(event) => event,
                Done::Todo(todo) => return Poll::Ready(Ok(todo)),
                Done::Later(until) => {
                    if until <= self.now {
                        Event::Waited
                    } else {
                        open.stage = Stage::Waiting(until);
                        open.waker = Some(waker.clone());
                        return Poll::Pending;
                    }
                }
                Done::Connecting(node, until) => {
                    open.stage = Stage::Connecting(node, until);
                    open.waker = Some(waker.clone());
                    return Poll::Pending;
                }
            };
        }
    }

    /// The engine's event: `None` for an answer to nothing, `Some(None)` when it is not yet time.
    fn event(&mut self, open: &mut Open, said: Option<Said>) -> Option<Option<Event>> {
        let now = self.now;
        let stage = open.stage;
        let event = match (stage, said) {
            (Stage::New, Some(Said::Begin)) => {
                let link = self.chains.get(&open.chain)?.link.as_ref();
                let link = link.map(|link| link.node);
                Event::Begin { link }
            }
            (Stage::Waiting(until), None) if until > now => return Some(None),
            (Stage::Waiting(_), None) => Event::Waited,
            (Stage::Connecting(_, until), None) if until > now => return Some(None),
            (Stage::Connecting(node, _), None) => {
                self.declare_down(node);
                self.unreachable(node, "no answer to a connect")
            }
            (Stage::Step(action), Some(said)) => self.answer(open, action, said)?,
            (_, Some(Said::Established(state))) => {
                self.graveyard.push(state);
                return None;
            }
            (Stage::New | Stage::Waiting(_) | Stage::Connecting(..), Some(_))
            | (Stage::New | Stage::Step(_), None)
            | (Stage::Over, _) => return None,
        };
        Some(Some(event))
    }

    /// What the plugin's answer to an action is to the engine, with what the host knows besides.
    fn answer(&mut self, open: &mut Open, action: u32, said: Said) -> Option<Event> {
        let cut = open.cut.take();
        open.deadline = None;
        let node = open.node;
        if action == Action::ATTEMPT {
            open.sent = self.accepted(open.stream).saturating_sub(open.sent_before);
            open.answered = self.answered(open);
        }
        let event = match said {
            Said::Established(state) if action == Action::ESTABLISH => {
                let link = Link {
                    node: node?,
                    stream: open.stream,
                    state,
                };
                let chain = self.chains.get_mut(&open.chain)?;
                chain.link = Some(link);
                Event::Established
            }
            Said::Established(state) => {
                self.graveyard.push(state);
                return None;
            }
            Said::Replied if action == Action::ATTEMPT => Event::Replied,
            Said::Cleaned(resend) if action == Action::CLEAN_UP => Event::Cleaned(resend),
            Said::Asked(outcome) if action == Action::ASK => Event::Asked(outcome),
            Said::Failed(failure) if action != Action::CLEAN_UP => {
                let failed = self.failed(open, failure, cut.as_ref());
                if !failed.fit {
                    self.drop_link(open.chain);
                    self.give_up(open.stream);
                }
                return Some(Event::Failed(failed));
            }
            Said::Torn => {
                let why = cut.filter(|cutting| cutting.over)?.why;
                self.drop_link(open.chain);
                self.give_up(open.stream);
                return Some(Event::Torn(why));
            }
            Said::Begin | Said::Replied | Said::Cleaned(_) | Said::Asked(_) | Said::Failed(_) => {
                return None;
            }
        };
        // Well in spite of a cut: the answer stands, the link does not.
        if cut.is_some() {
            self.drop_link(open.chain);
        }
        Some(event)
    }

    fn failed(&mut self, open: &Open, said: SaidFailure, cut: Option<&Cutting>) -> Failed {
        let node = open.node;
        let mut exception = Exception {
            code: said.code,
            retry_after: said.retry_after,
            ..Exception::new(self.kind_of(said.kind, said.code), node, said.detail)
        };
        if said.by_client || self.client_broke(open) {
            exception.kind = Kind::ClientGone;
        } else if let Some(cutting) = cut {
            exception = cutting.why.clone();
        }
        let died = node.is_some_and(|node| self.notice(node));
        Failed {
            fit: said.fit && cut.is_none() && self.is_whole(open.stream),
            answered: open.answered,
            node_died: died,
            spread: Duration::ZERO,
            exception,
        }
    }

    fn client_stream(&self, open: &Open) -> Option<u64> {
        let task = self.chains.get(&open.chain)?.task;
        self.tasks.get(&task)?.client
    }

    fn client_broke(&self, open: &Open) -> bool {
        self.client_stream(open)
            .and_then(|stream| self.streams.get(&stream))
            .is_some_and(|stream| self.connections[stream.connection].pipes[0].is_broken())
    }

    fn is_whole(&self, stream: u64) -> bool {
        self.streams.get(&stream).is_some_and(|stream| {
            let pipes = &self.connections[stream.connection].pipes;
            !stream.cut && !pipes[0].is_broken() && !pipes[1].is_over()
        })
    }

    /// A failure makes a node suspect; the probe's answer is at hand here. Whether it is dead.
    fn notice(&mut self, node: NodeId) -> bool {
        if !self.node(node).up {
            self.declare_down(node);
        }
        self.node(node).down
    }

    fn answered(&self, open: &Open) -> u64 {
        let accepted = self.accepted(self.client_stream(open).unwrap_or(0));
        accepted.saturating_sub(open.answered_before)
    }

    fn accepted(&self, stream: u64) -> u64 {
        self.streams
            .get(&stream)
            .map_or(0, |stream| stream.accepted)
    }

    fn unreachable(&mut self, node: NodeId, detail: &str) -> Event {
        Event::Failed(Failed {
            exception: Exception::new(Kind::Unreachable, Some(node), detail),
            fit: false,
            answered: 0,
            node_died: true,
            spread: Duration::ZERO,
        })
    }

    fn carry_out(&mut self, open: &mut Open, order: Order) -> Done {
        match order {
            Order::Pick { avoid, only } => Done::Event(self.pick(&avoid, only)),
            Order::Connect(node) => self.reach(open, node),
            Order::Establish(node) => {
                let connection = self.connect(Some(node));
                let stream = self.stream(Owner::Link, connection);
                Done::Todo(self.begin_step(open, Action::ESTABLISH, Some(node), stream))
            }
            Order::Attempt(node) => {
                open.attempt += 1;
                if open.attempt > 1 {
                    self.switches += 1;
                }
                self.on_link(open, Action::ATTEMPT, node)
            }
            Order::Ask(node) => self.on_link(open, Action::ASK, node),
            Order::CleanUp {
                node,
                exception,
                link,
            } => {
                if !link {
                    self.drop_link(open.chain);
                }
                let stream = self.link_of(open).map_or(0, |link| link.stream);
                open.detail.clone_from(&exception.detail);
                open.deadline = Some(self.now + CLEANUP);
                let todo = self.begin_step(open, Action::CLEAN_UP, Some(node), stream);
                Done::Todo(Todo {
                    exception: Some(exception),
                    sent: open.sent,
                    answered: open.answered,
                    ..todo
                })
            }
            Order::Wait(time) => Done::Later(self.now + time),
            Order::Reply(node) => {
                open.stage = Stage::Over;
                Done::Todo(self.todo(open, Action::REPLY, Some(node), 0))
            }
            Order::GiveUp(exception) => {
                open.stage = Stage::Over;
                open.detail.clone_from(&exception.detail);
                let todo = self.todo(open, Action::GIVE_UP, exception.node, 0);
                Done::Todo(Todo {
                    exception: Some(exception),
                    ..todo
                })
            }
        }
    }

    fn pick(&mut self, avoid: &[NodeId], only: Option<NodeId>) -> Event {
        let fit: Vec<NodeId> = (0..self.nodes.len() as NodeId)
            .filter(|node| !self.nodes[*node as usize].down && !avoid.contains(node))
            .filter(|node| only.is_none_or(|only| only == *node))
            .collect();
        match fit.len() {
            0 => Event::NonePicked,
            n => Event::Picked(fit[self.chance.below(n)]),
        }
    }

    /// A chain's link that is fit, and not where the request goes now, is for others, or for nobody.
    fn lay_down_link(&mut self, chain: u64) {
        match self.chains.get_mut(&chain) {
            Some(at) if self.pooled => {
                let link_type = at.link_type;
                self.pool
                    .extend(at.link.take().map(|link| (link_type, link)));
            }
            Some(_) | None => self.drop_link(chain),
        }
    }

    fn reach(&mut self, open: &mut Open, node: NodeId) -> Done {
        self.lay_down_link(open.chain);
        let link_type = self
            .chains
            .get(&open.chain)
            .map_or(0, |chain| chain.link_type);
        if let Some(link) = self.pooled_link(link_type, node) {
            if let Some(chain) = self.chains.get_mut(&open.chain) {
                chain.link = Some(link);
            }
            return Done::Event(Event::Established);
        }
        let at = self.node(node);
        if !at.up {
            self.declare_down(node);
            return Done::Event(self.unreachable(node, "connection refused"));
        }
        if at.silent {
            return Done::Connecting(node, self.now + CONNECT);
        }
        Done::Event(Event::Connected)
    }

    fn link_of(&self, open: &Open) -> Option<&Link> {
        self.chains.get(&open.chain)?.link.as_ref()
    }

    fn on_link(&mut self, open: &mut Open, action: u32, node: NodeId) -> Done {
        let Some(stream) = self.link_of(open).map(|link| link.stream) else {
            return Done::Event(Event::Failed(Failed {
                exception: Exception::new(Kind::Lost, Some(node), "the link went while at rest"),
                fit: false,
                answered: 0,
                node_died: self.notice(node),
                spread: Duration::ZERO,
            }));
        };
        Done::Todo(self.begin_step(open, action, Some(node), stream))
    }

    fn begin_step(
        &mut self,
        open: &mut Open,
        action: u32,
        node: Option<NodeId>,
        stream: u64,
    ) -> Todo {
        open.stage = Stage::Step(action);
        open.node = node;
        open.stream = stream;
        open.cut = None;
        open.sent_before = self.accepted(stream);
        open.answered_before = self.accepted(self.client_stream(open).unwrap_or(0));
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.due = true;
            stream.waiting = None;
            stream.blocked = None;
        }
        self.todo(open, action, node, stream)
    }

    fn todo(&self, open: &Open, tag: u32, node: Option<NodeId>, stream: u64) -> Todo {
        Todo {
            tag,
            exception: None,
            attempt: open.attempt,
            stream,
            link: self
                .link_of(open)
                .map_or(std::ptr::null_mut(), |link| link.state.pointer()),
            sent: 0,
            answered: 0,
            deadline: open.deadline,
            node,
        }
    }
}

/// What became of an order.
enum Done {
    Event(Event),
    Todo(Todo),
    Later(Duration),
    Connecting(NodeId, Duration),
}
