//! What the client sent, kept to be sent again: the last of it in a ring, or all of it in a spool.

use std::io::{self, IoSlice};
use std::task::Poll;

use director_sdk::{ClientStream, Director, Failure, Kind, NodeStream, RelayEnd, Spool};

use crate::up::rules::Lines;

/// Bytes that are read back at once.
const PIECE: usize = 64 * 1024;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// The last so many bytes, in memory.
    Ring(u64),
    /// All bytes, in memory and then on the disk, up to these bounds; none beyond.
    All {
        /// Bytes in memory.
        memory: u64,
        /// Bytes on the disk.
        disk: u64,
    },
    /// Nothing.
    Nothing,
}

/// What the client sent of one upload, as far as it is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    bound: Bound,
    /// `None`: nothing is kept, or nothing any more.
    spool: Option<Spool>,
    /// Bytes that the client sent.
    end: u64,
    /// Of a text; bytes that are transferred as they are have no lines.
    lines: Option<Lines>,
    /// Bytes at the head of the client's stream that are counted and kept, and not yet taken off it.
    ahead: usize,
    /// Bytes that the present node has taken, with those before the place where it began.
    sent: u64,
    /// The client has sent all.
    closed: bool,
}

impl Kept {
    /// For an upload that begins. Where the host has no room, nothing is kept.
    pub(crate) fn new(director: &Director, bound: Bound, binary: bool) -> Self {
        let spool = match bound {
            Bound::Ring(0) | Bound::Nothing => None,
            Bound::Ring(memory) => Some(director.spool(memory, 0)),
            Bound::All { memory, disk } => Some(director.spool(memory, disk)),
        };
        let spool = spool.and_then(|made| match made {
            Ok(spool) => Some(spool),
            Err(error) => {
                tracing::info!(%error, "an upload is not protected");
                None
            }
        });
        Self {
            bound,
            spool,
            end: 0,
            lines: (!binary).then(Lines::default),
            ahead: 0,
            sent: 0,
            closed: false,
        }
    }

    /// Bytes that the client sent.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// The first of them that is still kept; the end when none is.
    pub(crate) fn first(&self) -> u64 {
        self.spool.as_ref().map_or(self.end, Spool::first)
    }

    /// Whether all of them are.
    pub(crate) fn is_whole(&self) -> bool {
        self.spool.is_some() && self.first() == 0
    }

    /// Shows all that is kept, piece by piece.
    ///
    /// # Errors
    ///
    /// The spool failed.
    pub(crate) async fn each(&self, mut with: impl FnMut(&[u8])) -> Result<(), Failure> {
        let Some(spool) = &self.spool else {
            return Ok(());
        };
        let mut piece = vec![0; PIECE];
        let mut at = self.first();
        while at < self.end {
            let n = spool.read(at, &mut piece).await?;
            if n == 0 {
                let end = self.end;
                let detail = format!("the spool ends at {at}, before the upload's {end}");
                return Err(Failure::new(Kind::Fault, detail));
            }
            with(piece.get(..n).unwrap_or_default());
            at = at.saturating_add(n as u64);
            // What lies in memory is there at once, and others want their turn between two pieces.
            turn().await;
        }
        Ok(())
    }

    /// Ends of line among them; 0 when nothing is kept, for then nobody has looked.
    pub(crate) fn lines(&self) -> u64 {
        match (&self.spool, self.lines) {
            (Some(_), Some(lines)) => lines.count(),
            (Some(_) | None, Some(_) | None) => 0,
        }
    }

    /// Up to which of them the present node has taken them, or may have.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether the client has sent all.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether something is kept, so that a lost node can be made up for.
    pub(crate) fn protects(&self) -> bool {
        self.spool.is_some()
    }

    /// Sends a node everything from the byte `at` on: what is kept, then what the client still sends, to
    /// its end.
    ///
    /// # Errors
    ///
    /// The node is lost, or the client is gone. All that was taken from the client is
    /// counted, and kept as far as the bound allows.
    ///
    /// # Cancel safety
    ///
    /// As in an error: what of a piece was kept is counted, and the rest stays at the head of the client's stream.
    pub(crate) async fn send(
        &mut self,
        mut at: u64,
        (client, node): (&mut ClientStream, &mut NodeStream),
        director: &Director,
    ) -> Result<(), Failure> {
        self.sent = at;
        if let Some(spool) = &self.spool {
            let mut piece = vec![0; PIECE];
            while at < self.end {
                let n = spool.read(at, &mut piece).await?;
                if n == 0 {
                    let detail =
                        format!("the spool ends at {at}, before the upload's {}", self.end);
                    return Err(Failure::new(Kind::Fault, detail));
                }
                write(node, piece.get(..n).unwrap_or_default(), &mut self.sent).await?;
                at = at.saturating_add(n as u64);
            }
        }
        while !self.closed {
            // What an attempt before had from the client, and could not write, was sent out of the spool.
            client.consume(std::mem::take(&mut self.ahead));
            if self.spool.is_none() {
                return self.pass_on((client, node), director).await;
            }
            let piece = client.fill().await?;
            if piece.is_empty() {
                self.closed = true;
                return Ok(());
            }
            self.keep(piece).await;
            write(node, piece, &mut self.sent).await?;
        }
        Ok(())
    }

    /// Moves what the client still sends inside the host.
    async fn pass_on(
        &mut self,
        (client, node): (&mut ClientStream, &mut NodeStream),
        director: &Director,
    ) -> Result<(), Failure> {
        let moved = director.relay(client, node, None, &mut self.end).await;
        self.sent = self.end;
        match moved {
            RelayEnd::End | RelayEnd::Limit => {
                self.closed = true;
                Ok(())
            }
            RelayEnd::FromFailed(error) | RelayEnd::ToFailed(error) => Err(error.into()),
        }
    }

    /// Counts bytes of the client's that are kept, or are not to be kept.
    fn count(&mut self, bytes: &[u8]) {
        self.ahead = self.ahead.saturating_add(bytes.len());
        self.end = self.end.saturating_add(bytes.len() as u64);
        if let Some(lines) = &mut self.lines {
            lines.take(bytes);
        }
    }

    /// Keeps and counts a piece; what is beyond the bound is no longer kept: the oldest of a ring, all of a spool.
    ///
    /// # Cancel safety
    ///
    /// What was kept is counted, and nothing else: a node may be lost while the disk is waited for.
    async fn keep(&mut self, piece: &[u8]) {
        let mut left = piece;
        while let Some(spool) = &mut self.spool
            && !left.is_empty()
        {
            let info = spool.info();
            match (spool.append(left).await, self.bound) {
                (Ok(n), _) if n > 0 => {
                    let (kept, rest) = left.split_at(n.min(left.len()));
                    self.count(kept);
                    left = rest;
                }
                (Ok(_), Bound::Ring(size)) if info.first < info.end => {
                    let room = (left.len() as u64).max(size / 16);
                    spool.forget(info.first.saturating_add(room).min(info.end));
                }
                (Ok(_), Bound::Ring(_) | Bound::All { .. } | Bound::Nothing) => {
                    let bytes = info.end;
                    tracing::info!(
                        bytes,
                        "an upload is beyond its bound: not protected any more"
                    );
                    self.spool = None;
                }
                (Err(error), _) => {
                    tracing::warn!(%error, "an upload is not protected any more");
                    self.spool = None;
                }
            }
        }
        self.count(left);
    }
}

/// Lets others go first, once.
async fn turn() {
    let mut gone = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut gone, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Writes all of `bytes`, and counts in `sent` those that were taken.
async fn write(node: &mut NodeStream, bytes: &[u8], sent: &mut u64) -> Result<(), Failure> {
    let mut left = bytes;
    while !left.is_empty() {
        let n = node.write_vectored(&[IoSlice::new(left)]).await?;
        if n == 0 {
            return Err(io::Error::from(io::ErrorKind::WriteZero).into());
        }
        *sent = sent.saturating_add(n as u64);
        left = left.get(n..).unwrap_or_default();
    }
    Ok(())
}
