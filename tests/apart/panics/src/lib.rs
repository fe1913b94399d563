//! A plugin that misbehaves where its client asks for it.
//!
//! The client sends lines. `echo TEXT` asks a node (of the fetch protocol: `PING`, `PONG`) and is
//! answered with the text; `panic WHERE` panics in serve, establish, attempt, cleanup, ask or drop;
//! `forget` asks a node and leaks the chain with its link.

use director_sdk::{
    Client, ConfigMistake, Director, Exception, Failure, Host, Kind, Links, Load, NodeStream,
    Outcome, Protocol, Request, Resend, Session, async_trait,
};
use serde::Deserialize;

director_sdk::export_plugin!(Panics);

/// No options.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {}

/// The plugin.
pub struct Panics;

#[async_trait]
impl Protocol for Panics {
    type Config = Options;
    const NAME: &'static str = "panics";
    const LINKS: Links = Links::Exclusive;

    fn create(_options: Options, _host: Host) -> Result<Self, Vec<ConfigMistake>> {
        Ok(Self)
    }

    async fn serve(&self, client: Client, director: Director) -> Result<(), Failure> {
        let mut client = client.stream;
        let mut line = Vec::new();
        while client.read_line(&mut line, 1024).await? > 0 {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            match text.split_once(' ') {
                Some(("panic", "serve")) => panic!("as asked, in serve"),
                Some(("panic", "drop")) => {
                    let _dropped = PanicsInDrop;
                    return Ok(());
                }
                Some((word @ ("panic" | "echo"), rest)) => {
                    let place = if word == "panic" { rest } else { "nowhere" };
                    let mut chain = director.chain(Place(place.to_owned()));
                    director.direct(&mut chain, &mut Ping).await?;
                    client.write_all(format!("{rest}\n").as_bytes()).await?;
                }
                None if text == "forget" => {
                    let mut chain = director.chain(Place(String::new()));
                    director.direct(&mut chain, &mut Ping).await?;
                    std::mem::forget(chain);
                    client.write_all(b"forgotten\n").await?;
                }
                Some(_) | None => client.write_all(b"what?\n").await?,
            }
        }
        client.close().await?;
        Ok(())
    }

    async fn probe(&self, node: &mut NodeStream) -> Result<Load, Failure> {
        ping(node).await?;
        Ok(Load::UNKNOWN)
    }
}

async fn ping(node: &mut NodeStream) -> Result<(), Failure> {
    node.write_all(b"PING\r\n").await?;
    let mut line = Vec::new();
    node.read_line(&mut line, 1024).await?;
    match line.starts_with(b"PONG") {
        true => Ok(()),
        false => Err(Failure::new(Kind::Garbled, "no PONG")),
    }
}

/// Where to panic.
struct Place(String);

struct Ping;

struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("as asked, in drop");
    }
}

#[async_trait]
impl Session for Place {
    type Link = NodeStream;

    async fn establish(&mut self, node: NodeStream, _: &Director) -> Result<NodeStream, Failure> {
        assert_ne!(self.0, "establish", "as asked");
        Ok(node)
    }
}

#[async_trait]
impl Request<Place> for Ping {
    type Reply = ();

    async fn attempt(
        &mut self,
        place: &mut Place,
        node: &mut NodeStream,
        _: &Director,
    ) -> Result<(), Failure> {
        ping(node).await?;
        match place.0.as_str() {
            "attempt" => panic!("as asked, in attempt"),
            // A kind that casts no doubt on the node: what its standing shows is then the panic's work.
            "cleanup" | "ask" => Err(Failure::new(Kind::Busy, "as asked")),
            _ => Ok(()),
        }
    }

    async fn cleanup(
        &mut self,
        place: &mut Place,
        _: Option<&mut NodeStream>,
        _: &Exception,
    ) -> Resend {
        assert_ne!(place.0, "cleanup", "as asked");
        if place.0 == "ask" {
            Resend::Ask
        } else {
            Resend::Anywhere
        }
    }

    async fn ask(&mut self, _: &mut Place, _: &mut NodeStream) -> Result<Outcome<()>, Failure> {
        panic!("as asked, in ask");
    }
}
