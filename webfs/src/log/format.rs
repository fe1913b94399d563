//! The bytes of a segment: a header, then batches. See `docs/webfs-format.md`.
//!
//! A segment's random salt stands in its file's name and in each of its batches. Nobody who writes
//! payloads knows it, so nothing inside a payload can pass for a batch; and it outlives a damaged header.

use std::fmt;

use crate::entry::Entry;
use crate::letter::Letter;

/// Bytes before the first batch.
pub(super) const HEADER: u64 = 4096;
/// Version of segments and batches, in each header.
pub(super) const VERSION: u16 = 1;
const SEGMENT_MAGIC: [u8; 8] = *b"WebFSlog";
const BATCH_MAGIC: [u8; 4] = *b"WFSb";
/// Bytes of a batch before its entries.
pub(super) const BATCH_HEADER: usize = 40;
/// Bytes in front of each entry: its length, and its checksum.
pub(super) const ENTRY_HEADER: usize = 8;
const PAGE: usize = 4096;
static ZEROS: [u8; PAGE] = [0; PAGE];
/// Bit of a header's flags: the start that made this segment found damage.
const REPAIRED: u16 = 1;

/// A segment's number and salt, which its file's name spells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SegmentName {
    pub(super) number: u32,
    pub(super) salt: u64,
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log-{:010}-{:016x}", self.number, self.salt)
    }
}

impl SegmentName {
    /// `None` for any other file.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (number, salt) = name.strip_prefix("log-")?.split_once('-')?;
        let segment = Self {
            number: number.parse().ok()?,
            salt: u64::from_str_radix(salt, 16).ok()?,
        };
        (segment.to_string() == name).then_some(segment)
    }
}

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: SegmentName,
    /// The server's letter when it was made; none before it had one.
    pub(super) letter: Option<Letter>,
    /// Made at a start: entries that older segments have from this sequence on are outside of the
    /// log's order. 0 when made in the course of writing.
    pub(super) fence: u64,
    /// Made at a start: the sequence of its first entry. 0 when made in the course of writing.
    pub(super) first: u64,
    /// The start that made it found damage.
    pub(super) repaired: bool,
}

/// Why a header does not count.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadHeader {
    /// Of another version: whoever reads on would misread.
    Version(u16),
    /// Not a header of this segment.
    Damaged,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER as usize);
        bytes.extend(SEGMENT_MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(if self.repaired { REPAIRED } else { 0 }.to_le_bytes());
        bytes.extend(self.name.number.to_le_bytes());
        bytes.extend(self.name.salt.to_le_bytes());
        bytes.extend(self.fence.to_le_bytes());
        bytes.extend(self.first.to_le_bytes());
        let mut letter = [0; crate::letter::MAX_LETTER];
        let spelled = self
            .letter
            .map(|letter| letter.to_string())
            .unwrap_or_default();
        for (to, from) in letter.iter_mut().zip(spelled.bytes()) {
            *to = from;
        }
        bytes.extend(letter);
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes.resize(HEADER as usize, 0);
        bytes
    }

    pub(super) fn decode(bytes: &[u8], name: SegmentName) -> Result<Self, BadHeader> {
        Self::read(bytes, name).ok_or(BadHeader::Damaged)?
    }

    fn read(bytes: &[u8], name: SegmentName) -> Option<Result<Self, BadHeader>> {
        let sum = u32::from_le_bytes(array(bytes, 48)?);
        if array(bytes, 0)? != SEGMENT_MAGIC || sum != crc32c::crc32c(bytes.get(..48)?) {
            return None;
        }
        let version = u16::from_le_bytes(array(bytes, 8)?);
        if version != VERSION {
            return Some(Err(BadHeader::Version(version)));
        }
        let found = SegmentName {
            number: u32::from_le_bytes(array(bytes, 12)?),
            salt: u64::from_le_bytes(array(bytes, 16)?),
        };
        let letter: [u8; crate::letter::MAX_LETTER] = array(bytes, 40)?;
        let letter = std::str::from_utf8(&letter).ok()?.trim_end_matches('\0');
        let header = Self {
            name,
            letter: if letter.is_empty() {
                None
            } else {
                Some(letter.parse().ok()?)
            },
            fence: u64::from_le_bytes(array(bytes, 24)?),
            first: u64::from_le_bytes(array(bytes, 32)?),
            repaired: u16::from_le_bytes(array(bytes, 10)?) & REPAIRED != 0,
        };
        (found == name).then_some(Ok(header))
    }
}

/// One batch in a segment's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Batch<'a> {
    /// Sequence of its first entry.
    pub(super) sequence: u64,
    /// Entries in it.
    pub(super) count: u32,
    /// The last sequence that was known to be durable when it was written.
    pub(super) durable: u64,
    /// Where its entries begin in the segment.
    pub(super) start: usize,
    /// The entries, each with its header.
    pub(super) body: &'a [u8],
}

impl<'a> Batch<'a> {
    /// Where it ends.
    pub(super) fn end(&self) -> usize {
        self.start + self.body.len()
    }

    /// The sequence after its last.
    pub(super) fn next(&self) -> u64 {
        self.sequence + u64::from(self.count)
    }

    /// The batch that begins at `at`; `None` when none with this salt and a good checksum does.
    pub(super) fn at(segment: &'a [u8], at: usize, salt: u64) -> Option<Self> {
        let bytes = segment.get(at..)?;
        if array(bytes, 0)? != BATCH_MAGIC || array(bytes, 4)? != salt.to_le_bytes() {
            return None;
        }
        let length = u32::from_le_bytes(array(bytes, 12)?) as usize;
        let body = bytes.get(BATCH_HEADER..BATCH_HEADER.checked_add(length)?)?;
        let sum = crc32c::crc32c_append(crc32c::crc32c(bytes.get(..36)?), body);
        let batch = Self {
            sequence: u64::from_le_bytes(array(bytes, 20)?),
            count: u32::from_le_bytes(array(bytes, 16)?),
            durable: u64::from_le_bytes(array(bytes, 28)?),
            start: at + BATCH_HEADER,
            body,
        };
        (sum == u32::from_le_bytes(array(bytes, 36)?)).then_some(batch)
    }

    /// The first whole batch that begins at `from` or later.
    pub(super) fn find(segment: &'a [u8], from: usize, salt: u64) -> Option<Self> {
        let mut mark = Vec::from(BATCH_MAGIC);
        mark.extend(salt.to_le_bytes());
        // Most of what is searched is a segment's unused end: a zero is no batch's first byte.
        for (chunk, bytes) in segment.get(from..)?.chunks(PAGE).enumerate() {
            if is_zero(bytes) {
                continue;
            }
            for at in from + chunk * PAGE..from + chunk * PAGE + bytes.len() {
                if segment
                    .get(at..)
                    .is_some_and(|rest| rest.starts_with(&mark))
                    && let Some(batch) = Self::at(segment, at, salt)
                {
                    return Some(batch);
                }
            }
        }
        None
    }

    /// Its entries' bytes, each with the offset of its header in the segment. Ends early where the
    /// lengths do not add up.
    pub(super) fn entries(&self) -> impl Iterator<Item = (usize, Framed<'a>)> + use<'a> {
        let (mut at, mut rest) = (self.start, self.body);
        std::iter::from_fn(move || {
            let framed = Framed::at(rest)?;
            let here = at;
            let len = ENTRY_HEADER + framed.bytes.len();
            at += len;
            rest = rest.get(len..)?;
            Some((here, framed))
        })
    }
}

/// How many bytes an entry and its header take, as the header says.
pub(super) fn framed_len(bytes: &[u8]) -> Option<usize> {
    let len = u32::from_le_bytes(array(bytes, 0)?) as usize;
    ENTRY_HEADER.checked_add(len)
}

/// One entry's bytes as they stand in a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Framed<'a> {
    /// Its spelling.
    pub(super) bytes: &'a [u8],
    sum: u32,
}

impl<'a> Framed<'a> {
    /// The entry whose header `bytes` begins with.
    pub(super) fn at(bytes: &'a [u8]) -> Option<Self> {
        Some(Self {
            bytes: bytes.get(ENTRY_HEADER..framed_len(bytes)?)?,
            sum: u32::from_le_bytes(array(bytes, 4)?),
        })
    }

    /// Whether the checksum of this single entry fits; the batch's covers it as well.
    pub(super) fn is_whole(&self) -> bool {
        self.sum == crc32c::crc32c(self.bytes)
    }
}

/// Builds one batch in a buffer that is used again and again.
#[derive(Default)]
pub(super) struct BatchWriter {
    bytes: Vec<u8>,
    /// Offset of each entry's header from the batch's beginning.
    offsets: Vec<usize>,
}

impl BatchWriter {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.resize(BATCH_HEADER, 0);
        self.offsets.clear();
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// When it is none; nothing was added then.
    pub(super) fn push(&mut self, entry: &Entry) -> Result<(), crate::entry::BadEntry> {
        let at = self.bytes.len();
        self.bytes.resize(at + ENTRY_HEADER, 0);
        if let Err(error) = entry.encode(&mut self.bytes) {
            self.bytes.truncate(at);
            return Err(error);
        }
        let (head, body) = self.bytes.split_at_mut(at + ENTRY_HEADER);
        let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
        put(head, at, &len.to_le_bytes());
        put(head, at + 4, &crc32c::crc32c(body).to_le_bytes());
        self.offsets.push(at);
        Ok(())
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Where each entry's header lies in the batch.
    pub(super) fn offsets(&self) -> &[usize] {
        &self.offsets
    }

    /// The whole batch.
    pub(super) fn finish(&mut self, salt: u64, sequence: u64, durable: u64) -> &[u8] {
        let (head, body) = self.bytes.split_at_mut(BATCH_HEADER);
        let count = u32::try_from(self.offsets.len()).unwrap_or(u32::MAX);
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        put(head, 0, &BATCH_MAGIC);
        put(head, 4, &salt.to_le_bytes());
        put(head, 12, &length.to_le_bytes());
        put(head, 16, &count.to_le_bytes());
        put(head, 20, &sequence.to_le_bytes());
        put(head, 28, &durable.to_le_bytes());
        let (covered, _) = head.split_at(36);
        let sum = crc32c::crc32c_append(crc32c::crc32c(covered), body);
        put(head, 36, &sum.to_le_bytes());
        &self.bytes
    }
}

/// Whether all of it is zero.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(PAGE).all(|chunk| ZEROS.starts_with(chunk))
}

fn put(to: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = to.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}
