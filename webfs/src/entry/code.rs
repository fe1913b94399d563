//! The spelling of an entry in bytes: see `docs/webfs-format.md`. Numbers are little-endian, texts have
//! their length in front, and what is read is checked field by field before anything is set aside for it.

use std::str::FromStr;

use bytes::Bytes;

use super::{Entry, Kind, MAX_ENTRY, MAX_PAYLOAD, VERSION};
use crate::letter::{BadName, Letter, Name};
use crate::path::{BadPath, StreamPath};
use crate::server::Append;
use crate::stream::{BadValue, ContentType, MAX_COUNT, Producer};

/// Flag bits: which optional fields follow. The others are reserved and refused.
const REQUEST: u16 = 1;
const PRODUCER: u16 = 1 << 1;
const STREAM_SEQ: u16 = 1 << 2;
const CONTENT_TYPE: u16 = 1 << 3;
const KNOWN: u16 = REQUEST | PRODUCER | STREAM_SEQ | CONTENT_TYPE;

/// Bytes that are no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEntry {
    /// They end before the entry does.
    #[error("it ends after {at} bytes, where {need} more were to come")]
    Short {
        /// Where.
        at: usize,
        /// How many bytes the next field needs.
        need: usize,
    },
    /// They go on after it.
    #[error("{0} bytes too many at its end")]
    Long(usize),
    /// Longer than any entry.
    #[error("{0} bytes, an entry has at most {MAX_ENTRY}")]
    TooLarge(usize),
    /// A version that this program does not know.
    #[error("version {0}, this program knows version {VERSION}")]
    Version(u8),
    /// A kind that is reserved or unknown.
    #[error("kind {0} is reserved or unknown to this program")]
    Kind(u8),
    /// Flag bits that are reserved.
    #[error("flags {0:#06x}, of which {KNOWN:#06x} are known")]
    Flags(u16),
    /// An index that cannot be.
    #[error("index {0} is none: 1 to 16 digits are")]
    Index(u64),
    /// The index before it is not before it.
    #[error("index {index} comes after {before}, which is not less")]
    Before {
        /// Its index.
        index: u64,
        /// The index before it.
        before: u64,
    },
    /// Too many former names.
    #[error("{0} former names, {max} are the most", max = Append::MAX_WAS)]
    Was(usize),
    /// Too long a payload.
    #[error("{0} bytes of payload, {MAX_PAYLOAD} are the most")]
    Payload(usize),
    /// Messages without bytes, or bytes without messages.
    #[error("{count} messages in {payload} bytes")]
    Count {
        /// Messages.
        count: u32,
        /// Bytes.
        payload: usize,
    },
    /// Fields that its kind has not, or lacks.
    #[error("the fields of this entry are not those of kind {0:?}")]
    Shape(Kind),
    /// A producer's number over 2^53 - 1.
    #[error("producer number {0} is over 2^53 - 1")]
    ProducerNumber(u64),
    /// Bytes that should be text.
    #[error("{0} is not UTF-8")]
    Text(&'static str),
    /// A content type with blanks around it: it has another spelling.
    #[error("a content type with blanks around it")]
    Blanks,
    /// A letter that is none.
    #[error(transparent)]
    Name(#[from] BadName),
    /// A path that is none.
    #[error(transparent)]
    Path(#[from] BadPath),
    /// A stored text that is none.
    #[error(transparent)]
    Value(#[from] BadValue),
}

impl Entry {
    /// Appends the spelling of this entry to `to`.
    ///
    /// # Errors
    /// As [`Entry::check`]; then nothing was appended.
    pub fn encode(&self, to: &mut Vec<u8>) -> Result<(), BadEntry> {
        self.check()?;
        if let Some(producer) = &self.producer {
            check_producer(producer)?;
        }
        to.reserve(self.payload.len() + 256);
        let flag = |there: bool, bit| if there { bit } else { 0 };
        let flags = flag(self.request.is_some(), REQUEST)
            | flag(self.producer.is_some(), PRODUCER)
            | flag(self.stream_seq.is_some(), STREAM_SEQ)
            | flag(self.content_type.is_some(), CONTENT_TYPE);
        to.extend([VERSION, self.kind as u8]);
        to.extend(flags.to_le_bytes());
        to.extend(self.generation.to_le_bytes());
        to.extend(self.before.to_le_bytes());
        to.extend(self.accepted_at.to_le_bytes());
        to.extend(self.count.to_le_bytes());
        put_name(to, self.name);
        put_text(to, self.path.as_str());
        if let Some(request) = &self.request {
            put_text(to, request.as_str());
        }
        if let Some(producer) = &self.producer {
            put_text(to, producer.id.as_str());
            to.extend(producer.epoch.to_le_bytes());
            to.extend(producer.seq.to_le_bytes());
        }
        if let Some(seq) = &self.stream_seq {
            put_text(to, seq.as_str());
        }
        if let Some(content_type) = &self.content_type {
            put_text(to, content_type.as_str());
        }
        to.extend(
            u8::try_from(self.was.len())
                .unwrap_or(u8::MAX)
                .to_le_bytes(),
        );
        self.was.iter().for_each(|&name| put_name(to, name));
        to.extend(
            u32::try_from(self.payload.len())
                .unwrap_or(u32::MAX)
                .to_le_bytes(),
        );
        to.extend_from_slice(&self.payload);
        Ok(())
    }

    /// The entry that exactly these bytes spell. Its payload is a copy, so that it does not keep a whole
    /// frame in memory.
    ///
    /// # Errors
    /// [`BadEntry`] tells what is wrong, and where.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadEntry> {
        if bytes.len() > MAX_ENTRY {
            return Err(BadEntry::TooLarge(bytes.len()));
        }
        let mut from = Reader::new(bytes);
        let [version, kind] = from.array()?;
        if version != VERSION {
            return Err(BadEntry::Version(version));
        }
        let kind = Kind::from_number(kind).map_err(BadEntry::Kind)?;
        let flags = u16::from_le_bytes(from.array()?);
        if flags & !KNOWN != 0 {
            return Err(BadEntry::Flags(flags));
        }
        let entry = Self {
            generation: from.u32()?,
            before: from.u64()?,
            accepted_at: from.u64()?,
            count: from.u32()?,
            kind,
            name: from.name()?,
            path: from.parsed::<StreamPath>("the path")?,
            request: from.optional(flags & REQUEST, |f| f.parsed("the request id"))?,
            producer: from.optional(flags & PRODUCER, Reader::producer)?,
            stream_seq: from.optional(flags & STREAM_SEQ, |f| f.parsed("Stream-Seq"))?,
            content_type: from.optional(flags & CONTENT_TYPE, Reader::content_type)?,
            was: from.was()?,
            payload: from.payload()?,
        };
        from.end()?;
        entry.check().map(|()| entry)
    }
}

fn check_producer(producer: &Producer) -> Result<(), BadEntry> {
    match [producer.epoch, producer.seq]
        .iter()
        .find(|&&n| n > MAX_COUNT)
    {
        Some(&number) => Err(BadEntry::ProducerNumber(number)),
        None => Ok(()),
    }
}

pub(crate) fn put_name(to: &mut Vec<u8>, name: Name) {
    put_text(to, &name.letter.to_string());
    to.extend(name.index.to_le_bytes());
}

/// Every text here is bounded to at most 256 bytes by its type, so two bytes hold its length.
pub(crate) fn put_text(to: &mut Vec<u8>, text: &str) {
    to.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
    to.extend_from_slice(text.as_bytes());
}

/// Takes fields off the front of bytes from outside, each only as far as they reach.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Nothing may be left.
    pub(crate) fn end(&self) -> Result<(), BadEntry> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            more => Err(BadEntry::Long(more)),
        }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], BadEntry> {
        let short = BadEntry::Short {
            at: self.bytes.len(),
            need: (self.at + len).saturating_sub(self.bytes.len()),
        };
        let taken = self.bytes.get(self.at..self.at + len).ok_or(short)?;
        self.at += len;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], BadEntry> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, BadEntry> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn text(&mut self, what: &'static str) -> Result<&'a str, BadEntry> {
        let len = u16::from_le_bytes(self.array()?);
        let bytes = self.take(usize::from(len))?;
        std::str::from_utf8(bytes).map_err(|_| BadEntry::Text(what))
    }

    pub(crate) fn parsed<T>(&mut self, what: &'static str) -> Result<T, BadEntry>
    where
        T: FromStr,
        BadEntry: From<T::Err>,
    {
        Ok(self.text(what)?.parse()?)
    }

    pub(crate) fn optional<T>(
        &mut self,
        there: u16,
        read: impl FnOnce(&mut Self) -> Result<T, BadEntry>,
    ) -> Result<Option<T>, BadEntry> {
        (there != 0).then(|| read(self)).transpose()
    }

    pub(crate) fn u32(&mut self) -> Result<u32, BadEntry> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn name(&mut self) -> Result<Name, BadEntry> {
        let letter: Letter = self.parsed("a letter")?;
        Ok(letter.name(self.u64()?))
    }

    fn producer(&mut self) -> Result<Producer, BadEntry> {
        let producer = Producer {
            id: self.parsed("the producer id")?,
            epoch: self.u64()?,
            seq: self.u64()?,
        };
        check_producer(&producer).map(|()| producer)
    }

    fn content_type(&mut self) -> Result<ContentType, BadEntry> {
        let text = self.text("the content type")?;
        let content_type: ContentType = text.parse()?;
        if content_type.as_str() == text {
            Ok(content_type)
        } else {
            Err(BadEntry::Blanks)
        }
    }

    fn was(&mut self) -> Result<Vec<Name>, BadEntry> {
        let [count] = self.array()?;
        if usize::from(count) > Append::MAX_WAS {
            return Err(BadEntry::Was(usize::from(count)));
        }
        (0..count).map(|_| self.name()).collect()
    }

    fn payload(&mut self) -> Result<Bytes, BadEntry> {
        let len = self.u32()? as usize;
        if len > MAX_PAYLOAD {
            return Err(BadEntry::Payload(len));
        }
        self.take(len).map(Bytes::copy_from_slice)
    }
}
