//! What a plugin says became of a step, and what that means.
//!
//! The plugin names its protocol's failure. Which stream failed, whether the step was cut, what was
//! sent and what the client accepted are the host's own knowledge, and count for more than words.

use std::time::Duration;

use director_recovery::{Exception, Kind, Outcome, Resend};

use super::chain::LinkState;
use super::library::Plugin;
use super::step::Step;
use crate::cluster::NodeId;

/// What became of the last action.
#[derive(Debug)]
pub(super) enum Answer {
    Begin,
    Established(LinkState),
    Failed(Failure),
    Replied,
    Cleaned(Resend),
    Asked(Outcome),
    Torn,
}

impl Answer {
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Established(_) => "established",
            Self::Failed(_) => "failed",
            Self::Replied => "replied",
            Self::Cleaned(_) => "cleaned",
            Self::Asked(_) => "asked",
            Self::Torn => "torn",
        }
    }
}

/// A failure, as the plugin has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// `None`: as the plugin's table says of the code.
    pub(super) kind: Option<Kind>,
    pub(super) code: u32,
    pub(super) retry_after: Option<Duration>,
    /// The dialogue on the link is whole.
    pub(super) fit: bool,
    /// It is the client's.
    pub(super) by_client: bool,
    pub(super) detail: String,
}

impl Failure {
    /// The exception that this is at a node.
    pub(super) fn exception(self, plugin: &Plugin, step: &Step, node: NodeId) -> Exception {
        let stream_failed = step
            .stream
            .as_ref()
            .is_some_and(|stream| !stream.is_whole() || stream.any_failed());
        let (kind, detail) = if self.by_client || step.client_failed() {
            (Kind::ClientGone, self.detail)
        } else {
            let kind = self
                .kind
                .or_else(|| plugin.meaning(self.code))
                // A code that no table has: of a stream that failed it is that failure.
                .unwrap_or(if stream_failed {
                    Kind::Lost
                } else {
                    Kind::Unknown
                });
            match step.why_cut().filter(|_| is_of_the_connection(kind)) {
                Some(why) => (why.kind(), why.in_words().to_owned()),
                // What a broken stream cut short looks garbled.
                None if stream_failed && is_cut_short(kind) => (Kind::Lost, self.detail),
                None => (kind, self.detail),
            }
        };
        Exception {
            kind,
            code: self.code,
            retry_after: self.retry_after,
            node: Some(node),
            detail,
        }
    }
}

/// Whether a failure may be what the end of a stream in mid-sentence looks like to the plugin.
const fn is_cut_short(kind: Kind) -> bool {
    match kind {
        Kind::Garbled | Kind::Unknown => true,
        Kind::Unreachable
        | Kind::Lost
        | Kind::Stalled
        | Kind::Busy
        | Kind::Leaving
        | Kind::Missing
        | Kind::Diverged
        | Kind::Denied
        | Kind::Invalid
        | Kind::ClientGone
        | Kind::Fault
        | Kind::Exhausted => false,
    }
}

/// Whether a failure may be what a cut looks like to the plugin. Others are the node's own words, and
/// stand though the link was cut meanwhile.
const fn is_of_the_connection(kind: Kind) -> bool {
    match kind {
        Kind::Unreachable | Kind::Lost | Kind::Stalled | Kind::Garbled | Kind::Unknown => true,
        Kind::Busy
        | Kind::Leaving
        | Kind::Missing
        | Kind::Diverged
        | Kind::Denied
        | Kind::Invalid
        | Kind::ClientGone
        | Kind::Fault
        | Kind::Exhausted => false,
    }
}

/// Whether the node is told of: the client's and the plugin's own failures say nothing of it.
pub(super) const fn is_the_nodes(kind: Kind) -> bool {
    match kind {
        Kind::Unreachable
        | Kind::Lost
        | Kind::Stalled
        | Kind::Busy
        | Kind::Leaving
        | Kind::Missing
        | Kind::Diverged
        | Kind::Denied
        | Kind::Invalid
        | Kind::Garbled
        | Kind::Unknown => true,
        Kind::ClientGone | Kind::Fault | Kind::Exhausted => false,
    }
}
