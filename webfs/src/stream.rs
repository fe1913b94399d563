//! What an append or a create brings with it, checked, as it is stored in the entry.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::letter::shown;

/// Longest request id and longest producer id, in bytes.
pub const MAX_ID: usize = 128;
/// Longest `Stream-Seq`, in bytes.
pub const MAX_SEQ: usize = 256;
/// Longest content type, in bytes.
pub const MAX_TYPE: usize = 256;
/// Highest producer epoch and sequence: 2^53 - 1, as JSON clients count.
pub const MAX_COUNT: u64 = (1 << 53) - 1;

/// A header's value that cannot be stored; the client sees 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}")]
pub struct BadValue {
    what: &'static str,
    text: String,
}

macro_rules! stored_text {
    ($(#[$doc:meta])* $name:ident, $max:expr, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The value as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadValue;

            fn from_str(text: &str) -> Result<Self, BadValue> {
                if text.is_empty() || text.len() > $max || text.chars().any(char::is_control) {
                    return Err(BadValue { what: $what, text: shown(text) });
                }
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

stored_text!(
    /// `WebFS-Request: <director session>.<n>`: a repeat of it gets the first answer again.
    RequestId, MAX_ID, "request id: 1 to 128 bytes without control characters are"
);
stored_text!(
    /// `Producer-Id` of the protocol.
    ProducerId, MAX_ID, "producer id: 1 to 128 bytes without control characters are"
);
stored_text!(
    /// `Stream-Seq`: compared byte by byte, has to rise. Its scope is the stream.
    StreamSeq, MAX_SEQ, "Stream-Seq: 1 to 256 bytes without control characters are"
);
stored_text!(
    /// `WebFS-Director`'s session id: what stands before the last dot of its request ids.
    DirectorId, MAX_ID, "director id: 1 to 128 bytes without control characters are"
);

impl RequestId {
    /// The director session that gave it out, when it has that form.
    #[must_use]
    pub fn director(&self) -> Option<&str> {
        self.0.rsplit_once('.').map(|(director, _)| director)
    }
}

/// The protocol's idempotent producer: who, in which incarnation, which of its writes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Producer {
    /// `Producer-Id`.
    pub id: ProducerId,
    /// `Producer-Epoch`, at most [`MAX_COUNT`].
    pub epoch: u64,
    /// `Producer-Seq`, at most [`MAX_COUNT`].
    pub seq: u64,
}

/// A stream's content type. Two are equal when type and subtype are, in any case; parameters are kept
/// and not compared.
#[derive(Debug, Clone)]
pub struct ContentType(Arc<str>);

impl ContentType {
    /// What every room holds.
    #[must_use]
    pub fn json() -> Self {
        Self("application/json".into())
    }

    /// What a stream holds whose creator did not say.
    #[must_use]
    pub fn octets() -> Self {
        Self("application/octet-stream".into())
    }

    /// The type as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether appends are JSON, and reads arrays of it.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.essence().eq_ignore_ascii_case("application/json")
    }

    /// Type and subtype, without parameters.
    #[must_use]
    pub fn essence(&self) -> &str {
        self.0.split(';').next().unwrap_or_default().trim()
    }
}

impl PartialEq for ContentType {
    fn eq(&self, other: &Self) -> bool {
        self.essence().eq_ignore_ascii_case(other.essence())
    }
}

impl Eq for ContentType {}

impl FromStr for ContentType {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let content_type = Self(text.trim().into());
        let good = text.len() <= MAX_TYPE
            && !text.chars().any(char::is_control)
            && !content_type.essence().is_empty();
        if good {
            Ok(content_type)
        } else {
            Err(BadValue {
                what: "content type",
                text: shown(text),
            })
        }
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
