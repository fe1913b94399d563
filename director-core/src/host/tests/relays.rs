//! Relays: what arrives, what is counted, and that nothing is left in between.

use std::future::poll_fn;

use director_abi as abi;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::plugin::{Stream, Task, Ticket, end_relay, established, event, poll_relay};
use super::stage::{SOON, Stage, accept, ended, nodes, play, rest};
use crate::host::Outcome;
use crate::host::buffers::without_pipes;

/// Bytes of which each tells its place.
fn bytes(n: usize) -> Vec<u8> {
    (0..n)
        .map(|at| (at % 251) as u8 ^ (at / 251 % 256) as u8)
        .collect()
}

/// A link to a node, and the request that holds it.
async fn link(task: Task) -> (Ticket, Stream) {
    let ticket = Ticket::open(task.chain());
    let action = ticket.step(event(abi::Event::BEGIN)).await.unwrap();
    assert_eq!(action.tag, abi::Action::ESTABLISH);
    let action = ticket.step(established(action.stream)).await.unwrap();
    assert_eq!(action.tag, abi::Action::ATTEMPT);
    (ticket, action.stream)
}

async fn read_exactly(socket: &mut TcpStream, n: usize) -> Vec<u8> {
    let mut got = vec![0; n];
    tokio::time::timeout(SOON, socket.read_exact(&mut got))
        .await
        .unwrap()
        .unwrap();
    got
}

/// From the node to the client, `limit` of `size` bytes of which the plugin read `first` itself.
async fn one_relay(size: usize, first: usize, limit: u64) {
    let (listeners, addresses) = nodes(1).await;
    let stage = Stage::new(&addresses, true, move |task| async move {
        let (_ticket, node) = link(task).await;
        let mut read = Vec::new();
        while read.len() < first {
            read.extend(node.read(first - read.len()).await.unwrap());
        }
        task.stream.write(&read).await.unwrap();
        let end = task.relay(node, task.stream, limit).await;
        let rest = size - first;
        let moved = limit.min(rest as u64);
        assert_eq!(end.moved, moved);
        // At the limit exactly, the end was not asked for.
        let why = if limit <= rest as u64 {
            abi::RelayEnd::LIMIT
        } else {
            abi::RelayEnd::END
        };
        assert_eq!(end.why, why);
        let (received, _) = node.counts().unwrap();
        assert_eq!(received, first as u64 + moved, "nothing is in between");
        let (_, accepted) = task.stream.counts().unwrap();
        assert_eq!(accepted, first as u64 + moved);
        // What the relay left, the plugin may still read.
        let mut left = 0;
        loop {
            let piece = node.read(usize::MAX).await.unwrap();
            if piece.is_empty() {
                break;
            }
            left += piece.len();
        }
        assert_eq!(left as u64, rest as u64 - moved);
        task.stream.close().await.unwrap();
        Ok(())
    })
    .await;
    let (mut client, session) = stage.client().await;
    let mut node = accept(&listeners[0]).await;
    let sends = async {
        node.write_all(&bytes(size)).await.unwrap();
        node.shutdown().await.unwrap();
    };
    let ((), (got, proper)) = tokio::join!(sends, rest(&mut client));
    let moved = first + limit.min((size - first) as u64) as usize;
    assert!(
        got == bytes(size)[..moved],
        "{} of {moved} bytes",
        got.len()
    );
    assert!(proper);
    assert_eq!(ended(session).await.outcome, Outcome::Ended);
}

#[test]
fn all_until_the_end_and_no_more_than_the_limit() {
    play(|| async {
        one_relay(1_000_000, 0, u64::MAX).await;
        one_relay(1_000_000, 1, u64::MAX).await;
        one_relay(1_000_000, 5, 65_536).await;
        one_relay(300, 5, 0).await;
        one_relay(0, 0, u64::MAX).await;
    });
}

#[test]
fn without_a_pipe_it_copies() {
    without_pipes(|| {
        play(|| async {
            one_relay(500_000, 3, u64::MAX).await;
            one_relay(500_000, 3, 70_001).await;
        });
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn any_part_of_any_size(size in 0_usize..400_000, first in 0_usize..40_000, limit in 0_u64..500_000) {
        play(|| one_relay(size, first.min(size), limit));
    }
}

#[test]
fn when_the_client_leaves_what_was_on_its_way_goes_back_to_the_source() {
    play(|| async {
        const SIZE: usize = 8 << 20;
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, true, move |task| async move {
            let (_ticket, node) = link(task).await;
            let end = task.relay(node, task.stream, u64::MAX).await;
            assert_eq!(end.why, abi::RelayEnd::TO_FAILED);
            assert!(end.code > 0, "an errno, and {}", end.code);
            let (received, _) = node.counts().unwrap();
            assert_eq!(
                received, end.moved,
                "taken from the node and accepted by the client"
            );
            let (_, accepted) = task.stream.counts().unwrap();
            assert_eq!(accepted, end.moved);
            let mut left = Vec::new();
            while left.len() < SIZE - end.moved as usize {
                let piece = node.read(usize::MAX).await.unwrap();
                assert!(!piece.is_empty(), "{} bytes, then the end", left.len());
                left.extend(piece);
            }
            assert!(
                left == bytes(SIZE)[end.moved as usize..],
                "the very next byte, and all after it"
            );
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        let mut node = accept(&listeners[0]).await;
        let sends = async { node.write_all(&bytes(SIZE)).await.unwrap() };
        let leaves = async {
            read_exactly(&mut client, 1000).await;
            // With bytes unread: a reset.
            drop(client);
        };
        tokio::join!(sends, leaves);
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

#[test]
fn a_relay_that_is_given_up_gives_back_what_it_holds() {
    play(|| async {
        const SIZE: usize = 4 << 20;
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, true, move |task| async move {
            let (_ticket, node) = link(task).await;
            let relay = task.begin_relay(node, task.stream, u64::MAX);
            // Until the client's window is closed, and the pipe is full with it.
            let mut still = 0;
            let mut before = 0;
            while still < 20 {
                let moved = poll_fn(|cx| {
                    assert!(poll_relay(relay, cx).is_pending());
                    std::task::Poll::Ready(task.stream.counts().unwrap().1)
                })
                .await;
                still = if moved == before { still + 1 } else { 0 };
                before = moved;
                task.sleep(5).await;
            }
            let moved = end_relay(relay);
            assert_eq!(end_relay(relay), 0, "its number is void");
            assert_eq!(node.counts().unwrap().0, moved);
            // By hand from there.
            let mut sent = moved as usize;
            while sent < SIZE {
                let piece = node.read(usize::MAX).await.unwrap();
                task.stream.write(&piece).await.unwrap();
                sent += piece.len();
            }
            task.stream.close().await.unwrap();
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        let mut node = accept(&listeners[0]).await;
        let sends = async { node.write_all(&bytes(SIZE)).await.unwrap() };
        let reads = async {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            rest(&mut client).await
        };
        let ((), (got, proper)) = tokio::join!(sends, reads);
        assert!(got == bytes(SIZE) && proper);
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

#[test]
fn a_stream_is_not_relayed_to_itself() {
    play(|| async {
        let stage = Stage::new(&[], true, |task| async move {
            assert_eq!(task.begin_relay(task.stream, task.stream, 5), 0);
            Ok(())
        })
        .await;
        let (_client, session) = stage.client().await;
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}
