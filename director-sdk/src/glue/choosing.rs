//! The host's functions of ABI 1.2, as safe ones: how a node stands, and by what it
//! is chosen.
//!
//! As in [`host`](super::host), any argument is allowed. A host that is too old has none of them.

use std::task::{Context, Poll};
use std::time::Duration;

use director_abi as abi;

use super::host::{HOST, call};
use super::waker::lend;
use crate::choosing::NodeStanding;
use crate::stream::NodeId;

/// A question's number; 0 when it cannot be put.
pub(crate) fn confirm(task: u64, node: NodeId, settle: Duration) -> u64 {
    let settle = u64::try_from(settle.as_nanos()).unwrap_or(u64::MAX);
    call!(confirm(task, node.0, settle)).unwrap_or(0)
}

/// The answer; that of a node that does not answer when the number is void.
pub(crate) fn confirm_poll(confirm: u64, cx: &Context<'_>) -> Poll<NodeStanding> {
    let mut standing = abi::NodeStanding {
        size: size_of::<abi::NodeStanding>(),
        flags: 0,
        ended: 0,
    };
    let into = &raw mut standing;
    match lend(cx, |waker| call!(confirm_poll(confirm, waker, into))) {
        Some(abi::PENDING) => Poll::Pending,
        Some(abi::READY) => Poll::Ready(NodeStanding {
            answers: standing.flags & abi::NodeStanding::ANSWERS != 0,
            ended: standing.ended,
        }),
        _ => Poll::Ready(NodeStanding::UNKNOWN),
    }
}

/// The key by which the task's requests are sent to a node.
pub(crate) fn session_key(task: u64, key: &[u8]) {
    call!(session_key(task, abi::Bytes::lend(key)));
}

pub(crate) fn confirm_end(confirm: u64) {
    call!(confirm_end(confirm));
}
