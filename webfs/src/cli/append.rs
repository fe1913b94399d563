//! `webfs append`: one append to a stream.

use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use tokio::io::AsyncReadExt;

use crate::client::{self, Poster, Url};
use crate::server::Limits;

use super::{CliError, print_line};

/// How long to send it again when nobody answers.
const PATIENCE: Duration = Duration::from_secs(30);

const EXAMPLES: &str = "\
Examples:
  webfs append http://127.0.0.1:7070/v1/stream/rooms/lobby '{\"from\":\"ann\",\"text\":\"hi\",\"at\":\"2026-01-01T00:00:00Z\"}'
  date | webfs append http://127.0.0.1:7070/v1/stream/log

It is sent with the type that the stream has, once, or again when nobody answers: it is stored once.";

/// Flags of `webfs append`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Append {
    /// The stream
    url: Url,
    /// What to add; standard input when it is left out
    text: Option<String>,
    /// Print the answer as an object, for a program
    #[arg(long)]
    json: bool,
}

impl Append {
    pub(super) async fn run(self) -> Result<(), CliError> {
        let content_type = client::content_type(&self.url).await?;
        let body = match self.text {
            Some(text) => Bytes::from(text),
            None => standard_input().await?,
        };
        if body.is_empty() {
            return Err(CliError::Usage("there is nothing to append".to_owned()));
        }
        if content_type.is_json() {
            serde_json::from_slice::<serde::de::IgnoredAny>(&body)
                .map_err(|error| CliError::Usage(format!("this stream holds JSON: {error}")))?;
        }
        let mut poster = Poster::new(self.url, content_type.as_str(), PATIENCE)?;
        let posted = poster.post(body).await?;
        if self.json {
            let line = serde_json::json!({
                "offset": posted.offset,
                "repeated": posted.repeated,
            });
            print_line(line.to_string().as_bytes())?;
        }
        Ok(())
    }
}

async fn standard_input() -> Result<Bytes, CliError> {
    let mut body = Vec::new();
    let limit = Limits::MAX_APPEND as u64;
    tokio::io::stdin()
        .take(limit + 1)
        .read_to_end(&mut body)
        .await
        .map_err(|error| CliError::Failed(format!("standard input: {error}")))?;
    if body.len() as u64 > limit {
        return Err(CliError::Usage(format!(
            "standard input has more than {limit} bytes, the most of one append"
        )));
    }
    Ok(body.into())
}
