//! Connections in memory: two pipes of bounded room each, and what can go wrong on them.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::{Poll, Waker};

use super::exec::Chance;
use super::record::Secured;

/// The peer has reset the connection.
pub(super) const ECONNRESET: i32 = 104;
/// The system has failed.
pub(super) const EIO: i32 = 5;
/// Nobody reads any more.
pub(super) const EPIPE: i32 = 32;
/// What was asked for makes no sense.
pub(super) const EINVAL: i32 = 22;
/// Every port is taken.
pub(super) const EADDRINUSE: i32 = 98;
/// Nobody answers.
pub(super) const ETIMEDOUT: i32 = 110;
/// Nobody listens.
pub(super) const ECONNREFUSED: i32 = 111;

/// What happens to a connection to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cut {
    /// The connection is reset; the node is well.
    Reset,
    /// The bytes end there, properly (a FIN); the node is well.
    End,
    /// The node falls silent as a whole, and answers no probe: it is declared down.
    Silence,
    /// This connection falls silent; the node answers probes, so the step is cut as stalled.
    Stall,
    /// From there on the bytes are others.
    Garbage,
    /// The node dies: its connections are reset, and it refuses new ones.
    Kill,
}

impl Cut {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Reset,
        Self::End,
        Self::Silence,
        Self::Stall,
        Self::Garbage,
        Self::Kill,
    ];
}

/// The way of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the host to the node or the client.
    Out,
    /// From the node or the client to the host.
    In,
}

impl Way {
    pub(super) fn index(self) -> usize {
        match self {
            Self::Out => 0,
            Self::In => 1,
        }
    }
}

/// An end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The host's.
    Near,
    /// The node's, or the client's.
    Far,
}

impl End {
    pub(super) fn index(self) -> usize {
        match self {
            Self::Near => 0,
            Self::Far => 1,
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Near => Self::Far,
            Self::Far => Self::Near,
        }
    }

    /// The way that it writes.
    pub(super) fn writes(self) -> Way {
        match self {
            Self::Near => Way::Out,
            Self::Far => Way::In,
        }
    }

    /// The way that it reads.
    pub(super) fn reads(self) -> Way {
        self.other().writes()
    }
}

/// One direction.
pub(super) struct Pipe {
    bytes: VecDeque<u8>,
    room: usize,
    /// The most that one read or write moves.
    piece: usize,
    /// Bytes that were written so far.
    pub(super) passed: u64,
    ended: bool,
    broken: Option<i32>,
    stuck: bool,
    noise: Option<Chance>,
    /// Where urgent bytes are, counted from the first byte.
    pub(super) urgent: Vec<u64>,
    /// How many bytes may still pass before the fault.
    pub(super) fault_at: Option<u64>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    pub(super) fn new(room: usize, piece: usize) -> Self {
        Self {
            bytes: VecDeque::new(),
            room: room.max(1),
            piece: piece.max(1),
            passed: 0,
            ended: false,
            broken: None,
            stuck: false,
            noise: None,
            urgent: Vec::new(),
            fault_at: None,
            reader: None,
            writer: None,
        }
    }

    /// Takes bytes in; how many.
    pub(super) fn write(&mut self, pieces: &[&[u8]], waker: &Waker) -> Poll<Result<usize, i32>> {
        if let Some(code) = self.broken {
            return Poll::Ready(Err(code));
        }
        if self.ended {
            return Poll::Ready(Err(EPIPE));
        }
        let offered: usize = pieces.iter().map(|piece| piece.len()).sum();
        let until_fault = self
            .fault_at
            .map_or(usize::MAX, |at| (at - self.passed) as usize);
        let room = self.room.saturating_sub(self.bytes.len());
        let n = offered.min(room).min(self.piece).min(until_fault);
        if n == 0 && offered > 0 {
            self.writer = Some(waker.clone());
            return Poll::Pending;
        }
        let noise = &mut self.noise;
        let bytes = pieces.iter().flat_map(|piece| piece.iter()).take(n);
        self.bytes.extend(bytes.map(|byte| match noise {
            // Another byte, never the same: garbage that happens to be right proves nothing.
            Some(chance) => byte ^ (1 + chance.below(255)) as u8,
            None => *byte,
        }));
        self.passed += n as u64;
        wake(&mut self.reader);
        Poll::Ready(Ok(n))
    }

    /// The last byte that was written is urgent.
    pub(super) fn mark_urgent(&mut self) {
        self.urgent.extend(self.passed.checked_sub(1));
    }

    /// Moves bytes to the end of `into`; 0 at the end.
    pub(super) fn read(
        &mut self,
        into: &mut Vec<u8>,
        most: usize,
        waker: &Waker,
    ) -> Poll<Result<usize, i32>> {
        let n = self.bytes.len().min(most).min(self.piece);
        if !self.stuck {
            if n > 0 {
                into.extend(self.bytes.drain(..n));
                wake(&mut self.writer);
                return Poll::Ready(Ok(n));
            }
            if let Some(code) = self.broken {
                return Poll::Ready(Err(code));
            }
            if self.ended {
                return Poll::Ready(Ok(0));
            }
        }
        self.reader = Some(waker.clone());
        Poll::Pending
    }

    /// Whether the writer's end has come, and nothing is left to read.
    pub(super) fn is_over(&self) -> bool {
        self.bytes.is_empty() && (self.ended || self.broken.is_some())
    }

    /// Whether a reader would find something: bytes, an end, an error.
    pub(super) fn has_news(&self) -> bool {
        !self.bytes.is_empty() || self.ended || self.broken.is_some()
    }

    /// Whether a reader finds nothing, and waits.
    pub(super) fn is_silent(&self) -> bool {
        self.stuck || !self.has_news()
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Why nothing can be written or read any more.
    pub(super) fn broken(&self) -> Option<i32> {
        self.broken
    }

    /// Whether a writer waits for room.
    pub(super) fn is_awaited(&self) -> bool {
        self.writer.is_some()
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
        self.wake_both();
    }

    pub(super) fn break_with(&mut self, code: i32) {
        self.broken.get_or_insert(code);
        self.wake_both();
    }

    pub(super) fn stick(&mut self) {
        self.stuck = true;
    }

    pub(super) fn garble(&mut self, chance: Chance) {
        self.noise = Some(chance);
    }

    pub(super) fn wake_both(&mut self) {
        wake(&mut self.reader);
        wake(&mut self.writer);
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// Where clients are, and the host towards them.
pub(super) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The host towards nodes.
pub(super) const INSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
/// Where nodes and the host take connections.
pub(super) const SERVED: u16 = 7000;

/// Where a node is.
pub(super) fn node_ip(node: u32) -> IpAddr {
    let [_, _, high, low] = (node + 1).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, 1, high, low))
}

/// A connection between the host and a client or a node.
pub(super) struct Connection {
    /// The node it leads to; `None` for a client's.
    pub(super) node: Option<u32>,
    /// The host's end.
    pub(super) near: SocketAddr,
    /// The node's end, or the client's.
    pub(super) far: SocketAddr,
    pub(super) pipes: [Pipe; 2],
    /// What TLS each end has, by [`End::index`].
    pub(super) tls: [Option<Secured>; 2],
    /// What happens when [`Pipe::fault_at`] is reached.
    pub(super) cut: Option<Cut>,
}

impl Connection {
    pub(super) fn pipe(&mut self, way: Way) -> &mut Pipe {
        &mut self.pipes[way.index()]
    }

    /// Whether anything can still go either way.
    pub(super) fn is_alive(&self) -> bool {
        !self.pipes.iter().any(Pipe::is_broken) && !self.pipes.iter().all(|pipe| pipe.ended)
    }

    pub(super) fn reset(&mut self) {
        for pipe in &mut self.pipes {
            pipe.break_with(ECONNRESET);
        }
    }

    pub(super) fn stick(&mut self) {
        for pipe in &mut self.pipes {
            pipe.stick();
        }
    }
}
