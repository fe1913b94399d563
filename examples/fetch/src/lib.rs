//! A whole plugin, to be read before you write your own: downloads that survive their server.
//!
//! The protocol is four lines of text over TCP:
//!
//! ```text
//! client: GET <name> <offset>\r\n        server: OK <size> <digest>\r\n<bytes from offset to size>
//!                                         server: ERR <code> <text>\r\n
//! client: PING\r\n                       server: PONG <load>\r\n
//! ```
//!
//! A plugin answers three questions, and this one answers them here:
//!
//! 1. *What is one piece of work?* A `Download`. Its fields are what it carries from a node that
//!    failed to the next one: which file the client was promised, and how much of it was delivered.
//! 2. *What does a failure mean?* [`Fetch::failures`] by the protocol's own codes; broken streams the
//!    SDK knows by itself.
//! 3. *What did a failed attempt leave behind?* Nothing here, and the position is known: it may go
//!    on anywhere (its `cleanup`).
//!
//! The rest is the director's: which node, how often, how long, when to give up.

#![forbid(unsafe_code)]

pub mod wire;

use std::time::Duration;

use director_sdk::{
    Client, ClientStream, ConfigMistake, Director, Elapsed, Exception, Failure, FailureRow, Host,
    Kind, Links, Load, NodeStream, Protocol, RelayEnd, Request, Resend, Session, async_trait,
};
use serde::Deserialize;

use wire::{Answer, Command};

#[cfg(feature = "export")]
director_sdk::export_plugin!(Fetch);

/// The service's `options`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The longest line that a client or a node may send, in bytes.
    pub line_limit: usize,
    /// How long a client may say nothing between two downloads, in seconds.
    pub idle_seconds: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            line_limit: 1024,
            idle_seconds: 300,
        }
    }
}

/// The plugin: one instance serves one configured service.
#[derive(Debug)]
pub struct Fetch {
    options: Options,
}

#[async_trait]
impl Protocol for Fetch {
    type Config = Options;
    const NAME: &'static str = "fetch";
    /// A link has no state of its client's, so after a whole answer it may serve another one.
    const LINKS: Links = Links::Pooled;

    fn create(options: Options, _host: Host) -> Result<Self, Vec<ConfigMistake>> {
        // Every mistake at once: the operator corrects them in one go.
        let mut mistakes = Vec::new();
        if options.line_limit < 64 {
            let found = options.line_limit;
            let found =
                format!("found {found}, too short for any request: right would be 64 or more");
            mistakes.push(ConfigMistake::new("line_limit", found));
        }
        if options.idle_seconds == 0 {
            let found = "found 0, in which no client can ask: right would be 1 or more";
            mistakes.push(ConfigMistake::new("idle_seconds", found));
        }
        if mistakes.is_empty() {
            Ok(Self { options })
        } else {
            Err(mistakes)
        }
    }

    fn failures() -> &'static [FailureRow] {
        const ROWS: &[FailureRow] = &[
            FailureRow::new(400..=400, Kind::Invalid),
            FailureRow::new(403..=403, Kind::Denied),
            FailureRow::new(404..=404, Kind::Missing), // a mirror may lag behind its peers
            FailureRow::new(503..=503, Kind::Busy),
        ];
        ROWS
    }

    async fn serve(&self, client: Client, director: Director) -> Result<(), Failure> {
        let mut client = client.stream;
        // The chain keeps the link from one download to the next; this protocol keeps nothing else.
        let mut mirrors = director.chain(Mirrors {
            line_limit: self.options.line_limit,
        });
        let mut line = Vec::new();
        while self.next_line(&mut client, &mut line, &director).await? {
            match Command::parse(&line) {
                Some(Command::Ping) => client.write_all(b"PONG 0\r\n").await?,
                Some(Command::Get { name, offset }) => {
                    let mut download = Download::new(&mut client, name, offset);
                    let done = director.direct(&mut mirrors, &mut download).await;
                    let begun = download.promised.is_some();
                    match done {
                        Ok(()) => {}
                        // The client was promised a file, and no node has the rest of it. A reset
                        // is the only honest end: this protocol has no way to take the promise back.
                        Err(exception) if begun => return Err(exception.into()),
                        Err(exception) => refuse(&mut client, &exception).await?,
                    }
                }
                None => client.write_all(b"ERR 400 not a request\r\n").await?,
            }
        }
        // Whatever is not closed is reset when it is dropped: only this says that all is well.
        client.close().await?;
        Ok(())
    }

    async fn probe(&self, node: &mut NodeStream) -> Result<Load, Failure> {
        node.write_all(b"PING\r\n").await?;
        match answer(node, self.options.line_limit).await? {
            Answer::Pong { load } => Ok(Load {
                load,
                leaving: false,
            }),
            Answer::Err { code, text } => Err(Failure::code(code, text)),
            other @ Answer::Ok { .. } => Err(garbled(other)),
        }
    }
}

impl Fetch {
    /// Reads the client's next line; whether there is one. Between two downloads is the moment to
    /// end: when the client has ended, has said nothing for too long, or when the director stops.
    async fn next_line(
        &self,
        client: &mut ClientStream,
        line: &mut Vec<u8>,
        director: &Director,
    ) -> Result<bool, Failure> {
        let next = client.read_line(line, self.options.line_limit);
        let next = director.timeout(Duration::from_secs(self.options.idle_seconds), next);
        match director.unless_stopping(next).await {
            Some(Ok(read)) => Ok(read? > 0),
            Some(Err(Elapsed)) | None => Ok(false),
        }
    }
}

/// Tells the client that its download cannot be: with the node's own code where there is one.
async fn refuse(client: &mut ClientStream, exception: &Exception) -> Result<(), Failure> {
    let code = match exception.code {
        0 => 502,
        code => code,
    };
    let text = exception.to_string().replace(['\r', '\n'], " ");
    client
        .write_all(format!("ERR {code} {text}\r\n").as_bytes())
        .await?;
    Ok(())
}

/// The node's next line. An end instead of it is the node's failure.
async fn answer(node: &mut NodeStream, limit: usize) -> Result<Answer, Failure> {
    let mut line = Vec::new();
    match node.read_line(&mut line, limit).await? {
        0 => Err(Failure::new(Kind::Lost, "the node ended before its answer")),
        _ => Answer::parse(&line).ok_or_else(|| garbled(String::from_utf8_lossy(&line))),
    }
}

fn garbled(found: impl std::fmt::Debug) -> Failure {
    Failure::new(Kind::Garbled, format!("the node said {found:?}"))
}

/// What a chain of downloads must find again at whichever node it is moved to: nothing but a bound.
struct Mirrors {
    line_limit: usize,
}

#[async_trait]
impl Session for Mirrors {
    /// The plugin's state on a connection: here the connection itself.
    type Link = NodeStream;

    async fn establish(&mut self, node: NodeStream, _: &Director) -> Result<NodeStream, Failure> {
        Ok(node) // no greeting, no login
    }
}

/// One download, and how far it got.
struct Download<'a> {
    client: &'a mut ClientStream,
    name: String,
    offset: u64,
    /// The file whose size and digest the client was told: from then on only this one will do.
    promised: Option<Promise>,
    /// Bytes behind `offset` that the client has accepted, by the host's own count.
    delivered: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Promise {
    size: u64,
    digest: String,
}

impl<'a> Download<'a> {
    fn new(client: &'a mut ClientStream, name: String, offset: u64) -> Self {
        Self {
            client,
            name,
            offset,
            promised: None,
            delivered: 0,
        }
    }

    /// Passes the promise on, or holds the node to the one that was made.
    async fn hold_to(&mut self, offered: Promise) -> Result<(), Failure> {
        match &self.promised {
            Some(promised) if *promised == offered => Ok(()),
            Some(promised) => Err(Failure::new(
                Kind::Diverged,
                format!("begun with {promised:?}, the node has {offered:?}"),
            )),
            None => {
                let line = format!("OK {} {}\r\n", offered.size, offered.digest);
                self.client.write_all(line.as_bytes()).await?;
                self.promised = Some(offered);
                Ok(())
            }
        }
    }
}

#[async_trait]
impl Request<Mirrors> for Download<'_> {
    type Reply = ();

    async fn attempt(
        &mut self,
        mirrors: &mut Mirrors,
        node: &mut NodeStream,
        director: &Director,
    ) -> Result<(), Failure> {
        let position = self.offset + self.delivered;
        let request = format!("GET {} {position}\r\n", self.name);
        node.write_all(request.as_bytes()).await?;
        let offered = match answer(node, mirrors.line_limit).await? {
            Answer::Ok { size, digest } if size >= position => Promise { size, digest },
            // The node has said all it will, so the link may be kept.
            Answer::Err { code, text } => return Err(Failure::code(code, text).fit()),
            other @ (Answer::Ok { .. } | Answer::Pong { .. }) => return Err(garbled(other)),
        };
        let left = offered.size - position;
        self.hold_to(offered).await?;
        // The host moves the bytes, and counts in `delivered` what the client has accepted: also
        // when the node dies in between, which is what the next attempt goes by.
        let end = director
            .relay(node, self.client, Some(left), &mut self.delivered)
            .await;
        match end {
            RelayEnd::Limit => Ok(()),
            RelayEnd::End => Err(Failure::new(Kind::Lost, "the node ended in mid-file")),
            RelayEnd::FromFailed(error) | RelayEnd::ToFailed(error) => Err(error.into()),
        }
    }

    async fn cleanup(
        &mut self,
        _mirrors: &mut Mirrors,
        _node: Option<&mut NodeStream>,
        _why: &Exception,
    ) -> Resend {
        // A read changes nothing at the node, and we know how far the client is.
        Resend::Anywhere
    }
}
