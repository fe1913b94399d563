//! Ending a transfer before its end, so that the link may serve the session on.

use std::time::Duration;

use director_sdk::Director;

use crate::control::link::Link;
use crate::control::reply::Reply;

/// How long a node may take to say that it has ended a transfer; a link of one that takes longer is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// Telnet's IAC, Interrupt Process, IAC, Data Mark; the last one is sent as urgent data (RFC 854,
/// Synch; RFC 959 §4.1.3, ABOR).
const SYNCH: [u8; 4] = [255, 244, 255, 242];

/// Has the node abort the transfer that the link holds, whose data connection is gone: says whether the link's
/// dialogue is whole again. The node answers twice: 426 and 226, or what else it makes of both.
pub(crate) async fn abort(link: &mut Link, director: &Director) -> bool {
    let answered = director.timeout(PATIENCE, async {
        link.control.write_urgent(&SYNCH).await?;
        link.control.write_all(b"ABOR\r\n").await?;
        link.last_reply().await?;
        link.last_reply().await
    });
    matches!(answered.await, Ok(Ok(_)))
}

/// Waits for the node's last word about a transfer whose data connection is gone: says whether it came.
pub(crate) async fn settle(link: &mut Link, director: &Director) -> bool {
    last_word(link, director).await.is_some()
}

/// The node's last word about a transfer whose data connection is gone, if it comes.
pub(crate) async fn last_word(link: &mut Link, director: &Director) -> Option<Reply> {
    let answered = director.timeout(PATIENCE, link.last_reply());
    answered.await.ok()?.ok()
}
