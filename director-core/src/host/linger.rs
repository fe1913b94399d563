//! Clients' streams that are closed and given up while the client still sends.
//!
//! A kernel answers bytes that nobody reads with a reset, and a reset throws away what the client
//! has not read yet: the answer that said why nobody reads. So what still comes is read and thrown
//! away for a while (RFC 9112, section 9.6), until the client has ended as well.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::stream::Side;
use super::tables::{self, Counted, Live};

/// How long a client may go on.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many bytes of a client are thrown away.
const MOST_BYTES: usize = 16 << 20;
/// How many sockets linger at once, of an instance on a thread.
const MOST_SOCKETS: usize = 1024;

/// Keeps a socket that is closed, if it is a client's and its instance is still there.
pub(super) fn keep(side: Side, socket: TcpStream) {
    let Side::Client { instance } = side else {
        return;
    };
    let local = tables::with(|tables| {
        let locals = tables.locals.borrow();
        locals.get(&instance).map(Rc::clone)
    });
    if let Some(local) = local.flatten() {
        local.lingering.keep(socket);
    }
}

/// The lingering sockets of an instance on a thread. Dropping it drops them.
#[derive(Debug, Default)]
pub(super) struct Lingering {
    arrived: RefCell<Vec<(TcpStream, Counted)>>,
    /// Those that arrived and those under way.
    number: Cell<usize>,
    news: Notify,
}

impl Lingering {
    /// Keeps a socket for a while; it is dropped at once when there are too many.
    pub(super) fn keep(&self, socket: TcpStream) {
        if self.number.get() < MOST_SOCKETS {
            self.number.set(self.number.get() + 1);
            let kept = (socket, Counted::new(Live::Lingering));
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
            for (socket, counted) in self.arrived.take() {
                under_way.spawn_local(linger(socket, counted));
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

async fn linger(mut socket: TcpStream, _counted: Counted) {
    match tokio::time::timeout(PATIENCE, discard(&mut socket)).await {
        Ok(Ok(true)) => {}
        Ok(Ok(false)) => tracing::debug!("a client sent too much after the end of its stream"),
        Ok(Err(error)) => tracing::debug!(%error, "a client broke off after the end of its stream"),
        Err(_late) => tracing::debug!("a client did not end after the end of its stream"),
    }
}

/// Throws away what comes; whether the client has ended.
async fn discard(socket: &mut TcpStream) -> io::Result<bool> {
    let mut discarded = 0;
    while discarded < MOST_BYTES {
        match poll_fn(|cx| {
            let Some(mut buffer) = tables::with(|tables| tables.buffers.take()) else {
                // The thread ends.
                return Poll::Ready(Ok(0));
            };
            let mut into = ReadBuf::new(&mut buffer);
            let read = Pin::new(&mut *socket).poll_read(cx, &mut into);
            let n = into.filled().len();
            tables::with(|tables| tables.buffers.give(buffer));
            read.map_ok(|()| n)
        })
        .await?
        {
            0 => return Ok(true),
            n => discarded += n,
        }
    }
    Ok(false)
}
