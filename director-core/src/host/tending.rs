//! Streams with something left over: encrypted, so counted as written, but the kernel had no room.
//!
//! Whoever wrote it may never come back, so the host itself hands it over when there is room.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::stream::{Side, Stream};
use super::tables::{self, Counted, Live};

/// The streams of an instance on a thread that are tended. Dropping it leaves them.
#[derive(Debug, Default)]
pub(super) struct Tending {
    arrived: RefCell<Vec<Rc<Stream>>>,
    news: Notify,
}

/// Has a stream tended; `false` when its instance is not there any more.
pub(super) fn tend(stream: Rc<Stream>) -> bool {
    let (Side::Client { instance } | Side::Link { instance, .. } | Side::Health { instance, .. }) =
        stream.side;
    let local = tables::with(|tables| tables.locals.borrow().get(&instance).map(Rc::clone));
    let Some(local) = local.flatten() else {
        return false;
    };
    local.tending.arrived.borrow_mut().push(stream);
    local.tending.news.notify_one();
    true
}

impl Tending {
    /// Tends every stream until nothing of it is left over. Does not return.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the streams that are under way.
    pub(super) async fn run(&self) {
        let mut under_way = JoinSet::new();
        loop {
            for stream in self.arrived.take() {
                let counted = Counted::new(Live::Tended);
                under_way.spawn_local(async move {
                    let _counted = counted;
                    poll_fn(|cx| stream.poll_tended(cx)).await;
                });
            }
            tokio::select! {
                () = self.news.notified() => {}
                Some(ended) = under_way.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a task that tends a stream broke");
                    }
                }
            }
        }
    }
}
