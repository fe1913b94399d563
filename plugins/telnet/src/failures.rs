//! What a host's failures mean. Telnet has no codes, so these numbers are the plugin's own, for logs and counters.

use director_sdk::{Failure, FailureRow, Kind};

/// The host ended the connection before it said anything: `tcpd`, `inetd`'s limit, no pseudo-terminal left.
pub(crate) const TURNED_AWAY: u32 = 1;
/// The host ended the connection, and it was no logout.
pub(crate) const ENDED: u32 = 2;
/// The host asked for a login that another has accepted again.
pub(crate) const LOGIN_REFUSED: u32 = 3;
/// A step of the login, or the prompt behind it, did not come in time.
pub(crate) const LOGIN_SILENT: u32 = 4;
/// The host broke RFC 854, RFC 855 or a bound.
pub(crate) const BROKEN: u32 = 5;

/// Codes and exceptions.
pub(crate) static ROWS: [FailureRow; 5] = [
    FailureRow::new(TURNED_AWAY..=TURNED_AWAY, Kind::Busy),
    FailureRow::new(ENDED..=ENDED, Kind::Lost),
    // Not `Denied`, which is final: another host has accepted it, or its user database lags behind.
    FailureRow::new(LOGIN_REFUSED..=LOGIN_REFUSED, Kind::Diverged),
    FailureRow::new(LOGIN_SILENT..=LOGIN_SILENT, Kind::Stalled),
    FailureRow::new(BROKEN..=BROKEN, Kind::Garbled),
];

/// The host ended the connection.
pub(crate) fn ended(heard: bool) -> Failure {
    if heard {
        Failure::code(ENDED, "the host ended the session")
    } else {
        Failure::code(TURNED_AWAY, "the host ended before it said anything")
    }
}
