//! A group without a director: what is said at one server is heard at all, across deaths and restarts.

use std::time::Duration;

use director_tests::group::{Group, Settings};
use director_tests::http::{self, Answer, Events};

use crate::bounded::story;
use crate::room::{Visitor, post, texts};

const SOON: Duration = Duration::from_secs(10);

async fn ask(address: &str, target: &str) -> Answer {
    http::ask(address, "GET", target, &[], None).await.unwrap()
}

/// Until a server's copy of the room holds just these texts, in any order.
pub(crate) async fn holds(group: &Group, number: usize, expected: &[&str]) {
    let until = tokio::time::Instant::now() + SOON;
    loop {
        let mut found = texts(&group.nodes[number].read_all("rooms/lobby").await.unwrap());
        found.sort();
        if found == expected {
            return;
        }
        assert!(
            tokio::time::Instant::now() < until,
            "server {number} holds {found:?}, not {expected:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn what_is_said_at_one_server_is_heard_at_all() {
    story(60, || async {
        let group = Group::start(&Settings::default()).await.unwrap();
        let addresses = group.addresses();
        let mut visitors = Vec::new();
        for address in &addresses {
            visitors.push(Visitor::enter(address).await);
        }
        for (number, address) in addresses.iter().enumerate() {
            post(address, "x", &format!("said at {number}")).await;
        }
        for visitor in &mut visitors {
            for number in 0..3 {
                visitor.sees(&format!("said at {number}"), SOON).await;
            }
            assert_eq!(visitor.shown.len(), 3, "each once: {:?}", visitor.shown);
        }
    });
}

#[test]
fn a_cursor_of_one_server_goes_on_at_another() {
    story(60, || async {
        let group = Group::start(&Settings::default()).await.unwrap();
        let addresses = group.addresses();
        post(&addresses[0], "x", "one").await;
        post(&addresses[1], "x", "two").await;
        for number in 0..3 {
            holds(&group, number, &["one", "two"]).await;
        }
        let read = ask(&addresses[2], "/v1/stream/rooms/lobby?offset=-1").await;
        let cursor = read.header("stream-next-offset").unwrap().to_owned();
        post(&addresses[2], "x", "three").await;
        for address in &addresses {
            let target = format!("/v1/stream/rooms/lobby?offset={cursor}&live=long-poll");
            let rest = ask(address, &target).await;
            assert_eq!(
                texts(rest.json().unwrap().as_array().unwrap()),
                ["three"],
                "at {address}"
            );
        }
    });
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill_and_a_start() {
    story(60, || async {
        let mut group = Group::start(&Settings::default()).await.unwrap();
        let address = group.addresses()[0].clone();
        post(&address, "x", "one").await;
        post(&address, "x", "two").await;
        let server = ask(&address, "/v1/stream/rooms/lobby?offset=-1").await;
        let server = server.header("stream-server").unwrap().to_owned();
        group.nodes[0].kill().await.unwrap();
        group.nodes[0].start().await.unwrap();
        group.nodes[0].joined().await.unwrap();
        let again = ask(&address, "/v1/stream/rooms/lobby?offset=-1").await;
        assert_ne!(
            again.header("stream-server").unwrap(),
            server,
            "another start, another number"
        );
        for number in 0..3 {
            holds(&group, number, &["one", "two"]).await;
        }
    });
}

#[test]
fn a_server_whose_disk_was_lost_gets_everything_back() {
    story(60, || async {
        let mut group = Group::start(&Settings::default()).await.unwrap();
        let addresses = group.addresses();
        for (number, address) in addresses.iter().enumerate() {
            post(address, "x", &format!("{number}")).await;
        }
        for number in 0..3 {
            holds(&group, number, &["0", "1", "2"]).await;
        }
        group.nodes[0].kill().await.unwrap();
        group.nodes[0].remove_data().unwrap();
        post(&addresses[1], "x", "3").await;
        group.nodes[0].start().await.unwrap();
        group.nodes[0].joined().await.unwrap();
        post(&addresses[0], "x", "4").await;
        for number in 0..3 {
            holds(&group, number, &["0", "1", "2", "3", "4"]).await;
        }
    });
}

#[test]
fn a_server_that_alone_is_left_goes_on() {
    story(60, || async {
        let mut group = Group::start(&Settings::default()).await.unwrap();
        let addresses = group.addresses();
        post(&addresses[0], "x", "1").await;
        holds(&group, 2, &["1"]).await;
        group.nodes[0].kill().await.unwrap();
        group.nodes[1].kill().await.unwrap();
        post(&addresses[2], "x", "2").await;
        let mut events = Events::open(
            &addresses[2],
            "/v1/stream/rooms/lobby?offset=-1&live=sse",
            &[],
        )
        .await
        .unwrap();
        assert_eq!(events.next().await.unwrap().unwrap().name, "data");
        group.nodes[0].start().await.unwrap();
        group.nodes[1].start().await.unwrap();
        for number in 0..3 {
            group.nodes[number].joined().await.unwrap();
            holds(&group, number, &["1", "2"]).await;
        }
    });
}

#[test]
fn two_servers_of_one_id_cannot_both_serve() {
    story(60, || async {
        let group = Group::start(&Settings::default()).await.unwrap();
        let node = &group.nodes[0];
        let folder = group.folder().join("second");
        // Another directory, another port, the same id.
        let port = director_tests::group::free_port().unwrap();
        let mut command =
            tokio::process::Command::new(director_tests::programs::director().unwrap());
        command.args([
            "webfs",
            "serve",
            "--id",
            &node.id,
            "--listen",
            &format!("127.0.0.1:{port}"),
        ]);
        command
            .arg("--data")
            .arg(folder)
            .args(["--join", &group.addresses().join(",")]);
        let mut second = director_tests::process::Program::start("second", command).unwrap();
        let status = second.ended(SOON).await.unwrap();
        assert!(!status.success(), "{status}");
        assert!(second.stderr().contains("id"), "{}", second.stderr());
        post(&node.address, "x", "the first goes on").await;
    });
}
