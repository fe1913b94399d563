//! The bytes of a download on their way from the node to the client.

use std::io::IoSlice;

use director_sdk::{ClientStream, Director, Failure, Kind, NodeStream, RelayEnd};

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

    /// Gives what is held to the client.
    ///
    /// # Errors
    ///
    /// The client is gone.
    pub(crate) async fn release(
        &mut self,
        client: &mut ClientStream,
        delivered: &mut Delivered,
    ) -> Result<(), Failure> {
        self.over = true;
        let mut left = self.bytes.as_slice();
        while !left.is_empty() {
            let n = client.write_vectored(&[IoSlice::new(left)]).await?;
            let (taken, rest) = left.split_at_checked(n).unwrap_or((left, &[]));
            delivered.note(taken);
            left = rest;
        }
        self.forget();
        Ok(())
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

/// Moves all that the node sends to the client, up to the node's end of file. The count in `delivered` is of
/// what the client's stream has taken, however this ends.
///
/// # Errors
///
/// The node is lost, or the client is gone.
pub(crate) async fn pass_on(
    director: &Director,
    node: &mut NodeStream,
    client: &mut ClientStream,
    delivered: &mut Delivered,
) -> Result<(), Failure> {
    if let Some(counter) = delivered.counter() {
        // Nothing of the bytes needs to be known here, so they stay with the host.
        return match director.relay(node, client, None, counter).await {
            RelayEnd::End | RelayEnd::Limit => Ok(()),
            RelayEnd::FromFailed(error) | RelayEnd::ToFailed(error) => Err(error.into()),
        };
    }
    loop {
        let seen = node.fill().await?;
        if seen.is_empty() {
            return Ok(());
        }
        let n = client.write_vectored(&[IoSlice::new(seen)]).await?;
        delivered.note(seen.get(..n).unwrap_or_default());
        node.consume(n);
    }
}

/// As [`pass_on`], but up to [`HELD`] bytes are held back for [`Held::release`].
///
/// # Errors
///
/// As [`pass_on`].
pub(crate) async fn hold(
    director: &Director,
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
            held.release(client, delivered).await?;
            break;
        }
        held.bytes.extend_from_slice(seen);
        let n = seen.len();
        node.consume(n);
    }
    pass_on(director, node, client, delivered).await
}
