//! TLS on a stream: how it begins, what is left over of it, and what it tells.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use director_abi::{CODE_CUT, CODE_GONE, CODE_TLS, CODE_UNREAD, StreamInfo};
use tokio::net::TcpStream;

use super::keeper::Local;
use super::secure::{Kin, Secure, Tls};
use super::stream::{Io, Side, Stream};
use super::tables;
use super::tending;
use super::transport::Transport;
use super::waker::Lent;
use crate::cluster::Node;
use crate::tls::Trouble;

/// How a stream is to be upgraded.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Upgrade {
    /// The stream whose TLS session is to be resumed; 0 for none.
    pub(super) session_of: u64,
    /// The client has to resume one of this client session.
    pub(super) required: bool,
    /// The client is sent a ticket for its next further connection.
    pub(super) renew: bool,
}

/// What a stream tells of its TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Told {
    /// As [`StreamInfo::tls_flags`] has it.
    pub(super) flags: u32,
    /// As [`StreamInfo::tls_version`] has it.
    pub(super) version: u32,
}

impl Stream {
    /// Upgrades the stream in place: as a server towards a client, as a client towards a node.
    pub(super) fn poll_start_tls(&self, waker: Lent<'_>, upgrade: Option<Upgrade>) -> Io {
        if self.is_cut() {
            return Poll::Ready(Err(CODE_CUT));
        }
        if let Err(code) = self.begin_tls(upgrade) {
            return Poll::Ready(Err(code));
        }
        let Ok(mut transport) = self.transport.try_borrow_mut() else {
            return Poll::Ready(Err(CODE_GONE));
        };
        let Some(transport) = transport.as_mut() else {
            return Poll::Ready(Err(CODE_GONE));
        };
        let done = self.poll_both(waker, |reads, writes| {
            transport.poll_handshake(reads, writes)
        });
        // A handshake that stands still is the peer's silence as a read is.
        self.read_waits.set(done.is_pending());
        match ready!(done) {
            Ok(_) => Poll::Ready(Ok(0)),
            Err(error) => Poll::Ready(Err(self.fail(&error))),
        }
    }

    /// Puts TLS on the stream, unless its handshake is under way already.
    fn begin_tls(&self, upgrade: Option<Upgrade>) -> Result<(), i32> {
        let secured = {
            let transport = self.transport.try_borrow().map_err(|_in_use| CODE_GONE)?;
            let transport = transport.as_ref().ok_or(CODE_GONE)?;
            transport
                .secure()
                .map(|secure| secure.handshake().is_some())
        };
        match secured {
            Some(false) => return Ok(()),
            Some(true) => return Err(self.refuse_tls("the stream has it already")),
            None => {}
        }
        // Those came before the handshake, so anybody may have put them in.
        if self.with_unread(|unread| !unread.is_empty()) {
            self.note_trouble(|| {
                String::from("TLS: the peer sent more before it was asked to begin the handshake")
            });
            return Err(CODE_UNREAD);
        }
        let Some(upgrade) = upgrade else {
            return Err(self.refuse_tls("how it is to be begun was not said"));
        };
        let secure = self.side_of_tls(upgrade);
        let secure = secure.map_err(|error| self.fail(&error))?;
        let mut transport = self
            .transport
            .try_borrow_mut()
            .map_err(|_in_use| CODE_GONE)?;
        transport.as_mut().ok_or(CODE_GONE)?.put_on(secure);
        Ok(())
    }

    fn refuse_tls(&self, why: &str) -> i32 {
        self.note_trouble(|| format!("TLS: {why}"));
        CODE_TLS
    }

    fn side_of_tls(&self, upgrade: Upgrade) -> io::Result<Secure> {
        let gone = || Trouble::error("the service has ended");
        let kin = match upgrade.session_of {
            0 => None,
            number => Some(self.kin_of(number)?),
        };
        let (Side::Client { instance }
        | Side::Link { instance, .. }
        | Side::Health { instance, .. }) = self.side;
        let local = local(instance).ok_or_else(gone)?;
        let tls = &local.inner.tls;
        match self.side {
            Side::Client { .. } => {
                let session = tables::with(|tables| tables.session.get()).unwrap_or(0);
                tls.client(session, kin.as_ref(), upgrade)
            }
            Side::Link { node, .. } | Side::Health { node, .. } => {
                let node = local.inner.cluster.node(node).ok_or_else(gone)?;
                tls.node(&node, kin.as_ref())
            }
        }
    }

    /// What another stream of the same session or link has, for this one to resume it.
    fn kin_of(&self, number: u64) -> io::Result<Kin> {
        let other = tables::get::<Self>(number).ok();
        let other = other.filter(|other| Rc::ptr_eq(&other.bundle, &self.bundle));
        let Some(other) = other else {
            return Err(Trouble::error(
                "the stream whose session is to be resumed is not of this session or link",
            ));
        };
        let transport = other.transport.try_borrow();
        let kin = transport.ok().and_then(|transport| {
            let secure = transport.as_ref()?.secure()?;
            secure.handshake().map(|_done| secure.kin().clone())
        });
        kin.ok_or_else(|| Trouble::error("the stream whose session is to be resumed has no TLS"))
    }

    /// Whether it has TLS, its handshake over or not.
    pub(super) fn is_secure(&self) -> bool {
        let transport = self.transport.try_borrow();
        transport.is_ok_and(|transport| {
            transport
                .as_ref()
                .is_some_and(|transport| transport.secure().is_some())
        })
    }

    /// What it tells of its TLS.
    pub(super) fn told_of_tls(&self) -> Told {
        let Ok(transport) = self.transport.try_borrow() else {
            return Told::default();
        };
        let secure = transport.as_ref().and_then(Transport::secure);
        let Some((secure, done)) = secure.and_then(|secure| Some((secure, secure.handshake()?)))
        else {
            return Told::default();
        };
        let mut flags = StreamInfo::TLS_ON;
        if done.resumed {
            flags |= StreamInfo::TLS_RESUMED;
        }
        if secure.peer_closed() {
            flags |= StreamInfo::TLS_PEER_CLOSED;
        }
        Told {
            flags,
            version: u32::from(done.version),
        }
    }

    /// Whether something of its TLS is left over.
    pub(super) fn has_left_over(&self) -> bool {
        let transport = self.transport.try_borrow();
        transport.is_ok_and(|transport| transport.as_ref().is_some_and(Transport::has_left_over))
    }

    /// Has what is left over tended, if something is and nobody does yet.
    pub(super) fn see_to_left_over(&self) {
        if !self.has_left_over() || self.tended.replace(true) {
            return;
        }
        let tended = tables::get::<Self>(self.number).is_ok_and(tending::tend);
        if !tended {
            // The stream or its instance ends, and what is left over with it.
            self.tended.set(false);
        }
    }

    /// Wakes whoever hands over what is left over.
    pub(super) fn wake_tender(&self) {
        if let Some(tender) = self.tender.take() {
            tender.wake();
        }
    }

    /// Hands over what is left over; ready when nothing is, or nobody will ever take it.
    pub(super) fn poll_tended(&self, cx: &mut Context<'_>) -> Poll<()> {
        let polled = match self.transport.try_borrow_mut() {
            Ok(mut transport) => match transport.as_mut() {
                Some(transport) if !self.is_cut() => transport.poll_left_over(cx),
                Some(_) | None => Poll::Ready(Ok(())),
            },
            Err(_in_use) => Poll::Ready(Ok(())),
        };
        let Poll::Ready(done) = polled else {
            self.tender.replace(Some(cx.waker().clone()));
            return Poll::Pending;
        };
        self.tender.take();
        self.tended.set(false);
        self.bundle.touch();
        if let Err(error) = done {
            self.fail(&error);
        }
        self.wake_writer();
        Poll::Ready(())
    }
}

impl Tls {
    /// The side towards a client of a session.
    ///
    /// # Errors
    ///
    /// A [`Trouble`]: there are no settings, or rustls refuses.
    pub(super) fn client(
        &self,
        session: u64,
        kin: Option<&Kin>,
        upgrade: Upgrade,
    ) -> io::Result<Secure> {
        let server = self.server.as_ref();
        let server = server.ok_or_else(|| Trouble::error("the service has no certificate"))?;
        Secure::client(server, session, kin, upgrade)
    }

    /// The side towards a node.
    ///
    /// # Errors
    ///
    /// As those of [`Tls::client`].
    pub(super) fn node(&self, node: &Node, kin: Option<&Kin>) -> io::Result<Secure> {
        let nodes = self.nodes.as_ref();
        let nodes = nodes.ok_or_else(|| Trouble::error("the service has no `node_tls`"))?;
        Secure::node(nodes, node, kin)
    }

    /// What a fresh connection to a node is to the host: with TLS, where that comes first.
    ///
    /// # Errors
    ///
    /// That of the handshake.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the socket.
    pub(super) async fn first(&self, socket: TcpStream, node: &Node) -> io::Result<Transport> {
        match &self.nodes {
            Some(nodes) if nodes.first => {
                Transport::secured(socket, Secure::node(nodes, node, None)?).await
            }
            Some(_) | None => Ok(Transport::from(socket)),
        }
    }
}

/// An instance on this thread.
fn local(instance: u64) -> Option<Rc<Local>> {
    tables::with(|tables| tables.locals.borrow().get(&instance).map(Rc::clone)).flatten()
}
