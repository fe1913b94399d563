//! Further connections of the kit's host: connects, listeners, and the bundle to which they belong.
//!
//! A bundle is the stream of a link, or of a client's session, and whatever was made beside it: cut
//! with it, ended with it, alive as long as a byte moves on any of its streams.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::task::{Poll, Waker};
use std::time::Duration;

use director_abi as abi;

use super::World;
use super::net::{EADDRINUSE, ECONNREFUSED, EINVAL, EIO, ETIMEDOUT, End};
use super::record::Secured;
use super::recover::CONNECT;
use super::state::{Owner, State, Stream, keys, number};

/// Further streams, connects and listeners that one bundle may have.
const MOST: usize = 64;
/// Connections that wait to be accepted.
const BACKLOG: usize = 16;

/// A further connection under way.
pub(super) struct Connect {
    first: u64,
    /// The node that it leads to; `None` for a client.
    node: Option<u32>,
    from: IpAddr,
    to: SocketAddr,
    begun: Duration,
    cut: bool,
    waker: Option<Waker>,
}

/// A listener of the host's.
pub(super) struct Listener {
    first: u64,
    node: Option<u32>,
    pub(super) local: SocketAddr,
    /// Whose connections are accepted; `None` for anybody's.
    peer: Option<IpAddr>,
    queue: VecDeque<usize>,
    /// Since when the plugin waits for a connection.
    waiting: Option<Duration>,
    cut: bool,
    waker: Option<Waker>,
}

/// A listener of a node's, or of a client's.
pub(super) struct Ear {
    pub(super) at: SocketAddr,
    pub(super) queue: VecDeque<usize>,
    pub(super) waker: Option<Waker>,
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

impl State {
    // --- bundles ---

    /// The streams of a bundle, the first included.
    pub(super) fn bundle(&self, first: u64) -> impl Iterator<Item = u64> {
        let further = self
            .streams
            .iter()
            .filter(move |(_, stream)| stream.owner == Owner::Beside(first));
        let first = self.streams.contains_key(&first).then_some(first);
        first.into_iter().chain(further.map(|(number, _)| *number))
    }

    /// The numbers of what is in a bundle beside its first stream.
    pub(super) fn beside(&self, first: u64) -> impl Iterator<Item = u64> {
        let streams = self.bundle(first).filter(move |number| *number != first);
        streams
            .chain(keys(&self.connects, |connect| connect.first == first))
            .chain(keys(&self.listeners, |listener| listener.first == first))
    }

    /// A byte has moved on a stream: a sign of life of its bundle.
    pub(super) fn note_life(&mut self, number: u64, accepted: u64) {
        let first = self.first_of(number);
        let now = self.now;
        if let Some(first) = self.streams.get_mut(&first) {
            first.bundle_accepted += accepted;
            first.moved_at = now;
        }
    }

    pub(super) fn first_of(&self, number: u64) -> u64 {
        match self.streams.get(&number).map(|stream| stream.owner) {
            Some(Owner::Beside(first)) => first,
            Some(Owner::Task(_) | Owner::Link) | None => number,
        }
    }

    /// A step begins: everything is due, and silence is counted from now on.
    pub(super) fn touch(&mut self, first: u64) {
        let now = self.now;
        for number in self.bundle(first).collect::<Vec<_>>() {
            if let Some(stream) = self.streams.get_mut(&number) {
                stream.due = true;
                stream.waiting = None;
                stream.blocked = None;
                stream.moved_at = now;
            }
        }
        for listener in self.listeners.values_mut() {
            if listener.first == first {
                listener.waiting = None;
            }
        }
    }

    /// Since when something is owed by a bundle's peer, and not a byte has moved: bytes on its first
    /// stream, when they are due, and on the others, when they are waited for; the taking of what is
    /// written; a connection.
    pub(super) fn owed_since(&self, first: u64) -> Option<Duration> {
        let begun = self.streams.get(&first)?.moved_at;
        let streams = self.bundle(first).filter_map(|number| {
            let stream = self.streams.get(&number)?;
            let waiting = if number == first {
                Some(begun)
            } else {
                stream.waiting
            };
            let waiting = waiting.filter(|_| stream.due && self.has_nothing_for(stream));
            waiting.into_iter().chain(stream.blocked).min()
        });
        let since = streams.chain(self.connections_owed_since(first)).min()?;
        Some(since.max(begun))
    }

    /// Whether a stream has nothing to be read, not even an end.
    fn has_nothing_for(&self, stream: &Stream) -> bool {
        let connection = &self.connections[stream.connection];
        let tls = connection.tls[End::Near.index()].as_ref();
        stream.taken == stream.lent.len()
            && tls.is_none_or(Secured::has_nothing)
            && connection.pipes[End::Near.reads().index()].is_silent()
    }

    /// Since when connections of a bundle's peer are waited for.
    pub(super) fn connections_owed_since(&self, first: u64) -> impl Iterator<Item = Duration> {
        let accepts = self
            .listeners
            .values()
            .filter(move |listener| listener.first == first && listener.queue.is_empty())
            .filter_map(|listener| listener.waiting);
        let connects = self
            .connects
            .values()
            .filter(move |connect| connect.first == first && connect.waker.is_some())
            .map(|connect| connect.begun);
        accepts.chain(connects)
    }

    /// Connects and listeners of a bundle fail from now on.
    pub(super) fn cut_beside(&mut self, first: u64) {
        for connect in self.connects.values_mut() {
            if connect.first == first {
                connect.cut = true;
                wake(&mut connect.waker);
            }
        }
        for listener in self.listeners.values_mut() {
            if listener.first == first {
                listener.cut = true;
                wake(&mut listener.waker);
            }
        }
    }

    /// Ends whatever is beside a first stream that is gone. The plugin has handles of it still, or has
    /// forgotten them.
    pub(super) fn end_beside(&mut self, first: u64) {
        let gone: Vec<u64> = self.beside(first).collect();
        for number in self.bundle(first).collect::<Vec<_>>() {
            self.give_up(number);
        }
        for number in keys(&self.connects, |connect| connect.first == first) {
            self.end_connect(number);
        }
        for number in keys(&self.listeners, |listener| listener.first == first) {
            self.end_listener(number);
        }
        self.orphans.extend(gone);
    }

    /// The first stream of the bundle of `of`, when there is room for one more beside it.
    fn enter(&self, task: u64, of: u64) -> Option<u64> {
        let known = self.tasks.contains_key(&task) && self.streams.contains_key(&of);
        let first = self.first_of(of);
        (known && self.beside(first).count() < MOST).then_some(first)
    }

    fn is_cut(&self, first: u64) -> bool {
        self.streams.get(&first).is_some_and(|stream| stream.cut)
    }

    // --- connects ---

    pub(super) fn begin_connect(&mut self, task: u64, of: u64, port: u16) -> u64 {
        let Some(first) = self.enter(task, of) else {
            return 0;
        };
        let connection = &self.connections[self.streams[&of].connection];
        let connect = Connect {
            first,
            node: connection.node,
            from: connection.near.ip(),
            to: SocketAddr::new(connection.far.ip(), port),
            begun: self.now,
            cut: self.is_cut(first),
            waker: None,
        };
        let number = number();
        self.connects.insert(number, connect);
        number
    }

    /// The stream's number, when it is connected. The connect is over when this is ready.
    pub(super) fn poll_connect(&mut self, number: u64, waker: &Waker) -> Poll<Result<u64, i32>> {
        let Some(mut connect) = self.connects.remove(&number) else {
            return Poll::Ready(Err(abi::CODE_GONE));
        };
        let answer = self.try_connect(&connect);
        if answer.is_pending() {
            connect.waker = Some(waker.clone());
            self.connects.insert(number, connect);
        }
        answer
    }

    fn try_connect(&mut self, connect: &Connect) -> Poll<Result<u64, i32>> {
        if connect.cut {
            return Poll::Ready(Err(abi::CODE_CUT));
        }
        if let Some(node) = connect.node {
            if self.fails_now() {
                return Poll::Ready(Err(EIO));
            }
            let node = &self.nodes[node as usize];
            if !node.up {
                return Poll::Ready(Err(ECONNREFUSED));
            }
            if node.silent {
                return if connect.begun + CONNECT <= self.now {
                    Poll::Ready(Err(ETIMEDOUT))
                } else {
                    Poll::Pending
                };
            }
        }
        let ear = self.ears.values_mut().find(|ear| ear.at == connect.to);
        if ear.is_none_or(|ear| ear.queue.len() >= BACKLOG) {
            return Poll::Ready(Err(ECONNREFUSED));
        }
        let near = SocketAddr::new(connect.from, self.ephemeral());
        let index = self.open(connect.node, near, connect.to);
        if let Some(ear) = self.ears.values_mut().find(|ear| ear.at == connect.to) {
            ear.queue.push_back(index);
            wake(&mut ear.waker);
        }
        Poll::Ready(Ok(self.further_stream(connect.first, index)))
    }

    fn further_stream(&mut self, first: u64, connection: usize) -> u64 {
        let stream = self.stream(Owner::Beside(first), connection);
        self.note_life(stream, 0);
        stream
    }

    pub(super) fn end_connect(&mut self, number: u64) {
        self.orphans.remove(&number);
        self.connects.remove(&number);
    }

    /// When a connect to a silent node is over by itself.
    pub(super) fn next_of_connects(&self) -> Option<Duration> {
        let waiting = self.connects.values().filter(|at| at.waker.is_some());
        waiting.map(|connect| connect.begun + CONNECT).min()
    }

    pub(super) fn watch_connects(&mut self) {
        for connect in self.connects.values_mut() {
            if connect.begun + CONNECT <= self.now {
                wake(&mut connect.waker);
            }
        }
    }

    // --- listeners ---

    pub(super) fn listen(
        &mut self,
        task: u64,
        of: u64,
        (low, high): (u16, u16),
        anyone: bool,
    ) -> Result<u64, i32> {
        if !self.streams.contains_key(&of) {
            return Err(abi::CODE_GONE);
        }
        let first = self.enter(task, of).ok_or(abi::CODE_NONE)?;
        if self.is_cut(first) {
            return Err(abi::CODE_CUT);
        }
        if high < low || (low == 0 && high != 0) {
            return Err(EINVAL);
        }
        let connection = &self.connections[self.streams[&of].connection];
        let (node, near, far) = (connection.node, connection.near, connection.far);
        if node.is_some() && self.fails_now() {
            return Err(EIO);
        }
        let port = match low {
            0 => self.free_port(),
            _ => (low..=high)
                .find(|port| !self.is_taken(SocketAddr::new(near.ip(), *port)))
                .ok_or(EADDRINUSE)?,
        };
        let number = number();
        let listener = Listener {
            first,
            node,
            local: SocketAddr::new(near.ip(), port),
            peer: (!anyone).then_some(far.ip()),
            queue: VecDeque::new(),
            waiting: None,
            cut: false,
            waker: None,
        };
        self.listeners.insert(number, listener);
        Ok(number)
    }

    fn is_taken(&self, local: SocketAddr) -> bool {
        self.listeners.values().any(|other| other.local == local)
    }

    /// A port that nobody had before.
    pub(super) fn free_port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port += 1;
        port
    }

    /// Nobody waits for a connection any more.
    pub(super) fn leave_accept(&mut self, number: u64) {
        if let Some(listener) = self.listeners.get_mut(&number) {
            listener.waiting = None;
            listener.waker = None;
        }
    }

    pub(super) fn poll_accept(&mut self, number: u64, waker: &Waker) -> Poll<Result<u64, i32>> {
        let now = self.now;
        let (first, node) = match self.listeners.get(&number) {
            None => return Poll::Ready(Err(abi::CODE_GONE)),
            Some(listener) if listener.cut => return Poll::Ready(Err(abi::CODE_CUT)),
            Some(listener) => (listener.first, listener.node),
        };
        if node.is_some() && self.fails_now() {
            return Poll::Ready(Err(EIO));
        }
        let Some(listener) = self.listeners.get_mut(&number) else {
            return Poll::Ready(Err(abi::CODE_GONE));
        };
        let Some(connection) = listener.queue.pop_front() else {
            listener.waiting.get_or_insert(now);
            listener.waker = Some(waker.clone());
            return Poll::Pending;
        };
        listener.waiting = None;
        if self.beside(first).count() >= MOST {
            self.connections[connection].reset();
            return Poll::Ready(Err(abi::CODE_NONE));
        }
        Poll::Ready(Ok(self.further_stream(first, connection)))
    }

    pub(super) fn end_listener(&mut self, number: u64) {
        self.orphans.remove(&number);
        if let Some(listener) = self.listeners.remove(&number) {
            for connection in listener.queue {
                self.connections[connection].reset();
            }
        }
    }

    /// A connection of a node's or a client's, or of a stranger's, to a listener of the host's.
    ///
    /// # Errors
    ///
    /// The `errno`: nobody listens there.
    pub(super) fn arrive(&mut self, from: IpAddr, to: SocketAddr) -> Result<usize, i32> {
        let far = SocketAddr::new(from, self.ephemeral());
        let at = self.listeners.values().find(|at| at.local == to);
        let listener = at.filter(|at| at.queue.len() < BACKLOG);
        let Some(listener) = listener else {
            return Err(ECONNREFUSED);
        };
        let (node, peer) = (listener.node, listener.peer);
        if peer.is_some_and(|peer| peer != from) {
            let index = self.open(None, to, far);
            self.connections[index].reset();
            self.strangers += 1;
            let line = format!("{far} was reset: the listener at {to} is not for it");
            self.log.push((2, line));
            return Ok(index);
        }
        let index = self.open(node, to, far);
        if let Some(listener) = self.listeners.values_mut().find(|at| at.local == to) {
            listener.queue.push_back(index);
            wake(&mut listener.waker);
        }
        Ok(index)
    }
}

impl World {
    /// How many connections of strangers were reset; see [`Who`](crate::Who).
    pub fn strangers(&self) -> u64 {
        self.state.borrow().strangers
    }
}
