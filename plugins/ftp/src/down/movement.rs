//! The bytes of a download on their way from the node to the client.

use std::io::IoSlice;
use std::time::Duration;

use director_sdk::{ClientStream, Director, Elapsed, Failure, Kind, NodeStream, RelayEnd};
use futures_util::FutureExt;

use crate::data::client::takes_nothing;
use crate::down::swallow::{Delivered, Swallow};

/// How many bytes of a converted transfer are held back until its end: most listings are shorter, and one
/// of which the client has no byte can be begun anew at a node that lists in another order.
pub(crate) const HELD: usize = 64 * 1024;

/// What was read and not yet given to the client.
#[derive(Debug, Default)]
pub(crate) struct Held {
    bytes: Vec<u8>,
    /// The bound was reached: from then on all goes straight on.
    over: bool,
}

impl Held {
    /// What the client has not got is forgotten: another node will send it.
    pub(crate) fn forget(&mut self) {
        self.bytes = Vec::new();
    }
}

/// Reads what the client has got already, and compares it: all of it, or up to the node's end of file.
///
/// # Errors
///
/// [`Kind::Diverged`] when it is not the same, or the node is lost.
pub(crate) async fn swallow(node: &mut NodeStream, again: &mut Swallow) -> Result<(), Failure> {
    while again.left() > 0 {
        let seen = node.fill().await?;
        if seen.is_empty() {
            return Ok(());
        }
        let n = again
            .take(seen)
            .map_err(|differs| Failure::new(Kind::Diverged, differs.to_string()))?;
        node.consume(n);
    }
    Ok(())
}

/// What moves the bytes.
pub(crate) struct Mover<'a> {
    /// The director.
    pub(crate) director: &'a Director,
    /// How long the client may take nothing.
    pub(crate) patience: Duration,
}

impl Mover<'_> {
    /// Moves all that the node sends to the client, up to the node's end of file. The count in `delivered`
    /// is of what the client's stream has taken, however this ends.
    ///
    /// # Errors
    ///
    /// The node is lost, or the client is gone or takes nothing.
    pub(crate) async fn pass_on(
        &self,
        node: &mut NodeStream,
        client: &mut ClientStream,
        delivered: &mut Delivered,
    ) -> Result<(), Failure> {
        if let Some(counter) = delivered.counter() {
            return self.relay(node, client, counter).await;
        }
        loop {
            let seen = node.fill().await?;
            if seen.is_empty() {
                return Ok(());
            }
            let n = self.write(client, seen).await?;
            delivered.note(seen.get(..n).unwrap_or_default());
            node.consume(n);
        }
    }

    /// Nothing of the bytes needs to be known here, so they stay with the host. It is looked at every now
    /// and then: when nothing moves, and the node has sent something, it is the client that does not take it.
    /// (A node that sends nothing is the host's to cut.)
    async fn relay(
        &self,
        node: &mut NodeStream,
        client: &mut ClientStream,
        counter: &mut u64,
    ) -> Result<(), Failure> {
        loop {
            let before = *counter;
            let relay = self.director.relay(node, client, None, counter);
            match self.director.timeout(self.patience, relay).await {
                Ok(RelayEnd::End | RelayEnd::Limit) => return Ok(()),
                Ok(RelayEnd::FromFailed(error) | RelayEnd::ToFailed(error)) => {
                    return Err(error.into());
                }
                Err(Elapsed) if *counter == before && has_sent(node)? => {
                    return Err(takes_nothing(self.patience));
                }
                Err(Elapsed) => {}
            }
        }
    }

    /// As [`pass_on`](Self::pass_on), but up to [`HELD`] bytes are held back for
    /// [`release`](Self::release).
    ///
    /// # Errors
    ///
    /// As [`pass_on`](Self::pass_on).
    pub(crate) async fn hold(
        &self,
        node: &mut NodeStream,
        client: &mut ClientStream,
        delivered: &mut Delivered,
        held: &mut Held,
    ) -> Result<(), Failure> {
        while !held.over {
            let seen = node.fill().await?;
            if seen.is_empty() {
                return Ok(());
            }
            if held.bytes.len() + seen.len() > HELD {
                self.release(held, client, delivered).await?;
                break;
            }
            held.bytes.extend_from_slice(seen);
            let n = seen.len();
            node.consume(n);
        }
        self.pass_on(node, client, delivered).await
    }

    /// Gives what is held to the client.
    ///
    /// # Errors
    ///
    /// The client is gone or takes nothing.
    pub(crate) async fn release(
        &self,
        held: &mut Held,
        client: &mut ClientStream,
        delivered: &mut Delivered,
    ) -> Result<(), Failure> {
        held.over = true;
        let mut left = held.bytes.as_slice();
        while !left.is_empty() {
            let n = self.write(client, left).await?;
            let (taken, rest) = left.split_at_checked(n).unwrap_or((left, &[]));
            delivered.note(taken);
            left = rest;
        }
        held.forget();
        Ok(())
    }

    async fn write(&self, client: &mut ClientStream, bytes: &[u8]) -> Result<usize, Failure> {
        let pieces = [IoSlice::new(bytes)];
        let written = self
            .director
            .timeout(self.patience, client.write_vectored(&pieces))
            .await;
        Ok(written.map_err(|Elapsed| takes_nothing(self.patience))??)
    }
}

/// Whether there is something of the node's to be read.
///
/// # Errors
///
/// The node is lost.
fn has_sent(node: &mut NodeStream) -> Result<bool, Failure> {
    match node.fill().now_or_never() {
        Some(seen) => Ok(!seen?.is_empty()),
        None => Ok(false),
    }
}
