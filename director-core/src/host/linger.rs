//! Clients' streams that are closed and given up while the client still sends.
//!
//! A kernel answers bytes that nobody reads with a reset, and a reset throws away what the client
//! has not read yet: the answer that said why nobody reads. So what still comes is read and thrown
//! away for a while (RFC 9112, section 9.6), until the client has ended as well. A node's stream with
//! TLS lingers too: with its end come the tickets that the next connection resumes.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::stream::Side;
use super::tables::{self, Counted, Live};
use super::transport::Transport;

/// How long a client may go on.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many bytes of a client are thrown away.
const MOST_BYTES: usize = 16 << 20;
/// How many sockets linger at once, of an instance on a thread.
const MOST_SOCKETS: usize = 1024;

/// Keeps a stream that is closed, if somebody may still need it and its instance is still there.
pub(super) fn keep(side: Side, transport: Transport) {
    let instance = match side {
        Side::Client { instance } => instance,
        Side::Link { instance, .. } if transport.secure().is_some() => instance,
        Side::Link { .. } | Side::Health { .. } => return,
    };
    let local = tables::with(|tables| {
        let locals = tables.locals.borrow();
        locals.get(&instance).map(Rc::clone)
    });
    if let Some(local) = local.flatten() {
        local.lingering.keep(transport);
    }
}

/// The lingering sockets of an instance on a thread. Dropping it drops them.
#[derive(Debug, Default)]
pub(super) struct Lingering {
    arrived: RefCell<Vec<(Transport, Counted)>>,
    /// Those that arrived and those under way.
    number: Cell<usize>,
    news: Notify,
}

impl Lingering {
    /// Keeps a stream for a while; it is dropped at once when there are too many.
    pub(super) fn keep(&self, transport: Transport) {
        if self.number.get() < MOST_SOCKETS {
            self.number.set(self.number.get() + 1);
            let kept = (transport, Counted::new(Live::Lingering));
            self.arrived.borrow_mut().push(kept);
            self.news.notify_one();
        }
    }

    /// Sees every socket to its end. Does not return.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it drops the sockets that are under way.
    pub(super) async fn run(&self) {
        let mut under_way = JoinSet::new();
        loop {
            for (transport, counted) in self.arrived.take() {
                under_way.spawn_local(linger(transport, counted));
            }
            tokio::select! {
                () = self.news.notified() => {}
                Some(ended) = under_way.join_next() => {
                    self.number.set(self.number.get().saturating_sub(1));
                    if let Err(error) = ended {
                        tracing::error!(%error, "a lingering stream's task broke");
                    }
                }
            }
        }
    }
}

async fn linger(mut transport: Transport, _counted: Counted) {
    match tokio::time::timeout(PATIENCE, discard(&mut transport)).await {
        Ok(Ok(true)) => {}
        Ok(Ok(false)) => tracing::debug!("a peer sent too much after the end of its stream"),
        Ok(Err(error)) => tracing::debug!(%error, "a peer broke off after the end of its stream"),
        Err(_late) => tracing::debug!("a peer did not end after the end of its stream"),
    }
}

/// Throws away what comes; whether the peer has ended.
async fn discard(transport: &mut Transport) -> io::Result<bool> {
    let mut discarded = 0;
    while discarded < MOST_BYTES {
        match poll_fn(|cx| {
            let Some(mut buffer) = tables::with(|tables| tables.buffers.take()) else {
                // The thread ends.
                return Poll::Ready(Ok(0));
            };
            let read = transport.poll_read(cx, &mut buffer);
            tables::with(|tables| tables.buffers.give(buffer));
            read
        })
        .await?
        {
            0 => return Ok(true),
            n => discarded += n,
        }
    }
    Ok(false)
}
