//! The SDK's glue against the test kit: panics at every entry, forgotten and misused handles, cuts
//! that are not obeyed, and requests whose outcome must be asked for.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a test: what is not as written here must fail

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::pending;
use std::io::ErrorKind;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

use director_sdk::testing::{Counts, Cut, What, Wire, World, every_call, every_cut, every_poll};
use director_sdk::{
    Client, ClientStream, ConfigMistake, Director, Exception, Failure, FailureRow, Host, Kind,
    Links, Load, NodeStream, Outcome, Protocol, RelayEnd, Report, Request, Resend, Session,
    StreamError, async_trait,
};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::Deserialize;

/// A plugin that does what its client says, and panics where its options say.
struct Odd {
    options: Options,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    panic_in: String,
    /// Writes into the state directory.
    keeps: bool,
}

impl Options {
    fn may_panic(&self, here: &str) {
        assert!(self.panic_in != here, "as told, in {here}");
    }
}

#[async_trait]
impl Protocol for Odd {
    type Config = Options;
    const NAME: &'static str = "odd";
    const LINKS: Links = Links::Exclusive;

    fn create(options: Options, host: Host) -> Result<Self, Vec<ConfigMistake>> {
        options.may_panic("create");
        assert_eq!((host.service(), host.instance()), ("test", 1));
        let mut random = [0; 8];
        host.random(&mut random);
        assert_ne!(random, [0; 8]);
        if options.keeps {
            let told = std::fs::create_dir_all(host.state_dir())
                .and_then(|()| std::fs::write(host.state_dir().join("kept"), "x"));
            told.map_err(|error| vec![ConfigMistake::new("keeps", error.to_string())])?;
        }
        Ok(Self { options })
    }

    fn failures() -> &'static [FailureRow] {
        const ROWS: &[FailureRow] = &[FailureRow::new(500..=599, Kind::Busy)];
        ROWS
    }

    async fn serve(&self, client: Client, director: Director) -> Result<(), Failure> {
        let mut client = client.stream;
        let mut chain = director.chain(Shop {
            options: self.options.clone(),
        });
        let mut line = Vec::new();
        while client.read_line(&mut line, 1000).await? > 0 {
            self.options.may_panic("serve");
            let said = String::from_utf8_lossy(&line).trim_end().to_owned();
            let (word, rest) = said.split_once(' ').unwrap_or((&said, ""));
            let answer = match word {
                "buy" => {
                    let mut buy = Buy::new(rest);
                    director.direct(&mut chain, &mut buy).await
                }
                _ => odd(word, rest, &mut client, &director).await,
            };
            let text = match answer {
                Ok(text) => text,
                Err(exception) => format!("{:?} {}", exception.kind, exception.detail),
            };
            client.write_all(format!("{text}\n").as_bytes()).await?;
        }
        self.options.may_panic("end of serve");
        client.close().await?;
        Ok(())
    }

    async fn probe(&self, node: &mut NodeStream) -> Result<Load, Failure> {
        self.options.may_panic("probe");
        node.write_all(b"LOAD\n").await?;
        let mut line = Vec::new();
        node.read_line(&mut line, 100).await?;
        match String::from_utf8_lossy(&line).trim().parse() {
            Ok(load) => Ok(Load {
                load,
                leaving: true,
            }),
            Err(_) => Err(Failure::code(503, "no number")),
        }
    }

    async fn watch(&self, node: &mut NodeStream, report: Report) -> Failure {
        self.options.may_panic("watch");
        report.load(Load {
            load: 8.0,
            leaving: false,
        });
        node.due(false);
        match node.fill().await {
            Ok([]) => Failure::new(Kind::Leaving, "the node closed"),
            Ok(_) => Failure::new(Kind::Garbled, "the node spoke"),
            Err(error) => error.into(),
        }
    }

    async fn run(&self, director: Director) {
        self.options.may_panic("run");
        director.stopping().await;
        assert!(director.is_stopping());
    }
}

/// A chain to a shop, in which things are bought once.
struct Shop {
    options: Options,
}

struct Link {
    node: NodeStream,
    options: Options,
}

impl Drop for Link {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.options.may_panic("drop of a link");
        }
    }
}

#[async_trait]
impl Session for Shop {
    type Link = Link;

    async fn establish(&mut self, mut node: NodeStream, _: &Director) -> Result<Link, Failure> {
        self.options.may_panic("establish");
        let mut line = Vec::new();
        node.read_line(&mut line, 100).await?;
        if line != b"WELCOME\n" {
            return Err(Failure::new(Kind::Garbled, "not the shop's greeting"));
        }
        let options = self.options.clone();
        Ok(Link { node, options })
    }
}

/// Buys one thing, once: after a lost answer it asks whether it was bought.
struct Buy {
    thing: String,
}

impl Buy {
    fn new(thing: &str) -> Self {
        Self {
            thing: thing.to_owned(),
        }
    }

    async fn talk(&self, verb: &str, link: &mut Link) -> Result<String, Failure> {
        let line = format!("{verb} {}\n", self.thing);
        link.node.write_all(line.as_bytes()).await?;
        let mut line = Vec::new();
        link.node.read_line(&mut line, 100).await?;
        match String::from_utf8_lossy(&line).trim_end() {
            "" => Err(Failure::new(Kind::Lost, "no answer")),
            "BUSY" => Err(Failure::code(503, "busy").fit()),
            "LOCKED" => Err(Failure::new(Kind::Stalled, "locked").fit()),
            said => Ok(said.to_owned()),
        }
    }
}

#[async_trait]
impl Request<Shop> for Buy {
    type Reply = String;

    async fn attempt(
        &mut self,
        shop: &mut Shop,
        link: &mut Link,
        _: &Director,
    ) -> Result<String, Failure> {
        shop.options.may_panic("attempt");
        if self.thing == "forever" {
            pending::<()>().await; // a cut is not obeyed
        }
        self.talk("BUY", link).await
    }

    async fn cleanup(
        &mut self,
        shop: &mut Shop,
        link: Option<&mut Link>,
        why: &Exception,
    ) -> Resend {
        shop.options.may_panic("cleanup");
        match (self.thing.as_str(), why.kind) {
            ("endless", _) => pending().await,
            ("never", _) => Resend::Never,
            (_, Kind::Busy) => Resend::Anywhere,
            (_, Kind::Stalled) if link.is_some() => Resend::SameNode,
            _ if why.sent == 0 => Resend::Anywhere,
            _ => Resend::Ask,
        }
    }

    async fn ask(&mut self, shop: &mut Shop, link: &mut Link) -> Result<Outcome<String>, Failure> {
        shop.options.may_panic("ask");
        Ok(match self.talk("HAVE", link).await?.as_str() {
            "YES" => Outcome::Happened(format!("bought {}", self.thing)),
            "NO" => Outcome::NotDone,
            _ => Outcome::Unknown,
        })
    }
}

/// Things that outlive their session, as no plugin should keep them.
static KEPT_STREAM: Mutex<Option<NodeStream>> = Mutex::new(None);
type Kept = Pin<Box<dyn Future<Output = Result<String, Exception>> + Send>>;
static KEPT_WORK: Mutex<Option<Kept>> = Mutex::new(None);
/// One test at a time may keep things.
static KEEPER: Mutex<()> = Mutex::new(());

async fn odd(
    word: &str,
    rest: &str,
    client: &mut ClientStream,
    director: &Director,
) -> Result<String, Exception> {
    match word {
        "forget" => {
            std::mem::forget(director.chain(Shop {
                options: Options::default(),
            }));
            let mut sleep = Box::pin(director.sleep(Duration::from_secs(60)));
            assert!(futures_util::poll!(&mut sleep).is_pending());
            std::mem::forget(sleep);
            Ok("forgotten".into())
        }
        "forget-direct" => {
            let (of, mut buy) = (director.clone(), Buy::new("forever"));
            let mut work = Box::pin(async move {
                let mut chain = of.chain(Shop {
                    options: Options::default(),
                });
                of.direct(&mut chain, &mut buy).await
            });
            assert!(futures_util::poll!(&mut work).is_pending());
            director.sleep(Duration::from_millis(1)).await;
            assert!(futures_util::poll!(&mut work).is_pending());
            std::mem::forget(work);
            Ok("forgotten".into())
        }
        "keep-work" => {
            let (of, mut buy) = (director.clone(), Buy::new(rest));
            let mut work: Kept = Box::pin(async move {
                let mut chain = of.chain(Shop {
                    options: Options::default(),
                });
                of.direct(&mut chain, &mut buy).await
            });
            for _ in 0..3 {
                assert!(futures_util::poll!(&mut work).is_pending());
                director.sleep(Duration::from_millis(1)).await;
            }
            *KEPT_WORK.lock().unwrap() = Some(work);
            Ok("kept".into())
        }
        "go-on" => {
            let work = KEPT_WORK.lock().unwrap().take();
            work.unwrap().await
        }
        "keep-stream" => {
            let mut chain = director.chain(Keeper);
            let kept = director.direct(&mut chain, &mut Keep).await;
            kept.map(|()| "kept".into())
        }
        "timeout" => {
            let late = director.timeout(Duration::from_secs(5), pending::<()>());
            let soon = director.timeout(Duration::from_secs(5), async { 7 });
            Ok(format!("{:?} {:?}", late.await, soon.await))
        }
        "many" => {
            let mut naps: FuturesUnordered<_> = (1..=50)
                .map(|nth| {
                    let director = director.clone();
                    async move {
                        director.sleep(Duration::from_millis(51 - nth)).await;
                        nth
                    }
                })
                .collect();
            let mut order = Vec::new();
            while let Some(nth) = naps.next().await {
                order.push(nth);
            }
            Ok(format!("{} {}", order[0], order[49]))
        }
        "see" => {
            tracing::info!(thing = rest, "seen");
            tracing::trace!("not this");
            metrics::counter!("sights", "of" => rest.to_owned()).increment(2);
            metrics::gauge!("height").set(3.5);
            metrics::histogram!("depth").record(1.25);
            let mut random = [0; 8];
            director.random(&mut random);
            Ok(format!("{}", random != [0; 8]))
        }
        "relay" => {
            let mut chain = director.chain(Keeper);
            let mut convey = Convey(rest.len() as u64 + 5, client);
            director.direct(&mut chain, &mut convey).await
        }
        other => Ok(format!("what is {other}?")),
    }
}

/// A chain whose link is the bare stream.
struct Keeper;

#[async_trait]
impl Session for Keeper {
    type Link = Option<NodeStream>;

    async fn establish(
        &mut self,
        node: NodeStream,
        _: &Director,
    ) -> Result<Option<NodeStream>, Failure> {
        Ok(Some(node))
    }
}

/// Takes the stream out of its link, for ever.
struct Keep;

#[async_trait]
impl Request<Keeper> for Keep {
    type Reply = ();

    async fn attempt(
        &mut self,
        _: &mut Keeper,
        link: &mut Option<NodeStream>,
        _: &Director,
    ) -> Result<(), Failure> {
        *KEPT_STREAM.lock().unwrap() = link.take();
        Ok(())
    }
}

/// Relays so many bytes from a node to the client, and says how many were counted.
struct Convey<'a>(u64, &'a mut ClientStream);

#[async_trait]
impl Request<Keeper> for Convey<'_> {
    type Reply = String;

    async fn attempt(
        &mut self,
        _: &mut Keeper,
        link: &mut Option<NodeStream>,
        director: &Director,
    ) -> Result<String, Failure> {
        let node = link
            .as_mut()
            .ok_or(Failure::new(Kind::Fault, "no stream"))?;
        // Bytes that were looked at, and not taken, are relayed too.
        let seen = node.fill().await?.len();
        assert!(seen > 0 && node.info().received == 0);
        let mut moved = 100;
        match director.relay(node, self.1, Some(self.0), &mut moved).await {
            RelayEnd::Limit => Ok(format!("limit {moved} {}", node.info().received)),
            RelayEnd::End => Ok(format!("end {moved}")),
            RelayEnd::FromFailed(error) | RelayEnd::ToFailed(error) => Err(error.into()),
        }
    }
}

/// What the shops have sold together: they share it, as replicas do.
type Sold = Rc<RefCell<BTreeSet<String>>>;

async fn shop(mut wire: Wire, sold: Sold) {
    if wire.write_all(b"WELCOME\n").await.is_err() {
        return;
    }
    let mut locked = true;
    while let Ok(line) = wire.read_line().await {
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words.as_slice() {
            ["LOAD"] => "5".to_owned(),
            ["BUY", "busy"] => "BUSY".to_owned(),
            ["BUY", "locked"] if std::mem::take(&mut locked) => "LOCKED".to_owned(),
            ["BUY", thing] if line.ends_with('\n') => {
                if sold.borrow_mut().insert((*thing).to_owned()) {
                    wire.effect(format!("sold {thing}"));
                } else {
                    wire.effect(format!("sold {thing} TWICE"));
                }
                format!("bought {thing}")
            }
            ["HAVE", "lost"] => "WHO KNOWS".to_owned(),
            ["HAVE", thing] if line.ends_with('\n') => match sold.borrow().contains(*thing) {
                true => "YES".to_owned(),
                false => "NO".to_owned(),
            },
            _ => return,
        };
        if wire
            .write_all(format!("{answer}\n").as_bytes())
            .await
            .is_err()
        {
            return;
        }
    }
}

fn shops(world: &World, options: &str) {
    world.start::<Odd>(options).unwrap();
    let sold = Sold::default();
    for name in ["a", "b", "c"] {
        let sold = Rc::clone(&sold);
        world.node(name, move |wire| shop(wire, Rc::clone(&sold)));
    }
}

/// What a client hears that says all of `said` at once.
fn hears(world: &World, said: &str) -> Result<String, ErrorKind> {
    world.run(async {
        let mut client = world.connect();
        let (mut reader, mut writer) = client.split();
        let (wrote, heard) = futures_util::join!(
            async {
                let wrote = writer.write_all(said.as_bytes()).await;
                writer.close();
                wrote
            },
            reader.read_to_end()
        );
        let heard = heard.map_err(|error| error.kind())?;
        wrote.unwrap();
        Ok(String::from_utf8(heard).unwrap())
    })
}

#[test]
fn a_thing_is_bought_once_wherever_the_exchange_is_cut() {
    // Not garbage: a shop that is asked for another thing sells it.
    let kinds = [Cut::Reset, Cut::End, Cut::Silence, Cut::Stall, Cut::Kill];
    let scenario = |world: &World| {
        shops(world, "{}");
        hears(world, "buy tea\nbuy milk\n")
    };
    let swept = every_cut(1, &kinds, |world| {
        let heard = scenario(world);
        assert_eq!(heard.as_deref(), Ok("bought tea\nbought milk\n"));
        heard
    });
    assert!(swept.switches > 50, "{swept:?}");
    let scenario = |world: &World| {
        world.buffers(1, 1);
        scenario(world)
    };
    let swept = every_poll(2, scenario, |world| drop(scenario(world)));
    assert!(swept.runs > 10 && swept.switches > 3, "{swept:?}");
    let swept = every_call(3, scenario);
    assert!(swept.runs > 10 && swept.switches > 5, "{swept:?}");
}

#[test]
fn it_is_the_same_a_byte_at_a_time() {
    for (room, piece) in [(1, 1), (3, 2)] {
        let swept = every_cut(5, &[Cut::Reset, Cut::Kill], |world| {
            world.buffers(room, piece);
            shops(world, "{}");
            hears(world, "buy tea\n")
        });
        assert!(swept.runs > 50, "{swept:?}");
    }
}

#[test]
fn an_unknown_outcome_is_said_to_be_unknown() {
    let world = World::seeded(1);
    world.start::<Odd>("{}").unwrap();
    // Dies with the request in hand; the other cannot tell.
    world.node("a", |mut wire| async move {
        if wire.write_all(b"WELCOME\n").await.is_ok() && wire.read_line().await.is_ok() {
            wire.reset();
        }
    });
    world.node("b", |wire| shop(wire, Sold::default()));
    world.declare_down("b");
    let heard = world.run(async {
        let mut client = world.connect();
        client.write_all(b"buy lost\n").await.unwrap();
        world.sleep(Duration::from_millis(1)).await;
        world.revive("b");
        world.kill("a");
        client.read_line().await.unwrap()
    });
    assert!(heard.starts_with("Unknown"), "{heard}");
}

#[test]
fn a_cleanup_says_where_a_request_may_go() {
    let world = World::seeded(1);
    shops(&world, "{}");
    let heard = hears(&world, "buy locked\n").unwrap();
    assert_eq!(heard, "bought locked\n", "the same node, on the same link");
    let heard = hears(&world, "buy busy\n").unwrap();
    assert!(heard.starts_with("Exhausted"), "{heard}");
    assert!(heard.contains("busy 503: busy"), "{heard}");
    assert_eq!(world.finish(), director_sdk::testing::Leftover::default());
}

#[test]
fn an_attempt_that_does_not_obey_a_cut_is_torn_and_never_sent_again() {
    let world = World::seeded(1);
    shops(&world, "{}");
    let (heard, took) = world.run(async {
        let mut client = world.connect();
        client.write_all(b"buy forever\n").await.unwrap();
        world.sleep(Duration::from_secs(1)).await;
        let began = world.now();
        for node in ["a", "b", "c"] {
            world.declare_down(node);
        }
        (client.read_line().await.unwrap(), world.now() - began)
    });
    assert!(
        heard.starts_with("Lost the node was declared down"),
        "{heard}"
    );
    assert_eq!(took, Duration::from_millis(200), "the grace");
    assert_eq!(world.switches(), 0);
    assert_eq!(world.effects(), [""; 0]);
    assert_eq!(world.finish(), director_sdk::testing::Leftover::default());
}

#[test]
fn a_cleanup_that_does_not_end_is_ended() {
    let world = World::seeded(1);
    world.start::<Odd>("{}").unwrap();
    world.node("a", |mut wire| async move {
        wire.write_all(b"WELCOME\n").await.unwrap();
        wire.read_line().await.unwrap();
        wire.reset();
    });
    let heard = hears(&world, "buy endless\n").unwrap();
    assert!(heard.starts_with("Lost"), "{heard}");
    assert_eq!(world.now(), Duration::from_millis(1000 + 1000 + 200));
}

#[test]
fn a_panic_at_any_entry_ends_one_session_and_is_logged_with_its_place() {
    for entry in [
        "serve",
        "end of serve",
        "establish",
        "attempt",
        "cleanup",
        "ask",
    ] {
        let world = World::seeded(1);
        shops(&world, &format!(r#"{{"panic_in": "{entry}"}}"#));
        let end = world.run(async {
            let mut other = world.connect();
            let mut client = world.connect();
            client.write_all(b"buy tea\n").await.unwrap();
            client.close();
            if entry == "cleanup" || entry == "ask" {
                world.sleep(Duration::ZERO).await;
                for node in ["a", "b"] {
                    world.kill(node);
                }
            }
            let end = client.read_to_end().await.map_err(|error| error.kind());
            other.write_all(b"x\n").await.unwrap();
            other.close();
            let _its_own_end = other.read_to_end().await;
            end
        });
        let log = world.log();
        let told = log.iter().any(|(level, line)| {
            *level == 1 && line.contains("glue.rs:") && line.contains(&format!("in {entry}"))
        });
        let panicked = world.ended().iter().any(|ended| ended.panicked);
        // Whether this seed's node was one of the killed is the seed's choice.
        let reached = panicked || matches!(entry, "cleanup" | "ask");
        assert!(reached, "{entry}: {}", world.story());
        assert_eq!(told, panicked, "{entry}: {}", world.story());
        if panicked {
            assert_eq!(
                end.as_ref().err(),
                Some(&ErrorKind::ConnectionReset),
                "{entry}"
            );
        }
        let left = world.finish();
        assert_eq!(
            (left.counts, left.left_behind),
            (Counts::default(), 0),
            "{entry}"
        );
    }
}

#[test]
fn a_panic_in_cleanup_and_in_ask_is_caught() {
    for (entry, reset) in [("cleanup", true), ("ask", true)] {
        let world = World::seeded(1);
        world
            .start::<Odd>(&format!(r#"{{"panic_in": "{entry}"}}"#))
            .unwrap();
        world.node("a", |mut wire| async move {
            wire.write_all(b"WELCOME\n").await.unwrap();
            if wire
                .read_line()
                .await
                .is_ok_and(|line| line.starts_with("BUY"))
            {
                wire.reset();
            }
        });
        let end = hears(&world, "buy tea\n");
        assert_eq!(end.is_err(), reset, "{entry}: {}", world.story());
        assert!(world.ended()[0].panicked, "{entry}");
        assert_eq!(world.finish().counts, Counts::default());
    }
}

#[test]
fn a_panic_in_create_probe_watch_and_run_is_caught() {
    let world = World::seeded(1);
    let mistakes = world.start::<Odd>(r#"{"panic_in": "create"}"#).unwrap_err();
    assert!(mistakes[0].message.contains("panicked"), "{mistakes:?}");
    for entry in ["probe", "watch", "run"] {
        let world = World::seeded(1);
        shops(&world, &format!(r#"{{"panic_in": "{entry}"}}"#));
        let probe = world.probe("a");
        assert_eq!(probe.panicked, entry == "probe", "{probe:?}");
        world.watch("a");
        world.pass(Duration::from_secs(3));
        let panicked: Vec<What> = world
            .ended()
            .iter()
            .filter(|ended| ended.panicked)
            .map(|ended| ended.what)
            .collect();
        assert_eq!(panicked.len(), 1, "{entry}: {panicked:?}");
        assert_eq!(world.finish().counts, Counts::default());
    }
}

#[test]
fn a_panic_in_a_links_destructor_is_a_status() {
    let world = World::seeded(1);
    shops(&world, r#"{"panic_in": "drop of a link"}"#);
    assert_eq!(hears(&world, "buy tea\n").unwrap(), "bought tea\n");
    let left = world.finish();
    assert_eq!((left.panics, left.counts), (1, Counts::default()));
}

#[test]
fn what_a_session_forgets_is_freed_with_it() {
    let world = World::seeded(1);
    shops(&world, "{}");
    assert_eq!(
        hears(&world, "forget\nforget-direct\n").unwrap(),
        "forgotten\nforgotten\n"
    );
    let left = world.finish();
    assert_eq!(left.counts, Counts::default());
    assert!(left.left_behind >= 4, "{left:?}");
}

#[test]
fn a_stream_that_is_kept_too_long_or_used_elsewhere_answers_errors() {
    let _one = KEEPER.lock().unwrap();
    let world = World::seeded(1);
    shops(&world, "{}");
    assert_eq!(hears(&world, "keep-stream\n").unwrap(), "kept\n");
    let mut kept = KEPT_STREAM.lock().unwrap().take().unwrap();
    let error = world.run(async { kept.fill().await.map(<[u8]>::len).unwrap_err() });
    assert_eq!(error.kind(), ErrorKind::NotConnected, "its session is over");
    assert_eq!(
        StreamError::in_io(&error).unwrap().side(),
        director_sdk::Side::Node
    );
    // On a thread where no world runs there is nobody to ask.
    let elsewhere = std::thread::spawn(move || {
        let info = kept.info();
        kept.due(true);
        kept.consume(5);
        info.received
    });
    assert_eq!(elsewhere.join().unwrap(), 0);
    assert_eq!(world.finish().counts, Counts::default());
}

#[test]
fn work_that_is_moved_to_another_session_ends_with_its_own() {
    let _one = KEEPER.lock().unwrap();
    let world = World::seeded(1);
    shops(&world, "{}");
    // The link's state is out in the kept future when its session ends, and the link with it.
    assert_eq!(hears(&world, "keep-work forever\n").unwrap(), "kept\n");
    assert_eq!(world.counts().chains, 0);
    let heard = world.run(async {
        let mut client = world.connect();
        client.write_all(b"go-on\n").await.unwrap();
        world.sleep(Duration::from_secs(100)).await;
        world.counts()
    });
    // It waits for ever, in another session's name, and touches nothing that is freed.
    assert_eq!(heard.chains, 1, "the other session's own");
    let left = world.finish();
    assert_eq!(left.counts, Counts::default());
}

#[test]
fn time_and_wakers_of_ones_own() {
    let before = World::held_wakers();
    let world = World::seeded(1);
    shops(&world, "{}");
    let heard = hears(&world, "timeout\nmany\nsee tea\n").unwrap();
    assert_eq!(heard, "Err(Elapsed) Ok(7)\n50 1\ntrue\n");
    assert!(world.now() >= Duration::from_secs(6));
    let log = world.log();
    let seen = log.iter().find(|(_, line)| line.contains("seen thing=tea"));
    assert!(
        seen.is_some_and(|(level, line)| *level == 3 && line.contains("glue.rs")),
        "{log:?}"
    );
    assert!(!log.iter().any(|(_, line)| line.contains("not this")));
    assert_eq!(world.metric("sights,of=tea"), Some(2.0));
    assert_eq!(world.metric("height"), Some(3.5));
    assert_eq!(world.metric("depth"), Some(1.25));
    assert_eq!(world.finish(), director_sdk::testing::Leftover::default());
    assert_eq!(
        World::held_wakers(),
        before,
        "every waker that crossed was dropped"
    );
}

#[test]
fn a_relay_counts_what_was_accepted_and_takes_what_was_only_seen() {
    let world = World::seeded(1);
    shops(&world, "{}");
    let heard = hears(&world, "relay \nrelay abc\n").unwrap();
    assert_eq!(heard, "WELCOlimit 105 5\nWELCOME\nlimit 108 8\n");
}

#[test]
fn a_probe_yields_a_load_and_a_code_its_kind() {
    let world = World::seeded(1);
    world.start::<Odd>("{}").unwrap();
    world.node("well", |wire| shop_without_greeting(wire, "5\n"));
    world.node("ill", |wire| shop_without_greeting(wire, "ill\n"));
    assert_eq!(world.probe("well").load, 5.0);
    let ill = world.probe("ill");
    assert_eq!((ill.kind, ill.code), (Some(Kind::Busy), 503));
    world.watch("well");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.load("well"), Some(8.0));
    world.kill("well");
    world.pass(Duration::from_secs(1));
    let ended = world.ended();
    assert_eq!(ended.last().unwrap().kind, Some(Kind::Lost), "{ended:?}");
}

async fn shop_without_greeting(mut wire: Wire, load: &'static str) {
    while wire.read_line().await.is_ok_and(|line| !line.is_empty()) {
        if wire.write_all(load.as_bytes()).await.is_err() {
            return;
        }
    }
}

#[test]
fn a_world_has_a_state_directory_of_its_own_and_takes_it_along() {
    let world = World::seeded(1);
    let directory = world.state_dir().to_owned();
    assert!(!directory.exists());
    world.start::<Odd>(r#"{"keeps": true}"#).unwrap();
    assert!(directory.join("kept").exists());
    drop(world);
    assert!(!directory.exists());
    let mut world = World::seeded(1);
    world.keep_state_in(&directory);
    world.start::<Odd>(r#"{"keeps": true}"#).unwrap();
    drop(world);
    assert!(directory.join("kept").exists());
    std::fs::remove_dir_all(directory).unwrap();
}
