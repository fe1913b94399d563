//! Further connections: a protocol with its data apart, as FTP has it, on the network in memory, and
//! faults planted in a plugin for it.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test: what is not as written here must fail

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use director_sdk::testing::{
    Counts, Cut, Leftover, Wire, World, every_call, every_cut, every_poll, some_cuts,
};
use director_sdk::{
    Client, ClientStream, ClientTls, ConfigMistake, Director, Exception, Failure, Host, Kind,
    Links, Listener, Load, NodeStream, Protocol, RelayEnd, Request, Resend, Session, StreamError,
    Who, async_trait,
};
use serde::Deserialize;

/// Fetches a text from a node, over a connection apart at both ends.
///
/// `get` has the director listen for the client, `get <port>` has it connect to the client;
/// `near` and `near <port>` let the node connect to the director, instead of the other way round.
struct Ferry {
    options: Options,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// A planted fault: an attempt begins where the client began.
    forgets_what_was_sent: bool,
    /// A planted fault: the listener for the client is never ended.
    leaks: bool,
    /// A planted fault: what a node says of the length is not compared with what came.
    believes_the_end: bool,
    /// A planted fault: data that ended well is believed when nothing more is heard of its length.
    believes_silence: bool,
    /// Before it asks the node anything, an attempt lets 20 s pass.
    dozes: bool,
    /// A planted fault: as if the node owed something meanwhile.
    dozes_with_the_node_due: bool,
    /// Accepts anybody's connection.
    anyone: bool,
    /// TLS with the nodes, on both connections.
    tls: bool,
    /// The client's data connection must resume the TLS session of the other.
    resumed: bool,
}

#[async_trait]
impl Protocol for Ferry {
    type Config = Options;
    const NAME: &'static str = "ferry";
    const LINKS: Links = Links::Exclusive;

    fn create(options: Options, _: Host) -> Result<Self, Vec<ConfigMistake>> {
        Ok(Self { options })
    }

    async fn serve(&self, client: Client, director: Director) -> Result<(), Failure> {
        let mut client = client.stream;
        let mut chain = director.chain(Account {
            tls: self.options.tls,
        });
        let mut line = Vec::new();
        while client.read_line(&mut line, 100).await? > 0 {
            let said = String::from_utf8_lossy(&line).trim_end().to_owned();
            if said == "tls" {
                client.write_all(b"go on\n").await?;
                let begun = client.start_tls(ClientTls::default()).await;
                assert_eq!(begun.is_err(), client.trouble().is_some());
                assert_eq!(begun?.version, 0x0304);
                continue;
            }
            if said == "synch" {
                client.write_urgent(b"\xff\xf2").await?;
                continue;
            }
            if said == "many" {
                let answer = many(&client, &director).await;
                client.write_all(answer.as_bytes()).await?;
                continue;
            }
            let (word, port) = said.split_once(' ').unwrap_or((&said, ""));
            let mut data = match port.parse() {
                Ok(port) => director.connect(&client, port).await?,
                Err(_) => self.accepted(&mut client, &director).await?,
            };
            assert_eq!(data.local().unwrap().ip(), client.local().unwrap().ip());
            if client.tls().is_some() {
                let mut how = ClientTls::default().of(&client);
                if self.options.resumed {
                    how = how.require_resumed();
                }
                data.start_tls(how).await?;
            }
            let mut fetch = Fetch {
                data,
                near: word == "near",
                sent: 0,
                options: self.options.clone(),
            };
            let answer = match director.direct(&mut chain, &mut fetch).await {
                Ok(total) => {
                    fetch.data.close().await?;
                    format!("sent {total}\n")
                }
                Err(exception) => format!("{:?}\n", exception.kind),
            };
            client.write_all(answer.as_bytes()).await?;
        }
        Ok(client.close().await?)
    }

    async fn probe(&self, _: &mut NodeStream) -> Result<Load, Failure> {
        Ok(Load::UNKNOWN)
    }
}

/// Listens until there is no room; then not even a connect can be begun.
async fn many(client: &ClientStream, director: &Director) -> String {
    let mut listeners = Vec::new();
    let refused = loop {
        match director.listen(client, 0..=0, Who::Peer) {
            Ok(listener) => listeners.push(listener),
            Err(error) => break error,
        }
    };
    let connect = director.connect(client, 1).await;
    let kinds = (refused.kind(), connect.map_err(|error| error.kind()).err());
    assert!(StreamError::in_io(&refused).is_some_and(StreamError::is_none));
    listeners.pop();
    let again = director
        .connect(client, 1)
        .await
        .map_err(|e| e.kind())
        .err();
    format!("{} {kinds:?} {again:?}\n", listeners.len() + 1)
}

impl Ferry {
    async fn accepted(
        &self,
        client: &mut ClientStream,
        director: &Director,
    ) -> Result<ClientStream, Failure> {
        let who = if self.options.anyone {
            Who::Anyone
        } else {
            Who::Peer
        };
        let mut listener = director.listen(client, 6000..=6001, who)?;
        let port = listener.address().port();
        client.write_all(format!("at {port}\n").as_bytes()).await?;
        let data = listener.accept().await?;
        if self.options.leaks {
            std::mem::forget(listener);
        }
        Ok(data)
    }
}

struct Account {
    tls: bool,
}

#[async_trait]
impl Session for Account {
    type Link = NodeStream;

    async fn establish(
        &mut self,
        mut node: NodeStream,
        _: &Director,
    ) -> Result<NodeStream, Failure> {
        if self.tls {
            say(&mut node, "TLS\n").await?;
            hear(&mut node).await?;
            assert!(!node.start_tls(None).await?.resumed);
        }
        Ok(node)
    }
}

struct Fetch {
    data: ClientStream,
    near: bool,
    sent: u64,
    options: Options,
}

impl Fetch {
    async fn open(
        &self,
        control: &mut NodeStream,
        director: &Director,
    ) -> Result<NodeStream, Failure> {
        if self.near {
            let mut listener: Listener<NodeStream> = director.listen(control, 0..=0, Who::Peer)?;
            let port = listener.address().port();
            say(control, &format!("PUSH {} {port}\n", self.sent)).await?;
            return self.protected(control, listener.accept().await?).await;
        }
        say(control, &format!("FETCH {}\n", self.sent)).await?;
        let answer = hear(control).await?;
        let port = answer
            .strip_prefix("PORT ")
            .and_then(|port| port.parse().ok());
        let port = port.ok_or_else(|| Failure::new(Kind::Garbled, answer))?;
        let data = director.connect(control, port).await?;
        assert_eq!(data.node(), control.node());
        assert_eq!(data.peer().unwrap().port(), port);
        self.protected(control, data).await
    }

    async fn protected(
        &self,
        control: &NodeStream,
        mut data: NodeStream,
    ) -> Result<NodeStream, Failure> {
        if self.options.tls {
            assert!(data.start_tls(Some(control)).await?.resumed);
        }
        Ok(data)
    }
}

async fn say(control: &mut NodeStream, line: &str) -> Result<(), Failure> {
    Ok(control.write_all(line.as_bytes()).await?)
}

async fn hear(control: &mut NodeStream) -> Result<String, Failure> {
    let mut line = Vec::new();
    match control.read_line(&mut line, 100).await? {
        0 => Err(Failure::new(Kind::Lost, "the control connection ended")),
        _ => Ok(String::from_utf8_lossy(&line).trim_end().to_owned()),
    }
}

#[async_trait]
impl Request<Account> for Fetch {
    type Reply = u64;

    async fn attempt(
        &mut self,
        _: &mut Account,
        control: &mut NodeStream,
        director: &Director,
    ) -> Result<u64, Failure> {
        if self.options.forgets_what_was_sent {
            self.sent = 0;
        }
        if self.options.dozes {
            control.due(self.options.dozes_with_the_node_due);
            director.sleep(Duration::from_secs(20)).await;
            control.due(true);
        }
        let mut from = self.open(control, director).await?;
        match director
            .relay(&mut from, &mut self.data, None, &mut self.sent)
            .await
        {
            RelayEnd::Limit | RelayEnd::End => {}
            RelayEnd::FromFailed(error) | RelayEnd::ToFailed(error) => return Err(error.into()),
        }
        if self.options.believes_the_end {
            return Ok(self.sent);
        }
        let answer = match hear(control).await {
            Err(_) if self.options.believes_silence => return Ok(self.sent),
            heard => heard?,
        };
        if answer != format!("END {}", self.sent) {
            return Err(Failure::new(Kind::Lost, answer));
        }
        Ok(self.sent)
    }

    async fn cleanup(
        &mut self,
        _: &mut Account,
        _: Option<&mut NodeStream>,
        why: &Exception,
    ) -> Resend {
        if why.kind == Kind::ClientGone {
            Resend::Never
        } else {
            Resend::Anywhere
        }
    }
}

const TEXT: &[u8] = b"the ferry goes over the river and back again";

async fn pier(mut wire: Wire) {
    while let Ok(line) = wire.read_line().await {
        let words: Vec<&str> = line.split_whitespace().collect();
        let data = match words.as_slice() {
            ["FETCH", _] if line.ends_with('\n') => {
                let (port, mut listener) = wire.listen();
                if wire
                    .write_all(format!("PORT {port}\n").as_bytes())
                    .await
                    .is_err()
                {
                    return;
                }
                listener.accept().await
            }
            ["TLS"] if line.ends_with('\n') => {
                if wire.write_all(b"OK\n").await.is_err() || wire.start_tls(None).await.is_err() {
                    return;
                }
                continue;
            }
            ["PUSH", _, port] if line.ends_with('\n') => wire.connect(port.parse().unwrap()).await,
            _ => return,
        };
        let Ok(mut data) = data else { return };
        if wire.tls().is_some() && data.start_tls(None).await.is_err() {
            return;
        }
        let from: usize = words[1].parse().unwrap();
        let sent = data.write_all(TEXT.get(from..).unwrap_or(b"")).await;
        data.close();
        drop(data);
        let answer = match sent {
            Ok(()) => format!("END {}\n", TEXT.len()),
            Err(_) => "ABORTED\n".to_owned(),
        };
        if wire.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn ferry(options: &str) -> impl Fn(&World) {
    move |world| {
        world.start::<Ferry>(options).unwrap();
        for name in ["a", "b", "c"] {
            world.node(name, pier);
        }
    }
}

/// What a client gets that asks four times, each time in another way.
fn asks(world: &World) -> Vec<(String, String)> {
    asks_with(world, false)
}

async fn upgrade(client: &mut Wire) {
    client.write_all(b"tls\n").await.unwrap();
    assert_eq!(client.read_line().await.unwrap(), "go on\n");
    assert!(!client.start_tls(None).await.unwrap().resumed);
}

fn asks_with(world: &World, tls: bool) -> Vec<(String, String)> {
    world.run(async {
        let mut client = world.connect();
        let mut got = Vec::new();
        if tls {
            upgrade(&mut client).await;
        }
        for (word, passive) in [
            ("get", true),
            ("get", false),
            ("near", true),
            ("near", false),
        ] {
            let mut data = if passive {
                client
                    .write_all(format!("{word}\n").as_bytes())
                    .await
                    .unwrap();
                let line = client.read_line().await.unwrap();
                let port = line.trim_end().strip_prefix("at ").unwrap();
                client.connect(port.parse().unwrap()).await.unwrap()
            } else {
                let (port, mut listener) = client.listen();
                let line = format!("{word} {port}\n");
                client.write_all(line.as_bytes()).await.unwrap();
                listener.accept().await.unwrap()
            };
            if tls {
                assert!(data.start_tls(Some(&client)).await.unwrap().resumed);
            }
            let text = data.read_to_end().await;
            let text = text.map_or_else(
                |error| error.to_string(),
                |text| String::from_utf8_lossy(&text).into_owned(),
            );
            got.push((text, client.read_line().await.unwrap()));
        }
        client.close();
        assert_eq!(client.read_to_end().await.unwrap(), b"");
        got
    })
}

/// All that a connection can suffer and a protocol without checksums can notice.
const KINDS: [Cut; 5] = [Cut::Reset, Cut::End, Cut::Silence, Cut::Stall, Cut::Kill];

#[test]
fn data_goes_apart_at_both_ends_in_all_four_ways() {
    let world = World::seeded(1);
    ferry("{}")(&world);
    let text = String::from_utf8_lossy(TEXT).into_owned();
    let sent = format!("sent {}\n", TEXT.len());
    assert_eq!(asks(&world), vec![(text, sent); 4], "{}", world.story());
    assert_eq!(world.switches(), 0);
    assert_eq!(world.finish(), Leftover::default());
}

#[test]
fn every_cut_of_either_connection_is_survived() {
    let swept = every_cut(3, &KINDS, |world| {
        ferry("{}")(world);
        asks(world)
    });
    assert!(
        swept.runs > 1000 && swept.switches as usize > swept.runs / 2,
        "{swept:?}"
    );
    assert!(swept.mid_answer > 300, "{swept:?}");
    assert!(swept.wide > 300, "{swept:?}");
}

#[test]
fn every_poll_and_every_call_may_be_the_last() {
    let scenario = |world: &World| {
        ferry("{}")(world);
        asks(world)
    };
    let swept = every_poll(3, scenario, |world| {
        ferry("{}")(world);
        let client = world.connect();
        world.spawn(async move {
            let mut client = client;
            let (port, mut listener) = client.listen();
            if client
                .write_all(format!("near {port}\n").as_bytes())
                .await
                .is_ok()
                && let Ok(mut data) = listener.accept().await
            {
                let _reset_when_cancelled = data.read_to_end().await;
                let _too = client.read_line().await;
            }
        });
        world.pass(Duration::from_secs(60));
    });
    assert!(swept.runs > 20, "{swept:?}");
    let swept = every_call(3, scenario);
    assert!(swept.runs >= 30 && swept.switches >= 30, "{swept:?}");
}

fn is_found(options: &str, sweep: impl FnOnce(&dyn Fn(&World) -> Vec<(String, String)>)) -> String {
    let scenario = |world: &World| {
        ferry(options)(world);
        asks(world)
    };
    let found = catch_unwind(AssertUnwindSafe(|| sweep(&scenario)));
    let told = found.expect_err("the planted fault was not found");
    told.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn planted_faults_are_found() {
    let told = is_found(r#"{"forgets_what_was_sent": true}"#, |scenario| {
        every_cut(3, &[Cut::Reset], scenario);
    });
    assert!(told.contains("the client saw"), "{told}");
    let told = is_found(r#"{"believes_the_end": true}"#, |scenario| {
        every_cut(3, &[Cut::End], scenario);
    });
    assert!(told.contains("the client saw"), "{told}");
    // Either connection alone may end: only both at once show it.
    let told = is_found(r#"{"believes_silence": true}"#, |scenario| {
        every_cut(3, &[Cut::End], scenario);
    });
    assert!(told.contains("the client saw"), "{told}");
    assert!(told.contains("wide: true"), "{told}");
    let told = is_found(r#"{"leaks": true}"#, |scenario| {
        every_cut(3, &[Cut::Reset], scenario);
    });
    assert!(told.contains("left at the end"), "{told}");
}

#[test]
fn a_listener_is_for_the_peer_unless_it_is_for_anyone() {
    let stranger = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));
    let world = World::seeded(1);
    ferry("{}")(&world);
    world.run(async {
        let mut client = world.connect();
        client.write_all(b"get\n").await.unwrap();
        assert_eq!(client.read_line().await.unwrap(), "at 6000\n");
        let here = world.reach(stranger, (client.peer().ip(), 6000).into());
        let met = here.unwrap().read_to_end().await.unwrap_err();
        assert_eq!(met.kind(), ErrorKind::ConnectionReset);
        let closed = world.reach(stranger, (client.peer().ip(), 6001).into());
        assert_eq!(closed.err().unwrap().kind(), ErrorKind::ConnectionRefused);
        // Nobody else is in its way.
        let mut data = client.connect(6000).await.unwrap();
        assert_eq!(data.read_to_end().await.unwrap(), TEXT);
        assert_eq!(client.read_line().await.unwrap(), "sent 44\n");
    });
    assert_eq!(world.strangers(), 1);
    assert!(
        world
            .log()
            .iter()
            .any(|(_, line)| line.contains("192.0.2.9"))
    );
    assert_eq!(world.finish().counts, Counts::default());

    let world = World::seeded(1);
    ferry(r#"{"anyone": true}"#)(&world);
    world.run(async {
        let mut client = world.connect_from(Ipv4Addr::new(198, 51, 100, 1).into());
        client.write_all(b"get\n").await.unwrap();
        assert_eq!(client.read_line().await.unwrap(), "at 6000\n");
        let mut data = world
            .reach(stranger, (client.peer().ip(), 6000).into())
            .unwrap();
        assert_eq!(data.read_to_end().await.unwrap(), TEXT);
    });
    assert_eq!(world.strangers(), 0);
}

#[test]
fn ports_run_out_and_come_back() {
    let world = World::seeded(1);
    ferry("{}")(&world);
    world.run(async {
        let mut clients: Vec<Wire> = (0..3).map(|_| world.connect()).collect();
        for (client, port) in clients.iter_mut().zip(["at 6000\n", "at 6001\n", ""]) {
            client.write_all(b"get\n").await.unwrap();
            // The third finds no port; its session fails and is reset.
            assert_eq!(client.read_line().await.unwrap_or_default(), port);
        }
        drop(clients.remove(0));
        world.sleep(Duration::from_millis(1)).await;
    });
    assert_eq!(
        world.counts().listeners,
        2,
        "one waits for a client that left"
    );
    assert_eq!(
        world.ended()[0].kind,
        Some(Kind::ClientGone),
        "{}",
        world.story()
    );
}

/// A node that is silent on its data connection owes bytes, and one that sends there does not,
/// however silent its control connection is.
#[test]
fn silence_is_that_of_the_liveliest_stream() {
    async fn slow(mut wire: Wire, pause: Duration) {
        wire.read_line().await.unwrap();
        let (port, mut listener) = wire.listen();
        wire.write_all(format!("PORT {port}\n").as_bytes())
            .await
            .unwrap();
        let mut data = listener.accept().await.unwrap();
        for byte in TEXT {
            wire.sleep(pause).await;
            if data.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
        drop(data);
        let _may_be_cut = wire.write_all(b"END 44\n").await;
    }
    for (pause, switches) in [(14, 0), (16, 1)] {
        let world = World::seeded(1);
        world.start::<Ferry>("{}").unwrap();
        world.node("slow", move |wire| slow(wire, Duration::from_secs(pause)));
        let text = world.run(async {
            let mut client = world.connect();
            let (port, mut listener) = client.listen();
            client
                .write_all(format!("get {port}\n").as_bytes())
                .await
                .unwrap();
            let mut data = listener.accept().await.unwrap();
            world.sleep(Duration::from_secs(1)).await;
            world.node("quick", pier);
            let text = data.read_to_end().await.unwrap();
            client.read_line().await.unwrap();
            text
        });
        assert_eq!(text, TEXT);
        assert_eq!(world.switches(), switches, "{}", world.story());
    }
}

#[test]
fn a_silent_node_is_not_connected_to_and_a_dead_one_refuses() {
    async fn mute(wire: Wire) {
        let mut wire = wire;
        wire.read_line().await.unwrap();
        wire.write_all(b"PORT 1\n").await.unwrap();
        std::future::pending::<()>().await;
    }
    let world = World::seeded(1);
    world.start::<Ferry>("{}").unwrap();
    world.node("mute", mute);
    let said = world.run(async {
        let mut client = world.connect();
        let (port, mut listener) = client.listen();
        client
            .write_all(format!("get {port}\n").as_bytes())
            .await
            .unwrap();
        let _data = listener.accept().await.unwrap();
        client.read_line().await.unwrap()
    });
    assert_eq!(said, "Exhausted\n", "refused at port 1: {}", world.story());
}

const TLS: &str = r#"{"tls": true, "resumed": true}"#;

#[test]
fn tls_at_both_ends_survives_every_cut_garbage_and_truncation_included() {
    let swept = some_cuts(3, &Cut::ALL, 5, |world| {
        ferry(TLS)(world);
        asks_with(world, true)
    });
    assert!(
        swept.runs > 700 && swept.switches as usize > swept.runs / 2,
        "{swept:?}"
    );
}

#[test]
fn tls_goes_through_any_room() {
    for (room, piece) in [(1, 1), (7, 3), (100, 100), (1 << 14, 1 << 14)] {
        let world = World::seeded(1);
        world.buffers(room, piece);
        ferry(TLS)(&world);
        let text = String::from_utf8_lossy(TEXT).into_owned();
        let got = asks_with(&world, true);
        assert_eq!(
            got,
            vec![(text, "sent 44\n".to_owned()); 4],
            "{}",
            world.story()
        );
        assert_eq!(world.switches(), 0);
        assert_eq!(world.finish(), Leftover::default());
    }
}

#[test]
fn an_end_without_close_notify_is_no_end() {
    async fn attacked(mut wire: Wire) {
        wire.read_line().await.unwrap();
        wire.write_all(b"OK\n").await.unwrap();
        wire.start_tls(None).await.unwrap();
        wire.read_line().await.unwrap();
        let (port, mut listener) = wire.listen();
        let line = format!("PORT {port}\n");
        wire.write_all(line.as_bytes()).await.unwrap();
        let mut data = listener.accept().await.unwrap();
        data.start_tls(None).await.unwrap();
        data.write_all(&TEXT[..10]).await.unwrap();
        wire.sleep(Duration::from_secs(1)).await;
        data.truncate();
        wire.sleep(Duration::from_secs(100)).await;
    }
    let world = World::seeded(1);
    // It believes the end, and is right to do so with TLS.
    world
        .start::<Ferry>(r#"{"tls": true, "believes_the_end": true}"#)
        .unwrap();
    world.node("attacked", attacked);
    let text = world.run(async {
        let mut client = world.connect();
        let (port, mut listener) = client.listen();
        let line = format!("get {port}\n");
        client.write_all(line.as_bytes()).await.unwrap();
        let mut data = listener.accept().await.unwrap();
        assert_eq!(data.read_exact(10).await.unwrap(), &TEXT[..10]);
        world.node("sound", pier);
        data.read_to_end().await.unwrap()
    });
    assert_eq!(text, &TEXT[10..], "{}", world.story());
    assert_eq!(world.switches(), 1);
}

#[test]
fn words_before_the_handshake_and_strange_sessions_are_refused() {
    // Injected before the handshake: never read as if it had come after it.
    let world = World::seeded(1);
    ferry(TLS)(&world);
    world.run(async {
        let mut client = world.connect();
        client.write_all(b"tls\nget\n").await.unwrap();
        client.read_to_end().await.unwrap_err();
    });
    let ended = world.ended().remove(0);
    assert_eq!(ended.kind, Some(Kind::ClientGone));
    assert!(ended.detail.contains("before the handshake"), "{ended:?}");

    // Another client's session, and none.
    for with_other in [true, false] {
        let world = World::seeded(1);
        ferry(TLS)(&world);
        world.run(async {
            let (mut client, mut other) = (world.connect(), world.connect());
            upgrade(&mut client).await;
            upgrade(&mut other).await;
            client.write_all(b"get\n").await.unwrap();
            assert_eq!(client.read_line().await.unwrap(), "at 6000\n");
            let mut data = client.connect(6000).await.unwrap();
            let met = data.start_tls(with_other.then_some(&other)).await;
            let met = met.unwrap_err().to_string();
            assert!(met.contains("alert 40"), "{met}");
        });
        let ended = world.ended().remove(0);
        assert!(ended.detail.contains("no TLS with the client"), "{ended:?}");
    }
}

#[test]
fn tls_that_does_not_come_about_says_why() {
    let world = World::seeded(1);
    ferry(TLS)(&world);
    world.without_certificate();
    world.run(async {
        let mut client = world.connect();
        client.write_all(b"tls\n").await.unwrap();
        assert_eq!(client.read_line().await.unwrap(), "go on\n");
        let met = client.start_tls(None).await.unwrap_err();
        assert_eq!(met.kind(), ErrorKind::InvalidData, "{met}");
    });

    let world = World::seeded(1);
    ferry(TLS)(&world);
    world.distrust("a");
    world.distrust("b");
    let text = world.run(async {
        let mut client = world.connect();
        upgrade(&mut client).await;
        let (port, mut listener) = client.listen();
        let line = format!("get {port}\n");
        client.write_all(line.as_bytes()).await.unwrap();
        let mut data = listener.accept().await.unwrap();
        data.start_tls(Some(&client)).await.unwrap();
        data.read_to_end().await.unwrap()
    });
    assert_eq!(text, TEXT, "{}", world.story());
}

#[test]
fn urgent_bytes_are_marked_and_come_in_line() {
    let world = World::seeded(1);
    ferry("{}")(&world);
    world.run(async {
        let mut client = world.connect();
        client.write_all(b"syn").await.unwrap();
        client.write_urgent(b"ch\n").await.unwrap();
        client.write_all(b"synch\nget 1\n").await.unwrap();
        assert_eq!(client.read_exact(4).await.unwrap(), b"\xff\xf2\xff\xf2");
        assert_eq!(client.urgent(), [1, 3], "each time the last of two");
        client.read_to_end().await.unwrap_err();
    });

    // With TLS nothing is urgent, and all of it comes.
    let world = World::seeded(1);
    ferry("{}")(&world);
    world.run(async {
        let mut client = world.connect();
        upgrade(&mut client).await;
        client.write_urgent(b"synch\n").await.unwrap();
        assert_eq!(client.read_exact(2).await.unwrap(), b"\xff\xf2");
        assert!(client.urgent().is_empty());
    });
}

#[test]
fn a_session_has_so_many_further_connections_and_no_more() {
    let world = World::seeded(1);
    ferry("{}")(&world);
    world.run(async {
        let mut client = world.connect();
        client.write_all(b"many\n").await.unwrap();
        let told = client.read_line().await.unwrap();
        let refused = "(Unsupported, Some(Unsupported)) Some(ConnectionRefused)";
        assert_eq!(told, format!("64 {refused}\n"));
        client.close();
        client.read_to_end().await.unwrap();
    });
    assert_eq!(world.finish(), Leftover::default());
}

/// A byte may be due on a link's own stream whether or not the plugin waits for it.
#[test]
fn an_attempt_that_waits_for_others_says_so_or_is_cut() {
    for planted in [false, true] {
        let world = World::seeded(1);
        ferry(&format!(
            r#"{{"dozes": true, "dozes_with_the_node_due": {planted}}}"#
        ))(&world);
        let told = world.run(async {
            let mut client = world.connect();
            let (port, mut listener) = client.listen();
            let line = format!("get {port}\n");
            client.write_all(line.as_bytes()).await.unwrap();
            let _data = listener.accept().await.unwrap();
            client.read_line().await.unwrap()
        });
        let answer = if planted { "Stalled\n" } else { "sent 44\n" };
        assert_eq!(told, answer, "{}", world.story());
    }
}
