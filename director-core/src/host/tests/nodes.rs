//! What is about nodes: probes, watches, the instance's own work, deaths heard on every thread.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use director_abi as abi;
use director_recovery::Kind;
use tokio::net::TcpListener;

use super::plugin::{Task, Ticket, established, event, failed};
use super::stage::{SOON, Stage, accept, ended, line, nodes, play, rest, until, write};
use crate::cluster::Prober;
use crate::host::{Outcome, counts};

/// Asks the node how it is, in one line.
async fn how_are_you(task: Task) -> Result<(), String> {
    task.stream
        .write(b"how are you?\n")
        .await
        .map_err(|code| code.to_string())?;
    match task
        .stream
        .line()
        .await
        .map_err(|code| code.to_string())?
        .as_str()
    {
        "well\n" => Ok(()),
        "kaput\n" => panic!("what a node"),
        other => Err(format!("it says {other:?}")),
    }
}

#[test]
fn a_probe_is_answered_refused_and_failed() {
    play(|| async {
        let (mut listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, true, how_are_you).await;
        let node = stage.cluster.node(0).unwrap();
        for (says, kind) in [
            ("well\n", None),
            ("so so\n", Some(Kind::Lost)),
            ("kaput\n", Some(Kind::Fault)),
        ] {
            let answers = async {
                let mut socket = accept(&listeners[0]).await;
                assert_eq!(line(&mut socket).await, "how are you?\n");
                write(&mut socket, says.as_bytes()).await;
                assert!(!rest(&mut socket).await.1, "reset");
            };
            let (probed, ()) = tokio::join!(stage.instance.probe(Arc::clone(&node)), answers);
            assert_eq!(probed.err().map(|exception| exception.kind), kind);
        }
        drop(listeners.remove(0));
        let refused = stage.instance.probe(node).await.unwrap_err();
        assert_eq!(refused.kind, Kind::Unreachable);
        assert_eq!(refused.node, Some(0));
    });
}

#[test]
fn a_probe_that_is_dropped_is_reset_and_a_watch_ends_with_its_node() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, true, how_are_you).await;
        let node = stage.cluster.node(0).unwrap();
        let probe = tokio::task::spawn_local(stage.instance.probe(Arc::clone(&node)));
        let mut socket = accept(&listeners[0]).await;
        assert_eq!(line(&mut socket).await, "how are you?\n");
        probe.abort();
        assert_eq!(rest(&mut socket).await, (Vec::new(), false));
        let watch = tokio::task::spawn_local(stage.instance.watch(node));
        let mut socket = accept(&listeners[0]).await;
        line(&mut socket).await;
        drop(socket);
        let exception = tokio::time::timeout(SOON, watch).await.unwrap().unwrap();
        assert_eq!(exception.kind, Kind::Lost);
    });
}

#[test]
fn a_death_does_not_cut_the_probe_that_may_end_it() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, true, how_are_you).await;
        let node = stage.cluster.node(0).unwrap();
        let probe = tokio::task::spawn_local(stage.instance.probe(node));
        let mut socket = accept(&listeners[0]).await;
        line(&mut socket).await;
        stage.declare_down(0);
        tokio::task::yield_now().await;
        write(&mut socket, b"well\n").await;
        assert!(
            tokio::time::timeout(SOON, probe)
                .await
                .unwrap()
                .unwrap()
                .is_ok()
        );
    });
}

#[test]
fn the_instances_own_work_is_begun_again_after_a_panic_and_ends_with_the_stop() {
    play(|| async {
        let begun = Arc::new(AtomicUsize::new(0));
        let begins = Arc::clone(&begun);
        let stage = Stage::new(&[], true, move |task: Task| {
            let nth = begins.fetch_add(1, Ordering::Relaxed);
            async move {
                assert_ne!(nth, 0, "the first one falls");
                task.stopping().await;
                Ok(())
            }
        })
        .await;
        let run = tokio::task::spawn_local(stage.instance.run(stage.stopper.hearer()));
        until("it is begun again", || begun.load(Ordering::Relaxed) == 2).await;
        stage.stopper.stop();
        tokio::time::timeout(SOON, run).await.unwrap().unwrap();
    });
}

/// An attempt that waits for its node, and says when it was cut.
async fn waits(task: Task) -> Result<(), String> {
    let ticket = Ticket::open(task.chain());
    let mut action = ticket.step(event(abi::Event::BEGIN)).await.unwrap();
    if action.tag == abi::Action::ESTABLISH {
        action = ticket.step(established(action.stream)).await.unwrap();
    }
    if action.tag == abi::Action::ATTEMPT {
        assert_eq!(action.stream.line().await, Err(abi::CODE_CUT));
        ticket.step(failed(abi::kind::LOST, 0, 0)).await.unwrap();
        task.stream
            .write(b"cut\n")
            .await
            .map_err(|code| code.to_string())?;
    } else {
        let told = format!(
            "{} of kind {}: {}\n",
            action.tag, action.kind, action.detail
        );
        task.stream
            .write(told.as_bytes())
            .await
            .map_err(|code| code.to_string())?;
    }
    task.stream
        .close()
        .await
        .map(drop)
        .map_err(|code| code.to_string())
}

#[test]
fn a_death_is_heard_on_every_thread() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, true, waits).await;
        let (mut here, session) = stage.client().await;
        let _first = accept(&listeners[0]).await;
        // A second worker with the same instance, and a client of its own.
        let door = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = door.local_addr().unwrap();
        let instance = stage.instance.clone();
        let stop = stage.stopper.hearer();
        let worker = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            tokio::task::LocalSet::new().block_on(&runtime, async {
                let (client, peer) = door.accept().unwrap();
                client.set_nonblocking(true).unwrap();
                let client = tokio::net::TcpStream::from_std(client).unwrap();
                instance.serve(client, peer, 99, stop).await.outcome
            })
        });
        let mut there = tokio::net::TcpStream::connect(address).await.unwrap();
        let _second = accept(&listeners[0]).await;
        stage.declare_down(0);
        assert_eq!(line(&mut here).await, "cut\n");
        assert_eq!(line(&mut there).await, "cut\n");
        ended(session).await;
        assert_eq!(worker.join().unwrap(), Outcome::Ended);
    });
}

/// A node that never accepts: its backlog is full, so a connection to it hangs.
fn deaf_node() -> (TcpListener, SocketAddr, Vec<std::net::TcpStream>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let listener: std::net::TcpListener = socket.into();
    let address = listener.local_addr().unwrap();
    let mut fillers = Vec::new();
    while let Ok(filler) =
        std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100))
    {
        fillers.push(filler);
        assert!(fillers.len() < 50, "this kernel's backlogs are never full");
    }
    listener.set_nonblocking(true).unwrap();
    (TcpListener::from_std(listener).unwrap(), address, fillers)
}

#[test]
fn a_death_ends_a_connection_under_way_and_without_one_it_ends_in_time() {
    play(|| async {
        let (_deaf, address, _fillers) = deaf_node();
        let timeouts = crate::host::Timeouts {
            connect: Duration::from_secs(30),
            ..crate::host::Timeouts::default()
        };
        let stage = Stage::with(&[address], true, timeouts, |task| async move {
            let ticket = Ticket::open_within(task.chain(), 3_000);
            let over = ticket.step(event(abi::Event::BEGIN)).await.unwrap();
            assert_eq!(over.tag, abi::Action::GIVE_UP);
            task.stream.write(over.detail.as_bytes()).await.unwrap();
            task.stream
                .close()
                .await
                .map(drop)
                .map_err(|code| code.to_string())
        })
        .await;
        let begun = Instant::now();
        let (mut client, session) = stage.client().await;
        until("it connects", || counts().tickets == 1).await;
        tokio::task::yield_now().await;
        stage.declare_down(0);
        let (told, _) = rest(&mut client).await;
        let told = String::from_utf8(told).unwrap();
        assert!(told.contains("declared down while"), "{told}");
        assert!(
            begun.elapsed() < Duration::from_secs(9),
            "{:?}",
            begun.elapsed()
        );
        ended(session).await;
    });
}

#[test]
fn silence_on_a_node_that_is_down_already_is_its_death() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, true, waits).await;
        // The only node is down, so it is tried all the same, and takes the connection.
        stage.declare_down(0);
        tokio::task::yield_now().await;
        let (mut client, session) = stage.client().await;
        let _node = accept(&listeners[0]).await;
        assert_eq!(line(&mut client).await, "cut\n");
        ended(session).await;
    });
}

#[test]
fn an_instance_that_goes_leaves_no_link_at_rest_on_any_thread() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, true, |task| async move {
            let ticket = Ticket::open(task.chain());
            let action = ticket.step(event(abi::Event::BEGIN)).await.unwrap();
            ticket.step(established(action.stream)).await.unwrap();
            ticket.step(event(abi::Event::REPLIED)).await.unwrap();
            Ok(())
        })
        .await;
        let (_client, session) = stage.client().await;
        let mut node = accept(&listeners[0]).await;
        ended(session).await;
        assert_eq!(counts().resting_links, 1);
        drop(stage);
        assert_eq!(rest(&mut node).await, (Vec::new(), false));
    });
}
