//! The other configured members, and the one connection that is kept to each.
//!
//! Two servers may dial each other at once. Both then keep the connection that the smaller id dialed, and
//! among equals the newer one; one from a peer that has started anew always replaces the old.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, UPGRADE};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{sleep, timeout};

use super::engine::{Engine, State};
use super::link;
use crate::core::{Hello, Message, Now, PeerIndex};
use crate::letter::ServerId;
use crate::{PEER_PATH, PEER_PROTOCOL};

/// Longest time to connect, and to upgrade.
const DIAL: Duration = Duration::from_secs(1);
/// Pauses between tries: the first, and the longest.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Messages waiting for one connection. The rules wait for a slow peer long before.
const QUEUE: usize = 4096;

/// All members but this one.
pub(super) struct Slots {
    slots: Vec<Slot>,
    links: u64,
}

/// One of them.
pub(super) struct Slot {
    address: String,
    /// From its last greeting.
    id: Option<ServerId>,
    /// The address turned out to be this server's own.
    itself: bool,
    link: Option<Link>,
    /// The link went.
    unlinked: Arc<Notify>,
}

struct Link {
    number: u64,
    dialed_by_smaller: bool,
    session: u64,
    queue: mpsc::Sender<Message>,
    close: Arc<Notify>,
}

/// What a connection works with once it is the one that is kept.
pub(super) struct Adopted {
    pub(super) peer: PeerIndex,
    pub(super) number: u64,
    pub(super) queue: mpsc::Receiver<Message>,
    pub(super) close: Arc<Notify>,
}

impl Slot {
    pub(super) fn new(address: String) -> Self {
        Self {
            address,
            id: None,
            itself: false,
            link: None,
            unlinked: Arc::default(),
        }
    }
}

impl Slots {
    pub(super) fn new(slots: Vec<Slot>) -> Self {
        Self { slots, links: 0 }
    }

    /// The configured address, for messages.
    pub(super) fn address(&self, peer: PeerIndex) -> &str {
        self.slots
            .get(peer.0)
            .map_or("?", |slot| slot.address.as_str())
    }

    /// Puts a message into the queue of a connection; `false` when it is full.
    pub(super) fn send(&self, peer: PeerIndex, message: Message) -> bool {
        let link = self.slots.get(peer.0).and_then(|slot| slot.link.as_ref());
        // A connection that has just gone is told to the rules by its own task.
        link.is_none_or(|link| {
            !matches!(
                link.queue.try_send(message),
                Err(mpsc::error::TrySendError::Full(_))
            )
        })
    }

    /// Ends the connection to a peer; the rules are to be told.
    pub(super) fn close(&mut self, peer: PeerIndex) {
        if let Some(slot) = self.slots.get_mut(peer.0)
            && let Some(link) = slot.link.take()
        {
            link.close.notify_one();
            slot.unlinked.notify_one();
        }
    }

    /// Whether this connection is still the one that is kept.
    pub(super) fn is_current(&self, peer: PeerIndex, number: u64) -> bool {
        let link = self.slots.get(peer.0).and_then(|slot| slot.link.as_ref());
        link.is_some_and(|link| link.number == number)
    }
}

impl State {
    /// Decides about a connection after both greetings: `None` when it is not to be kept.
    pub(super) fn adopt(
        &mut self,
        now: Now,
        hello: Hello,
        dialed: Option<PeerIndex>,
    ) -> Option<Adopted> {
        let own = self.core.hello();
        let slots = &self.peers.slots;
        let of_address = || slots.iter().position(|slot| slot.address == hello.address);
        let of_id = || slots.iter().position(|slot| slot.id == Some(hello.id));
        let found = dialed.or_else(|| of_address().or_else(of_id).map(PeerIndex));
        if hello.session == own.session {
            if let Some(peer) = found {
                if let Some(slot) = self.peers.slots.get_mut(peer.0) {
                    slot.itself = true;
                }
                self.core.peer_is_self(now, peer);
            }
            return None;
        }
        let Some(peer) = found else {
            tracing::warn!(id = %hello.id, address = hello.address, "a server that is not in `join` connected");
            return None;
        };
        let dialed_by_smaller = dialed.is_some() == (own.id < hello.id);
        let slot = self.peers.slots.get_mut(peer.0)?;
        if let Some(link) = &slot.link
            && link.session == hello.session
            && link.dialed_by_smaller
            && !dialed_by_smaller
        {
            return None;
        }
        self.peers.links += 1;
        let number = self.peers.links;
        let (queue, queued) = mpsc::channel(QUEUE);
        let close = Arc::new(Notify::new());
        slot.id = Some(hello.id);
        let before = slot.link.replace(Link {
            number,
            dialed_by_smaller,
            session: hello.session,
            queue,
            close: Arc::clone(&close),
        });
        if let Some(before) = before {
            before.close.notify_one();
            self.core.peer_down(now, peer);
        }
        tracing::info!(id = %hello.id, address = hello.address, dialed = dialed.is_some(), "peer connected");
        self.core.peer_up(now, peer, hello);
        Some(Adopted {
            peer,
            number,
            queue: queued,
            close,
        })
    }

    /// A connection that was adopted has ended.
    pub(super) fn release(&mut self, now: Now, peer: PeerIndex, number: u64) {
        if self.peers.is_current(peer, number) {
            tracing::info!(address = self.peers.address(peer), "peer gone");
            self.peers.close(peer);
            self.core.peer_down(now, peer);
        }
    }
}

/// Keeps a connection to one peer until the server stops. Cancel safe: dropping it ends the connection.
pub(super) async fn keep(engine: Arc<Engine>, peer: PeerIndex) {
    let mut stopped = engine.stopped();
    tokio::select! {
        () = keep_dialing(&engine, peer) => {}
        _ = stopped.wait_for(|&stopped| stopped) => {}
    }
}

async fn keep_dialing(engine: &Arc<Engine>, peer: PeerIndex) {
    let slot = |state: &mut State| {
        let slot = state.peers.slots.get(peer.0)?;
        let here = slot.link.is_some();
        (!slot.itself).then(|| (slot.address.clone(), Arc::clone(&slot.unlinked), here))
    };
    let mut pause = PAUSE;
    while let Some((address, unlinked, here)) = engine.with(|state, _| slot(state)) {
        if here {
            unlinked.notified().await;
            pause = PAUSE;
            continue;
        }
        match timeout(DIAL, dial(engine, &address, peer)).await {
            Ok(Ok(linked)) => {
                linked.await;
            }
            Ok(Err(why)) => {
                tracing::debug!(address, %why, "peer not reached");
                engine.with(|state, now| state.fell(now, peer));
            }
            Err(_late) => {
                tracing::debug!(address, "peer not reached within {DIAL:?}");
                engine.with(|state, now| state.fell(now, peer));
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

impl State {
    /// A peer could not be reached; another connection, which it made itself, may be there all the same.
    fn fell(&mut self, now: Now, peer: PeerIndex) {
        if self
            .peers
            .slots
            .get(peer.0)
            .is_some_and(|slot| slot.link.is_none())
        {
            self.core.peer_down(now, peer);
        }
    }
}

/// Why a peer was not reached.
#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("no such address: {0}")]
    Address(#[from] hyper::http::Error),
    #[error("it answered {0} instead of upgrading to {PEER_PROTOCOL}")]
    Answer(StatusCode),
}

/// Connects and upgrades; what comes out serves the connection until it ends.
async fn dial<'a>(
    engine: &'a Arc<Engine>,
    address: &str,
    peer: PeerIndex,
) -> Result<impl Future<Output = ()> + use<'a>, DialError> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut connection = Box::pin(connection.with_upgrades());
    let request = Request::get(PEER_PATH)
        .header(HOST, address)
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, PEER_PROTOCOL)
        .body(Empty::<bytes::Bytes>::new())?;
    let answering = sender.send_request(request);
    tokio::pin!(answering);
    // The connection's own future ends with the upgrade, at the same moment as the answer comes.
    let (response, open) = tokio::select! {
        response = &mut answering => (response?, true),
        ended = &mut connection => {
            ended?;
            (answering.await?, false)
        }
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(DialError::Answer(response.status()));
    }
    let upgraded = hyper::upgrade::on(response);
    let upgraded = if open {
        let (upgraded, ended) = tokio::join!(upgraded, connection);
        ended?;
        upgraded
    } else {
        upgraded.await
    };
    let io = TokioIo::new(upgraded?);
    Ok(link::run(engine, io, Some(peer)))
}

/// Waits until a switch is on, or gone with its server.
pub(super) async fn until(mut switch: watch::Receiver<bool>) {
    let _on_or_gone = switch.wait_for(|&on| on).await;
}
