//! Cuts: a dead node's steps fail at once, return by themselves, and are torn only after their grace.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use director_abi as abi;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::plugin::{Action, Task, Ticket, answer, established, event, failed};
use super::stage::{SOON, Stage, accept, ended, line, nodes, play, rest, until, write};
use crate::cluster::{ClosedBy, Standing};
use crate::host::{Outcome, Timeouts};

async fn to_attempt(ticket: Ticket, first: abi::Event) -> Action {
    let mut action = ticket.step(first).await.unwrap();
    while action.tag == abi::Action::ESTABLISH {
        action = ticket.step(established(action.stream)).await.unwrap();
    }
    action
}

fn anywhere() -> abi::Event {
    answer(abi::Event::CLEANED, abi::resend::ANYWHERE)
}

#[test]
fn an_attempt_that_reads_fails_at_once_and_goes_on_elsewhere() {
    play(|| async {
        let (listeners, addresses) = nodes(2).await;
        let stage = Stage::new(&addresses, true, |task| async move {
            let ticket = Ticket::open(task.chain());
            let first = to_attempt(ticket, event(abi::Event::BEGIN)).await;
            assert_eq!(first.stream.line().await, Err(abi::CODE_CUT));
            assert_eq!(first.stream.write(b"x").await, Err(abi::CODE_CUT));
            assert_eq!(first.stream.close().await, Err(abi::CODE_CUT));
            // Whatever the plugin takes it for.
            let up = ticket.step(failed(abi::kind::GARBLED, 0, 0)).await.unwrap();
            assert_eq!((up.tag, up.kind), (abi::Action::CLEAN_UP, abi::kind::LOST));
            assert!(up.link.is_null());
            let second = to_attempt(ticket, anywhere()).await;
            assert_ne!(second.node, first.node);
            assert_eq!(second.attempt, 2);
            let told = second.stream.line().await.unwrap();
            task.stream.write(told.as_bytes()).await.unwrap();
            assert_eq!(
                ticket.step(event(abi::Event::REPLIED)).await.unwrap().tag,
                abi::Action::REPLY
            );
            task.stream.close().await.unwrap();
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        let (mut dead, which) = either(&listeners).await;
        let cut_at = Instant::now();
        stage.declare_down(which);
        // The listener of the dead one still accepts, as a stopped process's does.
        let mut other = accept(&listeners[1 - which as usize]).await;
        assert!(cut_at.elapsed() < Duration::from_secs(2));
        write(&mut other, b"from the other\n").await;
        assert_eq!(line(&mut client).await, "from the other\n");
        assert_eq!(rest(&mut dead).await, (Vec::new(), false), "reset");
        let end = ended(session).await;
        assert_eq!((end.outcome, end.switches), (Outcome::Ended, 1));
    });
}

#[test]
fn a_session_stays_on_a_node_that_drains_until_the_deadline_moves_it() {
    play(|| async {
        let (listeners, addresses) = nodes(2).await;
        let stage = Stage::new(&addresses, false, |task| async move {
            let ticket = Ticket::open(task.chain());
            let first = to_attempt(ticket, event(abi::Event::BEGIN)).await;
            first.stream.due(false);
            let told = first.stream.line().await.unwrap();
            task.stream.write(told.as_bytes()).await.unwrap();
            assert_eq!(first.stream.line().await, Err(abi::CODE_CUT));
            ticket.step(failed(abi::kind::LOST, 0, 0)).await.unwrap();
            let second = to_attempt(ticket, anywhere()).await;
            assert_ne!(second.node, first.node);
            let told = second.stream.line().await.unwrap();
            task.stream.write(told.as_bytes()).await.unwrap();
            ticket.step(event(abi::Event::REPLIED)).await.unwrap();
            task.stream.close().await.unwrap();
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        let (mut drained, which) = either(&listeners).await;
        let node = stage.cluster.node(which).unwrap();
        stage.cluster.drain(&node, ClosedBy::Operator, true);
        write(&mut drained, b"still here\n").await;
        assert_eq!(line(&mut client).await, "still here\n");
        let deadline = Arc::clone(&stage.cluster).move_at_drain_deadline(Duration::from_millis(1));
        let moving = tokio::task::spawn_local(deadline);
        let mut other = accept(&listeners[1 - which as usize]).await;
        write(&mut other, b"from the other\n").await;
        assert_eq!(line(&mut client).await, "from the other\n");
        let end = ended(session).await;
        assert_eq!((end.outcome, end.switches), (Outcome::Ended, 1));
        assert_eq!(node.standing(), Standing::Draining);
        moving.abort();
    });
}

async fn either(listeners: &[TcpListener]) -> (TcpStream, u32) {
    tokio::select! {
        node = accept(&listeners[0]) => (node, 0),
        node = accept(&listeners[1]) => (node, 1),
    }
}

#[test]
fn an_attempt_that_does_not_return_is_torn_after_its_grace_and_never_resent() {
    play(|| async {
        let (listeners, addresses) = nodes(2).await;
        let stage = Stage::new(&addresses, true, |task| async move {
            let ticket = Ticket::open(task.chain());
            let action = to_attempt(ticket, event(abi::Event::BEGIN)).await;
            action.stream.write(b"do it").await.unwrap();
            let _failed = action.stream.line().await;
            let begun = Instant::now();
            ticket.cut().await; // instead of telling of the failure
            assert!(
                begun.elapsed() >= Duration::from_millis(80),
                "{:?}",
                begun.elapsed()
            );
            let up = ticket.step(event(abi::Event::TORN)).await.unwrap();
            assert_eq!((up.tag, up.kind), (abi::Action::CLEAN_UP, abi::kind::LOST));
            assert_eq!(
                (up.sent, up.answered),
                (5, 0),
                "the torn attempt's own counts"
            );
            let over = ticket.step(anywhere()).await.unwrap();
            assert_eq!((over.tag, over.attempt), (abi::Action::GIVE_UP, 1));
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        let (_node, which) = either(&listeners).await;
        // The client ends its side, so the attempt cannot be waiting for it.
        client.shutdown().await.unwrap();
        stage.declare_down(which);
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

#[test]
fn the_grace_stands_still_while_the_client_takes_bytes_and_runs_on_afterwards() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, true, |task| async move {
            let ticket = Ticket::open(task.chain());
            let action = to_attempt(ticket, event(abi::Event::BEGIN)).await;
            assert_eq!(action.stream.line().await, Err(abi::CODE_CUT));
            // What it has of the answer, piece by piece, for many graces.
            let answers = async {
                for _ in 0..100 {
                    task.stream.write(b"x").await.unwrap();
                    task.sleep(5).await;
                }
            };
            tokio::select! {
                biased;
                () = answers => {}
                () = ticket.cut() => panic!("torn in the middle of its answer"),
            }
            ticket.cut().await;
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        client.shutdown().await.unwrap();
        let _node = accept(&listeners[0]).await;
        stage.declare_down(0);
        assert_eq!(ended(session).await.sent, 100);
    });
}

#[test]
fn a_client_that_is_awaited_for_other_reasons_holds_the_grace_for_a_bound_only() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let timeouts = Timeouts {
            cut_grace: Duration::from_millis(50),
            stall: Duration::from_millis(400),
            ..Timeouts::default()
        };
        let stage = Stage::with(&addresses, true, timeouts, |task| async move {
            let ticket = Ticket::open(task.chain());
            to_attempt(ticket, event(abi::Event::BEGIN)).await;
            // It waits for something of its own, and another part of the task reads the client, as
            // a server's connection always does.
            let begun = Instant::now();
            tokio::select! {
                biased;
                read = task.stream.read(1) => panic!("the client says nothing, and {read:?}"),
                () = ticket.cut() => {}
            }
            assert!(
                begun.elapsed() >= Duration::from_millis(400),
                "{:?}",
                begun.elapsed()
            );
            Ok(())
        })
        .await;
        let (_client, session) = stage.client().await;
        let _node = accept(&listeners[0]).await;
        stage.declare_down(0);
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

#[test]
fn a_late_report_of_a_death_does_not_hurt_the_node_that_is_back() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, true, |task| async move {
            let ticket = Ticket::open(task.chain());
            let action = to_attempt(ticket, event(abi::Event::BEGIN)).await;
            assert_eq!(action.stream.line().await, Err(abi::CODE_CUT));
            assert_eq!(task.stream.line().await.unwrap(), "now\n");
            let up = ticket.step(failed(abi::kind::LOST, 0, 0)).await.unwrap();
            assert_eq!((up.tag, up.kind), (abi::Action::CLEAN_UP, abi::kind::LOST));
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        let _dead = accept(&listeners[0]).await;
        stage.declare_down(0);
        let node = stage.cluster.node(0).unwrap();
        assert_eq!(node.standing(), Standing::Down);
        tokio::task::yield_now().await;
        stage
            .cluster
            .probed(&node, Ok(crate::cluster::NodeLoad::default()));
        write(&mut client, b"now\n").await;
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
        assert_eq!(node.standing(), Standing::Up);
    });
}

#[test]
fn the_grace_stands_still_while_the_client_does_not_read() {
    play(|| async {
        const MUCH: usize = 16 << 20;
        let (listeners, addresses) = nodes(2).await;
        let stage = Stage::new(&addresses, true, |task| async move {
            let ticket = Ticket::open(task.chain());
            let action = to_attempt(ticket, event(abi::Event::BEGIN)).await;
            assert_eq!(action.stream.line().await.unwrap(), "go\n");
            let much = vec![1; MUCH];
            let write = task.stream.write(&much);
            tokio::select! {
                biased;
                written = write => written.unwrap(),
                () = ticket.cut() => panic!("torn, though the client was the one to wait for"),
            }
            let up = ticket.step(failed(abi::kind::LOST, 0, 0)).await.unwrap();
            assert_eq!(up.answered, MUCH as u64);
            let over = ticket
                .step(answer(abi::Event::CLEANED, abi::resend::NEVER))
                .await
                .unwrap();
            assert_eq!(over.tag, abi::Action::GIVE_UP);
            task.stream.close().await.unwrap();
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        let (mut node, which) = either(&listeners).await;
        write(&mut node, b"go\n").await;
        let mut first = [0];
        tokio::time::timeout(SOON, client.read_exact(&mut first))
            .await
            .unwrap()
            .unwrap();
        stage.declare_down(which);
        // Many graces long; nothing is decided by when it ends.
        tokio::time::sleep(Duration::from_millis(700)).await;
        let (got, proper) = rest(&mut client).await;
        assert_eq!((got.len(), proper), (MUCH - 1, true));
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

#[test]
fn a_cleanup_has_a_deadline() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, true, |task| async move {
            let ticket = Ticket::open(task.chain());
            to_attempt(ticket, event(abi::Event::BEGIN)).await;
            let up = ticket
                .step(failed(abi::Ended::BY_CODE, 503, abi::Event::LINK_FIT))
                .await
                .unwrap();
            assert_eq!((up.tag, up.kind), (abi::Action::CLEAN_UP, abi::kind::BUSY));
            assert_eq!(
                up.stream.line().await,
                Err(abi::CODE_CUT),
                "its time is over"
            );
            ticket.cut().await;
            let over = ticket.step(event(abi::Event::TORN)).await.unwrap();
            assert_eq!(
                (over.tag, over.kind),
                (abi::Action::GIVE_UP, abi::kind::BUSY)
            );
            Ok(())
        })
        .await;
        let (_client, session) = stage.client().await;
        let mut node = accept(&listeners[0]).await;
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
        assert_eq!(rest(&mut node).await, (Vec::new(), false));
    });
}

#[test]
fn a_request_has_a_deadline_of_its_own() {
    play(|| async {
        let (listeners, addresses) = nodes(2).await;
        let stage = Stage::new(&addresses, true, |task| async move {
            let ticket = Ticket::open_within(task.chain(), 250);
            let action = to_attempt(ticket, event(abi::Event::BEGIN)).await;
            action.stream.due(false);
            assert_eq!(action.stream.line().await, Err(abi::CODE_CUT));
            let up = ticket.step(failed(abi::kind::LOST, 0, 0)).await.unwrap();
            assert_eq!(
                (up.tag, up.kind),
                (abi::Action::CLEAN_UP, abi::kind::STALLED)
            );
            let over = ticket.step(anywhere()).await.unwrap();
            assert_eq!(
                over.tag,
                abi::Action::GIVE_UP,
                "though it might go anywhere"
            );
            Ok(())
        })
        .await;
        let (_client, session) = stage.client().await;
        let (_node, which) = either(&listeners).await;
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
        // That the request had no more time is not the node's failure.
        assert_eq!(stage.cluster.node(which).unwrap().standing(), Standing::Up);
    });
}

#[test]
fn a_node_that_owes_a_byte_and_is_silent_is_suspected_and_one_that_owes_none_is_not() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, true, |task| async move {
            let ticket = Ticket::open(task.chain());
            let action = to_attempt(ticket, event(abi::Event::BEGIN)).await;
            action.stream.due(false);
            assert_eq!(action.stream.line().await.unwrap(), "a message\n");
            task.stream.write(b"quiet was fine\n").await.unwrap();
            action.stream.due(true);
            let _cut = action.stream.line().await;
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        let mut node = accept(&listeners[0]).await;
        let standing = || stage.cluster.node(0).unwrap().standing();
        // Several silences long.
        tokio::time::sleep(Duration::from_millis(450)).await;
        assert_eq!(standing(), Standing::Up);
        write(&mut node, b"a message\n").await;
        assert_eq!(line(&mut client).await, "quiet was fine\n");
        until("the node is suspect", || standing() == Standing::Suspect).await;
        session.abort();
    });
}

#[test]
fn a_silent_session_on_a_node_that_answers_is_cut_in_the_end() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let timeouts = Timeouts {
            silence: Duration::from_millis(50),
            stall: Duration::from_millis(300),
            ..Timeouts::default()
        };
        let stage = Stage::with(&addresses, true, timeouts, |task| async move {
            let ticket = Ticket::open(task.chain());
            let action = to_attempt(ticket, event(abi::Event::BEGIN)).await;
            assert_eq!(action.stream.line().await, Err(abi::CODE_CUT));
            let up = ticket.step(failed(abi::kind::LOST, 0, 0)).await.unwrap();
            assert_eq!(up.kind, abi::kind::STALLED);
            Ok(())
        })
        .await;
        let (_client, session) = stage.client().await;
        let _node = accept(&listeners[0]).await;
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

#[test]
fn a_client_that_does_not_read_makes_no_node_suspect() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, true, |task| async move {
            let ticket = Ticket::open(task.chain());
            let action = to_attempt(ticket, event(abi::Event::BEGIN)).await;
            let end = task.relay(action.stream, task.stream, u64::MAX).await;
            assert_eq!(end.why, abi::RelayEnd::END);
            task.stream.close().await.unwrap();
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        let mut node = accept(&listeners[0]).await;
        const MUCH: usize = 24 << 20;
        let sends = async {
            node.write_all(&vec![3; MUCH]).await.unwrap();
            node.shutdown().await.unwrap();
        };
        let reads = async {
            tokio::time::sleep(Duration::from_millis(600)).await;
            assert_eq!(stage.cluster.node(0).unwrap().standing(), Standing::Up);
            rest(&mut client).await
        };
        let ((), (got, proper)) = tokio::join!(sends, reads);
        assert_eq!((got.len(), proper), (MUCH, true));
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

/// A download that goes on where it was: what the client got is what the nodes have, whatever died.
async fn download(task: Task) -> Result<(), String> {
    let ticket = Ticket::open(task.chain());
    let mut delivered = 0_u64;
    let mut action = to_attempt(ticket, event(abi::Event::BEGIN)).await;
    loop {
        match action.tag {
            abi::Action::ATTEMPT => {
                let next = match attempt(task, &action, &mut delivered).await {
                    true => event(abi::Event::REPLIED),
                    false => failed(abi::kind::LOST, 0, 0),
                };
                action = to_attempt(ticket, next).await;
            }
            abi::Action::CLEAN_UP => action = to_attempt(ticket, anywhere()).await,
            abi::Action::REPLY => {
                ticket.end();
                task.stream.close().await.map_err(|code| code.to_string())?;
                return Ok(());
            }
            _give_up => return Err(action.detail),
        }
    }
}

const FILE: u64 = 600_000;

async fn attempt(task: Task, action: &Action, delivered: &mut u64) -> bool {
    let ask = format!("{delivered}\n");
    if action.stream.write(ask.as_bytes()).await.is_err() {
        return false;
    }
    let end = task
        .relay(action.stream, task.stream, FILE - *delivered)
        .await;
    *delivered += end.moved;
    *delivered == FILE
}

fn file() -> Arc<[u8]> {
    (0..FILE)
        .map(|at| (at % 251) as u8 ^ (at / 251 % 256) as u8)
        .collect()
}

/// A line, or what came before the connection was reset.
async fn asked_for(socket: &mut TcpStream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        match socket.read_u8().await {
            Ok(byte) => line.push(byte),
            Err(_ended) => break,
        }
    }
    String::from_utf8(line).unwrap()
}

/// A node that serves the file from the offset it is asked for, in pieces, slowly.
async fn serve_file(listener: TcpListener, file: Arc<[u8]>, asked: Arc<AtomicUsize>) {
    loop {
        let (mut socket, _) = listener.accept().await.unwrap();
        let (file, asked) = (Arc::clone(&file), Arc::clone(&asked));
        tokio::task::spawn_local(async move {
            loop {
                let offset = asked_for(&mut socket).await;
                let Ok(offset) = offset.trim().parse::<usize>() else {
                    return;
                };
                asked.fetch_add(1, Ordering::Relaxed);
                for piece in file[offset..].chunks(7_000) {
                    if socket.write_all(piece).await.is_err() {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
            }
        });
    }
}

#[test]
fn cuts_at_random_instants_never_spoil_a_file() {
    play(|| async {
        const SESSIONS: usize = 100;
        // So many, and then they are left in peace: under load each may cut all that was begun.
        const MOST_DEATHS: usize = 300;
        let (listeners, addresses) = nodes(3).await;
        let asked = Arc::new(AtomicUsize::new(0));
        let whole = file();
        for listener in listeners {
            let serves = serve_file(listener, Arc::clone(&whole), Arc::clone(&asked));
            tokio::task::spawn_local(serves);
        }
        let stage = Stage::new(&addresses, true, download).await;
        let mut clients = tokio::task::JoinSet::new();
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS {
            let (mut client, session) = stage.client().await;
            sessions.push(session);
            let whole = Arc::clone(&whole);
            clients.spawn_local(async move {
                let mut got = Vec::new();
                let read = client.read_to_end(&mut got).await;
                assert!(
                    read.is_ok() && got == *whole,
                    "{read:?}, {} bytes",
                    got.len()
                );
            });
        }
        // One node after the other dies and comes back while they read.
        let mut cut = 0;
        while !clients.is_empty() {
            let wait = Duration::from_micros(200 + crate::chance::number() % 8_000);
            tokio::select! {
                Some(client) = clients.join_next() => client.unwrap(),
                () = tokio::time::sleep(wait), if cut < MOST_DEATHS => {
                    let node = (crate::chance::number() % 3) as u32;
                    stage.declare_down(node);
                    cut += 1;
                    let at = stage.cluster.node(node).unwrap();
                    stage.cluster.probed(&at, Ok(crate::cluster::NodeLoad::default()));
                }
            }
        }
        let mut switches = 0;
        for session in sessions {
            let end = ended(session).await;
            assert_eq!((end.outcome, end.sent), (Outcome::Ended, FILE));
            switches += end.switches;
        }
        let asked = asked.load(Ordering::Relaxed);
        println!("{cut} deaths, {switches} switches, {asked} attempts for {SESSIONS} files");
        assert!(cut > 0 && asked > SESSIONS, "nothing was cut in the middle");
    });
}
