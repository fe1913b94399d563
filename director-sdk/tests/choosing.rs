//! What a session asks about the node it is at, in the test kit.

#![allow(clippy::unwrap_used)] // a test: what is not as written here must fail

use std::time::Duration;

use director_sdk::testing::{Wire, World};
use director_sdk::{
    Client, ConfigMistake, Director, Exception, Failure, Host, Kind, Links, Load, NodeStream,
    Protocol, Request, Resend, Session, async_trait,
};

const SETTLE: Duration = Duration::from_millis(250);

/// Tells each client how its node stood when its link ended.
struct Asks;

#[async_trait]
impl Protocol for Asks {
    type Config = serde_json::Value;
    const NAME: &'static str = "asks";
    const LINKS: Links = Links::Exclusive;

    fn create(_: serde_json::Value, _: Host) -> Result<Self, Vec<ConfigMistake>> {
        Ok(Self)
    }

    async fn serve(&self, client: Client, director: Director) -> Result<(), Failure> {
        let (mut client, mut chain) = (client.stream, director.chain(Plain));
        let told = director.direct(&mut chain, &mut UntilItEnds).await?;
        client.write_all(told.as_bytes()).await?;
        Ok(client.close().await?)
    }

    async fn probe(&self, _: &mut NodeStream) -> Result<Load, Failure> {
        Ok(Load::UNKNOWN)
    }
}

struct Plain;

#[async_trait]
impl Session for Plain {
    type Link = NodeStream;

    async fn establish(&mut self, node: NodeStream, _: &Director) -> Result<NodeStream, Failure> {
        Ok(node)
    }
}

struct UntilItEnds;

#[async_trait]
impl Request<Plain> for UntilItEnds {
    type Reply = String;

    async fn attempt(
        &mut self,
        _: &mut Plain,
        node: &mut NodeStream,
        director: &Director,
    ) -> Result<String, Failure> {
        let mut line = Vec::new();
        let _reset_is_an_end_too = node.read_line(&mut line, 100).await;
        node.due(false);
        let before = director.now();
        let found = director.confirm(node.node(), SETTLE).await;
        let took = director.now() - before;
        if !found.answers {
            return Err(Failure::new(Kind::Lost, "it does not answer"));
        }
        Ok(format!("{} others, after {took:?}", found.ended))
    }

    async fn cleanup(
        &mut self,
        _: &mut Plain,
        _: Option<&mut NodeStream>,
        _: &Exception,
    ) -> Resend {
        Resend::Anywhere
    }
}

/// Serves until it is told to end by its line.
fn world() -> World {
    let world = World::seeded(5);
    world.start::<Asks>("{}").unwrap();
    world
}

async fn until_told(wire: Wire, end: std::rc::Rc<std::cell::Cell<Duration>>) {
    wire.sleep(end.get()).await;
}

fn node(world: &World, name: &str, ends_after: Duration) -> std::rc::Rc<std::cell::Cell<Duration>> {
    let ends = std::rc::Rc::new(std::cell::Cell::new(ends_after));
    let at = std::rc::Rc::clone(&ends);
    world.node(name, move |wire| until_told(wire, std::rc::Rc::clone(&at)));
    ends
}

async fn all_of(mut client: Wire) -> String {
    match client.read_to_end().await {
        Ok(all) => String::from_utf8(all).unwrap(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_link_that_ends_alone_ended_alone() {
    let world = world();
    node(&world, "a", Duration::from_secs(3));
    let told = world.run(async { all_of(world.connect()).await });
    assert_eq!(told, "0 others, after 250ms");
    assert_eq!(world.finish(), Default::default());
}

#[test]
fn ends_within_a_second_know_of_each_other_and_later_ones_do_not() {
    let world = world();
    let ends = node(&world, "a", Duration::from_secs(3));
    let (one, two, late) = world.run(async {
        let (one, two) = (world.connect(), world.connect());
        // Both are linked before the third begins, which ends two seconds later.
        world.sleep(Duration::from_secs(1)).await;
        ends.set(Duration::from_secs(4));
        let late = world.connect();
        (all_of(one).await, all_of(two).await, all_of(late).await)
    });
    assert_eq!(one, "1 others, after 250ms");
    assert_eq!(two, "1 others, after 250ms");
    assert_eq!(late, "0 others, after 250ms");
}

#[test]
fn a_node_that_is_dead_does_not_answer_and_the_session_goes_elsewhere() {
    let world = world();
    node(&world, "a", Duration::from_secs(60));
    let told = world.run(async {
        let client = world.connect();
        world.sleep(Duration::from_secs(1)).await;
        node(&world, "b", Duration::from_secs(3));
        world.kill("a");
        all_of(client).await
    });
    assert_eq!(told, "0 others, after 250ms", "{}", world.story());
    assert_eq!(world.switches(), 1);
}

#[test]
fn a_node_that_falls_silent_meanwhile_does_not_answer() {
    let world = world();
    let _ends = node(&world, "a", Duration::from_secs(3));
    let told = world.run(async {
        let client = world.connect();
        world.sleep(Duration::from_millis(3_100)).await;
        node(&world, "b", Duration::from_secs(3));
        world.silence("a");
        all_of(client).await
    });
    assert_eq!(told, "0 others, after 250ms", "{}", world.story());
    assert_eq!(world.switches(), 1);
}
