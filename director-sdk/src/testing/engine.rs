//! A request's steps: the recovery engine's events and orders, carried out in memory.

use std::task::{Poll, Waker};
use std::time::Duration;

use director_abi::Action;
use director_recovery::{Event, Exception, Failed, Kind, NodeId, Order};

use super::net::{ECONNRESET, Way};
use super::recover::{CLEANUP, CONNECT, Cutting, Link, Open, Said, SaidFailure, Stage, Todo};
use super::state::{Owner, State};

impl State {
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
            stood: self.stood(open),
            node_died: died,
            spread: Duration::ZERO,
            exception,
        }
    }

    /// How long the step lasted, when its node owes nothing now.
    fn stood(&self, open: &Open) -> Duration {
        let mut streams = self
            .bundle(open.stream)
            .filter_map(|number| self.streams.get(&number))
            .peekable();
        if streams.peek().is_some() && streams.all(|stream| !stream.due) {
            self.now.saturating_sub(open.begun)
        } else {
            Duration::ZERO
        }
    }

    fn client_stream(&self, open: &Open) -> Option<u64> {
        let task = self.chains.get(&open.chain)?.task;
        self.tasks.get(&task)?.client
    }

    fn client_broke(&self, open: &Open) -> bool {
        let task = self.chains.get(&open.chain).map_or(0, |chain| chain.task);
        let mut connections = self.client_connections(task);
        let own = connections.next();
        // A client that has sent a file closes its further connection, and waits for the answer: that
        // nothing can be written there is no failure until somebody writes.
        own.is_some_and(|own| own.pipes[Way::Out.index()].is_broken())
            || connections
                .any(|further| further.pipes[Way::Out.index()].broken() == Some(ECONNRESET))
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

    /// What all streams of a bundle have accepted.
    fn accepted(&self, first: u64) -> u64 {
        self.streams
            .get(&first)
            .map_or(0, |stream| stream.bundle_accepted)
    }

    fn unreachable(&mut self, node: NodeId, detail: &str) -> Event {
        Event::Failed(Failed {
            exception: Exception::new(Kind::Unreachable, Some(node), detail),
            fit: false,
            answered: 0,
            stood: Duration::ZERO,
            node_died: true,
            spread: Duration::ZERO,
        })
    }

    fn carry_out(&mut self, open: &mut Open, order: Order) -> Done {
        match order {
            Order::Pick { avoid, only } => Done::Event(self.pick(open.chain, &avoid, only)),
            Order::Connect(node) => self.reach(open, node),
            Order::Establish(node) => {
                let connection = self.connect(node);
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

    /// By chance; by the task's key when it has set one, as with `balance = "hash"`.
    fn pick(&mut self, chain: u64, avoid: &[NodeId], only: Option<NodeId>) -> Event {
        let fit: Vec<NodeId> = (0..self.nodes.len() as NodeId)
            .filter(|node| !self.nodes[*node as usize].down && !avoid.contains(node))
            .filter(|node| only.is_none_or(|only| only == *node))
            .collect();
        match fit.len() {
            0 => Event::NonePicked,
            n => match self.key_of(chain) {
                Some(key) => Event::Picked(fit[(key % n as u64) as usize]),
                None => Event::Picked(fit[self.chance.below(n)]),
            },
        }
    }

    fn key_of(&self, chain: u64) -> Option<u64> {
        let task = self.chains.get(&chain)?.task;
        let key = self.tasks.get(&task)?.key.as_ref()?;
        Some(key.iter().fold(5381, |hash: u64, byte| {
            hash.wrapping_mul(33).wrapping_add(u64::from(*byte))
        }))
    }

    /// A chain's link that is fit, and not where the request goes now, is for others, or for nobody.
    pub(super) fn lay_down_link(&mut self, chain: u64) {
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
                stood: Duration::ZERO,
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
        open.begun = self.now;
        open.sent_before = self.accepted(stream);
        open.answered_before = self.accepted(self.client_stream(open).unwrap_or(0));
        self.touch(stream);
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
