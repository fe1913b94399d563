//! The living session: its client's stream, its host's, and what moves between them.

pub(crate) mod at_host;
pub(crate) mod begin;
pub(crate) mod outgoing;
pub(crate) mod pending;
pub(crate) mod pump;
pub(crate) mod request;
pub(crate) mod serve;
pub(crate) mod terminal;
pub(crate) mod timing;
