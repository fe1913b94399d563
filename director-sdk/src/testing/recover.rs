//! Nodes, chains and tickets: the recovery engine that ships, carried out in memory.

use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use director_recovery::{Exception, Kind, NodeId, Outcome, Resend, Ticket};

use super::ServeNode;
use super::abi::LinkState;
use super::net::Way;
use super::state::{State, number};

/// Silence of a node that owes bytes, until it is probed.
const SILENCE: Duration = Duration::from_millis(500);
/// How long a probe may take.
pub(super) const PROBE: Duration = Duration::from_millis(300);
/// Silence on one connection of a node that answers.
const STALL: Duration = Duration::from_secs(15);
/// How long a connect may take.
pub(super) const CONNECT: Duration = Duration::from_secs(1);
/// How long a cut step may take to return.
const GRACE: Duration = Duration::from_millis(200);
/// How long a cleanup may take.
pub(super) const CLEANUP: Duration = Duration::from_secs(1);

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
    pub(super) engine: Ticket,
    pub(super) stage: Stage,
    pub(super) attempt: u32,
    /// Where the step runs.
    pub(super) node: Option<NodeId>,
    /// The stream of the step.
    pub(super) stream: u64,
    /// When the step began.
    pub(super) begun: Duration,
    pub(super) sent_before: u64,
    pub(super) answered_before: u64,
    /// What the failed attempt sent to the node, and to the client.
    pub(super) sent: u64,
    pub(super) answered: u64,
    pub(super) cut: Option<Cutting>,
    pub(super) cut_waker: Option<Waker>,
    pub(super) deadline: Option<Duration>,
    /// What the last action said, for as long as the plugin may read it.
    pub(super) detail: String,
    pub(super) waker: Option<Waker>,
}

pub(super) struct Cutting {
    pub(super) why: Exception,
    pub(super) over_at: Duration,
    pub(super) over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
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

    /// A watch ended, which is a sign of failure: its node is probed.
    pub(super) fn watch_ended(&mut self, task: u64) {
        let node = self.tasks.get(&task).and_then(|task| task.watched);
        if let Some(node) = node
            && (!self.node(node).up || self.node(node).silent)
        {
            self.declare_down(node);
        }
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

    pub(super) fn bury(&mut self, link: Link) {
        self.give_up(link.stream);
        self.graveyard.push(link.state);
    }

    pub(super) fn drop_link(&mut self, chain: u64) {
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
        let task = self.chains.get(&open.chain).map_or(0, |chain| chain.task);
        if self.waits_for_client(task) {
            return None;
        }
        let client = self.tasks.get(&task).and_then(|task| task.client);
        let heard_out = client.and_then(|first| self.streams.get(&first));
        let since = self
            .owed_since(open.stream)?
            .max(heard_out.map_or(Duration::ZERO, |client| client.taken_at));
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
            begun: Duration::ZERO,
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
    pub(super) fn pooled_link(&mut self, link_type: u64, node: NodeId) -> Option<Link> {
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
}
