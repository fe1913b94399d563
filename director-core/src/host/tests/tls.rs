//! TLS towards clients: upgrades in place, what is refused, resumption, ends, and what is left over.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::mpsc;
use std::task::Poll;

use director_abi as abi;
use director_abi::StreamInfo;
use rustls::version::{TLS12, TLS13};
use tokio::io::AsyncWriteExt;

use super::plugin::{Stream, Task, Ticket, established, event};
use super::stage::{Stage, accept, ended, nodes, play, rest, until, write};
use super::tls_peers::{Authority, beside, blocking, client, close, connect, line, say};
use crate::host::{Outcome, Tls, counts};

/// Writes until the kernel takes no more; how much was written. Each piece in a poll of its own: that
/// one poll may not write any more of them is another matter.
async fn fill(stream: Stream) -> usize {
    let piece = vec![b'x'; 30_000];
    let mut written = 0;
    loop {
        tokio::task::yield_now().await;
        match poll_fn(|cx| Poll::Ready(stream.poll_write(cx, &[&piece]))).await {
            Poll::Ready(n) => written += n.unwrap(),
            Poll::Pending => return written,
        }
    }
}

async fn tell(stream: Stream, text: &str) {
    stream.write(text.as_bytes()).await.unwrap();
}

#[test]
fn a_client_is_upgraded_in_place_with_either_version() {
    for (version, number) in [(&TLS12, 0x0303), (&TLS13, 0x0304)] {
        play(|| async move {
            let authority = Authority::new();
            let stage = Stage::secured(&[], authority.towards_clients(), move |task| async move {
                let stream = task.stream;
                assert_eq!(stream.line().await.unwrap(), "upgrade\n");
                assert_eq!(stream.tls(), (0, 0));
                tell(stream, "go on\n").await;
                stream.start_tls(None, false).await.unwrap();
                assert_eq!(stream.tls(), (StreamInfo::TLS_ON, number));
                assert_eq!(stream.line().await.unwrap(), "hello\n");
                tell(stream, "hello to you\n").await;
                assert_eq!(stream.read(1).await, Ok(Vec::new()), "its proper end");
                let flags = StreamInfo::TLS_ON | StreamInfo::TLS_PEER_CLOSED;
                assert_eq!(stream.tls(), (flags, number));
                tell(stream, "bye\n").await;
                stream.close().await.unwrap();
                assert_eq!(stream.start_tls(None, false).await, Err(abi::CODE_TLS));
                Ok(())
            })
            .await;
            let (socket, session) = stage.client().await;
            let config = authority.client(version);
            beside(move || {
                let mut socket = blocking(socket);
                say(&mut socket, "upgrade\n");
                assert_eq!(line(&mut socket), "go on\n");
                let mut peer = client(&config, socket).unwrap();
                say(&mut peer, "hello\n");
                assert_eq!(line(&mut peer), "hello to you\n");
                peer.conn.send_close_notify();
                peer.flush().unwrap();
                let mut rest = String::new();
                peer.read_to_string(&mut rest).expect("a close_notify");
                assert_eq!(rest, "bye\n");
            })
            .await;
            let end = ended(session).await;
            assert_eq!(end.outcome, Outcome::Ended);
            let (received, sent) = ("upgrade\nhello\n", "go on\nhello to you\nbye\n");
            assert_eq!(
                (end.received, end.sent),
                (received.len() as u64, sent.len() as u64),
                "what the plugin read and wrote, not what went over the wire"
            );
        });
    }
}

/// What comes of an upgrade of a client that says `first` and, once it is told to, `then`.
async fn refused(tls: Tls, first: &'static [u8], then: &'static [u8]) -> (i32, String) {
    let (tx, rx) = mpsc::channel();
    let stage = Stage::secured(&[], tls, move |task| {
        let tx = tx.clone();
        async move {
            assert_eq!(task.stream.line().await.unwrap(), "upgrade\n");
            tell(task.stream, "go on\n").await;
            let code = task.stream.start_tls(None, false).await.unwrap_err();
            tx.send((code, task.stream.trouble().unwrap())).unwrap();
            Ok(())
        }
    })
    .await;
    let (mut socket, session) = stage.client().await;
    write(&mut socket, first).await;
    assert_eq!(super::stage::line(&mut socket).await, "go on\n");
    write(&mut socket, then).await;
    let (_, proper) = rest(&mut socket).await;
    assert!(!proper, "reset");
    ended(session).await;
    rx.recv().unwrap()
}

#[test]
fn nothing_is_injected_before_the_handshake() {
    play(|| async {
        let authority = Authority::new();
        let tls = authority.towards_clients();
        let (code, words) = refused(tls.clone(), b"upgrade\ninjected\n", b"").await;
        assert_eq!(code, abi::CODE_UNREAD, "{words}");
        assert!(words.contains("before it was asked"), "{words}");
        let (code, words) = refused(tls, b"upgrade\n", b"injected\n and more of it").await;
        assert_eq!(code, abi::CODE_TLS, "{words}");
        assert!(words.starts_with("TLS: "), "{words}");
    });
}

#[test]
fn without_a_certificate_there_is_no_tls() {
    play(|| async {
        let (code, words) = refused(Tls::default(), b"upgrade\n", b"").await;
        assert_eq!(code, abi::CODE_TLS);
        assert_eq!(words, "TLS: the service has no certificate");
    });
}

#[test]
fn the_end_of_the_connection_alone_is_no_end() {
    for version in [&TLS12, &TLS13] {
        play(|| async move {
            let authority = Authority::new();
            let stage = Stage::secured(&[], authority.towards_clients(), |task| async move {
                task.stream.start_tls(None, false).await.unwrap();
                assert_eq!(task.stream.line().await.unwrap(), "half a fi\n");
                assert_eq!(task.stream.read(1).await, Err(abi::CODE_TLS));
                let words = task.stream.trouble().unwrap();
                assert!(words.contains("truncated"), "{words}");
                assert_eq!(task.stream.tls().0, StreamInfo::TLS_ON);
                Ok(())
            })
            .await;
            let (socket, session) = stage.client().await;
            let config = authority.client(version);
            beside(move || {
                let mut peer = client(&config, blocking(socket)).unwrap();
                say(&mut peer, "half a fi\n");
                peer.sock.shutdown(Shutdown::Write).unwrap();
                let mut rest = Vec::new();
                let _reset = peer.sock.read_to_end(&mut rest);
            })
            .await;
            assert_eq!(ended(session).await.outcome, Outcome::Ended);
        });
    }
}

#[test]
fn a_stream_that_is_given_up_says_no_end() {
    play(|| async {
        let authority = Authority::new();
        let stage = Stage::secured(&[], authority.towards_clients(), |task| async move {
            task.stream.start_tls(None, false).await.unwrap();
            tell(task.stream, "half a fi\n").await;
            assert_eq!(task.stream.line().await.unwrap(), "I have it\n");
            task.stream.give_up();
            Ok(())
        })
        .await;
        let (socket, session) = stage.client().await;
        let config = authority.client(&TLS13);
        let error = beside(move || {
            let mut peer = client(&config, blocking(socket)).unwrap();
            assert_eq!(line(&mut peer), "half a fi\n");
            say(&mut peer, "I have it\n");
            peer.read(&mut [0]).unwrap_err()
        })
        .await;
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        ended(session).await;
    });
}

/// A session with a first connection and further ones, each of which has to resume it. Whoever cannot
/// is told why on the first.
async fn further(task: Task) -> Result<(), String> {
    task.stream.start_tls(None, false).await.unwrap();
    loop {
        let listener = task
            .listen(task.stream, 0, 0, abi::ListenSpec::ANYONE)
            .unwrap();
        if task.stream.line().await.unwrap() != "next\n" {
            return Ok(());
        }
        tell(task.stream, &format!("{}\n", listener.local().port)).await;
        let stream = listener.accept().await.unwrap();
        listener.end();
        let told = match stream.start_tls(Some(task.stream), true).await {
            Ok(()) => {
                assert_ne!(stream.tls().0 & StreamInfo::TLS_RESUMED, 0);
                // It only reads, as for an upload.
                let got = stream.line().await.unwrap();
                assert_eq!(stream.read(1).await, Ok(Vec::new()));
                stream.close().await.unwrap();
                got
            }
            Err(code) => {
                assert_eq!(code, abi::CODE_TLS);
                format!("{}\n", stream.trouble().unwrap())
            }
        };
        stream.give_up();
        tell(task.stream, &told).await;
    }
}

#[test]
fn further_streams_resume_their_own_session_and_no_other() {
    for version in [&TLS12, &TLS13] {
        play(|| async move {
            let authority = Authority::new();
            let stage = Stage::secured(&[], authority.towards_clients(), further).await;
            let (ann, first) = stage.client().await;
            let (bob, second) = stage.client().await;
            let (anns, bobs) = (authority.client(version), authority.client(version));
            beside(move || {
                let mut ann = client(&anns, blocking(ann)).unwrap();
                let mut bob = client(&bobs, blocking(bob)).unwrap();
                for n in 1..=4 {
                    say(&mut ann, "next\n");
                    let port = line(&mut ann).trim().parse().unwrap();
                    let mut further = client(&anns, connect(port)).unwrap();
                    say(&mut further, &format!("number {n}\n"));
                    close(further);
                    assert_eq!(line(&mut ann), format!("number {n}\n"));
                }
                // So that there is something to resume.
                say(&mut bob, "next\n");
                let port: u16 = line(&mut bob).trim().parse().unwrap();
                say(&mut ann, "next\n");
                let anns_port = line(&mut ann).trim().parse().unwrap();
                // With TLS 1.3 the client is done before it is refused.
                let _refused = client(&bobs, connect(anns_port));
                assert_eq!(
                    line(&mut ann),
                    "TLS: the TLS session that was resumed is another client session's\n"
                );
                let nobody = authority.client(version);
                let _refused = client(&nobody, connect(port));
                assert_eq!(
                    line(&mut bob),
                    "TLS: the client session's TLS session was not resumed\n"
                );
                say(&mut ann, "enough\n");
                say(&mut bob, "enough\n");
            })
            .await;
            assert_eq!(ended(first).await.outcome, Outcome::Ended);
            assert_eq!(ended(second).await.outcome, Outcome::Ended);
        });
    }
}

/// As [`further`], but the client reads: a ticket a connection, however many connections.
async fn downloads(task: Task) -> Result<(), String> {
    task.stream.start_tls(None, false).await.unwrap();
    for _ in 0..10 {
        let listener = task.listen(task.stream, 0, 0, 0).unwrap();
        tell(task.stream, &format!("{}\n", listener.local().port)).await;
        let stream = listener.accept().await.unwrap();
        listener.end();
        let flags = abi::TlsSpec::REQUIRE_RESUMED | abi::TlsSpec::RENEW;
        let begun = stream.start_tls_with(Some(task.stream), flags).await;
        assert_eq!(begun, Ok(()), "{:?}", stream.trouble());
        tell(stream, "a file\n").await;
        stream.close().await.unwrap();
        stream.give_up();
    }
    Ok(())
}

#[test]
fn a_client_that_uses_each_ticket_once_is_sent_another_where_it_reads() {
    for version in [&TLS12, &TLS13] {
        play(|| async move {
            let authority = Authority::new();
            let stage = Stage::secured(&[], authority.towards_clients(), downloads).await;
            let (socket, session) = stage.client().await;
            // This client takes a ticket out of its memory when it presents it.
            let config = authority.client(version);
            beside(move || {
                let mut first = client(&config, blocking(socket)).unwrap();
                for n in 1..=10 {
                    let port = line(&mut first).trim().parse().unwrap();
                    let mut further = client(&config, connect(port)).unwrap();
                    assert_eq!(line(&mut further), "a file\n", "number {n}");
                    further
                        .read_to_end(&mut Vec::new())
                        .expect("a close_notify");
                }
            })
            .await;
            assert_eq!(ended(session).await.outcome, Outcome::Ended);
        });
    }
}

#[test]
fn a_client_that_resumed_an_earlier_session_may_go_on_with_it() {
    play(|| async {
        let authority = Authority::new();
        let stage = Stage::secured(&[], authority.towards_clients(), further).await;
        let config = authority.client(&TLS12);
        for _ in 0..2 {
            let (socket, session) = stage.client().await;
            let config = std::sync::Arc::clone(&config);
            beside(move || {
                let mut first = client(&config, blocking(socket)).unwrap();
                say(&mut first, "next\n");
                let port = line(&mut first).trim().parse().unwrap();
                let mut further = client(&config, connect(port)).unwrap();
                say(&mut further, "mine\n");
                close(further);
                assert_eq!(line(&mut first), "mine\n");
                say(&mut first, "enough\n");
            })
            .await;
            assert_eq!(ended(session).await.outcome, Outcome::Ended);
        }
    });
}

#[test]
fn where_tls_comes_first_the_plugin_finds_it_there_and_meets_nobody_else() {
    play(|| async {
        let authority = Authority::new();
        let stage = Stage::secured(&[], authority.towards_clients(), |task| async move {
            assert_eq!(task.stream.tls().0, StreamInfo::TLS_ON);
            tell(task.stream, "welcome\n").await;
            task.stream.close().await.unwrap();
            Ok(())
        })
        .await;
        let (socket, session) = stage.secured_client().await;
        let config = authority.client(&TLS13);
        beside(move || {
            let mut peer = client(&config, blocking(socket)).unwrap();
            assert_eq!(line(&mut peer), "welcome\n");
        })
        .await;
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
        let (mut stranger, session) = stage.secured_client().await;
        write(&mut stranger, b"no TLS at all, but a lot of it\n").await;
        let Outcome::Failed(exception) = ended(session).await.outcome else {
            panic!("it was served");
        };
        assert_eq!(exception.kind, director_recovery::Kind::ClientGone);
        assert!(exception.detail.starts_with("TLS: "), "{exception}");
        // One that says nothing keeps nobody, and is ended with its session.
        let (mut silent, session) = stage.secured_client().await;
        tokio::task::yield_now().await;
        session.abort();
        let _aborted = session.await;
        assert!(!rest(&mut silent).await.1, "reset");
    });
}

#[test]
fn what_the_kernel_did_not_take_at_once_is_handed_over_whoever_waits() {
    play(|| async {
        let authority = Authority::new();
        let (tx, rx) = mpsc::channel();
        let stage = Stage::secured(&[], authority.towards_clients(), move |task| {
            let tx = tx.clone();
            async move {
                task.stream.start_tls(None, false).await.unwrap();
                let written = fill(task.stream).await;
                tx.send(written).unwrap();
                // It never polls the stream again.
                task.stopping().await;
                Ok(())
            }
        })
        .await;
        let (socket, session) = stage.client().await;
        let config = authority.client(&TLS13);
        beside(move || {
            let mut peer = client(&config, blocking(socket)).unwrap();
            let mut bytes = vec![0; rx.recv().unwrap()];
            peer.read_exact(&mut bytes)
                .expect("every byte that counts as written");
            assert!(bytes.iter().all(|byte| *byte == b'x'));
        })
        .await;
        stage.stopper.stop();
        ended(session).await;
    });
}

#[test]
fn what_a_client_never_takes_is_let_go_with_its_session() {
    play(|| async {
        let authority = Authority::new();
        let stage = Stage::secured(&[], authority.towards_clients(), |task| async move {
            task.stream.start_tls(None, false).await.unwrap();
            fill(task.stream).await;
            task.stopping().await;
            Ok(())
        })
        .await;
        let (socket, session) = stage.client().await;
        let config = authority.client(&TLS13);
        let (tx, rx) = mpsc::channel::<()>();
        let mute = beside_now(move || {
            let _peer = client(&config, blocking(socket)).unwrap();
            // It reads nothing, and is there until all is over.
            let _over = rx.recv();
        });
        until("the host hands it over", || counts().tended == 1).await;
        stage.stopper.stop();
        ended(session).await;
        until("nobody waits any more", || counts().tended == 0).await;
        drop(tx);
        mute.await.unwrap();
    });
}

#[test]
fn a_relay_goes_through_tls() {
    play(|| async {
        let authority = Authority::new();
        let (listeners, addresses) = nodes(1).await;
        let size = 3_000_000;
        let stage = Stage::secured(
            &addresses,
            authority.towards_clients(),
            move |task| async move {
                task.stream.start_tls(None, false).await.unwrap();
                let ticket = Ticket::open(task.chain());
                let action = ticket.step(event(abi::Event::BEGIN)).await.unwrap();
                let action = ticket.step(established(action.stream)).await.unwrap();
                let up = task.relay(task.stream, action.stream, u64::MAX).await;
                assert_eq!((up.why, up.moved), (abi::RelayEnd::END, size as u64));
                action.stream.close().await.unwrap();
                let down = task.relay(action.stream, task.stream, u64::MAX).await;
                assert_eq!((down.why, down.moved), (abi::RelayEnd::END, size as u64));
                task.stream.close().await.unwrap();
                Ok(())
            },
        )
        .await;
        let (socket, session) = stage.client().await;
        let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        let sent = bytes.clone();
        let config = authority.client(&TLS13);
        let client = beside_now(move || {
            let mut peer = client(&config, blocking(socket)).unwrap();
            peer.write_all(&sent).unwrap();
            peer.conn.send_close_notify();
            peer.flush().unwrap();
            let mut back = Vec::new();
            peer.read_to_end(&mut back).expect("a close_notify");
            assert!(back == sent, "{} bytes", back.len());
        });
        let mut node = accept(&listeners[0]).await;
        let (up, proper) = rest(&mut node).await;
        assert!(proper && up == bytes, "{} bytes", up.len());
        node.write_all(&bytes).await.unwrap();
        node.shutdown().await.unwrap();
        client.await.unwrap();
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

#[test]
fn a_flush_waits_until_the_kernel_has_taken_all() {
    play(|| async {
        let authority = Authority::new();
        let (tx, rx) = mpsc::channel();
        let stage = Stage::secured(&[], authority.towards_clients(), move |task| {
            let tx = tx.clone();
            async move {
                task.stream.start_tls(None, false).await.unwrap();
                assert_eq!(task.stream.flush().await, Ok(0));
                let written = fill(task.stream).await;
                let mut flush = std::pin::pin!(task.stream.flush());
                let pending = poll_fn(|cx| Poll::Ready(flush.as_mut().poll(cx).is_pending()));
                assert!(pending.await, "nobody has read yet");
                tx.send(written).unwrap();
                assert_eq!(flush.await, Ok(0));
                assert_eq!(task.stream.line().await.unwrap(), "I have it\n");
                Ok(())
            }
        })
        .await;
        let (socket, session) = stage.client().await;
        let config = authority.client(&TLS13);
        let _peer = beside(move || {
            let mut peer = client(&config, blocking(socket)).unwrap();
            let mut bytes = vec![0; rx.recv().unwrap()];
            peer.read_exact(&mut bytes).unwrap();
            say(&mut peer, "I have it\n");
            peer
        })
        .await;
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

fn beside_now(what: impl FnOnce() + Send + 'static) -> tokio::task::JoinHandle<()> {
    tokio::task::spawn_blocking(what)
}
