//! What servers say to each other, as bytes: frames on one connection each way.
//!
//! A frame is a length, a checksum and a body; the body's first byte says what it is. The first frame each
//! way is [`Hello`] with the protocol's version, and all others are [`Message`]s. See
//! `docs/webfs-format.md`. Decoding checks every length before anything is set aside for it.

mod io;

use bytes::Bytes;

use crate::core::{Hello, Message, Shipped, StreamCut};
use crate::cursor::Cut;
use crate::entry::{BadEntry, Entry, MAX_ENTRY, MAX_INDEX, Reader, put_name, put_text};
use crate::letter::Letter;
use crate::server::Identity;

pub use io::{FrameReader, ReadError};

/// Version of the protocol, in [`Hello`]; [`crate::PEER_PROTOCOL`] says it as well.
pub const VERSION: u8 = 1;
/// Bytes of a body after which no further entry or stream is put into it.
const TARGET: usize = 256 << 10;
/// The longest body: `TARGET`, and one longest entry.
pub const MAX_BODY: usize = TARGET + MAX_ENTRY + 64;
/// Bytes before the body: its length and its checksum.
pub const FRAME_HEADER: usize = 8;
/// The most letters in one cut. A cursor's token of 255 bytes holds fewer.
const MAX_LETTERS: usize = 255;
/// Longest address, in bytes.
const MAX_ADDRESS: usize = 255;

const HELLO: u8 = 0;
const KNOWN: u8 = 1;
const SYNCED: u8 = 2;
const ENTRIES: u8 = 3;
const PULL: u8 = 4;
const PULLED: u8 = 5;
const STATUS: u8 = 6;

/// A body that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// Longer than any.
    #[error("a frame of {0} bytes, {MAX_BODY} are the most")]
    TooLong(usize),
    /// Its checksum does not fit.
    #[error("a frame's checksum does not fit")]
    Checksum,
    /// The other side speaks another version.
    #[error("the peer speaks version {0}, this program {VERSION}")]
    Version(u8),
    /// Another kind of frame than may come here.
    #[error("a frame of kind {0} in a place where it cannot be")]
    Kind(u8),
    /// A field that cannot be.
    #[error("a frame's {0} cannot be what it says")]
    Field(&'static str),
    /// A field, or an entry in it, that is none.
    #[error("in a frame: {0}")]
    Entry(#[from] BadEntry),
}

/// Appends the frame of a greeting.
pub fn encode_hello(hello: &Hello, to: &mut Vec<u8>) {
    frame(to, HELLO, |to| {
        to.push(VERSION);
        put_text(to, hello.id.as_str());
        to.extend(hello.session.to_le_bytes());
        put_text(
            to,
            hello.address.get(..MAX_ADDRESS).unwrap_or(&hello.address),
        );
        to.push(hello.fresh.into());
    });
}

/// Reads a greeting's body.
///
/// # Errors
/// [`BadFrame::Version`] when the other side is of another version; otherwise what is wrong with it.
pub fn decode_hello(body: &[u8]) -> Result<Hello, BadFrame> {
    let mut from = Reader::new(body);
    match from.array()? {
        [HELLO] => {}
        [other] => return Err(BadFrame::Kind(other)),
    }
    match from.array()? {
        [VERSION] => {}
        [other] => return Err(BadFrame::Version(other)),
    }
    let hello = Hello {
        id: from.parsed("the server id")?,
        session: from.u64()?,
        address: text(&mut from)?,
        fresh: flag(&mut from)?,
    };
    from.end()?;
    Ok(hello)
}

/// Appends the frames of a message: one, but for long [`Message::Entries`] and [`Message::Synced`], which
/// mean the same in parts.
///
/// # Errors
/// When an entry is none; what was appended is then to be thrown away.
pub fn encode(message: &Message, to: &mut Vec<u8>) -> Result<(), BadEntry> {
    match message {
        Message::Known { letter, start, top } => frame(to, KNOWN, |to| {
            put_letter(to, *letter);
            to.extend(start.to_le_bytes());
            to.extend(top.to_le_bytes());
        }),
        Message::Synced { streams, last } => encode_synced(streams, *last, to),
        Message::Entries(entries) => return encode_entries(entries, to),
        Message::Pull { nonce, path } => frame(to, PULL, |to| {
            to.extend(nonce.to_le_bytes());
            put_text(to, path.as_ref().map_or("", |path| path.as_str()));
        }),
        Message::Pulled { nonce } => frame(to, PULLED, |to| to.extend(nonce.to_le_bytes())),
        Message::Status {
            identity,
            load,
            leaving,
        } => frame(to, STATUS, |to| {
            put_letter(to, identity.map(|identity| identity.letter));
            to.extend(identity.map_or(0, |identity| identity.start).to_le_bytes());
            to.extend(load.to_le_bytes());
            to.push((*leaving).into());
        }),
    }
    Ok(())
}

fn encode_entries(mut entries: &[Shipped], to: &mut Vec<u8>) -> Result<(), BadEntry> {
    while !entries.is_empty() {
        let mut result = Ok(());
        frame(to, ENTRIES, |to| {
            let begin = to.len();
            while let Some((first, rest)) = entries.split_first()
                && to.len() - begin < TARGET
                && result.is_ok()
            {
                let at = to.len();
                to.extend([0; 4]);
                result = first.entry.encode(to);
                let len = u32::try_from(to.len() - at - 4).unwrap_or(u32::MAX);
                put(to, at, &len.to_le_bytes());
                entries = rest;
            }
        });
        result?;
    }
    Ok(())
}

fn encode_synced(mut streams: &[StreamCut], last: bool, to: &mut Vec<u8>) {
    loop {
        frame(to, SYNCED, |to| {
            let begin = to.len();
            to.push(0);
            while let Some((first, rest)) = streams.split_first()
                && to.len() - begin < TARGET
            {
                put_text(to, first.path.as_str());
                to.extend(first.generation.to_le_bytes());
                let names = first.cut.len().min(MAX_LETTERS);
                to.push(u8::try_from(names).unwrap_or(u8::MAX));
                first
                    .cut
                    .names()
                    .take(names)
                    .for_each(|name| put_name(to, name));
                streams = rest;
            }
            put(to, begin, &[(last && streams.is_empty()).into()]);
        });
        if streams.is_empty() {
            return;
        }
    }
}

/// Reads a message's body.
///
/// # Errors
/// What is wrong with it; the connection is of no use then.
pub fn decode(body: &[u8]) -> Result<Message, BadFrame> {
    let mut from = Reader::new(body);
    let [kind] = from.array()?;
    let message = match kind {
        KNOWN => Message::Known {
            letter: letter(&mut from)?,
            start: from.u64()?,
            top: index(&mut from)?,
        },
        SYNCED => decode_synced(&mut from)?,
        ENTRIES => {
            let mut entries = Vec::new();
            while !from.is_at_end() {
                let len = from.u32()? as usize;
                let entry = Entry::decode(from.take(len)?)?;
                entries.push(Shipped { entry, place: None });
            }
            if entries.is_empty() {
                return Err(BadFrame::Field("number of entries"));
            }
            Message::Entries(entries)
        }
        PULL => Message::Pull {
            nonce: from.u64()?,
            path: match from.text("the path")? {
                "" => None,
                path => Some(path.parse().map_err(BadEntry::from)?),
            },
        },
        PULLED => Message::Pulled { nonce: from.u64()? },
        STATUS => {
            let (letter, start) = (letter(&mut from)?, from.u64()?);
            Message::Status {
                identity: letter.map(|letter| Identity { letter, start }),
                load: from.u32()?,
                leaving: flag(&mut from)?,
            }
        }
        other => return Err(BadFrame::Kind(other)),
    };
    from.end()?;
    Ok(message)
}

fn decode_synced(from: &mut Reader<'_>) -> Result<Message, BadFrame> {
    let last = flag(from)?;
    let mut streams = Vec::new();
    while !from.is_at_end() {
        let path = from.parsed("the path")?;
        let generation = from.u32()?;
        let [names] = from.array()?;
        let mut cut = Cut::default();
        for _ in 0..names {
            let name = from.name()?;
            if name.index == 0 || name.index > MAX_INDEX {
                return Err(BadEntry::Index(name.index).into());
            }
            cut.raise(name);
        }
        if cut.len() != usize::from(names) {
            return Err(BadFrame::Field("cut"));
        }
        streams.push(StreamCut {
            path,
            generation,
            cut,
        });
    }
    Ok(Message::Synced { streams, last })
}

/// Appends one frame: `body` writes it, and length and checksum are put before it.
fn frame(to: &mut Vec<u8>, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let at = to.len();
    to.extend([0; FRAME_HEADER]);
    to.push(kind);
    body(to);
    let written = to.get(at + FRAME_HEADER..).unwrap_or_default();
    let len = u32::try_from(written.len()).unwrap_or(u32::MAX);
    let sum = crc32c::crc32c(written);
    put(to, at, &len.to_le_bytes());
    put(to, at + 4, &sum.to_le_bytes());
}

fn put(to: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = to.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

fn put_letter(to: &mut Vec<u8>, letter: Option<Letter>) {
    put_text(
        to,
        &letter.map(|letter| letter.to_string()).unwrap_or_default(),
    );
}

fn letter(from: &mut Reader<'_>) -> Result<Option<Letter>, BadEntry> {
    match from.text("a letter")? {
        "" => Ok(None),
        letter => Ok(Some(letter.parse()?)),
    }
}

fn flag(from: &mut Reader<'_>) -> Result<bool, BadFrame> {
    match from.array()? {
        [0] => Ok(false),
        [1] => Ok(true),
        [_] => Err(BadFrame::Field("yes or no")),
    }
}

fn index(from: &mut Reader<'_>) -> Result<u64, BadFrame> {
    let index = from.u64()?;
    if index > MAX_INDEX {
        return Err(BadFrame::Field("index"));
    }
    Ok(index)
}

fn text(from: &mut Reader<'_>) -> Result<String, BadFrame> {
    let text = from.text("the address")?;
    if text.len() > MAX_ADDRESS || text.chars().any(char::is_control) {
        return Err(BadFrame::Field("address"));
    }
    Ok(text.to_owned())
}

/// Checks a frame's header: the length of the body that has to follow, and its checksum.
fn decode_header(header: [u8; FRAME_HEADER]) -> Result<(usize, u32), BadFrame> {
    let [l0, l1, l2, l3, s0, s1, s2, s3] = header;
    let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if len > MAX_BODY {
        return Err(BadFrame::TooLong(len));
    }
    Ok((len, u32::from_le_bytes([s0, s1, s2, s3])))
}

/// A body whose checksum fits.
fn checked(body: Bytes, sum: u32) -> Result<Bytes, BadFrame> {
    if crc32c::crc32c(&body) == sum {
        Ok(body)
    } else {
        Err(BadFrame::Checksum)
    }
}

#[cfg(test)]
mod tests;
