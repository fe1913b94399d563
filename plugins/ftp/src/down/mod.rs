//! What a node sends: downloads and listings.

pub(crate) mod proof;
pub(crate) mod swallow;
