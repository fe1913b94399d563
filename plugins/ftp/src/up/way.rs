//! By which way an upload gets to its file, and how it ended.

use crate::control::link::Link;
use crate::control::reply::Reply;
use crate::up::rules::{How, Seen};
use crate::up::temporary::Temporary;

/// How an upload gets to its file.
pub(crate) enum Way {
    /// Under its own name, on storage that all nodes share; with what was there before.
    Shared(How, Option<Seen>),
    /// Under another name at first, on storage of the node's own.
    Temporary(Temporary),
    /// Under its own name, or one that the node chooses, and never again.
    Once(How),
    /// STOU: under a name that the node chooses.
    Unique,
}

/// How an upload ended that failed.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// The client was told that the transfer begins.
    pub(crate) marked: bool,
    /// It was aborted by the client.
    pub(crate) aborted: bool,
    /// What was stored is not known, or could not be gone on with: why.
    pub(crate) lost: Option<String>,
    /// What a node last refused it with.
    pub(crate) refused: Option<Reply>,
    /// Nothing could have been made up for, when it ended.
    pub(crate) unprotected: bool,
    /// The client had sent all.
    pub(crate) closed: bool,
    /// The name of the node that was last sent it.
    pub(crate) node: String,
}

/// Whether the node gives a file that is restarted another name until its end, so that it is nowhere when
/// the node is lost: Pure-FTPd, which can be told by these features. It appends in place.
pub(crate) fn restarts_apart(link: &Link) -> bool {
    ["ESTA", "ESTP"]
        .iter()
        .all(|name| link.features.offers(name))
}
