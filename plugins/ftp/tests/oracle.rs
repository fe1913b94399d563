//! The matrix's own test: a proxy that resends whatever was not answered is found out by it, at each command with
//! an effect. What finds nothing in bad work proves nothing of good.

#![forbid(unsafe_code)]
// Outside of a `#[test]` function, but in a test all the same.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod model;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use director_sdk::testing::{World, some_cuts};
use director_sdk::{
    Client, ConfigMistake, Director, Exception, Failure, Host, Kind, Links, Load, NodeStream,
    Protocol, Request, Resend, Session, async_trait,
};

use model::Cluster;
use model::style::Style;
use model::sweep::{FAULTS, OLD, three, tree};
use model::tree::content;

/// How many bytes it uploads.
const SENT: usize = 900;

/// Has a node perform the commands of its options, and says the last reply to its client. When a node is lost it
/// says them all to the next.
struct Naive {
    commands: Vec<String>,
}

#[async_trait]
impl Protocol for Naive {
    type Config = Vec<String>;
    const NAME: &'static str = "naive";
    const LINKS: Links = Links::Exclusive;

    fn create(commands: Vec<String>, _: Host) -> Result<Self, Vec<ConfigMistake>> {
        Ok(Self { commands })
    }

    async fn serve(&self, mut client: Client, director: Director) -> Result<(), Failure> {
        let mut chain = director.chain(Account);
        let mut resent = Resent(&self.commands);
        let reply = director.direct(&mut chain, &mut resent).await?;
        client.stream.write_all(reply.as_bytes()).await?;
        Ok(client.stream.close().await?)
    }

    async fn probe(&self, node: &mut NodeStream) -> Result<Load, Failure> {
        said(node).await.map(|_| Load::UNKNOWN)
    }
}

struct Account;

#[async_trait]
impl Session for Account {
    type Link = NodeStream;

    async fn establish(
        &mut self,
        mut node: NodeStream,
        _: &Director,
    ) -> Result<NodeStream, Failure> {
        said(&mut node).await?;
        for line in ["USER joe", "PASS secret", "TYPE I"] {
            ask(&mut node, line).await?;
        }
        Ok(node)
    }
}

struct Resent<'a>(&'a [String]);

#[async_trait]
impl Request<Account> for Resent<'_> {
    type Reply = String;

    async fn attempt(
        &mut self,
        _: &mut Account,
        node: &mut NodeStream,
        director: &Director,
    ) -> Result<String, Failure> {
        let mut reply = String::new();
        for command in self.0 {
            if !["STOR", "APPE", "STOU"].contains(&&command[..4]) {
                reply = ask(node, command).await?;
                continue;
            }
            let passive = ask(node, "EPSV").await?;
            let port = passive.split('|').nth(3).and_then(|port| port.parse().ok());
            let port = port.ok_or_else(|| Failure::new(Kind::Garbled, passive.clone()))?;
            let mut data = director.connect(node, port).await?;
            ask(node, command).await?;
            data.write_all(&content(9, SENT)).await?;
            data.close().await?;
            reply = said(node).await?;
        }
        Ok(reply)
    }

    /// The fault.
    async fn cleanup(
        &mut self,
        _: &mut Account,
        _: Option<&mut NodeStream>,
        _: &Exception,
    ) -> Resend {
        Resend::Anywhere
    }
}

async fn ask(node: &mut NodeStream, line: &str) -> Result<String, Failure> {
    node.write_all(format!("{line}\r\n").as_bytes()).await?;
    said(node).await
}

/// A reply of one line.
async fn said(node: &mut NodeStream) -> Result<String, Failure> {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let Some(byte) = node.fill().await?.first().copied() else {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        };
        node.consume(1);
        line.push(byte);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// What the matrix says of it.
fn verdict(commands: &[&str]) -> String {
    let options = format!("{commands:?}");
    let swept = catch_unwind(AssertUnwindSafe(|| {
        some_cuts(1, &FAULTS, 3, |world: &World| {
            let cluster = Cluster::shared(&three(Style::Vsftpd), tree());
            let sent = content(9, SENT);
            cluster.expect("/pub/new", &sent);
            world.start::<Naive>(&options).unwrap();
            cluster.servers.iter().for_each(|server| server.join(world));
            let told = world.run(async { world.connect().read_line().await.unwrap_or_default() });
            cluster.assert_once(&world.story());
            told
        })
    }));
    match swept {
        Ok(swept) => format!("nothing in {swept:?}"),
        Err(why) => match why.downcast::<String>() {
            Ok(why) => *why,
            Err(_) => String::new(),
        },
    }
}

#[test]
fn a_resend_of_what_may_have_been_done_is_found_out() {
    let old = format!("REST {OLD}");
    for (commands, found) in [
        (vec!["DELE /pub/gone"], "the client saw"),
        (vec!["MKD /pub/made"], "the client saw"),
        (vec!["MKD /pub/made", "RMD /pub/made"], "done twice"),
        (vec!["RNFR /pub/old", "RNTO /pub/new"], "the client saw"),
        (vec!["SITE CHMOD 600 old"], "done twice"),
        (vec!["STOR /pub/new"], "done twice"),
        (vec!["APPE /pub/old"], "done twice"),
        (vec![&old, "STOR /pub/old"], "done twice"),
        (vec!["STOU"], "done twice"),
    ] {
        let verdict = verdict(&commands);
        assert!(verdict.contains(found), "{commands:?}: {verdict}");
    }
}

/// So that it is the resend that was found out, and no other fault of it.
#[test]
fn what_may_be_done_again_is_not() {
    for commands in [vec!["NOOP"], vec!["CWD /pub", "SIZE file.bin"]] {
        let verdict = verdict(&commands);
        assert!(verdict.starts_with("nothing in"), "{commands:?}: {verdict}");
    }
}
