//! What all sessions of an instance share.

use crate::options::Options;

/// One an instance.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The service's options.
    pub(crate) options: Options,
}
