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

/// The end came where more was due; an `errno` of no system.
pub(crate) const CODE_END: i32 = -4;
/// The peer sent more than the bound before what was sought.
pub(crate) const CODE_LONG: i32 = -5;

impl StreamError {
    pub(crate) fn io(side: Side, code: i32) -> io::Error {
        let kind = match code {
            abi::CODE_CUT => io::ErrorKind::ConnectionAborted,
            abi::CODE_GONE => io::ErrorKind::NotConnected,
            CODE_END => io::ErrorKind::UnexpectedEof,
            CODE_LONG => io::ErrorKind::InvalidData,
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

    pub(crate) fn code(&self) -> i32 {
        self.code
    }

    /// Whether the peer broke a bound rather than the stream.
    pub(crate) fn is_about_data(&self) -> bool {
        self.code == CODE_LONG
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
            errno => write!(f, "{side}: {}", io::Error::from_raw_os_error(errno)),
        }
    }
}

impl Error for StreamError {}
