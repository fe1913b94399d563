//! A read that goes on where it was lost.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use serde::Deserialize;
use tokio::time;

use super::events::{Event, Events};
use super::{ClientError, Connection, Url, good, text_of};

/// A server says something every 15 s; after this long its connection is taken for lost.
const SILENCE: Duration = Duration::from_secs(45);
/// The waits between two attempts to connect: the first, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// What a live read brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// What was appended: in JSON an array of messages. Empty when the server only said where it stands.
    Data {
        /// The bytes, as they were appended.
        data: Bytes,
        /// Where to go on after it.
        offset: String,
        /// Nothing more is there now.
        up_to_date: bool,
    },
    /// The connection is lost, and the attempt to connect again failed as well; it goes on trying.
    Lost(String),
}

/// A live read by server-sent events. It reconnects by its offset, so nothing is missed or read twice.
pub struct Follow {
    url: Url,
    offset: String,
    open: Option<Open>,
    wait: Option<Duration>,
    said_lost: bool,
}

struct Open {
    body: Incoming,
    events: Events,
    base64: bool,
    /// A data event whose control event has not come.
    held: Bytes,
    // Ends with the read; the body is fed by it.
    _connection: Connection,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Control {
    stream_next_offset: String,
    #[serde(default)]
    up_to_date: bool,
}

impl Follow {
    /// A read from an offset; `-1` is the start, `now` the tail.
    #[must_use]
    pub fn new(url: Url, from: impl Into<String>) -> Self {
        Self {
            url,
            offset: from.into(),
            open: None,
            wait: None,
            said_lost: false,
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn offset(&self) -> &str {
        &self.offset
    }

    /// What comes next. Waits as long as it takes, connecting again when it must.
    ///
    /// # Errors
    /// When the server refuses the read for good, or answers what makes no sense.
    ///
    /// # Cancel safety
    /// Nothing that was delivered is delivered again, and nothing is missed.
    pub async fn next(&mut self) -> Result<Update, ClientError> {
        loop {
            if self.open.is_none() {
                if let Some(wait) = self.wait {
                    time::sleep(wait).await;
                }
                match self.connect().await {
                    Ok(open) => self.open = Some(open),
                    Err(error) if error.may_pass() => {
                        let wait = self.wait.map_or(FIRST_WAIT, |wait| wait * 2);
                        self.wait = Some(wait.min(LONGEST_WAIT));
                        if !std::mem::replace(&mut self.said_lost, true) {
                            return Ok(Update::Lost(error.to_string()));
                        }
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            let Some(open) = &mut self.open else { continue };
            match open.next().await {
                Ok(Some((data, control))) => {
                    self.wait = None;
                    self.said_lost = false;
                    self.offset.clone_from(&control.stream_next_offset);
                    return Ok(Update::Data {
                        data,
                        offset: control.stream_next_offset,
                        up_to_date: control.up_to_date,
                    });
                }
                // The server ends a stream now and then; or it is gone, which connecting will tell.
                Ok(None) => self.lose(),
                Err(error) if error.may_pass() => self.lose(),
                Err(error) => return Err(error),
            }
        }
    }

    fn lose(&mut self) {
        self.open = None;
        // A server that takes reads and ends them at once must not be asked without a pause.
        self.wait = Some(self.wait.map_or(Duration::ZERO, |wait| {
            (wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT)
        }));
    }

    async fn connect(&self) -> Result<Open, ClientError> {
        let mut connection = Connection::open(&self.url).await?;
        let target = self.url.target(&format!("offset={}&live=sse", self.offset));
        let sent = connection.send(Method::GET, &target, HeaderMap::new(), Bytes::new());
        let response = good(sent.await?).await?;
        let base64 = text_of(response.headers(), "stream-sse-data-encoding") == Some("base64");
        Ok(Open {
            body: response.into_body(),
            events: Events::default(),
            base64,
            held: Bytes::new(),
            _connection: connection,
        })
    }
}

impl Open {
    /// The next data with its control event; `None` at the end.
    async fn next(&mut self) -> Result<Option<(Bytes, Control)>, ClientError> {
        loop {
            while let Some(Event { name, data }) = self.events.next_event() {
                match name.as_str() {
                    "data" if self.base64 => {
                        self.held = STANDARD
                            .decode(data.replace('\n', ""))
                            .map_err(|error| ClientError::Garbled(error.to_string()))?
                            .into();
                    }
                    "data" => self.held = data.into(),
                    "control" => {
                        let control = serde_json::from_str(&data)
                            .map_err(|error| ClientError::Garbled(error.to_string()))?;
                        return Ok(Some((std::mem::take(&mut self.held), control)));
                    }
                    // Of a later version.
                    _ => {}
                }
            }
            let Ok(frame) = time::timeout(SILENCE, self.body.frame()).await else {
                return Ok(None);
            };
            let Some(frame) = frame else { return Ok(None) };
            if let Ok(chunk) = frame?.into_data() {
                self.events
                    .push(&chunk)
                    .map_err(|error| ClientError::Garbled(error.to_string()))?;
            }
        }
    }
}
