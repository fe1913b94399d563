//! Takes a body out of its framing, in any portions.

use crate::node::head::Framing;

/// Longest line of a chunk's size or trailer, in bytes.
const MAX_LINE: usize = 4096;
/// Most bytes of trailers.
const MAX_TRAILERS: usize = 16 * 1024;

/// Where in its body an answer stands.
#[derive(Debug)]
pub struct Frames {
    state: State,
    line: Vec<u8>,
    trailers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Bytes to come, with a chunk's frame around them or without.
    Data {
        left: u64,
        chunked: bool,
    },
    UntilEnd,
    Size,
    /// The line end after a chunk.
    ChunkEnd,
    Trailer,
    Done,
}

impl Frames {
    /// At the beginning of a body.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(left) => State::Data {
                left,
                chunked: false,
            },
            Framing::Chunked => State::Size,
            Framing::UntilEnd => State::UntilEnd,
        };
        Self {
            state,
            line: Vec::new(),
            trailers: 0,
        }
    }

    /// Whether the body is whole.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The connection ended; whether the body is whole now.
    pub fn end(&mut self) -> bool {
        if self.state == State::UntilEnd {
            self.state = State::Done;
        }
        self.is_done()
    }

    /// Takes bytes of the connection, appends those of the body to `body`, and says how many it took:
    /// what comes after the body is left.
    ///
    /// # Errors
    /// When the frames are broken.
    pub fn take(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> Result<usize, &'static str> {
        let mut at = 0;
        while at < bytes.len() && !self.is_done() {
            let rest = &bytes[at..];
            match self.state {
                State::Data { left, chunked } => {
                    let n = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                    body.extend_from_slice(&rest[..n]);
                    at += n;
                    self.state = match (left - n as u64, chunked) {
                        (0, false) => State::Done,
                        (0, true) => State::ChunkEnd,
                        (left, chunked) => State::Data { left, chunked },
                    };
                }
                State::UntilEnd => {
                    body.extend_from_slice(rest);
                    at = bytes.len();
                }
                State::Size | State::ChunkEnd | State::Trailer => {
                    let end = rest.iter().position(|&b| b == b'\n');
                    let n = end.map_or(rest.len(), |end| end + 1);
                    if self.line.len() + n > MAX_LINE {
                        return Err("a line of its chunks is too long");
                    }
                    self.line.extend_from_slice(&rest[..n]);
                    at += n;
                    if end.is_some() {
                        self.end_line()?;
                    }
                }
                State::Done => {}
            }
        }
        Ok(at)
    }

    fn end_line(&mut self) -> Result<(), &'static str> {
        let line = std::mem::take(&mut self.line);
        let line = line
            .strip_suffix(b"\r\n")
            .ok_or("a line of its chunks ends without CR")?;
        self.state = match self.state {
            State::Size => match size(line).ok_or("the size of a chunk is no number")? {
                0 => State::Trailer,
                left => State::Data {
                    left,
                    chunked: true,
                },
            },
            State::ChunkEnd if line.is_empty() => State::Size,
            State::ChunkEnd => return Err("a chunk is longer than its size"),
            State::Trailer if line.is_empty() => State::Done,
            State::Trailer => {
                self.trailers += line.len();
                if self.trailers > MAX_TRAILERS {
                    return Err("its trailers are too long");
                }
                State::Trailer
            }
            State::Data { .. } | State::UntilEnd | State::Done => self.state,
        };
        Ok(())
    }
}

/// The size that a chunk's first line tells; what follows a `;` is an extension.
fn size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|&b| b == b';').next()?.trim_ascii();
    let good = (1..=15).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| good)?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(
        framing: Framing,
        bytes: &[u8],
        size: usize,
    ) -> Result<(Vec<u8>, usize, bool), &'static str> {
        let mut frames = Frames::new(framing);
        let (mut body, mut taken) = (Vec::new(), 0);
        for portion in bytes.chunks(size) {
            let n = frames.take(portion, &mut body)?;
            taken += n;
            if n < portion.len() {
                break;
            }
        }
        Ok((body, taken, frames.is_done()))
    }

    #[test]
    fn chunks_with_extensions_and_trailers() {
        let bytes = b"5;x=1\r\nhello\r\n0A\r\n 0123456\r\n\r\n0\r\nX: y\r\n\r\nHTTP/1.1";
        for size in 1..bytes.len() {
            let (body, taken, done) = read(Framing::Chunked, bytes, size).unwrap();
            assert_eq!(body, b"hello 0123456\r\n");
            assert_eq!(&bytes[taken..], b"HTTP/1.1");
            assert!(done);
        }
    }

    #[test]
    fn broken_chunks_are_refused() {
        for bad in [
            &b"x\r\n"[..],
            b"\r\n",
            b"5\nhello\r\n",
            b"5\r\nhello!\r\n",
            b"-5\r\n",
            b"fffffffffffffffff\r\n",
        ] {
            assert!(read(Framing::Chunked, bad, 3).is_err(), "{bad:?}");
        }
        let long = vec![b'1'; MAX_LINE + 1];
        assert!(read(Framing::Chunked, &long, 100).is_err());
        let trailers = b"0\r\n"
            .iter()
            .copied()
            .chain(b"X: 1\r\n".repeat(MAX_TRAILERS / 3));
        assert!(read(Framing::Chunked, &trailers.collect::<Vec<_>>(), 100).is_err());
    }

    #[test]
    fn lengths_and_ends() {
        assert_eq!(
            read(Framing::Length(3), b"abcd", 2),
            Ok((b"abc".to_vec(), 3, true))
        );
        assert_eq!(
            read(Framing::Length(0), b"abcd", 2),
            Ok((Vec::new(), 0, true))
        );
        assert!(!Frames::new(Framing::Length(1)).end());
        assert!(Frames::new(Framing::UntilEnd).end());
        assert_eq!(
            read(Framing::UntilEnd, b"abcd", 2),
            Ok((b"abcd".to_vec(), 4, false))
        );
    }

    proptest! {
        #[test]
        fn what_is_chunked_comes_out(chunks in proptest::collection::vec("[a-z\r\n]{1,20}", 0..6), portion in 1usize..30) {
            let mut bytes = Vec::new();
            for chunk in &chunks {
                bytes.extend(format!("{:x}\r\n{chunk}\r\n", chunk.len()).into_bytes());
            }
            bytes.extend(b"0\r\n\r\n");
            let (body, taken, done) = read(Framing::Chunked, &bytes, portion).unwrap();
            prop_assert_eq!(body, chunks.concat().into_bytes());
            prop_assert_eq!((taken, done), (bytes.len(), true));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, portion in 1usize..30) {
            let _ = read(Framing::Chunked, &bytes, portion);
        }
    }
}
