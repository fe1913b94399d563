//! Streams and timers: bytes, bounds, and numbers that name nothing.
#![allow(unsafe_code)]

use std::io::Write;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use director_abi as abi;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use super::plugin::{self, Stream, Ticket, host};
use super::stage::{Stage, ended, line, nothing_is_left, play, rest, until, write};
use super::tls_peers::{Authority, blocking, client};
use crate::host::{Outcome, counts};

#[test]
fn one_byte_at_a_time_comes_back_whole() {
    play(|| async {
        let stage = Stage::new(&[], true, |task| async move {
            loop {
                let byte = task.stream.read(1).await.map_err(|code| code.to_string())?;
                if byte.is_empty() {
                    break;
                }
                task.stream
                    .write(&byte)
                    .await
                    .map_err(|code| code.to_string())?;
            }
            task.stream.close().await.map_err(|code| code.to_string())?;
            task.stream.give_up();
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        let sent: Vec<u8> = (0..40_000_u32).map(|n| (n % 251) as u8).collect();
        let (mut reads, mut writes) = client.split();
        let said = sent.clone();
        let (got, ()) = tokio::join!(
            async {
                let mut got = Vec::new();
                tokio::io::AsyncReadExt::read_to_end(&mut reads, &mut got)
                    .await
                    .unwrap();
                got
            },
            async move {
                writes.write_all(&said).await.unwrap();
                writes.shutdown().await.unwrap();
            }
        );
        assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
        let end = ended(session).await;
        assert_eq!(end.outcome, Outcome::Ended);
        assert_eq!((end.received, end.sent), (40_000, 40_000));
    });
}

#[test]
fn pieces_are_written_in_order_and_empty_ones_do_no_harm() {
    play(|| async {
        let stage = Stage::new(&[], true, |task| async move {
            let pieces: [&[u8]; 5] = [b"", b"one ", b"", b"two ", b"three"];
            let n = std::future::poll_fn(|cx| task.stream.poll_write(cx, &pieces)).await;
            assert_eq!(n, Ok(13));
            let nothing = std::future::poll_fn(|cx| task.stream.poll_write(cx, &[b""])).await;
            assert_eq!(nothing, Ok(0));
            task.stream.close().await.map_err(|code| code.to_string())?;
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        assert_eq!(rest(&mut client).await, (b"one two three".to_vec(), true));
        ended(session).await;
    });
}

#[test]
fn a_plugin_that_does_not_consume_makes_its_client_wait() {
    play(|| async {
        let stage = Stage::new(&[], true, |task| async move {
            let first = task.stream.read(1).await.map_err(|code| code.to_string())?;
            assert_eq!(first, b"x");
            task.stopping().await;
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        // As much as both kernels take, and no more: the host itself holds one buffer.
        let piece = vec![b'x'; 64 * 1024];
        let mut written = 0;
        while written < 64 << 20 {
            let write = client.write(&piece);
            match tokio::time::timeout(std::time::Duration::from_millis(300), write).await {
                Ok(n) => written += n.unwrap(),
                Err(_waits) => break,
            }
        }
        assert!(written < 64 << 20, "all of it was taken");
        stage.stopper.stop();
        assert_eq!(ended(session).await.received, 1);
    });
}

#[test]
fn a_void_number_is_answered_and_never_acted_on() {
    play(|| async {
        let stage = Stage::new(&[], true, |task| async move {
            let Stream(number) = task.stream;
            task.stream.give_up();
            task.stream.give_up();
            assert_eq!(task.stream.read(1).await, Err(abi::CODE_GONE));
            assert_eq!(task.stream.write(b"x").await, Err(abi::CODE_GONE));
            assert_eq!(task.stream.close().await, Err(abi::CODE_GONE));
            assert_eq!(task.stream.counts(), None);
            let timer = task.timer(1);
            // A number of another kind, one that was never given, and none.
            for other in [timer, task.number, number ^ 1, 0, u64::MAX] {
                assert_eq!(Stream(other).read(1).await, Err(abi::CODE_GONE));
            }
            assert_eq!(task.begin_relay(task.stream, task.stream, 1), 0);
            assert!(
                Ticket(timer)
                    .step(plugin::event(abi::Event::BEGIN))
                    .await
                    .is_none()
            );
            task.sleep(1).await;
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        let (bytes, proper) = rest(&mut client).await;
        assert_eq!((bytes.len(), proper), (0, false), "given up, so reset");
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

#[test]
fn a_number_of_another_thread_says_so() {
    play(|| async {
        let stage = Stage::new(&[], true, |task| async move {
            let Stream(number) = task.stream;
            let elsewhere = std::thread::spawn(move || {
                // SAFETY: as the boundary has it; the waker may be null.
                let poll = unsafe { (host().stream_poll_close.unwrap())(number, std::ptr::null()) };
                (poll.tag, poll.code)
            });
            let answered = elsewhere.join().unwrap();
            assert_eq!(answered, (abi::FAILED, abi::CODE_THREAD));
            Ok(())
        })
        .await;
        let (_client, session) = stage.client().await;
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

#[test]
fn what_a_plugin_forgets_is_freed_with_its_task() {
    play(|| async {
        let stage = Stage::new(&[], true, |task| async move {
            for _ in 0..50 {
                assert_ne!(task.timer(1_000_000), 0);
                let chain = task.chain();
                assert_ne!(Ticket::open(chain).0, 0);
            }
            let mut line = Box::pin(task.stream.line());
            let pending = futures_poll(&mut line).await;
            assert!(pending.is_pending());
            // The future, its buffers, the stream: all of it is lost to the plugin.
            std::mem::forget(line);
            task.stopping().await;
            Ok(())
        })
        .await;
        let (_client, session) = stage.client().await;
        until("all is there", || {
            let live = counts();
            (live.timers, live.chains, live.tickets) == (50, 50, 50)
        })
        .await;
        stage.stopper.stop();
        ended(session).await;
        nothing_is_left().await;
    });
}

/// Polls once.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx)))
        .await
}

#[test]
fn many_of_a_task_hear_of_the_stop() {
    play(|| async {
        let (heard, hears) = mpsc::channel();
        let heard = Mutex::new(heard);
        let stage = Stage::new(&[], true, move |task| {
            let heard = heard.lock().unwrap().clone();
            async move {
                tokio::join!(task.stopping(), task.stopping(), task.stopping());
                heard.send(()).unwrap();
                Ok(())
            }
        })
        .await;
        let (_client, session) = stage.client().await;
        tokio::task::yield_now().await;
        stage.stopper.stop();
        ended(session).await;
        hears.try_recv().unwrap();
        // One that begins later is told at once.
        let (_client, late) = stage.client().await;
        ended(late).await;
        hears.try_recv().unwrap();
    });
}

#[test]
fn a_pipe_of_two_clients_bytes_is_never_mixed() {
    play(|| async {
        let stage = Stage::new(&[], true, |task| async move {
            loop {
                let bytes = task
                    .stream
                    .read(4096)
                    .await
                    .map_err(|code| code.to_string())?;
                if bytes.is_empty() {
                    return task
                        .stream
                        .close()
                        .await
                        .map(drop)
                        .map_err(|code| code.to_string());
                }
                task.stream
                    .write(&bytes)
                    .await
                    .map_err(|code| code.to_string())?;
            }
        })
        .await;
        let mut sessions = Vec::new();
        for nth in 0..20_u8 {
            let (mut client, session) = stage.client().await;
            sessions.push(session);
            tokio::task::spawn_local(async move {
                let said = vec![nth; 10_000];
                write(&mut client, &said).await;
                client.shutdown().await.unwrap();
                assert_eq!(rest(&mut client).await, (said, true));
            });
        }
        for session in sessions {
            let end = ended(session).await;
            assert_eq!((end.received, end.sent), (10_000, 10_000));
        }
    });
}

/// One call of a plugin's that may be out of its mind: which function, on which number.
fn calls() -> impl Strategy<Value = Vec<(u8, usize, u64)>> {
    prop::collection::vec((0_u8..18, 0_usize..12, any::<u64>()), 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    /// Whatever a plugin calls with whatever number, live, ended or invented: the host answers, does
    /// not panic, and nothing is left behind.
    #[test]
    fn no_order_of_calls_breaks_the_host(calls in calls()) {
        play(|| async {
            let stage = Stage::new(&[], true, move |task| {
                let calls = calls.clone();
                async move {
                    std::future::poll_fn(|_| {
                        rave(task, &calls);
                        std::task::Poll::Ready(())
                    }).await;
                    Ok(())
                }
            }).await;
            let (_client, session) = stage.client().await;
            assert_eq!(ended(session).await.outcome, Outcome::Ended);
        });
    }
}

fn rave(task: plugin::Task, calls: &[(u8, usize, u64)]) {
    let api = host();
    let mut numbers = vec![task.number, task.stream.0, 0, u64::MAX];
    for (what, which, chance) in calls {
        let number = numbers[which % numbers.len()];
        let mut lent = abi::Bytes::EMPTY;
        let mut end = abi::RelayEnd {
            moved: 0,
            why: 0,
            code: 0,
        };
        let mut event = plugin::event((*chance % 9) as u32);
        event.kind = (*chance >> 8) as u32 % 20;
        event.answer = (*chance >> 16) as u32 % 6;
        let spec = abi::RelaySpec {
            size: size_of::<abi::RelaySpec>(),
            from: number,
            to: numbers[(*chance as usize) % numbers.len()],
            limit: *chance,
        };
        let piece = abi::Bytes::lend(b"raving");
        let null = std::ptr::null::<u8>();
        // SAFETY: every pointer is null or as the boundary has it; only the numbers rave.
        let made = unsafe {
            match what {
                0 => (api.timer.unwrap())(number, *chance),
                1 => (api.chain.unwrap())(number, *chance),
                2 => (api.ticket.unwrap())(number, null.cast()),
                3 => (api.relay.unwrap())(number, &raw const spec),
                4 => (api.relay.unwrap())(task.number, &raw const spec),
                5 => u64::from((api.timer_poll.unwrap())(number, null.cast())),
                6 => {
                    (api.timer_end.unwrap())(number);
                    0
                }
                7 => {
                    (api.chain_end.unwrap())(number);
                    0
                }
                8 => {
                    (api.ticket_end.unwrap())(number);
                    0
                }
                9 => (api.relay_end.unwrap())(number),
                10 => u64::from((api.relay_poll.unwrap())(number, null.cast(), &raw mut end)),
                11 => u64::from(
                    (api.stream_poll_fill.unwrap())(number, null.cast(), &raw mut lent).tag,
                ),
                12 => {
                    (api.stream_consume.unwrap())(number, *chance as usize);
                    0
                }
                13 => u64::from(
                    (api.stream_poll_write.unwrap())(number, null.cast(), &raw const piece, 1).tag,
                ),
                14 => {
                    (api.stream_due.unwrap())(number, *chance as u32);
                    0
                }
                15 => u64::from((api.poll_cut.unwrap())(number, null.cast())),
                16 => u64::from((api.poll_step.unwrap())(
                    number,
                    &raw const event,
                    null.cast(),
                    std::ptr::null_mut(),
                )),
                _ => {
                    (api.stream_give_up.unwrap())(number);
                    0
                }
            }
        };
        if made > 16 {
            numbers.push(made);
        }
    }
}

/// A session that answers the first line, closes and ends, whatever else the client sends.
async fn answers_early() -> Stage {
    Stage::new(&[], true, |task| async move {
        task.stream.line().await.map_err(|code| code.to_string())?;
        let answer = task.stream.write(b"too large\n").await;
        answer.map_err(|code| code.to_string())?;
        task.stream.close().await.map_err(|code| code.to_string())?;
        Ok(())
    })
    .await
}

#[test]
fn a_client_that_still_sends_reads_the_answer_and_the_end() {
    play(|| async {
        let stage = answers_early().await;
        let (mut client, session) = stage.client().await;
        write(&mut client, b"a large one\n").await;
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
        write(&mut client, &vec![b'x'; 8 << 20]).await;
        assert_eq!(rest(&mut client).await, (b"too large\n".to_vec(), true));
    });
}

#[test]
fn a_client_that_never_ends_is_let_go() {
    play(|| async {
        let stage = answers_early().await;
        let (mut client, session) = stage.client().await;
        write(&mut client, b"a large one\n").await;
        assert_eq!(rest(&mut client).await, (b"too large\n".to_vec(), true));
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
        assert_eq!((counts().streams, counts().lingering), (0, 1));
        until("it is let go", || counts().lingering == 0).await;
        drop(client);
    });
}

#[test]
fn a_client_that_sends_without_end_is_broken_off() {
    play(|| async {
        let stage = answers_early().await;
        let (mut client, session) = stage.client().await;
        write(&mut client, b"a large one\n").await;
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
        let piece = vec![b'x'; 1 << 20];
        let mut taken = 0;
        while taken < 256 && client.write_all(&piece).await.is_ok() {
            taken += 1;
        }
        assert!(taken < 64, "{taken} MiB were taken");
        until("it is let go", || counts().lingering == 0).await;
    });
}

#[test]
fn what_lingers_ends_with_the_instance() {
    play(|| async {
        let stage = answers_early().await;
        let (mut client, session) = stage.client().await;
        write(&mut client, b"a large one\n").await;
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
        let begun = std::time::Instant::now();
        drop(stage);
        until("it is let go", || counts().lingering == 0).await;
        assert!(begun.elapsed().as_millis() < 1_000, "it waited");
        assert_eq!(rest(&mut client).await, (b"too large\n".to_vec(), true));
    });
}

/// A client that sends without end, from a thread of its own, until the other side is gone.
fn firehose(
    socket: tokio::net::TcpStream,
    secure: Option<Arc<rustls::ClientConfig>>,
) -> JoinHandle {
    let socket = blocking(socket);
    std::thread::spawn(move || {
        let piece = vec![7; 256 * 1024];
        match secure {
            None => {
                let mut socket = socket;
                while socket.write_all(&piece).is_ok() {}
            }
            Some(config) => {
                let mut peer = client(&config, socket).unwrap();
                while peer.write_all(&piece).is_ok() {}
            }
        }
    })
}

type JoinHandle = std::thread::JoinHandle<()>;

#[test]
fn a_session_is_served_beside_one_that_never_waits() {
    for secure in [false, true] {
        play(|| async move {
            let authority = Authority::new();
            let stage = Stage::secured(&[], authority.towards_clients(), move |task| async move {
                if task.stream.read(1).await.unwrap() == b"e" {
                    task.stream.write(b"echo\n").await.unwrap();
                    return Ok(());
                }
                if secure {
                    task.stream.write(b"tls\n").await.unwrap();
                    assert_eq!(task.stream.read(1).await.unwrap(), b"\n");
                    task.stream.start_tls(None, false).await.unwrap();
                }
                // Slower than its client sends.
                while !task.stream.read(100).await.unwrap().is_empty() {}
                Ok(())
            })
            .await;
            let (mut hose, hosed) = stage.client().await;
            write(&mut hose, b"f").await;
            if secure {
                assert_eq!(line(&mut hose).await, "tls\n");
                write(&mut hose, b"\n").await;
            }
            let config = secure.then(|| authority.client(&rustls::version::TLS13));
            let sends = firehose(hose, config);
            let before = std::time::Instant::now();
            while before.elapsed() < std::time::Duration::from_millis(200) {
                let (mut beside, session) = stage.client().await;
                write(&mut beside, b"e").await;
                assert_eq!(line(&mut beside).await, "echo\n");
                assert_eq!(ended(session).await.outcome, Outcome::Ended);
            }
            hosed.abort();
            assert!(hosed.await.unwrap_err().is_cancelled());
            sends.join().unwrap();
        });
    }
}
