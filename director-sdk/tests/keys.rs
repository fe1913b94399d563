//! A session says by what its node is chosen, in the test kit.

#![allow(clippy::unwrap_used)] // a test: what is not as written here must fail

use director_sdk::testing::{Wire, World};
use director_sdk::{
    Client, ConfigMistake, Director, Exception, Failure, Host, Kind, Links, Load, NodeStream,
    Protocol, Request, Resend, Session, async_trait,
};

/// Sends each client to the node of the name that it says first, and tells that node's name.
struct ByName;

#[async_trait]
impl Protocol for ByName {
    type Config = serde_json::Value;
    const NAME: &'static str = "by-name";
    const LINKS: Links = Links::Exclusive;

    fn create(_: serde_json::Value, _: Host) -> Result<Self, Vec<ConfigMistake>> {
        Ok(Self)
    }

    async fn serve(&self, client: Client, director: Director) -> Result<(), Failure> {
        let (mut client, mut chain) = (client.stream, director.chain(Plain));
        let mut name = Vec::new();
        client.read_line(&mut name, 100).await?;
        director.set_key(&name);
        let node = director.direct(&mut chain, &mut Greeting).await?;
        client.write_all(node.as_bytes()).await?;
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

struct Greeting;

#[async_trait]
impl Request<Plain> for Greeting {
    type Reply = String;

    async fn attempt(
        &mut self,
        _: &mut Plain,
        node: &mut NodeStream,
        _: &Director,
    ) -> Result<String, Failure> {
        let mut line = Vec::new();
        node.read_line(&mut line, 100).await?;
        if line.is_empty() {
            return Err(Failure::new(Kind::Lost, "no greeting"));
        }
        Ok(node.node_name().to_owned())
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

async fn greet(mut wire: Wire) {
    let _client_may_be_gone = wire.write_all(b"hello\n").await;
}

fn node_of(world: &World, name: &str) -> String {
    world.run(async {
        let mut client = world.connect();
        client.write_all(name.as_bytes()).await.unwrap();
        client.write_all(b"\n").await.unwrap();
        String::from_utf8(client.read_to_end().await.unwrap()).unwrap()
    })
}

#[test]
fn one_name_is_one_node_and_another_when_that_is_dead() {
    let world = World::seeded(3);
    world.start::<ByName>("{}").unwrap();
    for name in ["a", "b", "c", "d"] {
        world.node(name, greet);
    }
    let of_ann = node_of(&world, "ann");
    assert!((0..20).all(|_| node_of(&world, "ann") == of_ann));
    let names = ["bob", "cat", "dan", "eve", "fay"];
    assert!(names.iter().any(|name| node_of(&world, name) != of_ann));
    world.kill(&of_ann);
    let other = node_of(&world, "ann");
    assert_ne!(other, of_ann);
    assert!((0..20).all(|_| node_of(&world, "ann") == other));
}
