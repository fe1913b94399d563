//! TLS on a socket: rustls does the protocol, this moves its bytes.
//!
//! What comes is read in pieces of a read buffer that is lent for as long as something is in it, so a
//! session at rest holds none. What goes is encrypted only while everything before it has left: what
//! the kernel then does not take is left over, and the host sees to it (`tending`), whoever waits.

use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::{ClientConnection, Connection, HandshakeKind};
use tokio::net::TcpStream;

use super::stream_tls::Upgrade;
use super::tables;
use crate::tls::{Family, Mark, Marked, Nodes, Server, Tickets, Trouble};

/// What is encrypted at once, in bytes: two records of the largest size (RFC 8446, section 5.1).
const MOST_AT_ONCE: usize = 32 * 1024;

/// How often the socket is asked at most by one [`Secure::absorb`].
const MOST_ABSORBED: usize = 4;

/// TLS on one socket.
#[derive(Debug)]
pub(super) struct Secure {
    connection: Connection,
    kin: Kin,
    /// What came from the socket and rustls has not taken: the buffer, from where, to where.
    raw: Option<(Box<[u8]>, usize, usize)>,
    /// An error that the socket gave while nobody asked.
    failed: Option<io::Error>,
    /// The peer has ended the connection, or what it writes.
    ended: bool,
    /// It has said so, by a `close_notify`.
    closed: bool,
    /// Our `close_notify` was said.
    closing: bool,
    ready: Option<Handshake>,
}

/// What further streams are to know of this one's session, to resume it.
#[derive(Debug, Clone)]
pub(super) enum Kin {
    /// A client's: tickets with one of these marks are the client session's own: those that it was
    /// given, and that of the earlier session which its first stream resumed.
    Client {
        own: Mark,
        before: Option<Mark>,
        required: bool,
        /// What the handshake was presented with.
        presented: Arc<Marked>,
    },
    /// A node's.
    Node(Family),
}

/// How a handshake came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Handshake {
    /// It resumed a session.
    pub(super) resumed: bool,
    /// The version, as TLS writes it.
    pub(super) version: u16,
}

impl Secure {
    /// Towards a client of a session. `of` is the stream whose session the client is to resume.
    pub(super) fn client(
        server: &Server,
        session: u64,
        of: Option<&Kin>,
        Upgrade {
            required, renew, ..
        }: Upgrade,
    ) -> io::Result<Self> {
        let own = session.to_be_bytes();
        let tickets = match of {
            None => Tickets::Few,
            Some(_) if renew => Tickets::One,
            Some(_) => Tickets::None,
        };
        let before = match of {
            Some(Kin::Client { before, .. }) => *before,
            Some(Kin::Node(_)) | None => None,
        };
        let (connection, presented) = server.begin(own, tickets)?;
        let kin = Kin::Client {
            own,
            before,
            required,
            presented,
        };
        Ok(Self::new(connection.into(), kin))
    }

    /// Towards a node. `of` is the stream whose session is to be resumed.
    pub(super) fn node(
        nodes: &Nodes,
        node: &crate::cluster::Node,
        of: Option<&Kin>,
    ) -> io::Result<Self> {
        let family = match of {
            Some(Kin::Node(family)) => family.clone(),
            Some(Kin::Client { .. }) | None => nodes.family(node),
        };
        let connection: ClientConnection = family.begin()?;
        Ok(Self::new(connection.into(), Kin::Node(family)))
    }

    fn new(mut connection: Connection, kin: Kin) -> Self {
        connection.set_buffer_limit(Some(MOST_AT_ONCE));
        Self {
            connection,
            kin,
            raw: None,
            failed: None,
            ended: false,
            closed: false,
            closing: false,
            ready: None,
        }
    }

    pub(super) fn kin(&self) -> &Kin {
        &self.kin
    }

    /// How the handshake came out, once it is over.
    pub(super) fn handshake(&self) -> Option<Handshake> {
        self.ready
    }

    /// Whether the peer has said the end of what it writes.
    pub(super) fn peer_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn poll_handshake(
        &mut self,
        reads: &mut Context<'_>,
        writes: &mut Context<'_>,
        socket: &TcpStream,
    ) -> Poll<io::Result<Handshake>> {
        let done = ready!(self.poll_shake(reads, writes, socket));
        let done = done.and_then(|()| self.agreed());
        if done.is_err() {
            // The alert that says why, if there is one, and if the kernel takes it.
            let _told = self.flush(socket);
        }
        self.ready = done.as_ref().ok().copied();
        Poll::Ready(done)
    }

    fn poll_shake(
        &mut self,
        reads: &mut Context<'_>,
        writes: &mut Context<'_>,
        socket: &TcpStream,
    ) -> Poll<io::Result<()>> {
        loop {
            // The last flight too, with a server's tickets in it.
            ready!(self.poll_left_over(writes, socket))?;
            if !self.connection.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.poll_take_in(reads, socket))? == Taken::End {
                return Poll::Ready(Err(Trouble::error(
                    "the peer ended the connection during the handshake",
                )));
            }
        }
    }

    /// Judges what the handshake agreed on.
    fn agreed(&mut self) -> io::Result<Handshake> {
        let resumed = self.connection.handshake_kind() == Some(HandshakeKind::Resumed);
        if let Kin::Client {
            own,
            before,
            required,
            presented,
        } = &mut self.kin
        {
            let received = presented.presented().filter(|_| resumed);
            let known = received == Some(*own) || (received.is_some() && received == *before);
            if *required && !known {
                return Err(Trouble::error(if resumed {
                    "the TLS session that was resumed is another client session's"
                } else {
                    "the client session's TLS session was not resumed"
                }));
            }
            // What the first stream resumed, its further ones may resume too.
            *before = before.or(received);
        }
        Ok(Handshake {
            resumed,
            version: self.connection.protocol_version().map_or(0, u16::from),
        })
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        socket: &TcpStream,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.ready.is_none() {
            return Poll::Ready(Err(unready()));
        }
        loop {
            match self.connection.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Poll::Ready(Err(Trouble::error(
                        "the peer ended the connection without a close_notify: truncated",
                    )));
                }
                read => return Poll::Ready(read),
            }
            let taken = ready!(self.poll_take_in(cx, socket));
            // What is to be answered, an alert or a key's update, goes when it can; that it cannot is
            // told to whoever writes.
            let _gone = self.flush(socket);
            taken?;
        }
    }

    pub(super) fn write(
        &mut self,
        socket: &TcpStream,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.ready.is_none() {
            return Poll::Ready(Err(unready()));
        }
        if self.closing {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        // Whoever only writes must not miss the tickets for the next connection.
        self.absorb(socket);
        // What the peer said of it is a better word than the kernel's.
        self.connection
            .process_new_packets()
            .map_err(Trouble::error)?;
        if !self.flush(socket)? {
            return Poll::Pending;
        }
        let n = self.connection.writer().write_vectored(pieces)?;
        self.flush(socket)?;
        Poll::Ready(Ok(n))
    }

    pub(super) fn close(&mut self, socket: &TcpStream) -> Poll<io::Result<()>> {
        if self.ready.is_none() {
            return Poll::Ready(Err(unready()));
        }
        if !self.closing {
            self.closing = true;
            self.connection.send_close_notify();
        }
        if self.flush(socket)? {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    pub(super) fn has_left_over(&self) -> bool {
        self.ready.is_some() && self.connection.wants_write()
    }

    pub(super) fn poll_left_over(
        &mut self,
        cx: &mut Context<'_>,
        socket: &TcpStream,
    ) -> Poll<io::Result<()>> {
        while !self.flush(socket)? {
            ready!(socket.poll_write_ready(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Hands what is encrypted to the kernel; whether it took all.
    fn flush(&mut self, socket: &TcpStream) -> io::Result<bool> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut Out(socket)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Takes in what has come already, as long as nothing is there to read.
    pub(super) fn absorb(&mut self, socket: &TcpStream) {
        for _ in 0..MOST_ABSORBED {
            if self.has_something() {
                return;
            }
            let taken = self.take_in(|buffer| socket.try_read(buffer));
            match taken {
                Ok(Taken::Some | Taken::Piece) => {}
                Ok(Taken::End) => return,
                Err(error) => {
                    if error.kind() != io::ErrorKind::WouldBlock {
                        self.failed = Some(error);
                    }
                    return;
                }
            }
        }
    }

    /// Whether a read would be ready: with bytes, the end, or an error.
    pub(super) fn has_something(&mut self) -> bool {
        if self.failed.is_some() {
            return true;
        }
        self.ended
            || match self.connection.process_new_packets() {
                Ok(state) => state.plaintext_bytes_to_read() > 0,
                // It comes out with the read.
                Err(_) => true,
            }
    }

    /// Takes one piece in, from the buffer or from the socket.
    fn poll_take_in(
        &mut self,
        cx: &mut Context<'_>,
        socket: &TcpStream,
    ) -> Poll<io::Result<Taken>> {
        loop {
            match self.take_in(|buffer| socket.try_read(buffer)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(socket.poll_read_ready(cx))?;
                }
                taken => return Poll::Ready(taken),
            }
        }
    }

    fn take_in(&mut self, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<Taken> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let (buffer, from, to) = match self.raw.take() {
            Some(raw) => raw,
            None => {
                let Some(mut buffer) = tables::with(|tables| tables.buffers.take()) else {
                    return Err(io::ErrorKind::NotConnected.into());
                };
                match read(&mut buffer) {
                    Ok(n) => (buffer, 0, n),
                    Err(error) => {
                        tables::with(|tables| tables.buffers.give(buffer));
                        return Err(error);
                    }
                }
            }
        };
        let mut piece = &buffer[from..to];
        let took = self.connection.read_tls(&mut piece);
        let from = to - piece.len();
        // After the peer's end nothing is taken any more, and nothing is to be.
        if from < to && !matches!(took, Ok(0)) {
            self.raw = Some((buffer, from, to));
        } else {
            tables::with(|tables| tables.buffers.give(buffer));
        }
        let took = took?;
        let state = self
            .connection
            .process_new_packets()
            .map_err(Trouble::error)?;
        self.closed |= state.peer_has_closed();
        self.ended |= self.closed;
        Ok(if took == 0 {
            self.ended = true;
            Taken::End
        } else if state.plaintext_bytes_to_read() > 0 {
            Taken::Some
        } else {
            Taken::Piece
        })
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        if let Some((buffer, _, _)) = self.raw.take() {
            tables::with(|tables| tables.buffers.give(buffer));
        }
    }
}

/// What taking a piece in brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// There is something to read now.
    Some,
    /// Part of a record, or nothing of the stream's.
    Piece,
    /// The peer has ended the connection, or what it writes.
    End,
}

fn unready() -> io::Error {
    Trouble::error("the handshake is not over")
}

/// The socket as rustls writes to it.
struct Out<'a>(&'a TcpStream);

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a service has of TLS.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Towards clients.
    pub(crate) server: Option<Arc<Server>>,
    /// Towards nodes.
    pub(crate) nodes: Option<Arc<Nodes>>,
}
