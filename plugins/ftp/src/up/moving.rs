//! The bytes of an upload on their way from the client to the node, and how that way ends.

use director_sdk::{Director, Failure, Kind, NodeStream, StreamError};
use futures_util::FutureExt;

use crate::control::link::Link;
use crate::control::reply::Reply;
use crate::data::NodeEnd;
use crate::down::abort;
use crate::up::upload::Upload;

/// How the bytes of an attempt ended.
pub(super) enum Moved {
    /// The node has been told that these are all. Its stream is kept until its last word.
    All(NodeStream),
    /// The node said its last word before.
    Early(Reply),
    /// The client broke off.
    ByClient,
}

impl Upload {
    /// All bytes from `from` on, to the client's end of file; and the node's last word about them.
    pub(super) async fn transfer(
        &mut self,
        (link, node): (&mut Link, NodeEnd),
        from: u64,
        director: &Director,
    ) -> Result<Moved, Failure> {
        let abort = self.abort.clone();
        // A client may take its time over its handshake; the node owes nothing meanwhile.
        link.control.due(false);
        let client = futures_util::select_biased! {
            client = self.data.stream(director).fuse() => client?,
            () = abort.asked().fuse() => return Ok(Moved::ByClient),
        };
        link.control.due(true);
        let mut node = futures_util::select_biased! {
            node = node.stream(link, director).fuse() => node?,
            () = abort.asked().fuse() => return Ok(Moved::ByClient),
        };
        // While the client sends, the node owes nothing; it may say that it is full.
        node.due(false);
        link.control.due(false);
        let moved = futures_util::select_biased! {
            () = abort.asked().fuse() => return Ok(Moved::ByClient),
            moved = self.kept.send(from, (client, &mut node), director).fuse() => moved,
            early = link.last_reply().fuse() => return early.map(Moved::Early),
        };
        match moved {
            // The end of its data was the client's way to break off.
            Ok(()) if abort.is_asked() => Ok(Moved::ByClient),
            Ok(()) => {
                // From here on the node may have heard of it.
                self.told = true;
                node.close().await?;
                Ok(Moved::All(node))
            }
            Err(failure) if failure.is_by_client() => Ok(Moved::ByClient),
            Err(failure) => {
                link.control.due(true);
                match abort::last_word(link, director).await {
                    Some(reply) => Ok(Moved::Early(reply)),
                    None => Err(failure),
                }
            }
        }
    }

    /// Makes an end of a transfer that the client no longer wants, and keeps the link if the node does, too. The
    /// node's data connection was reset: it does not take what it has for a whole file.
    pub(super) async fn give_up(&mut self, link: &mut Link, director: &Director) -> Failure {
        let asked = self.abort.is_asked();
        self.ended.aborted |= asked;
        let whole = if asked {
            abort::abort(link, director).await
        } else {
            abort::settle(link, director).await
        };
        let failure = Failure::new(Kind::ClientGone, "the client ended the upload");
        let failure = failure.by_client().with_code(426);
        if whole { failure.fit() } else { failure }
    }

    /// The client's data connection, unless the client wants the end of the upload first.
    pub(super) async fn client_connected(&mut self, director: &Director) -> Result<(), Failure> {
        let abort = self.abort.clone();
        futures_util::select_biased! {
            () = abort.asked().fuse() => {
                self.ended.aborted = true;
                let detail = "the client ended the upload before it began";
                Err(Failure::new(Kind::ClientGone, detail).by_client().fit())
            }
            made = self.data.connected(director).fuse() => made,
        }
    }
}

/// Whether the link was cut here because its node was silent: the node has closed nothing, and may still read what
/// lies in its sockets.
pub(super) fn was_silent(link: &mut Link) -> bool {
    match link.control.fill().now_or_never() {
        Some(Err(error)) => StreamError::in_io(&error).is_some_and(StreamError::is_cut),
        Some(Ok(_)) | None => false,
    }
}
