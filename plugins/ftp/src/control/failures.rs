//! What a node's reply codes mean, where an attempt does not say more.

use director_sdk::{FailureRow, Kind};

/// Codes and exceptions. RFC 959 section 4.2.2: 4yz may be otherwise later, or at another node.
pub(crate) static ROWS: [FailureRow; 6] = [
    // In a greeting; after it an attempt names the kind.
    FailureRow::new(421..=421, Kind::Busy),
    // No data connection, or it broke.
    FailureRow::new(425..=426, Kind::Lost),
    // A file that is busy, a local error, a full disk: this node's, perhaps not its peers'.
    FailureRow::new(450..=452, Kind::Missing),
    FailureRow::new(530..=532, Kind::Denied),
    // Not there: a mirror that lags behind.
    FailureRow::new(550..=550, Kind::Missing),
    FailureRow::new(500..=599, Kind::Invalid),
];
