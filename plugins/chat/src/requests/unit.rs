//! What a live read passes on at a time: a data event with its control event, or a control event alone.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::body::{BadBody, Form, Parts};
use crate::cursor::Cursor;
use crate::entry::Entry;
use crate::sse::{self, Event};

/// A control event, as a node writes it to a director.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Control {
    /// Where the reader stands.
    pub stream_next_offset: String,
    /// For caches between.
    #[serde(default)]
    pub stream_cursor: Option<Box<RawValue>>,
    /// Nothing more is there.
    #[serde(default)]
    pub up_to_date: bool,
    /// Nothing more will come.
    #[serde(default)]
    pub stream_closed: bool,
    /// What is stable.
    #[serde(default)]
    pub stream_stable_offset: Option<String>,
    /// Who writes.
    #[serde(default)]
    pub webfs_server: Option<String>,
    /// Which entries of the data event are not stable.
    #[serde(default)]
    pub webfs_entries: Vec<Entry>,
}

/// A control event, as a client sees it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    stream_next_offset: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_cursor: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    up_to_date: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream_closed: bool,
}

/// A data event, if there is one, with its control event.
#[derive(Debug)]
pub struct Unit {
    /// The data event's data.
    pub data: Option<String>,
    /// The control event.
    pub control: Control,
}

/// Puts events together to units.
#[derive(Debug, Default)]
pub struct Pairing {
    data: Option<String>,
}

impl Pairing {
    /// Takes an event; a unit is whole with its control event.
    ///
    /// # Errors
    /// What no node should send.
    pub fn take(&mut self, event: Event) -> Result<Option<Unit>, String> {
        match event.kind.as_str() {
            "data" => match self.data.replace(event.data) {
                None => Ok(None),
                Some(_) => Err("two data events came without a control event between".to_owned()),
            },
            "control" => {
                let control = serde_json::from_str(&event.data)
                    .map_err(|error| format!("a control event: {error}"))?;
                let data = self.data.take();
                Ok(Some(Unit { data, control }))
            }
            // Something newer than this.
            _ => Ok(None),
        }
    }

    /// Whether a data event waits for its control event.
    #[must_use]
    pub fn is_half(&self) -> bool {
        self.data.is_some()
    }
}

impl Unit {
    /// Takes out what a reader was shown before; `seen` is given the parts and says which places. Returns
    /// how many were taken out.
    ///
    /// # Errors
    /// When the data is not what the control event says.
    pub fn cut(
        &mut self,
        form: Option<Form>,
        seen: impl FnOnce(&[Entry], &Parts<'_>) -> Vec<std::ops::Range<usize>>,
    ) -> Result<usize, BadBody> {
        let entries = std::mem::take(&mut self.control.webfs_entries);
        let Some(data) = self.data.take() else {
            return Ok(0);
        };
        if entries.is_empty() {
            self.data = Some(data);
            return Ok(0);
        }
        let parts = match form {
            Some(form) => Parts::of(form, data.as_bytes())?,
            None => guessed(&data, &entries)?,
        };
        if !can_be_cut(&data, &entries, &parts) {
            self.data = Some(data);
            return Ok(0);
        }
        let places = seen(&entries, &parts);
        let gone: usize = places.iter().map(ExactSizeIterator::len).sum();
        if places.is_empty() {
            self.data = Some(data);
            return Ok(0);
        }
        let rest = parts.without(&places)?;
        if gone < parts.len() {
            let text = String::from_utf8(rest.into())
                .map_err(|_| BadBody("an entry's place splits a character"))?;
            self.data = Some(text);
        }
        Ok(places.len())
    }

    /// The unit as the client sees it.
    #[must_use]
    pub fn shown(&self) -> Bytes {
        let mut out = BytesMut::new();
        if let Some(data) = &self.data {
            sse::write(&mut out, "data", data);
        }
        let control = Shown {
            stream_next_offset: &self.control.stream_next_offset,
            stream_cursor: self.control.stream_cursor.as_deref(),
            up_to_date: self.control.up_to_date,
            stream_closed: self.control.stream_closed,
        };
        // Strings, numbers and flags alone: it cannot fail, and an empty event would be seen as broken.
        let control = serde_json::to_string(&control).unwrap_or_default();
        sse::write(&mut out, "control", &control);
        out.freeze()
    }

    /// The cursor after it.
    ///
    /// # Errors
    /// When it is none.
    pub fn next(&self) -> Result<Cursor, crate::cursor::BadCursor> {
        self.control.stream_next_offset.parse()
    }
}

/// An event has LF for every CR and CRLF of a text, so that places by bytes are of no use after one of those.
/// Whether there was one is seen only where the last entry is told, which then ends where the text does.
fn can_be_cut(data: &str, entries: &[Entry], parts: &Parts<'_>) -> bool {
    match parts {
        Parts::Json(_) | Parts::Base64(_) => true,
        Parts::Bytes(bytes) => {
            let end = entries
                .iter()
                .filter_map(Entry::place)
                .map(|place| place.end);
            !data.contains('\n') || end.max() == Some(bytes.len())
        }
    }
}

/// A node that does not say whether a stream is JSON: it is when the data is an array that has the places of
/// all entries, for as text it would have far more bytes than elements.
fn guessed<'a>(data: &'a str, entries: &[Entry]) -> Result<Parts<'a>, BadBody> {
    let end = entries
        .iter()
        .filter_map(Entry::place)
        .map(|place| place.end)
        .max();
    match Parts::of(Form::Json, data.as_bytes()) {
        Ok(parts) if end.is_some_and(|end| end <= parts.len()) => Ok(parts),
        Ok(_) | Err(_) => Parts::of(Form::Bytes, data.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, data: &str) -> Event {
        Event {
            kind: kind.into(),
            data: data.into(),
        }
    }

    const CONTROL: &str = r#"{"streamNextOffset":"0000000000000002_g0-a.2","streamCursor":"17","upToDate":true,
        "streamStableOffset":"0000000000000000_g0","webfsServer":"a/5",
        "webfsEntries":[{"entry":"a.1","at":0,"len":1},{"entry":"a.2","at":1,"len":1}]}"#;

    fn unit(data: Option<&str>) -> Unit {
        let mut pairing = Pairing::default();
        if let Some(data) = data {
            assert!(pairing.take(event("data", data)).unwrap().is_none());
            assert!(pairing.is_half());
        }
        let unit = pairing.take(event("control", CONTROL)).unwrap().unwrap();
        assert!(!pairing.is_half());
        unit
    }

    #[test]
    fn a_client_sees_the_standard_keys_alone() {
        let shown = unit(Some("[1,\n2]")).shown();
        assert_eq!(
            std::str::from_utf8(&shown).unwrap(),
            "event: data\ndata:[1,\ndata:2]\n\nevent: control\ndata:{\"streamNextOffset\":\
             \"0000000000000002_g0-a.2\",\"streamCursor\":\"17\",\"upToDate\":true}\n\n"
        );
        assert!(unit(None).shown().starts_with(b"event: control\n"));
    }

    #[test]
    fn what_was_seen_before_is_cut_out_and_an_empty_event_left_out() {
        let mut some = unit(Some("[1, 2]"));
        assert_eq!(some.cut(Some(Form::Json), |_, _| vec![0..1]).unwrap(), 1);
        assert_eq!(some.data.as_deref(), Some("[2]"));
        let mut all = unit(Some("[1,2]"));
        assert_eq!(all.cut(None, |_, _| vec![0..1, 1..2]).unwrap(), 2);
        assert_eq!(all.data, None);
        let mut none = unit(Some("[1, 2]"));
        assert_eq!(none.cut(None, |_, _| Vec::new()).unwrap(), 0);
        assert_eq!(none.data.as_deref(), Some("[1, 2]"));
        let mut text = unit(Some("xy"));
        text.cut(None, |_, parts| {
            assert_eq!(parts.len(), 2);
            vec![0..1]
        })
        .unwrap();
        assert_eq!(text.data.as_deref(), Some("y"));
        // "x\r\n" came as "x\n": the places are those of what was written.
        let mut lines = unit(Some("x\n"));
        lines.control.webfs_entries[1].len = 2;
        assert_eq!(lines.cut(Some(Form::Bytes), |_, _| vec![1..3]).unwrap(), 0);
        assert_eq!(lines.data.as_deref(), Some("x\n"));
    }

    #[test]
    fn what_no_node_should_send_is_refused() {
        let mut pairing = Pairing::default();
        pairing.take(event("data", "1")).unwrap();
        assert!(pairing.take(event("data", "2")).is_err());
        assert!(Pairing::default().take(event("control", "{}")).is_err());
        assert!(
            Pairing::default()
                .take(event("later", ""))
                .unwrap()
                .is_none()
        );
        assert!(
            unit(Some("[1,2]"))
                .cut(Some(Form::Json), |_, _| vec![1..3])
                .is_err()
        );
        assert!(
            unit(Some("{}"))
                .cut(Some(Form::Json), |_, _| Vec::new())
                .is_err()
        );
    }
}
