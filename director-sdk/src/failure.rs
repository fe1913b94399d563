//! Failures, in a protocol's words, and exceptions, in words that no protocol owns.

use std::error::Error;
use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;

use director_abi as abi;

use crate::spool::SpoolError;
use crate::stream_error::{CODE_HANDSHAKE, Side, StreamError};

/// The small, closed set that the director's policy is written against.
///
/// Which *stream* failed is the host's own knowledge: an error on the client's side is never the
/// node's, whatever kind a plugin gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Refused, no route, connect timeout.
    Unreachable,
    /// Reset, unexpected end, or cut because the node was declared down.
    Lost,
    /// No progress in time.
    Stalled,
    /// The node has too much to do; it may say when to come again.
    Busy,
    /// The node says that it is draining.
    Leaving,
    /// This node lacks what its peers may have.
    Missing,
    /// Another copy than the one begun: digest, size, time or history differ.
    Diverged,
    /// The answer is no: credentials, permission.
    Denied,
    /// The answer is no: a bad request.
    Invalid,
    /// The node breaks the protocol.
    Garbled,
    /// It may have happened.
    Unknown,
    /// The client left, or broke its protocol.
    ClientGone,
    /// The plugin panicked or overran.
    Fault,
    /// All nodes were tried.
    Exhausted,
}

impl Kind {
    /// Every kind, in the order of their codes.
    pub const ALL: [Self; 14] = [
        Self::Unreachable,
        Self::Lost,
        Self::Stalled,
        Self::Busy,
        Self::Leaving,
        Self::Missing,
        Self::Diverged,
        Self::Denied,
        Self::Invalid,
        Self::Garbled,
        Self::Unknown,
        Self::ClientGone,
        Self::Fault,
        Self::Exhausted,
    ];

    /// The number by which the kind crosses the boundary: one of [`director_abi::kind`].
    pub const fn code(self) -> u32 {
        match self {
            Self::Unreachable => abi::kind::UNREACHABLE,
            Self::Lost => abi::kind::LOST,
            Self::Stalled => abi::kind::STALLED,
            Self::Busy => abi::kind::BUSY,
            Self::Leaving => abi::kind::LEAVING,
            Self::Missing => abi::kind::MISSING,
            Self::Diverged => abi::kind::DIVERGED,
            Self::Denied => abi::kind::DENIED,
            Self::Invalid => abi::kind::INVALID,
            Self::Garbled => abi::kind::GARBLED,
            Self::Unknown => abi::kind::UNKNOWN,
            Self::ClientGone => abi::kind::CLIENT_GONE,
            Self::Fault => abi::kind::FAULT,
            Self::Exhausted => abi::kind::EXHAUSTED,
        }
    }

    /// The kind of a number; `None` for one that names none.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The kind's name in logs and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Lost => "lost",
            Self::Stalled => "stalled",
            Self::Busy => "busy",
            Self::Leaving => "leaving",
            Self::Missing => "missing",
            Self::Diverged => "diverged",
            Self::Denied => "denied",
            Self::Invalid => "invalid",
            Self::Garbled => "garbled",
            Self::Unknown => "unknown",
            Self::ClientGone => "client gone",
            Self::Fault => "fault",
            Self::Exhausted => "exhausted",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A range of the protocol's own codes and the exception that they mean, unless an attempt says
/// more. The first row that holds a code decides.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct FailureRow(pub(crate) abi::FailureRow);

impl FailureRow {
    /// `FailureRow::new(421..=421, Kind::Busy)`.
    pub const fn new(codes: RangeInclusive<u32>, kind: Kind) -> Self {
        Self(abi::FailureRow {
            first: *codes.start(),
            last: *codes.end(),
            kind: kind.code(),
        })
    }

    /// The codes.
    pub fn codes(&self) -> RangeInclusive<u32> {
        self.0.first..=self.0.last
    }

    /// What they mean.
    pub fn kind(&self) -> Kind {
        Kind::from_code(self.0.kind).unwrap_or(Kind::Fault)
    }
}

impl fmt::Debug for FailureRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} => {}", self.codes(), self.kind())
    }
}

/// What went wrong, in the protocol's words, and what it means where the plugin knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// `None`: the code says it.
    kind: Option<Kind>,
    code: u32,
    retry_after: Option<Duration>,
    detail: String,
    fit: bool,
    by_client: bool,
}

impl Failure {
    /// A failure of a known kind. `detail` is for the log: what was found, and where.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind: Some(kind),
            code: 0,
            retry_after: None,
            detail: detail.into(),
            fit: false,
            by_client: false,
        }
    }

    /// A failure by the protocol's own code (an FTP 421, an HTTP 503), of the kind that
    /// [`Protocol::failures`](crate::Protocol::failures) has for it.
    pub fn code(code: u32, detail: impl Into<String>) -> Self {
        Self {
            kind: None,
            code,
            ..Self::new(Kind::Fault, detail)
        }
    }

    /// What `error` means: whose stream broke is found among its sources, however deep (hyper's
    /// errors wrap ours). A [`Spool`](crate::Spool) that failed is nobody's fault but ours
    /// ([`Kind::Fault`]). Any other error is of the kind `otherwise`.
    pub fn from_error(error: &(dyn Error + 'static), otherwise: Kind) -> Self {
        let mut source = Some(error);
        while let Some(at) = source {
            let inner = at
                .downcast_ref::<StreamError>()
                .or_else(|| at.downcast_ref::<io::Error>().and_then(StreamError::in_io));
            if let Some(broken) = inner {
                return Self::of_stream(broken);
            }
            let spool = at
                .downcast_ref::<SpoolError>()
                .or_else(|| at.downcast_ref::<io::Error>().and_then(SpoolError::in_io));
            if let Some(failed) = spool {
                return Self::new(Kind::Fault, failed.to_string());
            }
            source = at.source();
        }
        let mut detail = error.to_string();
        let mut source = error.source();
        while let Some(at) = source {
            detail.push_str(": ");
            detail.push_str(&at.to_string());
            source = at.source();
        }
        Self::new(otherwise, detail)
    }

    fn of_stream(broken: &StreamError) -> Self {
        let kind = match (broken.side(), broken.code()) {
            (_, abi::CODE_THREAD) | (_, abi::CODE_NONE) => Kind::Fault,
            (Side::Client, _) => Kind::ClientGone,
            (Side::Node, CODE_HANDSHAKE) => Kind::Unreachable,
            (Side::Node, _) if broken.is_about_data() => Kind::Garbled,
            (Side::Node, _) => Kind::Lost,
        };
        let failure = Self::new(kind, broken.to_string());
        match (kind, broken.side()) {
            (Kind::ClientGone, Side::Client) => failure.by_client(),
            (_, Side::Client | Side::Node) => failure,
        }
    }

    /// The link's dialogue is whole: it may be kept, and is offered to the cleanup.
    #[must_use]
    pub fn fit(mut self) -> Self {
        self.fit = true;
        self
    }

    /// The failure is the client's, as its protocol shows; never a node's fault.
    #[must_use]
    pub fn by_client(mut self) -> Self {
        self.by_client = true;
        self
    }

    /// The node asks to be left alone for this long.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The protocol's own code, beside an explicit kind.
    #[must_use]
    pub fn with_code(mut self, code: u32) -> Self {
        self.code = code;
        self
    }

    /// The kind, when the plugin named one.
    pub fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// The protocol's own code; 0 for none.
    pub fn protocol_code(&self) -> u32 {
        self.code
    }

    /// How long the node asks to be left alone.
    pub fn wait(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The failure in words.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Whether the link may be kept.
    pub fn is_fit(&self) -> bool {
        self.fit
    }

    /// Whether the client is to blame.
    pub fn is_by_client(&self) -> bool {
        self.by_client
    }

    /// The number of its kind at the boundary.
    pub(crate) fn kind_code(&self) -> u32 {
        self.kind.map_or(abi::Ended::BY_CODE, Kind::code)
    }

    /// The wait in whole milliseconds, at least one when there is any; 0 for none.
    pub(crate) fn retry_after_ms(&self) -> u32 {
        self.retry_after.map_or(0, |wait| {
            u32::try_from(wait.as_millis()).unwrap_or(u32::MAX).max(1)
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Some(kind) => write!(f, "{kind}")?,
            None => f.write_str("failure")?,
        }
        if self.code != 0 {
            write!(f, " {}", self.code)?;
        }
        write!(f, ": {}", self.detail)
    }
}

impl Error for Failure {}

/// A broken stream is its side's failure; any other I/O error is the node's ([`Kind::Lost`]), or,
/// when it is about the data (`InvalidData`), [`Kind::Garbled`].
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let otherwise = if error.kind() == io::ErrorKind::InvalidData {
            Kind::Garbled
        } else {
            Kind::Lost
        };
        Self::from_error(&error, otherwise)
    }
}

/// What `direct` could not spare the client ends a session as it is.
impl From<Exception> for Failure {
    fn from(exception: Exception) -> Self {
        let detail = match &exception.node {
            Some(node) => format!("at {node}: {}", exception.detail),
            None => exception.detail,
        };
        Self {
            code: exception.code,
            retry_after: exception.retry_after,
            by_client: exception.kind == Kind::ClientGone,
            ..Self::new(exception.kind, detail)
        }
    }
}

/// A failure, translated: what a cleanup is told, and what `direct` returns when no node could
/// spare the client the news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// What it is.
    pub kind: Kind,
    /// The protocol's own code behind it; 0 for none.
    pub code: u32,
    /// How long the node asks to be left alone.
    pub retry_after: Option<Duration>,
    /// The name of the node where it was raised; `None` when none was reached.
    pub node: Option<String>,
    /// How many attempts were begun, the failed one included.
    pub attempt: u32,
    /// Bytes that the failed attempt sent to the node.
    pub sent: u64,
    /// Bytes that the client accepted during the failed attempt, by the host's own count.
    pub answered: u64,
    /// The failure in the protocol's words. Of [`Kind::Exhausted`]: what each node said.
    pub detail: String,
}

impl Exception {
    /// An exception that the SDK itself raises: the plugin or the host broke a rule.
    pub(crate) fn fault(detail: impl Into<String>) -> Self {
        Self {
            kind: Kind::Fault,
            code: 0,
            retry_after: None,
            node: None,
            attempt: 0,
            sent: 0,
            answered: 0,
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if self.code != 0 {
            write!(f, " {}", self.code)?;
        }
        if let Some(node) = &self.node {
            write!(f, " at {node}")?;
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

impl Error for Exception {}
