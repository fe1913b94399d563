//! Server-sent events: how bytes become `data:` lines, and slices become events.
//!
//! Every data event is followed by a control event of its own, so whatever a reader has seen has a
//! cursor. No byte of a payload can end a line or an event: text is split at LF, CR and CRLF into
//! `data:` lines, what is neither text nor JSON goes as base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;

use crate::cursor::Cursor;
use crate::server::{Delivery, Identity, Slice};
use crate::stream::ContentType;

use super::entries::{self, EntryObject};
use super::json;

/// A line that says nothing: the connection lives.
pub(crate) const COMMENT: &[u8] = b":\n\n";

/// How a stream's payloads become text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Encoding {
    /// One array of messages.
    Json,
    /// As it is, in lines.
    Text,
    /// `stream-sse-data-encoding: base64`.
    Base64,
}

impl Encoding {
    /// The encoding of a type.
    pub(crate) fn of(content_type: &ContentType) -> Self {
        let is_text = content_type
            .essence()
            .get(..5)
            .is_some_and(|start| start.eq_ignore_ascii_case("text/"));
        if content_type.is_json() {
            Self::Json
        } else if is_text {
            Self::Text
        } else {
            Self::Base64
        }
    }
}

/// What a control event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Control<'a> {
    /// `streamNextOffset`.
    pub(crate) next: &'a Cursor,
    /// `streamCursor`.
    pub(crate) stream_cursor: u64,
    /// `upToDate`; only said when true.
    pub(crate) up_to_date: bool,
    /// What a director is told besides.
    pub(crate) director: Option<ForDirector<'a>>,
}

/// The part of a control event that only directors get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ForDirector<'a> {
    /// `webfsServer`.
    pub(crate) server: Identity,
    /// `streamStableOffset`.
    pub(crate) stable: &'a Cursor,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ControlJson<'a> {
    stream_next_offset: String,
    stream_cursor: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    up_to_date: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_stable_offset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webfs_server: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    webfs_entries: Vec<EntryObject<'a>>,
}

/// A slice as a data event and its control event.
pub(crate) fn slice(slice: &Slice, control: &Control<'_>) -> Bytes {
    let encoding = Encoding::of(&slice.content_type);
    let payloads = slice.entries.iter().map(|entry| &entry.payload[..]);
    let size: usize = payloads.clone().map(<[u8]>::len).sum();
    let mut out = Vec::with_capacity(size + size / 2 + 512);
    out.extend_from_slice(b"event: data\n");
    match encoding {
        Encoding::Json => data_lines(&mut out, &json::array(payloads)),
        Encoding::Text => data_lines(&mut out, &concat(&slice.entries)),
        Encoding::Base64 => {
            data_lines(&mut out, STANDARD.encode(concat(&slice.entries)).as_bytes());
        }
    }
    out.push(b'\n');
    push_control(&mut out, control, &slice.entries, encoding);
    out.into()
}

/// A control event alone: where the reader stands, when nothing was delivered.
pub(crate) fn control(control: &Control<'_>) -> Bytes {
    let mut out = Vec::with_capacity(256);
    push_control(&mut out, control, &[], Encoding::Json);
    out.into()
}

/// An event of one line of JSON.
pub(crate) fn event(name: &str, json: &str) -> Bytes {
    format!("event: {name}\ndata: {json}\n\n").into()
}

fn push_control(
    out: &mut Vec<u8>,
    control: &Control<'_>,
    delivered: &[Delivery],
    encoding: Encoding,
) {
    let director = control.director;
    let json = entries::ascii_json(&ControlJson {
        stream_next_offset: control.next.to_string(),
        stream_cursor: control.stream_cursor.to_string(),
        up_to_date: control.up_to_date,
        stream_stable_offset: director.map(|director| director.stable.to_string()),
        webfs_server: director.map(|director| director.server.to_string()),
        webfs_entries: match director {
            Some(_) => entries::unstable(delivered, encoding == Encoding::Json),
            None => Vec::new(),
        },
    });
    out.extend_from_slice(b"event: control\ndata:");
    out.extend_from_slice(json.as_bytes());
    out.extend_from_slice(b"\n\n");
}

fn concat(entries: &[Delivery]) -> Bytes {
    match entries {
        [one] => one.payload.clone(),
        entries => entries
            .iter()
            .flat_map(|entry| entry.payload.iter().copied())
            .collect(),
    }
}

/// Splits at LF, CR and CRLF. A reader takes one space off a line, so one is put before a line that
/// begins with a space of its own.
fn data_lines(out: &mut Vec<u8>, payload: &[u8]) {
    let mut rest = payload;
    loop {
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let line = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        out.extend_from_slice(b"data:");
        if line.first() == Some(&b' ') {
            out.push(b' ');
        }
        out.extend_from_slice(line);
        out.push(b'\n');
        let Some(end) = end else { return };
        let after = rest.get(end..).unwrap_or_default();
        let ending = if after.starts_with(b"\r\n") { 2 } else { 1 };
        rest = after.get(ending..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::events::{Event, Events};
    use proptest::prelude::*;

    fn delivery(payload: &[u8], count: u32) -> Delivery {
        Delivery {
            name: "a.1".parse().unwrap(),
            payload: Bytes::copy_from_slice(payload),
            count,
            accepted_at: 0,
            request: None,
            producer: None,
            stable: false,
        }
    }

    fn of(content_type: &str, payloads: &[&[u8]]) -> Slice {
        Slice {
            content_type: content_type.parse().unwrap(),
            entries: payloads.iter().map(|p| delivery(p, 1)).collect(),
            next: "0000000000000001_g0-a.1".parse().unwrap(),
            up_to_date: true,
            stable: Cursor::default(),
        }
    }

    fn plain(slice: &Slice) -> Control<'_> {
        Control {
            next: &slice.next,
            stream_cursor: 7,
            up_to_date: slice.up_to_date,
            director: None,
        }
    }

    fn framed(framed: &Slice) -> String {
        String::from_utf8(slice(framed, &plain(framed)).to_vec()).unwrap()
    }

    const CONTROL: &str = "event: control\ndata:{\"streamNextOffset\":\"0000000000000001_g0-a.1\",\
                           \"streamCursor\":\"7\",\"upToDate\":true}\n\n";

    #[test]
    fn a_slice_is_one_data_event_and_its_control() {
        let json = of("application/json", &[b"{\"a\":1}", b"2,3"]);
        assert_eq!(
            framed(&json),
            format!("event: data\ndata:[{{\"a\":1}},2,3]\n\n{CONTROL}")
        );
        let binary = of("image/png", &[b"\0\x01", b"\xff"]);
        assert_eq!(
            framed(&binary),
            format!("event: data\ndata:AAH/\n\n{CONTROL}")
        );
    }

    #[test]
    fn no_payload_ends_its_event() {
        let text = of("text/plain", &[b"a\r\n\r\nevent: control\rdata:x\n\n b"]);
        assert_eq!(
            framed(&text),
            format!(
                "event: data\ndata:a\ndata:\ndata:event: control\ndata:data:x\ndata:\ndata:  b\n\n{CONTROL}"
            )
        );
        let pretty = of("application/json", &[b"{\n\r\n\"a\":1}"]);
        assert_eq!(
            framed(&pretty),
            format!("event: data\ndata:[{{\ndata:\ndata:\"a\":1}}]\n\n{CONTROL}")
        );
    }

    #[test]
    fn only_a_director_is_told_more() {
        let json = of("application/json", &[b"1", b"2"]);
        let control = Control {
            director: Some(ForDirector {
                server: Identity {
                    letter: "a".parse().unwrap(),
                    start: 5,
                },
                stable: &json.stable,
            }),
            ..plain(&json)
        };
        let bytes = slice(&json, &control);
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(
            text.ends_with(
                "\"upToDate\":true,\"streamStableOffset\":\"0000000000000000_g0\",\
                 \"webfsServer\":\"a/5\",\"webfsEntries\":[{\"entry\":\"a.1\",\"at\":0,\"len\":1},\
                 {\"entry\":\"a.1\",\"at\":1,\"len\":1}]}\n\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn types_choose_their_encoding() {
        let encoding = |text: &str| Encoding::of(&text.parse().unwrap());
        assert_eq!(encoding("Application/JSON; charset=utf-8"), Encoding::Json);
        assert_eq!(encoding("TEXT/plain"), Encoding::Text);
        assert_eq!(encoding("text"), Encoding::Base64);
        assert_eq!(encoding("application/x-ndjson"), Encoding::Base64);
    }

    fn normal(text: &str) -> String {
        text.replace("\r\n", "\n").replace('\r', "\n")
    }

    proptest! {
        #[test]
        fn a_reader_gets_the_text_back(
            texts in prop::collection::vec("([ a:\r\n]|data|event|\u{e9}){1,12}", 1..4)
        ) {
            let payloads: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
            let text = of("text/plain", &payloads);
            let mut events = Events::default();
            events.push(framed(&text).as_bytes()).unwrap();
            let Some(Event { name, data }) = events.next_event() else {
                panic!("no event");
            };
            prop_assert_eq!(name, "data");
            prop_assert_eq!(data, normal(&texts.concat()));
            prop_assert_eq!(events.next_event().unwrap().name, "control");
            prop_assert!(events.next_event().is_none());
        }

        #[test]
        fn a_reader_gets_the_bytes_back(bytes in prop::collection::vec(any::<u8>(), 1..64)) {
            let binary = of("application/octet-stream", &[&bytes]);
            let mut events = Events::default();
            events.push(framed(&binary).as_bytes()).unwrap();
            let data = events.next_event().unwrap().data;
            prop_assert_eq!(STANDARD.decode(data).unwrap(), bytes);
        }
    }
}
