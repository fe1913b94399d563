//! What nodes and clients do beside their first connection: listen, connect, write urgent data.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::task::Poll;

use super::further::Ear;
use super::net::{ECONNREFUSED, End, Way};
use super::record::Secured;
use super::state::{State, number};
use super::{Wire, World};
use crate::tls::Tls;

impl Wire {
    /// This end: the node's, or the client's.
    pub fn local(&self) -> SocketAddr {
        self.state.borrow().connections[self.connection].far
    }

    /// The director's end.
    pub fn peer(&self) -> SocketAddr {
        self.state.borrow().connections[self.connection].near
    }

    /// Listens at this end's IP address, on a free port, for further connections of the director's.
    pub fn listen(&self) -> (u16, WireListener) {
        let mut state = self.state.borrow_mut();
        let ip = state.connections[self.connection].far.ip();
        let (port, number) = (state.free_port(), number());
        let ear = Ear {
            at: SocketAddr::new(ip, port),
            queue: VecDeque::new(),
            waker: None,
        };
        state.ears.insert(number, ear);
        let listener = WireListener {
            state: Rc::clone(&self.state),
            number,
        };
        (port, listener)
    }

    /// A further connection, from this end's IP address to a `port` at which the director listens.
    /// That of a silent node comes about never.
    ///
    /// # Errors
    ///
    /// Nobody listens there (`ConnectionRefused`).
    pub async fn connect(&self, port: u16) -> io::Result<Self> {
        let connection = poll_fn(|_| {
            let mut state = self.state.borrow_mut();
            let connection = &state.connections[self.connection];
            let (from, ip) = (connection.far.ip(), connection.near.ip());
            if let Some(node) = connection.node {
                let node = &state.nodes[node as usize];
                match (node.up, node.silent) {
                    (false, _) => return Poll::Ready(Err(ECONNREFUSED)),
                    (true, true) => return Poll::Pending,
                    (true, false) => {}
                }
            }
            Poll::Ready(state.arrive(from, SocketAddr::new(ip, port)))
        });
        let connection = connection.await.map_err(io::Error::from_raw_os_error)?;
        Ok(Self::new(&self.state, connection))
    }

    /// Writes all of `bytes`, the last of them as urgent data.
    ///
    /// # Errors
    ///
    /// The connection was reset, or its reader is gone.
    pub async fn write_urgent(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes).await?;
        let mut state = self.state.borrow_mut();
        let connection = &mut state.connections[self.connection];
        if connection.tls[End::Far.index()].is_none() {
            connection.pipe(Way::In).mark_urgent();
        }
        Ok(())
    }

    /// Upgrades this end to TLS: a node as the server, a client as the client, which asks to resume the
    /// TLS session of `resume`. The mock of the kit has a handshake, records with a checksum, alerts
    /// and `close_notify`, so it can be cut, garbled and truncated like the real one; it hides nothing.
    ///
    /// # Errors
    ///
    /// The handshake failed (`InvalidData`), or the connection ended (`UnexpectedEof`) or was reset.
    pub async fn start_tls(&mut self, resume: Option<&Self>) -> io::Result<Tls> {
        let ticket = resume.map_or(0, |other| {
            let state = self.state.borrow();
            let tls = &state.connections[other.connection].tls[End::Far.index()];
            tls.as_ref().map_or(0, Secured::ticket)
        });
        poll_fn(|cx| {
            let mut state = self.state.borrow_mut();
            let done = state.start_far_tls(self.connection, ticket, cx.waker());
            done.map_err(|code| state.far_error(self.connection, code))
        })
        .await?;
        self.tls().ok_or(io::ErrorKind::NotConnected.into())
    }

    /// This end's TLS as it stands; `None` without.
    pub fn tls(&self) -> Option<Tls> {
        let state = self.state.borrow();
        let tls = state.connections[self.connection].tls[End::Far.index()].as_ref()?;
        tls.told()
    }

    /// Says the end of what is written with a FIN alone, without the `close_notify` of TLS: what an
    /// attacker who wants a shorter file does.
    pub fn truncate(&mut self) {
        let mut state = self.state.borrow_mut();
        state.connections[self.connection].pipe(Way::In).end();
    }

    /// Which of the bytes that the director has written here were urgent, counted from the first byte
    /// of the connection. They are read in line with the others.
    pub fn urgent(&self) -> Vec<u64> {
        let state = self.state.borrow();
        let pipes = &state.connections[self.connection].pipes;
        pipes[Way::Out.index()].urgent.clone()
    }
}

/// Where a node or a client takes further connections of the director's. Dropping it refuses them,
/// and resets those that were not accepted.
pub struct WireListener {
    state: Rc<RefCell<State>>,
    number: u64,
}

impl WireListener {
    /// The next connection.
    ///
    /// # Errors
    ///
    /// None so far.
    pub async fn accept(&mut self) -> io::Result<Wire> {
        let connection = poll_fn(|cx| {
            let mut state = self.state.borrow_mut();
            let Some(ear) = state.ears.get_mut(&self.number) else {
                return Poll::Ready(Err(io::ErrorKind::NotConnected));
            };
            match ear.queue.pop_front() {
                Some(connection) => Poll::Ready(Ok(connection)),
                None => {
                    ear.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        });
        Ok(Wire::new(&self.state, connection.await?))
    }
}

impl Drop for WireListener {
    fn drop(&mut self) {
        let mut state = self.state.borrow_mut();
        if let Some(ear) = state.ears.remove(&self.number) {
            for connection in ear.queue {
                state.connections[connection].reset();
            }
        }
    }
}

impl World {
    /// A connection from anywhere to an address at which the director listens: a stranger's, say.
    ///
    /// # Errors
    ///
    /// Nobody listens there (`ConnectionRefused`).
    pub fn reach(&self, from: IpAddr, to: SocketAddr) -> io::Result<Wire> {
        let reached = self.state.borrow_mut().arrive(from, to);
        let connection = reached.map_err(io::Error::from_raw_os_error)?;
        Ok(Wire::new(&self.state, connection))
    }
}
