//! Questions how a node stands: a probe that begins after them, and what befell its other links. And by
//! what a session's node is chosen.
#![allow(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use director_abi as abi;
use director_recovery::{Exception, Kind};

use socket2::SockRef;

use super::plugin::{Task, Ticket, established, event, host};
use super::stage::{Stage, accept, ended, line, nodes, play};
use crate::cluster::{Node, NodeLoad, Prober, Standing, hash};
use crate::health::{self, Local};
use crate::host::connect::connect_to;
use crate::host::{Outcome, Tls, tables};

const SETTLE: Duration = Duration::from_millis(100);

/// A node that answers, or not.
struct Says {
    well: Arc<AtomicBool>,
    probes: Arc<AtomicUsize>,
}

impl Prober for Says {
    fn probe(&self, node: Arc<Node>) -> Local<Result<NodeLoad, Exception>> {
        self.probes.fetch_add(1, Ordering::Relaxed);
        let well = self.well.load(Ordering::Relaxed);
        Box::pin(async move {
            if well {
                Ok(NodeLoad::default())
            } else {
                Err(Exception::new(Kind::Unreachable, Some(node.id), "refused"))
            }
        })
    }

    fn watch(&self, _node: Arc<Node>) -> Local<Exception> {
        Box::pin(std::future::pending())
    }
}

/// Begins the health task of the stage's first node.
fn keep(stage: &Stage) -> (Arc<AtomicBool>, Arc<AtomicUsize>) {
    let (well, probes) = (
        Arc::new(AtomicBool::new(true)),
        Arc::new(AtomicUsize::new(0)),
    );
    let says = Says {
        well: Arc::clone(&well),
        probes: Arc::clone(&probes),
    };
    let node = stage.cluster.node(0).unwrap();
    tokio::task::spawn_local(health::keep(
        Arc::clone(&stage.cluster),
        node,
        Arc::new(says),
        Duration::from_millis(300),
    ));
    (well, probes)
}

/// Links itself to the node, waits for the end of its link, asks, and tells its client.
async fn ask_at_the_end(task: Task) -> Result<(), String> {
    let ticket = Ticket::open(task.chain());
    let mut action = ticket.step(event(abi::Event::BEGIN)).await.unwrap();
    while action.tag == abi::Action::ESTABLISH {
        action = ticket.step(established(action.stream)).await.unwrap();
    }
    assert_eq!(action.stream.line().await, Ok(String::new()));
    action.stream.due(false);
    let found = task.confirm(action.node, SETTLE).await.unwrap();
    let answers = found.flags & abi::NodeStanding::ANSWERS != 0;
    let told = format!("{answers} {}\n", found.ended);
    task.stream.write(told.as_bytes()).await.unwrap();
    assert!(task.confirm(77, SETTLE).await.is_none(), "no such node");
    Ok(())
}

#[test]
fn a_link_that_ends_alone_on_a_node_that_answers_ended_alone() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, false, ask_at_the_end).await;
        let (_well, probes) = keep(&stage);
        let (mut client, session) = stage.client().await;
        drop(accept(&listeners[0]).await);
        assert_eq!(line(&mut client).await, "true 0\n");
        assert_eq!(probes.load(Ordering::Relaxed), 1);
        assert_eq!(stage.cluster.node(0).unwrap().standing(), Standing::Up);
        ended(session).await;
    });
}

#[test]
fn links_of_one_node_that_end_together_know_of_each_other() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, false, ask_at_the_end).await;
        let _kept = keep(&stage);
        let mut clients = Vec::new();
        let mut sockets = Vec::new();
        for _ in 0..3 {
            clients.push(stage.client().await);
            sockets.push(accept(&listeners[0]).await);
        }
        drop(sockets);
        for (mut client, session) in clients {
            assert_eq!(line(&mut client).await, "true 2\n");
            ended(session).await;
        }
    });
}

#[test]
fn the_clients_address_is_the_key_until_the_plugin_says_another() {
    play(|| async {
        let stage = Stage::new(&[], false, |task: Task| async move {
            let key = || {
                let task = tables::get::<crate::host::task::Task>(task.number);
                task.unwrap().key.get()
            };
            assert_eq!(key(), Some(hash(b"127.0.0.1")));
            // SAFETY: as the boundary has it.
            let said = unsafe {
                let session_key = host().session_key.unwrap();
                session_key(task.number, abi::Bytes::lend(b"ann"))
            };
            assert_eq!((said, key()), (abi::READY, Some(hash(b"ann"))));
            Ok(())
        })
        .await;
        let (_client, session) = stage.client().await;
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

#[test]
fn a_connection_to_a_node_is_asked_for_life() {
    play(|| async {
        let (_listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, false, ask_at_the_end).await;
        let node = stage.cluster.node(0).unwrap();
        let keepalive = Duration::from_secs(77);
        let made = connect_to(&node, &Tls::default(), Duration::from_secs(5), keepalive).await;
        let made = made.unwrap();
        let socket = SockRef::from(made.socket());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), keepalive);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 6);
    });
}

#[test]
fn a_node_that_does_not_answer_is_dead_by_the_question_alone() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, false, ask_at_the_end).await;
        let (well, _probes) = keep(&stage);
        let mut deaths = stage.cluster.on_death();
        let (mut client, session) = stage.client().await;
        let socket = accept(&listeners[0]).await;
        well.store(false, Ordering::Relaxed);
        drop(socket);
        assert_eq!(line(&mut client).await, "false 0\n");
        assert_eq!(deaths.recv().await, Ok(0));
        ended(session).await;
    });
}
