//! Why an operation on a stream failed, and whose stream it was.

use std::error::Error;
use std::fmt;
use std::io;

use director_abi as abi;

/// To whom a stream leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Client,
    /// A node.
    Node,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Node => "node",
        })
    }
}

/// Why an operation on a stream failed, and whose stream it was. Every `io::Error` of a stream
/// carries one ([`StreamError::in_io`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamError {
    side: Side,
    code: i32,
}

/// The end came where more was due. A code of the SDK's own, as the next two: the boundary's are
/// small.
pub(crate) const CODE_END: i32 = -1001;
/// The peer sent more than the bound before what was sought.
pub(crate) const CODE_LONG: i32 = -1002;
/// TLS did not come about.
pub(crate) const CODE_HANDSHAKE: i32 = -1003;

impl StreamError {
    pub(crate) fn io(side: Side, code: i32) -> io::Error {
        let kind = match code {
            abi::CODE_CUT => io::ErrorKind::ConnectionAborted,
            abi::CODE_GONE => io::ErrorKind::NotConnected,
            CODE_END => io::ErrorKind::UnexpectedEof,
            CODE_LONG | CODE_HANDSHAKE | abi::CODE_UNREAD | abi::CODE_TLS => {
                io::ErrorKind::InvalidData
            }
            abi::CODE_NONE => io::ErrorKind::Unsupported,
            errno if errno > 0 => io::Error::from_raw_os_error(errno).kind(),
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, Self { side, code })
    }

    /// The stream error that `error` carries, if it is one of ours.
    pub fn in_io(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Whose stream it was.
    pub fn side(&self) -> Side {
        self.side
    }

    /// Whether the host cut the step: its node is down, or its time is over.
    pub fn is_cut(&self) -> bool {
        self.code == abi::CODE_CUT
    }

    /// Whether TLS is the trouble: no handshake came about, or the stream ended without a
    /// `close_notify`, so that what was read may be less than what was sent.
    /// [`Stream::trouble`](crate::Stream::trouble) has the words.
    pub fn is_tls(&self) -> bool {
        matches!(self.code, CODE_HANDSHAKE | abi::CODE_TLS)
    }

    /// Whether bytes came before the handshake of TLS, where there must be none.
    pub fn is_unread(&self) -> bool {
        self.code == abi::CODE_UNREAD
    }

    /// Whether the host is the trouble: it has no such service, or no room for another.
    pub fn is_none(&self) -> bool {
        self.code == abi::CODE_NONE
    }

    pub(crate) fn code(&self) -> i32 {
        self.code
    }

    /// Whether the peer broke a bound or an order rather than the stream.
    pub(crate) fn is_about_data(&self) -> bool {
        matches!(self.code, CODE_LONG | abi::CODE_UNREAD)
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = self.side;
        match self.code {
            abi::CODE_CUT => write!(f, "the {side}'s stream was cut"),
            abi::CODE_GONE => write!(f, "the {side}'s stream is gone"),
            abi::CODE_THREAD => write!(f, "the {side}'s stream was used on another thread"),
            CODE_END => write!(f, "the {side}'s stream ended where more was due"),
            CODE_LONG => write!(f, "the {side} sent more than the bound allows"),
            CODE_HANDSHAKE => write!(f, "no TLS with the {side}: the handshake failed"),
            abi::CODE_UNREAD => write!(f, "the {side} sent bytes before the handshake of TLS"),
            abi::CODE_TLS => write!(f, "TLS of the {side}'s stream failed, or was cut short"),
            abi::CODE_NONE => write!(
                f,
                "the host has no such service for the {side}'s stream, or no room for another"
            ),
            errno => write!(f, "{side}: {}", io::Error::from_raw_os_error(errno)),
        }
    }
}

impl Error for StreamError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Failure, Kind};

    #[test]
    fn a_code_is_its_side_s_failure_unless_it_is_ours() {
        let failure = |side, code| Failure::from(StreamError::io(side, code));
        for (code, node, client) in [
            (abi::CODE_CUT, Kind::Lost, Kind::ClientGone),
            (abi::CODE_TLS, Kind::Lost, Kind::ClientGone),
            (CODE_END, Kind::Lost, Kind::ClientGone),
            (104, Kind::Lost, Kind::ClientGone),
            (CODE_HANDSHAKE, Kind::Unreachable, Kind::ClientGone),
            (abi::CODE_UNREAD, Kind::Garbled, Kind::ClientGone),
            (CODE_LONG, Kind::Garbled, Kind::ClientGone),
            (abi::CODE_NONE, Kind::Fault, Kind::Fault),
            (abi::CODE_THREAD, Kind::Fault, Kind::Fault),
        ] {
            assert_eq!(failure(Side::Node, code).kind(), Some(node), "{code}");
            let by_client = failure(Side::Client, code);
            assert_eq!(by_client.kind(), Some(client), "{code}");
            assert_eq!(by_client.is_by_client(), client == Kind::ClientGone);
        }
    }

    #[test]
    fn every_code_has_words_of_its_own() {
        let codes = [
            abi::CODE_CUT,
            abi::CODE_GONE,
            abi::CODE_THREAD,
            abi::CODE_UNREAD,
            abi::CODE_TLS,
            abi::CODE_NONE,
            CODE_END,
            CODE_LONG,
            CODE_HANDSHAKE,
        ];
        let words = codes.map(|code| StreamError::io(Side::Node, code).to_string());
        let distinct: std::collections::BTreeSet<_> = words.iter().collect();
        assert_eq!(distinct.len(), codes.len(), "{words:?}");
        assert!(words.iter().all(|text| text.contains("node")), "{words:?}");
    }
}
