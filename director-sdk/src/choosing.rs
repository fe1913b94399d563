//! What a session may ask about the node it is at, and say about the one it wants.

use std::future::poll_fn;
use std::time::Duration;

use crate::director::Director;
use crate::glue::choosing as host;
use crate::stream::NodeId;

/// How a node was found to stand by [`Director::confirm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeStanding {
    /// The node answered a probe that began after the question.
    pub answers: bool,
    /// How many links of *other* sessions to this node ended from the node's side (its end of the
    /// stream, or a reset) between one second before the question and the answer. Links that the
    /// director or their plugin ended do not count. Some hundreds are counted at most.
    pub ended: u32,
}

impl NodeStanding {
    /// Nothing is known: as of a node that does not answer.
    pub const UNKNOWN: Self = Self {
        answers: false,
        ended: 0,
    };
}

impl Director {
    /// Says by what this task's requests are sent to a node from now on, where the service's setting is
    /// `balance = "hash"`: the same key goes to the same node, from every director that has the
    /// service's nodes, for as long as that node is well; then to another that is the same for all. A user's name, say.
    /// Without it the client's IP address is the key. A link that stands is kept, and other settings
    /// of `balance` care for no key. A host older than ABI 1.2 has none.
    pub fn set_key(&self, key: &[u8]) {
        host::session_key(self.task(), key);
    }

    /// Asks how a node stands, because something happened on a link to it that may be the node's failure
    /// or not: an end of the stream, say, that ends a session or is what a killed process leaves behind.
    ///
    /// The node is probed at once, and not held for suspect meanwhile: other sessions are still sent
    /// to it. One that does not answer is declared down by this, as after any other sign of failure,
    /// and the step that asks is cut with all others there. The answer comes no earlier than `settle`
    /// from now: ends that happen at one time are noticed one after the other, in a quarter of a
    /// second on a busy machine. Of a node that does not answer it comes at once, because the grace of
    /// the cut runs. It comes within about three times the service's `probe_timeout`, or
    /// `settle` if that is longer. A node that is down already does not answer.
    ///
    /// A host older than ABI 1.2 cannot be asked: [`NodeStanding::UNKNOWN`].
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn confirm(&self, node: NodeId, settle: Duration) -> NodeStanding {
        let question = Question(host::confirm(self.task(), node, settle));
        poll_fn(|cx| host::confirm_poll(question.0, cx)).await
    }
}

/// A question of the host's; ended when it is dropped.
struct Question(u64);

impl Drop for Question {
    fn drop(&mut self) {
        host::confirm_end(self.0);
    }
}
