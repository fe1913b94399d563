//! What real traffic and the health tasks see of a node.

use std::io;
use std::time::Duration;

use director_recovery::Kind;
use rustix::io::Errno;

/// How much a node has to do, in its own words.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct NodeLoad {
    /// Work under way, in any unit that all nodes of the service share; `None` when it does not say.
    pub load: Option<f64>,
    /// It takes no new sessions.
    pub leaving: bool,
}

/// One thing seen of a node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Seen {
    /// A connection stands. It tells little: the kernel of a stopped process still accepts.
    Connected {
        /// From the first packet on.
        took: Duration,
    },
    /// No connection came about.
    ConnectFailed {
        /// Why.
        kind: ConnectFailure,
    },
    /// An attempt got its reply.
    Replied {
        /// From the attempt's begin to the node's first byte.
        first_byte: Duration,
    },
    /// An attempt raised an exception.
    Failed(Kind),
    /// A byte was due for longer than `silence`.
    Silent,
    /// The node has told its load, in a reply or on its watch.
    Load(NodeLoad),
}

/// Why a connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectFailure {
    /// Nobody listens.
    Refused,
    /// No answer within `connect_timeout`.
    TimedOut,
    /// We had no descriptor, port or memory left for it: that says nothing of the node.
    Ours,
    /// Anything else: no route, ...
    Other,
}

impl From<&io::Error> for ConnectFailure {
    fn from(error: &io::Error) -> Self {
        /// What this machine, or this process, has run out of.
        const OURS: [Errno; 5] = [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOBUFS,
            Errno::NOMEM,
            Errno::ADDRNOTAVAIL,
        ];
        if Errno::from_io_error(error).is_some_and(|errno| OURS.contains(&errno)) {
            return Self::Ours;
        }
        // `ErrorKind` is not ours and grows.
        #[allow(clippy::wildcard_enum_match_arm)]
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_want_is_told_from_the_nodes() {
        for (errno, kind) in [
            (Errno::MFILE, ConnectFailure::Ours),
            (Errno::NFILE, ConnectFailure::Ours),
            (Errno::ADDRNOTAVAIL, ConnectFailure::Ours),
            (Errno::CONNREFUSED, ConnectFailure::Refused),
            (Errno::TIMEDOUT, ConnectFailure::TimedOut),
            (Errno::HOSTUNREACH, ConnectFailure::Other),
        ] {
            assert_eq!(ConnectFailure::from(&io::Error::from(errno)), kind);
        }
    }
}
