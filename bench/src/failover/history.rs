//! What happened, as the clients saw it: written down while it happens, judged afterwards.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A message's identity: it travels in the message's text, `w3.17`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Message {
    /// Who wrote it.
    pub writer: u16,
    /// Which of its messages, from 1.
    pub number: u32,
}

/// One message and what became of its sending. Times count from the start of the run.
#[derive(Debug, Clone)]
pub struct Post {
    /// Which.
    pub message: Message,
    /// The message that its writer had read and answers.
    pub answers: Option<Message>,
    /// When its sending began.
    pub sent: Duration,
    /// What the client was told.
    pub outcome: Outcome,
}

/// What a writer was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// 200 or 204, at this time.
    Acknowledged(Duration),
    /// Another status. The message may be there or not.
    Refused(u16),
    /// No answer: the connection ended, or the time was over. The message may be there or not.
    Unanswered,
}

/// One message shown to one reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// When.
    pub at: Duration,
    /// Which.
    pub message: Message,
}

/// All that one reader saw, over all its connections. Each began where the one before had ended.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    /// Its name.
    pub name: String,
    /// In the order in which they came.
    pub deliveries: Vec<Delivery>,
    /// Its connections.
    pub opened: Vec<Opened>,
    /// It read to the end of the run, so it must have seen everything.
    pub complete: bool,
    /// When it left of itself, before the end.
    pub left: Option<Duration>,
}

/// A connection of a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// When it was answered.
    pub at: Duration,
    /// Through which director.
    pub director: usize,
    /// The client's own address.
    pub local: String,
}

/// A client's connection that ended although the client had not ended it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// When.
    pub at: Duration,
    /// Whose.
    pub client: String,
    /// How.
    pub how: String,
}

/// One server's copy of the room, read after healing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Which server.
    pub server: String,
    /// In its order.
    pub messages: Vec<Message>,
}

/// Everything.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// In the order of their sending, a writer's at least.
    pub posts: Vec<Post>,
    /// The readers.
    pub readers: Vec<Reader>,
    /// Connections broken by others.
    pub broken: Vec<Broken>,
    /// Tokens of 64 characters and more.
    pub long_tokens: Vec<String>,
    /// The longest token seen.
    pub longest_token: usize,
    /// When nodes were hurt.
    pub deaths: Vec<Duration>,
    /// All servers' copies, in the end.
    pub replicas: Vec<Replica>,
    /// Writes that a server accepted without what their writers had seen, as it may after a second, and
    /// as it then counts.
    pub releases: u64,
}

/// Tokens stay below this many characters.
pub const TOKEN_BOUND: usize = 64;

impl History {
    /// Notes a token.
    pub fn token(&mut self, token: &str) {
        self.longest_token = self.longest_token.max(token.len());
        if token.len() >= TOKEN_BOUND && self.long_tokens.len() < 100 {
            self.long_tokens.push(token.to_owned());
        }
    }
}

impl Reader {
    /// Through which director it read at a time.
    #[must_use]
    pub fn director_at(&self, at: Duration) -> Option<usize> {
        let opened = self.opened.iter().rev().find(|opened| opened.at <= at);
        opened.map(|opened| opened.director)
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w{}.{}", self.writer, self.number)
    }
}

/// Not a message's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoMessage(pub String);

impl FromStr for Message {
    type Err = NoMessage;

    fn from_str(text: &str) -> Result<Self, NoMessage> {
        let parts = text.strip_prefix('w').and_then(|rest| rest.split_once('.'));
        let message = parts.and_then(|(writer, number)| {
            Some(Self {
                writer: writer.parse().ok()?,
                number: number.parse().ok()?,
            })
        });
        message.ok_or_else(|| NoMessage(text.chars().take(80).collect()))
    }
}
