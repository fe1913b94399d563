//! Server-sent events, read and written.
//!
//! [`Reader`] takes bytes as they come and gives whole events; what it holds of a half event is bounded.
//! Lines end with LF, CR or CRLF; comments, `id`, `retry` and unknown fields are skipped, as the format says.

use bytes::{BufMut, Bytes, BytesMut};

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The `event` field; empty when there was none.
    pub kind: String,
    /// The `data` lines, joined by LF.
    pub data: String,
}

/// What cannot be read as events; the connection is of no further use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadEvent {
    /// One event has more bytes than allowed.
    TooLong {
        /// Bytes allowed.
        limit: usize,
    },
    /// Not UTF-8.
    NotText,
}

impl std::fmt::Display for BadEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong { limit } => write!(f, "an event is longer than {limit} bytes"),
            Self::NotText => f.write_str("an event is not UTF-8"),
        }
    }
}

impl std::error::Error for BadEvent {}

/// Reads events from bytes in any portions.
#[derive(Debug)]
pub struct Reader {
    limit: usize,
    line: Vec<u8>,
    /// The last byte ended a line with CR: a LF right after it belongs to that end.
    after_cr: bool,
    event: Event,
    has_data: bool,
}

impl Reader {
    /// A reader of events of at most `limit` bytes each.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            after_cr: false,
            event: Event::default(),
            has_data: false,
        }
    }

    /// Whether part of an event was read, so that the sender owes the rest.
    #[must_use]
    pub fn is_inside_event(&self) -> bool {
        !self.line.is_empty() || self.has_data || !self.event.kind.is_empty()
    }

    /// Takes the next bytes; `each` gets every event that is whole with them.
    ///
    /// # Errors
    /// When an event is too long or no text. The reader is of no further use then.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Event)) -> Result<(), BadEvent> {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                rest = &rest[1..];
                continue;
            }
            match rest.iter().position(|&b| b == b'\n' || b == b'\r') {
                None => {
                    self.take(rest)?;
                    return Ok(());
                }
                Some(end) => {
                    self.take(&rest[..end])?;
                    self.after_cr = rest[end] == b'\r';
                    rest = &rest[end + 1..];
                    if let Some(event) = self.end_line()? {
                        each(event);
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), BadEvent> {
        let held = self.line.len() + self.event.data.len() + self.event.kind.len();
        if held + bytes.len() > self.limit {
            return Err(BadEvent::TooLong { limit: self.limit });
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self) -> Result<Option<Event>, BadEvent> {
        if self.line.is_empty() {
            let event = std::mem::take(&mut self.event);
            // An event without a data line is dropped, as the format says.
            return Ok(std::mem::take(&mut self.has_data).then_some(event));
        }
        let line = std::str::from_utf8(&self.line).map_err(|_| BadEvent::NotText)?;
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.kind),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // A comment, `id`, `retry`, or something newer.
            _ => {}
        }
        self.line.clear();
        Ok(None)
    }
}

/// Writes one event. A space after the colon only where the line itself begins with one: some clients
/// look for `data:{`.
pub fn write(to: &mut BytesMut, kind: &str, data: &str) {
    to.reserve(kind.len() + data.len() + 24);
    to.put_slice(b"event: ");
    to.put_slice(kind.as_bytes());
    for line in data.split('\n') {
        to.put_slice(b"\ndata:");
        if line.starts_with(' ') {
            to.put_u8(b' ');
        }
        to.put_slice(line.as_bytes());
    }
    to.put_slice(b"\n\n");
}

/// A comment, which keeps a quiet connection from being taken for dead.
#[must_use]
pub fn comment() -> Bytes {
    Bytes::from_static(b":\n\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(limit: usize, portions: &[&[u8]]) -> Result<Vec<Event>, BadEvent> {
        let mut reader = Reader::new(limit);
        let mut events = Vec::new();
        for portion in portions {
            reader.push(portion, |event| events.push(event))?;
        }
        Ok(events)
    }

    fn event(kind: &str, data: &str) -> Event {
        Event {
            kind: kind.into(),
            data: data.into(),
        }
    }

    #[test]
    fn fields_comments_and_all_three_line_ends() {
        let text =
            b": hello\nevent: data\r\ndata: one\rdata:two\ndata\n\nid: 7\n\nevent: x\n\ndata: 3\r\r";
        let all = [event("data", "one\ntwo\n"), event("", "3")];
        assert_eq!(read(1000, &[text]).unwrap(), all);
    }

    #[test]
    fn a_half_event_is_seen_as_such() {
        let mut reader = Reader::new(1000);
        assert!(!reader.is_inside_event());
        reader.push(b": beat\n\n", |_| {}).unwrap();
        assert!(!reader.is_inside_event());
        reader.push(b"event: da", |_| {}).unwrap();
        assert!(reader.is_inside_event());
        reader.push(b"ta\ndata: x\n", |_| {}).unwrap();
        assert!(reader.is_inside_event());
        reader.push(b"\n", |_| {}).unwrap();
        assert!(!reader.is_inside_event());
    }

    #[test]
    fn a_long_event_is_refused_before_it_is_held() {
        assert_eq!(
            read(16, &[b"data: ", &[b'x'; 11]]),
            Err(BadEvent::TooLong { limit: 16 })
        );
        let endless = b"data: 12345678\n".repeat(3);
        assert_eq!(read(16, &[&endless]), Err(BadEvent::TooLong { limit: 16 }));
        assert_eq!(read(16, &[b"data: \xff\n"]), Err(BadEvent::NotText));
    }

    proptest! {
        #[test]
        fn portions_make_no_difference(
            events in proptest::collection::vec(("[a-z]{0,6}", "[a-z:\n ]{0,20}"), 1..5),
            size in 1usize..40,
        ) {
            let mut text = BytesMut::new();
            let mut all = Vec::new();
            for (kind, data) in &events {
                write(&mut text, kind, data);
                all.push(event(kind, data));
            }
            let portions: Vec<&[u8]> = text.chunks(size).collect();
            prop_assert_eq!(read(1000, &portions).unwrap(), all);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = read(100, &[&bytes]);
        }
    }
}
