//! What is left of a download when no node has anything to do for it any more.

use director_sdk::{Director, Failure};

use crate::control::reply::Reply;
use crate::data::ClientData;
use crate::down::movement::{Held, Mover};
use crate::down::swallow::Delivered;

/// How a download ended, beside its reply or exception.
pub(crate) struct End {
    /// The client's data connection.
    pub(crate) data: ClientData,
    /// The client was told that the transfer begins.
    pub(crate) marked: bool,
    /// The client aborted it.
    pub(crate) aborted: bool,
    /// No other node was found to have the same file.
    pub(crate) diverged: bool,
    /// The client has no byte of it.
    pub(crate) untouched: bool,
    /// What a node last refused it with.
    pub(crate) refused: Option<Reply>,
    /// Read, and not yet given to the client.
    pub(crate) held: Held,
    /// What the client has got.
    pub(crate) delivered: Delivered,
}

impl End {
    /// Gives the client what was held back, and the end of its file. The node's part is over: nothing that
    /// becomes of it matters any more.
    ///
    /// # Errors
    ///
    /// The client is gone or takes nothing.
    pub(crate) async fn finish(mut self, director: &Director) -> Result<(), Failure> {
        let mover = Mover {
            director,
            patience: self.data.patience(),
        };
        let client = self.data.stream(director).await?;
        mover
            .release(&mut self.held, client, &mut self.delivered)
            .await?;
        self.data.close(director).await
    }
}
