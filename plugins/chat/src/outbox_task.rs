//! The outbox's own work: what is in doubt is sent again, whoever asks for the stream or not.

use std::sync::Arc;
use std::time::Duration;

use director_sdk::{Director, Kind};
use futures_util::StreamExt as _;
use futures_util::future::select;
use futures_util::stream;
use hyper::StatusCode;

use crate::memory::room::Room;
use crate::memory::{Before, Claim};
use crate::node::link::Plain;
use crate::requests::again::{Again, give_up};
use crate::shared::{Said, Shared};

/// Streams whose writes are sent again at once.
const AT_ONCE: usize = 16;
/// Before a stream is tried again after no node took its writes.
const PAUSE: Duration = Duration::from_millis(200);
/// How often the gauges are brought up to date.
const TICK: Duration = Duration::from_secs(1);
/// How often the outbox is looked at while the director stops.
const STOPPING: Duration = Duration::from_millis(20);

/// Runs until the director stops and nothing is left that only this process knows of; the host bounds how
/// long that may take.
pub async fn run(shared: &Arc<Shared>, director: &Director) {
    loop {
        gauges(shared);
        let stopping = director.is_stopping();
        if stopping && shared.memory.counts().3 == 0 {
            return;
        }
        let pause = if stopping { STOPPING } else { TICK };
        let doubts = std::pin::pin!(shared.memory.doubts());
        let tick = std::pin::pin!(director.sleep(pause));
        let woken = select(doubts, tick);
        if stopping {
            woken.await;
        } else {
            let stop = std::pin::pin!(director.stopping());
            select(woken, stop).await;
        }
        send_again(shared, director).await;
    }
}

/// Sends again all that is in doubt now.
async fn send_again(shared: &Arc<Shared>, director: &Director) {
    loop {
        let rooms = shared.memory.doubtful();
        if rooms.is_empty() {
            return;
        }
        let failed = stream::iter(rooms)
            .map(|room| one(shared, room, director))
            .buffer_unordered(AT_ONCE)
            .filter(|done| std::future::ready(!*done))
            .count()
            .await;
        if failed > 0 {
            director.sleep(PAUSE).await;
        }
    }
}

/// Whether a stream's writes were sent again.
async fn one(shared: &Arc<Shared>, room: Arc<Room>, director: &Director) -> bool {
    let mut again = Again {
        shared: Arc::clone(shared),
        room,
        said: Said::default(),
    };
    let mut chain = director.chain(Plain);
    let Err(exception) = director.direct(&mut chain, &mut again).await else {
        return true;
    };
    let path = again.room.path();
    tracing::warn!(stream = %path, "the outbox waits: {exception}");
    let gone = [StatusCode::NOT_FOUND, StatusCode::GONE];
    let status = again.said.last.as_ref().map(|answer| answer.status);
    if exception.kind == Kind::Exhausted
        && let Some(status) = status.filter(|status| gone.contains(status))
        && let Before::Send(claim) = shared.memory.before(&again.room, u64::MAX)
    {
        drop_first(shared, &again.room, &claim, status);
        return true;
    }
    false
}

/// Every node says that the stream is not there.
fn drop_first(shared: &Shared, room: &Room, claim: &Claim, status: StatusCode) {
    let number = claim.again.write.number;
    give_up(
        shared,
        room,
        number,
        &format!("every node answers {status}"),
    );
}

fn gauges(shared: &Shared) {
    let (streams, memory, files, writes) = shared.memory.counts();
    #[allow(clippy::cast_precision_loss)]
    let float = |n: u64| n as f64;
    metrics::gauge!("director_chat_streams").set(float(streams as u64));
    metrics::gauge!("director_chat_outbox_writes").set(float(writes as u64));
    metrics::gauge!("director_chat_outbox_bytes", "place" => "memory").set(float(memory));
    metrics::gauge!("director_chat_outbox_bytes", "place" => "files").set(float(files));
}
