//! `webfs chat`: talking in a room, reading and writing at once.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use serde_json::value::RawValue;
use tokio::signal::unix::{SignalKind, signal};

use crate::client::{self, ClientError, Follow, Posted, Poster, Update, Url};

use super::CliError;
use super::editor::{Editor, Typed};
use super::message::{self, Message};
use super::terminal::{self, Terminal};

/// How long to send a message again when nobody answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// Messages that wait to be sent, before the keyboard has to wait.
const MAX_WAITING: usize = 64;
/// Longest name, in bytes.
const MAX_NAME: usize = 64;

const EXAMPLES: &str = "\
Examples:
  webfs chat http://127.0.0.1:7070/v1/stream/rooms/lobby --as ann
  echo 'the build is green' | webfs chat http://127.0.0.1:7070/v1/stream/rooms/lobby --as ci

Enter sends, Ctrl-D or Ctrl-C ends. A lost connection is made anew where it was.";

/// Flags of `webfs chat`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Chat {
    /// The room
    url: Url,
    /// Your name
    #[arg(long = "as", value_name = "NAME", value_parser = name)]
    name: String,
    /// Where to begin: an offset, -1 for the start, now for the tail
    #[arg(
        long,
        value_name = "OFFSET",
        default_value = "-1",
        allow_hyphen_values = true
    )]
    from: String,
}

type Posting = Pin<Box<dyn Future<Output = (Poster, Result<Posted, ClientError>)> + Send>>;

/// One chat.
struct Talk {
    name: String,
    terminal: Terminal,
    editor: Editor,
    waiting: VecDeque<String>,
    poster: Option<Poster>,
    posting: Option<Posting>,
    lost: bool,
    /// The keyboard has ended; what waits is still sent.
    ending: bool,
}

impl Chat {
    pub(super) async fn run(self) -> Result<(), CliError> {
        if !client::content_type(&self.url).await?.is_json() {
            return Err(CliError::Usage(
                "this is no room: it does not hold JSON".to_owned(),
            ));
        }
        let poster = Poster::new(self.url.clone(), "application/json", PATIENCE)?;
        let mut follow = Follow::new(self.url, self.from);
        let mut keyboard = terminal::keyboard()?;
        let stop = |kind| {
            signal(kind).map_err(|error| CliError::Failed(format!("no signal handler: {error}")))
        };
        let (mut interrupt, mut terminate) = (
            stop(SignalKind::interrupt())?,
            stop(SignalKind::terminate())?,
        );
        let mut talk = Talk {
            name: self.name,
            terminal: Terminal::open()?,
            editor: Editor::default(),
            waiting: VecDeque::new(),
            poster: Some(poster),
            posting: None,
            lost: false,
            ending: false,
        };
        talk.terminal.show("")?;
        loop {
            let may_type = !talk.ending && talk.waiting.len() < MAX_WAITING;
            tokio::select! {
                update = follow.next() => talk.update(update?)?,
                chunk = keyboard.recv(), if may_type => talk.typed(chunk)?,
                (poster, result) = posted(&mut talk.posting) => talk.posted(poster, result)?,
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
            }
            talk.post_next();
            if talk.ending && talk.posting.is_none() {
                return Ok(());
            }
        }
    }
}

impl Talk {
    fn update(&mut self, update: Update) -> Result<(), CliError> {
        match update {
            Update::Lost(why) => {
                self.lost = true;
                self.say(&format!("* {why}; trying again"))
            }
            Update::Data { data, .. } => {
                if std::mem::take(&mut self.lost) {
                    self.say("* connected again")?;
                }
                if data.is_empty() {
                    return Ok(());
                }
                let messages: Vec<&RawValue> = serde_json::from_slice(&data)
                    .map_err(|error| ClientError::Garbled(error.to_string()))?;
                messages
                    .iter()
                    .try_for_each(|json| self.say(&message::line(json.get())))
            }
        }
    }

    fn typed(&mut self, chunk: Option<Vec<u8>>) -> Result<(), CliError> {
        let mut typed: Vec<Typed> = Vec::new();
        match chunk {
            Some(chunk) => {
                typed.extend(chunk.iter().filter_map(|&byte| self.editor.key(byte)));
            }
            None => {
                typed.extend(self.editor.finish());
                typed.push(Typed::End);
            }
        }
        for one in typed {
            match one {
                Typed::Line(line) => self.waiting.push_back(line),
                Typed::End => self.ending = true,
            }
        }
        self.terminal.show(self.editor.line())
    }

    fn posted(
        &mut self,
        poster: Poster,
        result: Result<Posted, ClientError>,
    ) -> Result<(), CliError> {
        self.posting = None;
        self.poster = Some(poster);
        match result {
            Ok(_) => Ok(()),
            Err(error) if self.ending => Err(error.into()),
            Err(error) => self.say(&format!("* not sent: {error}")),
        }
    }

    /// Messages go one after another: their order is that of the keyboard.
    fn post_next(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let Some(mut poster) = self.poster.take() else {
            return;
        };
        let Some(text) = self.waiting.pop_front() else {
            return;
        };
        let message = Message::now(&self.name, &text);
        self.posting = Some(Box::pin(async move {
            let result = match serde_json::to_vec(&message) {
                Ok(body) => poster.post(Bytes::from(body)).await,
                Err(error) => Err(ClientError::Unsendable(error.to_string())),
            };
            (poster, result)
        }));
    }

    fn say(&self, line: &str) -> Result<(), CliError> {
        self.terminal.print(line, self.editor.line())
    }
}

async fn posted(posting: &mut Option<Posting>) -> (Poster, Result<Posted, ClientError>) {
    match posting {
        Some(posting) => posting.await,
        None => std::future::pending().await,
    }
}

fn name(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(format!(
            "a name has 1 to {MAX_NAME} bytes and no control characters"
        ));
    }
    Ok(name.to_owned())
}
