//! One connection to a peer: greetings, then messages each way until it ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{error::Elapsed, timeout};

use super::disk;
use super::engine::Engine;
use super::peers::{Adopted, until};
use crate::core::{Message, PeerIndex, Shipped};
use crate::entry::BadEntry;
use crate::wire::{self, BadFrame, FrameReader, ReadError};

/// Longest time for both greetings.
const GREETING: Duration = Duration::from_secs(1);
/// A peer that says nothing for so long is gone: it says something ten times a second.
const SILENCE: Duration = Duration::from_secs(2);
/// Longest time for one message to be taken.
const TAKE: Duration = Duration::from_secs(5);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Read(#[from] ReadError),
    #[error("{0}")]
    Bad(#[from] BadFrame),
    #[error("an entry that cannot be sent: {0}")]
    Entry(#[from] BadEntry),
    #[error("the log could not be read for it: {0}")]
    Unreadable(String),
    #[error("nothing came or was taken in time")]
    Silent(#[from] Elapsed),
    #[error("another connection has taken its place")]
    Replaced,
}

/// Serves one connection until it ends or the server stops. Cancel safe: dropped, it ends.
pub(super) async fn run<S>(engine: &Arc<Engine>, io: S, dialed: Option<PeerIndex>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let (from, mut to) = tokio::io::split(io);
    let mut from = FrameReader::new(from);
    let greeted = timeout(GREETING, greet(engine, &mut from, &mut to)).await;
    let hello = match greeted.map_err(Ended::from).and_then(|greeted| greeted) {
        Ok(hello) => hello,
        Err(why) => return tracing::debug!(%why, "no greeting"),
    };
    let Some(adopted) = engine.with(|state, now| state.adopt(now, hello, dialed)) else {
        return;
    };
    let link = LinkGuard {
        engine,
        peer: adopted.peer,
        number: adopted.number,
    };
    let Adopted { queue, close, .. } = adopted;
    let why = tokio::select! {
        why = link.listen(&mut from) => why,
        why = link.talk(queue, &mut to) => why,
        () = close.notified() => Ended::Replaced,
        () = until(engine.stopped()) => return,
    };
    tracing::debug!(peer = link.peer.0, %why, "connection ended");
}

async fn greet(
    engine: &Engine,
    from: &mut FrameReader<impl AsyncRead + Unpin>,
    to: &mut (impl AsyncWrite + Unpin),
) -> Result<crate::core::Hello, Ended> {
    let mut greeting = Vec::new();
    wire::encode_hello(&engine.with(|state, _| state.core.hello()), &mut greeting);
    to.write_all(&greeting).await?;
    to.flush().await?;
    let body = from.next().await?;
    Ok(wire::decode_hello(&body)?)
}

/// An adopted connection; dropped, it is given up.
struct LinkGuard<'a> {
    engine: &'a Engine,
    peer: PeerIndex,
    number: u64,
}

impl LinkGuard<'_> {
    async fn listen(&self, from: &mut FrameReader<impl AsyncRead + Unpin>) -> Ended {
        loop {
            match self.hear(from).await {
                Ok(()) => {}
                Err(why) => return why,
            }
        }
    }

    async fn hear(&self, from: &mut FrameReader<impl AsyncRead + Unpin>) -> Result<(), Ended> {
        let body = timeout(SILENCE, from.next()).await??;
        let message = wire::decode(&body)?;
        if matches!(message, Message::Entries(_)) {
            self.engine.disk_caught_up().await;
        }
        self.engine.with(|state, now| {
            if !state.peers.is_current(self.peer, self.number) {
                return Err(Ended::Replaced);
            }
            state.core.peer_message(now, self.peer, message);
            Ok(())
        })
    }

    async fn talk(
        &self,
        mut queue: mpsc::Receiver<Message>,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Ended {
        let mut buffer = Vec::new();
        // Entries were sent since the rules were last told that there is room for more. What stands
        // behind them in the queue need not be entries, so this outlives the message.
        let mut owed = false;
        while let Some(message) = queue.recv().await {
            match self.say(message, &mut buffer, to).await {
                Ok(entries) => owed |= entries,
                Err(why) => return why,
            }
            if owed && queue.is_empty() {
                owed = false;
                let peer = self.peer;
                self.engine
                    .with(|state, now| state.core.peer_drained(now, peer));
            }
        }
        Ended::Replaced
    }

    /// Sends one message; tells whether it was entries.
    async fn say(
        &self,
        mut message: Message,
        buffer: &mut Vec<u8>,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<bool, Ended> {
        let entries = if let Message::Entries(shipped) = &mut message {
            self.fill(shipped).await.map_err(Ended::Unreadable)?;
            true
        } else {
            false
        };
        buffer.clear();
        wire::encode(&message, buffer)?;
        timeout(TAKE, async {
            to.write_all(buffer).await?;
            to.flush().await
        })
        .await??;
        Ok(entries)
    }

    /// Puts payloads from the log where memory has none.
    async fn fill(&self, shipped: &mut [Shipped]) -> Result<(), String> {
        let places = shipped.iter().filter_map(|one| one.place).collect();
        let payloads = disk::payloads(self.engine.store(), places).await?;
        let empty = shipped.iter_mut().filter(|one| one.place.is_some());
        for (one, payload) in empty.zip(payloads) {
            one.entry.payload = payload;
        }
        Ok(())
    }
}

impl Drop for LinkGuard<'_> {
    fn drop(&mut self) {
        let (peer, number) = (self.peer, self.number);
        self.engine
            .with(|state, now| state.release(now, peer, number));
    }
}
