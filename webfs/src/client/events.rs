//! Reading server-sent events, chunk by chunk.

use std::collections::VecDeque;

/// Longest event, in bytes: a server's longest slice, as base64, and room to spare.
const MAX_EVENT: usize = 16 << 20;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `event:`, or `message` when it has none.
    pub name: String,
    /// Its `data:` lines, joined by line feeds.
    pub data: String,
}

/// The stream is no event stream that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEvents {
    /// Longer than is read.
    #[error("an event of more than {MAX_EVENT} bytes")]
    TooLong,
}

/// Turns chunks into events. Lines end with LF, CR or CRLF; a half event at the end is never given out.
#[derive(Debug, Default)]
pub struct Events {
    line: Vec<u8>,
    after_cr: bool,
    name: String,
    data: Option<String>,
    done: VecDeque<Event>,
}

impl Events {
    /// Takes the next chunk.
    ///
    /// # Errors
    /// When an event gets longer than 16 MiB.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), BadEvents> {
        for &byte in chunk {
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => self.end_line(),
                byte => self.line.push(byte),
            }
            let held = self.line.len() + self.data.as_ref().map_or(0, String::len);
            if held > MAX_EVENT {
                return Err(BadEvents::TooLong);
            }
        }
        Ok(())
    }

    /// The next whole event.
    pub fn next_event(&mut self) -> Option<Event> {
        self.done.pop_front()
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            if let Some(data) = self.data.take() {
                let name = match name.is_empty() {
                    true => "message".to_owned(),
                    false => name,
                };
                self.done.push_back(Event { name, data });
            }
            return;
        }
        let line = String::from_utf8_lossy(&line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            // A comment, an id, a retry time, or what later versions bring.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: &str = "event: data\r\ndata:[1]\r\n\r\n: comment\n\nid: 4\nevent:control\ndata: {\ndata:  }\r\r\
                          data: half";

    fn all(events: &mut Events) -> Vec<(String, String)> {
        std::iter::from_fn(|| events.next_event())
            .map(|event| (event.name, event.data))
            .collect()
    }

    fn expected() -> Vec<(String, String)> {
        vec![
            ("data".to_owned(), "[1]".to_owned()),
            ("control".to_owned(), "{\n }".to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn the_cuts_between_chunks_do_not_matter(cuts in prop::collection::vec(0..STREAM.len(), 0..8)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut events = Events::default();
            let mut from = 0;
            for cut in cuts.into_iter().chain([STREAM.len()]) {
                events.push(&STREAM.as_bytes()[from..cut]).unwrap();
                from = cut;
            }
            prop_assert_eq!(all(&mut events), expected());
        }
    }

    #[test]
    fn an_event_has_a_bound() {
        let mut events = Events::default();
        let chunk = vec![b'x'; 1 << 20];
        let last = (0..18).find_map(|_| events.push(&chunk).err());
        assert_eq!(last, Some(BadEvents::TooLong));
    }
}
