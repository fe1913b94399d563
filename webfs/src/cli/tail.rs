//! `webfs tail`: what a stream holds, and what is added to it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use hyper::Method;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::client::{self, ClientError, Connection, Follow, Update, Url, text_of, whole};
use crate::stream::ContentType;

use super::{CliError, print_line};

const EXAMPLES: &str = "\
Examples:
  webfs tail http://127.0.0.1:7070/v1/stream/rooms/lobby
  webfs tail http://127.0.0.1:7070/v1/stream/rooms/lobby --from now --live
  webfs tail http://127.0.0.1:7070/v1/stream/rooms/lobby --json --live | jq .data

A JSON stream is printed one message a line, any other as it is. With --json each line is an object:
offset (where to go on after it), upToDate, and data: the messages, or a text, or {\"base64\": ...}.";

/// Flags of `webfs tail`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Tail {
    /// The stream
    url: Url,
    /// Where to begin: an offset, -1 for the start, now for the tail
    #[arg(
        long,
        value_name = "OFFSET",
        default_value = "-1",
        allow_hyphen_values = true
    )]
    from: String,
    /// Go on with what is added, until interrupted; a lost connection is made anew
    #[arg(long)]
    live: bool,
    /// Print objects, for a program
    #[arg(long)]
    json: bool,
}

/// One line of `--json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    offset: &'a str,
    up_to_date: bool,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Messages(&'a RawValue),
    Text(&'a str),
    Binary { base64: String },
}

impl Tail {
    pub(super) async fn run(self) -> Result<(), CliError> {
        if !self.from.bytes().all(|byte| byte.is_ascii_graphic()) || self.from.contains(['&', '#'])
        {
            return Err(CliError::Usage(format!("{:?} is no offset", self.from)));
        }
        match self.live {
            true => self.live().await,
            false => self.once().await,
        }
    }

    async fn once(&self) -> Result<(), CliError> {
        let mut connection = Connection::open(&self.url).await?;
        let mut offset = self.from.clone();
        loop {
            let target = self.url.target(&format!("offset={offset}"));
            let response = connection.ask(Method::GET, &target).await?;
            let headers = response.headers().clone();
            let content_type = client::type_of(&headers)?;
            let next = text_of(&headers, "stream-next-offset")
                .ok_or_else(|| ClientError::Garbled("no stream-next-offset".to_owned()))?
                .to_owned();
            let up_to_date = text_of(&headers, "stream-up-to-date") == Some("true");
            let data = whole(response.into_body()).await?;
            self.print(&content_type, &data, &next, up_to_date)?;
            if up_to_date {
                return Ok(());
            }
            if next == offset && data.is_empty() {
                return Err(
                    ClientError::Garbled("it stands still before its tail".to_owned()).into(),
                );
            }
            offset = next;
        }
    }

    async fn live(&self) -> Result<(), CliError> {
        let content_type = client::content_type(&self.url).await?;
        let mut follow = Follow::new(self.url.clone(), self.from.clone());
        loop {
            match follow.next().await? {
                Update::Data {
                    data,
                    offset,
                    up_to_date,
                } => self.print(&content_type, &data, &offset, up_to_date)?,
                Update::Lost(why) => eprintln!("webfs: {why}; trying again"),
            }
        }
    }

    fn print(
        &self,
        content_type: &ContentType,
        data: &[u8],
        offset: &str,
        up_to_date: bool,
    ) -> Result<(), CliError> {
        let garbled = |error: serde_json::Error| ClientError::Garbled(error.to_string());
        if self.json {
            let data = match content_type.is_json() {
                true => Data::Messages(
                    serde_json::from_slice(match data {
                        b"" => b"[]",
                        data => data,
                    })
                    .map_err(garbled)?,
                ),
                false => match std::str::from_utf8(data) {
                    Ok(text) => Data::Text(text),
                    Err(_) => Data::Binary {
                        base64: STANDARD.encode(data),
                    },
                },
            };
            let line = serde_json::to_vec(&Line {
                offset,
                up_to_date,
                data,
            });
            return print_line(&line.map_err(garbled)?);
        }
        if data.is_empty() {
            return Ok(());
        }
        if content_type.is_json() {
            let messages: Vec<&RawValue> = serde_json::from_slice(data).map_err(garbled)?;
            return messages
                .iter()
                .try_for_each(|message| print_line(one_line(message.get()).as_bytes()));
        }
        use std::io::Write as _;
        let mut out = std::io::stdout().lock();
        out.write_all(data)
            .and_then(|()| out.flush())
            .map_err(CliError::Output)
    }
}

/// Outside of strings a line feed in JSON is white space, and inside it cannot be.
fn one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}
