//! Further connections and listeners: whose they are, who may come, and what their bytes say of a node.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use director_abi as abi;
use proptest::prelude::*;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::plugin::{
    Action, Listener, Stream, Task, Ticket, answer, end_relay, established, event, failed,
    poll_relay,
};
use super::stage::{SOON, Stage, accept, ended, line, nodes, play, rest, until, write};
use crate::host::stream::Stream as HostStream;
use crate::host::{Outcome, Timeouts, counts};

async fn to_attempt(ticket: Ticket, first: abi::Event) -> Action {
    let mut action = ticket.step(first).await.unwrap();
    while action.tag == abi::Action::ESTABLISH {
        action = ticket.step(established(action.stream)).await.unwrap();
    }
    action
}

/// Tells a port to whoever is at the other end.
async fn tell(stream: Stream, port: u16) {
    stream.write(format!("{port}\n").as_bytes()).await.unwrap();
}

async fn told_port(socket: &mut TcpStream) -> u16 {
    line(socket).await.trim().parse().unwrap()
}

async fn asked_port(stream: Stream) -> u16 {
    stream.line().await.unwrap().trim().parse().unwrap()
}

async fn connect(port: u16) -> TcpStream {
    let to = TcpStream::connect(("127.0.0.1", port));
    tokio::time::timeout(SOON, to).await.unwrap().unwrap()
}

#[test]
fn a_client_connects_to_a_listener_of_its_session_and_the_session_to_its_client() {
    play(|| async {
        let stage = Stage::new(&[], true, |task| async move {
            let listener = task.listen(task.stream, 0, 0, 0).unwrap();
            let at = listener.local();
            let mine = task.stream.info().unwrap();
            assert_eq!(at.ip, mine.local.ip, "at the address that the client knows");
            assert_eq!(at.family, abi::Address::V4);
            tell(task.stream, at.port).await;
            let first = listener.accept().await.unwrap();
            let second = listener.accept().await.unwrap();
            listener.end();
            assert_eq!(listener.accept().await.err(), Some(abi::CODE_GONE));
            let info = first.info().unwrap();
            assert_eq!((info.peer.ip, info.local.port), (mine.peer.ip, at.port));
            first.write(b"one").await.unwrap();
            second.write(b"two").await.unwrap();
            first.close().await.unwrap();
            first.give_up();
            // The second is forgotten.
            let port = asked_port(task.stream).await;
            let third = task.connect(task.stream, port).await.unwrap();
            assert_eq!(third.line().await.unwrap(), "three\n");
            task.stream.close().await.unwrap();
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        let port = told_port(&mut client).await;
        let (mut first, mut second) = (connect(port).await, connect(port).await);
        assert_eq!(rest(&mut first).await, (b"one".to_vec(), true), "closed");
        let (mine, port) = mine().await;
        write(&mut client, format!("{port}\n").as_bytes()).await;
        let mut third = accept(&mine).await;
        assert_eq!(
            third.peer_addr().unwrap().ip(),
            client.peer_addr().unwrap().ip()
        );
        write(&mut third, b"three\n").await;
        let (_, proper) = rest(&mut second).await;
        assert!(!proper, "ended by the host: reset");
        assert!(!rest(&mut third).await.1, "and so is the third");
        let end = ended(session).await;
        assert_eq!(end.outcome, Outcome::Ended);
        assert_eq!(end.received, format!("{port}\nthree\n").len() as u64);
        drop(first);
    });
}

#[test]
fn a_connection_that_nobody_came_back_for_is_reset() {
    play(|| async {
        let stage = Stage::new(&[], true, |task| async move {
            let port = asked_port(task.stream).await;
            let made = once(task.connect(task.stream, port)).await;
            assert!(made.is_none(), "it takes a turn of the reactor at least");
            // It stands by then, for all that the plugin knows.
            asked_port(task.stream).await;
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        let (mine, port) = mine().await;
        write(&mut client, format!("{port}\n").as_bytes()).await;
        let mut further = accept(&mine).await;
        write(&mut client, b"1\n").await;
        assert!(
            !rest(&mut further).await.1,
            "a FIN would bless an empty file"
        );
        ended(session).await;
    });
}

/// A listener of the test's own.
async fn mine() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Connects from another address of the loopback network.
async fn stranger(port: u16) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    socket.connect(([127, 0, 0, 1], port).into()).await
}

#[test]
fn strangers_are_reset_and_the_peer_still_comes_through() {
    play(|| async {
        let stage = Stage::new(&[], true, |task| async move {
            let listener = task.listen(task.stream, 0, 0, 0).unwrap();
            tell(task.stream, listener.local().port).await;
            let known = listener.accept().await.unwrap();
            assert_eq!(known.line().await.unwrap(), "it is me\n");
            listener.end();
            let open = task
                .listen(task.stream, 0, 0, abi::ListenSpec::ANYONE)
                .unwrap();
            tell(task.stream, open.local().port).await;
            let anybody = open.accept().await.unwrap();
            let (them, mine) = (anybody.info().unwrap(), task.stream.info().unwrap());
            assert_ne!(them.peer.ip, mine.peer.ip);
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        let port = told_port(&mut client).await;
        let mut strangers = Vec::new();
        for _ in 0..3 {
            // It may be reset before it is told that it is connected.
            strangers.extend(stranger(port).await.ok());
        }
        let mut me = connect(port).await;
        write(&mut me, b"it is me\n").await;
        for mut stranger in strangers {
            assert_eq!(rest(&mut stranger).await, (Vec::new(), false));
        }
        let port = told_port(&mut client).await;
        let _welcome = stranger(port).await.unwrap();
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

#[test]
fn a_port_of_the_range_is_used_again_at_once_and_a_range_can_be_full() {
    play(|| async {
        let (mut taken, port) = mine().await;
        let stage = Stage::new(&[], true, move |task| async move {
            // Taken, so there is none in this range.
            let full = task.listen(task.stream, port, port, 0);
            assert_eq!(
                full.err(),
                Some(rustix::io::Errno::ADDRINUSE.raw_os_error())
            );
            for (first, last) in [(5, 4), (0, 9)] {
                let wrong = task.listen(task.stream, first, last, 0);
                assert_eq!(wrong.err(), Some(rustix::io::Errno::INVAL.raw_os_error()));
            }
            tell(task.stream, 0).await;
            task.stream.line().await.unwrap();
            for _ in 0..5 {
                let listener = task.listen(task.stream, port, port, 0).unwrap();
                assert_eq!(listener.local().port, port);
                tell(task.stream, port).await;
                let stream = listener.accept().await.unwrap();
                listener.end();
                // We end it first, so our end is the one that waits (TIME-WAIT).
                stream.close().await.unwrap();
                assert_eq!(stream.read(1).await, Ok(Vec::new()));
                stream.give_up();
            }
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        assert_eq!(told_port(&mut client).await, 0);
        taken = {
            drop(taken);
            TcpListener::bind("127.0.0.1:0").await.unwrap()
        };
        write(&mut client, b"\n").await;
        for _ in 0..5 {
            let port = told_port(&mut client).await;
            let mut data = connect(port).await;
            assert_eq!(rest(&mut data).await, (Vec::new(), true));
        }
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
        drop(taken);
    });
}

#[test]
fn what_a_session_may_have_beside_its_stream_is_bounded() {
    play(|| async {
        let stage = Stage::new(&[], true, |task| async move {
            let mut listeners = Vec::new();
            let full = loop {
                match task.listen(task.stream, 0, 0, 0) {
                    Ok(listener) => listeners.push(listener),
                    Err(code) => break code,
                }
                assert!(listeners.len() < 1000, "no bound");
            };
            assert_eq!(full, abi::CODE_NONE);
            assert_eq!(task.begin_connect(task.stream, 9), 0);
            listeners.pop().unwrap().end();
            assert_ne!(task.begin_connect(task.stream, 9), 0);
            // All the rest is forgotten.
            task.stream.write(b"full\n").await.unwrap();
            task.stopping().await;
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        assert_eq!(line(&mut client).await, "full\n");
        assert!(counts().listeners > 10);
        stage.stopper.stop();
        ended(session).await;
    });
}

#[test]
fn a_refused_connection_says_why_and_a_void_number_makes_none() {
    play(|| async {
        let (closed, port) = mine().await;
        drop(closed);
        let stage = Stage::new(&[], true, move |task| async move {
            let refused = task.connect(task.stream, port).await;
            assert_eq!(
                refused.err(),
                Some(rustix::io::Errno::CONNREFUSED.raw_os_error())
            );
            for void in [Stream(0), Stream(task.number), Stream(u64::MAX)] {
                assert_eq!(task.begin_connect(void, port), 0);
                assert_eq!(task.listen(void, 0, 0, 0).err(), Some(abi::CODE_GONE));
            }
            Ok(())
        })
        .await;
        let (_client, session) = stage.client().await;
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

#[test]
fn an_accept_that_was_abandoned_is_not_owed() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, false, |task| async move {
            let ticket = Ticket::open(task.chain());
            let action = to_attempt(ticket, event(abi::Event::BEGIN)).await;
            action.stream.due(false);
            let first = crate::host::tables::get::<HostStream>(action.stream.0).unwrap();
            let listener = task.listen(action.stream, 0, 0, 0).unwrap();
            assert!(!first.any_owes() && !first.any_due());
            assert!(once(listener.accept()).await.is_none());
            assert!(first.any_owes() && first.any_due());
            listener.leave();
            assert!(!first.any_owes() && !first.any_due());
            // It goes on.
            tell(task.stream, listener.local().port).await;
            let data = listener.accept().await.unwrap();
            assert_eq!(data.line().await.unwrap(), "late\n");
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        let _node = accept(&listeners[0]).await;
        let port = told_port(&mut client).await;
        write(&mut connect(port).await, b"late\n").await;
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

/// A node's further connection, to a port that it names.
async fn further(task: Task, action: &Action) -> Stream {
    let port = asked_port(action.stream).await;
    task.connect(action.stream, port).await.unwrap()
}

#[test]
fn a_cut_link_fails_on_all_its_connections_at_once_and_goes_on_elsewhere() {
    play(|| async {
        let (listeners, addresses) = nodes(2).await;
        let stage = Stage::new(&addresses, false, |task| async move {
            let ticket = Ticket::open(task.chain());
            let first = to_attempt(ticket, event(abi::Event::BEGIN)).await;
            let data = further(task, &first).await;
            let listener = task.listen(first.stream, 0, 0, 0).unwrap();
            let idle = listener.accept();
            task.stream.write(b"ready\n").await.unwrap();
            let (read, accepted) = both(data.line(), idle).await;
            assert_eq!(read, Err(abi::CODE_CUT));
            assert_eq!(accepted.err(), Some(abi::CODE_CUT));
            assert_eq!(data.write(b"x").await, Err(abi::CODE_CUT));
            assert_eq!(
                task.listen(first.stream, 0, 0, 0).err(),
                Some(abi::CODE_CUT)
            );
            let late = task.connect(first.stream, 9).await;
            assert_eq!(late.err(), Some(abi::CODE_CUT));
            let up = ticket.step(failed(abi::kind::LOST, 0, 0)).await.unwrap();
            assert_eq!(up.tag, abi::Action::CLEAN_UP);
            assert_eq!(
                data.read(1).await,
                Err(abi::CODE_GONE),
                "ended with its link"
            );
            assert_eq!(listener.accept().await.err(), Some(abi::CODE_GONE));
            let second =
                to_attempt(ticket, answer(abi::Event::CLEANED, abi::resend::ANYWHERE)).await;
            assert_ne!(second.node, first.node);
            let data = further(task, &second).await;
            let told = data.line().await.unwrap();
            task.stream.write(told.as_bytes()).await.unwrap();
            ticket.step(event(abi::Event::REPLIED)).await.unwrap();
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        let (mut dead, which) = tokio::select! {
            node = accept(&listeners[0]) => (node, 0),
            node = accept(&listeners[1]) => (node, 1),
        };
        let (data_door, port) = mine().await;
        write(&mut dead, format!("{port}\n").as_bytes()).await;
        let mut dead_data = accept(&data_door).await;
        assert_eq!(line(&mut client).await, "ready\n");
        stage.declare_down(which);
        let mut other = accept(&listeners[1 - which as usize]).await;
        assert!(!rest(&mut dead_data).await.1, "reset");
        assert!(!rest(&mut dead).await.1, "reset");
        write(&mut other, format!("{port}\n").as_bytes()).await;
        let mut data = accept(&data_door).await;
        write(&mut data, b"from the other\n").await;
        assert_eq!(line(&mut client).await, "from the other\n");
        ended(session).await;
    });
}

async fn both<A, B>(one: impl Future<Output = A>, two: impl Future<Output = B>) -> (A, B) {
    tokio::join!(one, two)
}

/// Short times, and a stall that a test can wait for.
fn impatient() -> Timeouts {
    Timeouts {
        silence: Duration::from_millis(100),
        stall: Duration::from_millis(600),
        ..Timeouts::default()
    }
}

/// An attempt that waits for the end of its data beside a control stream that says nothing, and
/// tells its client how it ended.
async fn transfers(task: Task) -> Result<(), String> {
    let ticket = Ticket::open(task.chain());
    let action = to_attempt(ticket, event(abi::Event::BEGIN)).await;
    let data = further(task, &action).await;
    let mut bytes = 0;
    let word = loop {
        match data.read(usize::MAX).await {
            Ok(piece) if piece.is_empty() => break "end".to_owned(),
            Ok(piece) => bytes += piece.len(),
            Err(abi::CODE_CUT) => break "cut".to_owned(),
            Err(code) => break format!("errno {code}"),
        }
    };
    task.stream
        .write(format!("{word} after {bytes}\n").as_bytes())
        .await
        .map_err(|code| code.to_string())?;
    if word == "end" {
        ticket.step(event(abi::Event::REPLIED)).await.unwrap();
    } else {
        let up = ticket.step(failed(abi::kind::LOST, 0, 0)).await.unwrap();
        ticket
            .step(answer(abi::Event::CLEANED, abi::resend::NEVER))
            .await
            .unwrap();
        assert_eq!(up.tag, abi::Action::CLEAN_UP);
    }
    Ok(())
}

#[test]
fn bytes_on_a_further_stream_are_a_sign_of_life_and_their_silence_is_the_nodes() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::with(&addresses, false, impatient(), transfers).await;
        let (mut client, session) = stage.client().await;
        let mut node = accept(&listeners[0]).await;
        let (data_door, port) = mine().await;
        write(&mut node, format!("{port}\n").as_bytes()).await;
        let mut data = accept(&data_door).await;
        // Three stalls long, with a byte now and then, and none on the first stream.
        for _ in 0..36 {
            write(&mut data, b"x").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Now nothing comes any more.
        let told = line(&mut client).await;
        assert_eq!(told, "cut after 36\n");
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

#[test]
fn a_client_that_does_not_take_its_data_is_not_the_nodes_silence() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::with(&addresses, false, impatient(), |task| async move {
            let listener = task.listen(task.stream, 0, 0, 0).unwrap();
            tell(task.stream, listener.local().port).await;
            let out = listener.accept().await.unwrap();
            let ticket = Ticket::open(task.chain());
            let action = to_attempt(ticket, event(abi::Event::BEGIN)).await;
            let data = further(task, &action).await;
            let end = task.relay(data, out, u64::MAX).await;
            assert_eq!(end.why, abi::RelayEnd::END, "code {}", end.code);
            out.close().await.unwrap();
            ticket.step(event(abi::Event::REPLIED)).await.unwrap();
            Ok(())
        })
        .await;
        const SIZE: usize = 16 << 20;
        let (mut client, session) = stage.client().await;
        let port = told_port(&mut client).await;
        let mut out = connect(port).await;
        let mut node = accept(&listeners[0]).await;
        let (data_door, port) = mine().await;
        write(&mut node, format!("{port}\n").as_bytes()).await;
        let mut data = accept(&data_door).await;
        let sends = async {
            write(&mut data, &vec![7; SIZE]).await;
            drop(data);
        };
        let reads = async {
            // More than two stalls.
            tokio::time::sleep(Duration::from_millis(1500)).await;
            let mut got = Vec::new();
            out.read_to_end(&mut got).await.unwrap();
            got.len()
        };
        let ((), got) = tokio::join!(sends, reads);
        assert_eq!(got, SIZE);
        let end = ended(session).await;
        assert_eq!(
            (end.outcome, end.sent > SIZE as u64),
            (Outcome::Ended, true)
        );
    });
}

#[test]
fn a_node_that_does_not_take_an_upload_is_silent_and_a_client_that_pauses_is_not() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::with(&addresses, false, impatient(), |task| async move {
            let ticket = Ticket::open(task.chain());
            let action = to_attempt(ticket, event(abi::Event::BEGIN)).await;
            let data = further(task, &action).await;
            // The node owes nothing: it waits for what the client has to say.
            action.stream.due(false);
            assert_eq!(task.stream.line().await.unwrap(), "go on\n");
            let word = loop {
                if let Err(code) = data.write(&[7; 65536]).await {
                    break code;
                }
            };
            assert_eq!(word, abi::CODE_CUT);
            let up = ticket.step(failed(abi::kind::LOST, 0, 0)).await.unwrap();
            assert_eq!(
                (up.tag, up.kind),
                (abi::Action::CLEAN_UP, abi::kind::STALLED)
            );
            assert!(up.sent > 65536, "counted over both streams: {}", up.sent);
            ticket
                .step(answer(abi::Event::CLEANED, abi::resend::NEVER))
                .await
                .unwrap();
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        let mut node = accept(&listeners[0]).await;
        let (data_door, port) = mine().await;
        write(&mut node, format!("{port}\n").as_bytes()).await;
        let _takes_nothing = accept(&data_door).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        write(&mut client, b"go on\n").await;
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

#[test]
fn urgent_bytes_are_marked_and_come_in_line() {
    play(|| async {
        let stage = Stage::new(&[], true, |task| async move {
            // From the client, in line with the others.
            assert_eq!(task.stream.line().await.unwrap(), "ab!c\n");
            let mut sent = 0;
            while sent < 4 {
                sent += task.stream.urgent(&b"123!"[sent..]).await.unwrap();
            }
            assert_eq!(task.stream.urgent(b"").await, Ok(0));
            assert_eq!(task.stream.info().unwrap().accepted, 4);
            task.stream.write(b"5\n").await.unwrap();
            task.stream.close().await.unwrap();
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        write(&mut client, b"ab").await;
        socket2::SockRef::from(&client)
            .send_out_of_band(b"!")
            .unwrap();
        write(&mut client, b"c\n").await;
        // Not in line here: what is read lacks the marked byte, and it alone.
        let urgent = async {
            let mut byte = [std::mem::MaybeUninit::uninit()];
            loop {
                match socket2::SockRef::from(&client).recv_out_of_band(&mut byte) {
                    Ok(n) => break n,
                    Err(_not_yet) => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            }
        };
        assert_eq!(tokio::time::timeout(SOON, urgent).await.unwrap(), 1);
        let (got, proper) = rest(&mut client).await;
        assert_eq!((got.as_slice(), proper), (&b"1235\n"[..], true));
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

#[test]
fn what_stands_behind_an_urgent_byte_is_read_though_all_of_it_came_before() {
    play(|| async {
        let come = Arc::new(tokio::sync::Notify::new());
        let comes = Arc::clone(&come);
        let stage = Stage::new(&[], true, move |task| {
            let comes = Arc::clone(&comes);
            async move {
                // Ready for a while: the kernel says so once.
                assert_eq!(task.stream.line().await.unwrap(), "first\n");
                task.stream.write(b"go\n").await.unwrap();
                comes.notified().await;
                // A read ends before the urgent byte, and another one begins with it.
                assert_eq!(task.stream.line().await.unwrap(), "ab!c\n");
                Ok(())
            }
        })
        .await;
        let (mut client, session) = stage.client().await;
        write(&mut client, b"first\n").await;
        assert_eq!(line(&mut client).await, "go\n");
        write(&mut client, b"ab").await;
        socket2::SockRef::from(&client)
            .send_out_of_band(b"!")
            .unwrap();
        write(&mut client, b"c\n").await;
        come.notify_one();
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

#[test]
fn a_streams_first_failure_is_told_in_words() {
    play(|| async {
        let stage = Stage::new(&[], true, |task| async move {
            assert_eq!(task.stream.trouble(), Some(String::new()));
            assert!(task.stream.line().await.is_err());
            let words = task.stream.trouble().unwrap();
            assert!(words.contains("reset"), "{words}");
            task.stream.give_up();
            assert_eq!(task.stream.trouble(), None);
            Ok(())
        })
        .await;
        let (client, session) = stage.client().await;
        crate::host::reset(client);
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

#[test]
fn what_was_forgotten_or_torn_leaves_nothing() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let rounds = Arc::new(AtomicUsize::new(0));
        let begun = Arc::clone(&rounds);
        let stage = Stage::new(&addresses, true, move |task| {
            let round = begun.fetch_add(1, Ordering::Relaxed);
            async move {
                let ticket = Ticket::open(task.chain());
                let action = to_attempt(ticket, event(abi::Event::BEGIN)).await;
                let data = further(task, &action).await;
                let listener = task.listen(action.stream, 0, 0, 0).unwrap();
                let of_client = task.listen(task.stream, 0, 0, 0).unwrap();
                task.begin_connect(action.stream, 9);
                let idle = Box::pin(listener.accept());
                std::mem::forget((data, idle, of_client));
                if round == 0 {
                    // A pooled link with further connections is not laid to rest.
                    ticket.step(event(abi::Event::REPLIED)).await.unwrap();
                } else {
                    assert_ne!(round, 1, "a panic");
                    task.stopping().await;
                }
                Ok(())
            }
        })
        .await;
        let (data_door, port) = mine().await;
        let mut clients = Vec::new();
        for round in 0..3 {
            let (client, session) = stage.client().await;
            let mut node = accept(&listeners[0]).await;
            write(&mut node, format!("{port}\n").as_bytes()).await;
            let mut data = accept(&data_door).await;
            if round == 2 {
                until("it waits", || counts().listeners == 2).await;
                session.abort();
            } else {
                ended(session).await;
            }
            assert!(!rest(&mut data).await.1);
            assert!(!rest(&mut node).await.1);
            clients.push(client);
        }
        assert_eq!(counts().resting_links, 0);
    });
}

/// One thing that a plugin does with what it holds; the number picks which of them.
#[derive(Debug, Clone, Copy)]
enum Do {
    Listen,
    Connect,
    /// Asks a listener once.
    Accept(usize),
    Read(usize),
    Write(usize),
    Close(usize),
    GiveUp(usize),
    EndListener(usize),
    Relay(usize, usize),
    EndRelay(usize),
    /// The node is declared down, when there is one.
    Cut,
    Sleep,
}

fn whatever() -> impl Strategy<Value = Do> {
    let which = || 0_usize..8;
    prop_oneof![
        3 => Just(Do::Listen),
        4 => Just(Do::Connect),
        4 => which().prop_map(Do::Accept),
        3 => which().prop_map(Do::Read),
        3 => which().prop_map(Do::Write),
        1 => which().prop_map(Do::Close),
        1 => which().prop_map(Do::GiveUp),
        1 => which().prop_map(Do::EndListener),
        2 => (which(), which()).prop_map(|(from, to)| Do::Relay(from, to)),
        1 => which().prop_map(Do::EndRelay),
        1 => Just(Do::Cut),
        2 => Just(Do::Sleep),
    ]
}

/// Polls once; what is not ready is dropped.
async fn once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        })
    })
    .await
}

async fn does(task: Task, of: Stream, steps: &[Do], cut: &dyn Fn()) {
    let (mut streams, mut listeners, mut relays) = (vec![of], Vec::new(), Vec::new());
    for step in steps {
        let stream = |which: usize| streams[which % streams.len()];
        match *step {
            Do::Listen => listeners.extend(task.listen(of, 0, 0, 0).ok()),
            Do::Connect => {
                // To a listener of its own: both ends are of this bundle.
                let Some(listener) = listeners.last() else {
                    continue;
                };
                let Some(port) = listening_port(*listener) else {
                    continue;
                };
                if let Some(Ok(made)) = once(task.connect(of, port)).await {
                    streams.push(made);
                }
            }
            Do::Accept(which) if !listeners.is_empty() => {
                let listener = listeners[which % listeners.len()];
                if let Some(Ok(made)) = once(listener.accept()).await {
                    streams.push(made);
                }
            }
            Do::Read(which) => drop(once(stream(which).read(100)).await),
            Do::Write(which) => drop(once(stream(which).write(b"whatever")).await),
            Do::Close(which) => drop(once(stream(which).close()).await),
            // The first one would end what all of this is about.
            Do::GiveUp(which) if streams.len() > 1 => {
                streams.remove(1 + which % (streams.len() - 1)).give_up();
            }
            Do::EndListener(which) if !listeners.is_empty() => {
                listeners.remove(which % listeners.len()).end();
            }
            Do::Relay(from, to) => relays.push(task.begin_relay(stream(from), stream(to), 1000)),
            Do::EndRelay(which) if !relays.is_empty() => {
                end_relay(relays.remove(which % relays.len()));
            }
            Do::Accept(_) | Do::GiveUp(_) | Do::EndListener(_) | Do::EndRelay(_) => {}
            Do::Cut => cut(),
            Do::Sleep => task.sleep(1).await,
        }
        for relay in &relays {
            poll_fn(|cx| {
                if *relay != 0 {
                    let _moved = poll_relay(*relay, cx);
                }
                Poll::Ready(())
            })
            .await;
        }
    }
}

fn listening_port(listener: Listener) -> Option<u16> {
    listener.info().map(|info| info.local.port)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    /// In any order, with everything forgotten at any time: nothing is left, and nobody is disturbed.
    #[test]
    fn any_order_leaves_nothing(
        steps in prop::collection::vec(whatever(), 1..60),
        on_link in any::<bool>(),
    ) {
        play(|| async {
            let (listeners, addresses) = nodes(1).await;
            let (down, mut goes_down) = tokio::sync::mpsc::unbounded_channel();
            let stage = Stage::new(&addresses, true, move |task| {
                let (steps, down) = (steps.clone(), down.clone());
                async move {
                    let cut = || down.send(()).unwrap();
                    if !on_link {
                        does(task, task.stream, &steps, &cut).await;
                        return Ok(());
                    }
                    let ticket = Ticket::open(task.chain());
                    let action = to_attempt(ticket, event(abi::Event::BEGIN)).await;
                    does(task, action.stream, &steps, &cut).await;
                    Ok(())
                }
            })
            .await;
            let (_client, session) = stage.client().await;
            let plays = async {
                let _node = if on_link { Some(accept(&listeners[0]).await) } else { None };
                ended(session).await
            };
            let deaths = async {
                while goes_down.recv().await.is_some() {
                    stage.declare_down(0);
                }
            };
            let end = tokio::select! {
                end = plays => end,
                () = deaths => unreachable!("the script keeps its sender"),
            };
            assert_eq!(end.outcome, Outcome::Ended);
        });
    }
}
