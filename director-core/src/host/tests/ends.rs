//! How streams end as the peer sees it, and what a panic does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::plugin::Task;
use super::stage::{Stage, ended, line, play, rest, write};
use crate::host::Outcome;

#[test]
fn only_a_close_of_the_plugins_own_is_an_end() {
    play(|| async {
        for closes in [true, false] {
            let stage = Stage::new(&[], true, move |task: Task| async move {
                task.stream
                    .write(b"half a file")
                    .await
                    .map_err(|code| code.to_string())?;
                // The client has it: a reset throws away what the kernel still holds.
                assert_eq!(task.stream.line().await.unwrap(), "got it\n");
                if closes {
                    task.stream.close().await.map_err(|code| code.to_string())?;
                }
                Ok(())
            })
            .await;
            let (mut client, session) = stage.client().await;
            let mut half = [0; 11];
            tokio::io::AsyncReadExt::read_exact(&mut client, &mut half)
                .await
                .unwrap();
            write(&mut client, b"got it\n").await;
            let (bytes, proper) = rest(&mut client).await;
            assert_eq!((bytes.len(), proper), (0, closes));
            assert_eq!(ended(session).await.outcome, Outcome::Ended);
        }
    });
}

#[test]
fn what_the_plugin_closed_arrives_though_it_gives_the_stream_up_at_once() {
    play(|| async {
        const MUCH: usize = 3 << 20;
        for forgets in [true, false] {
            let stage = Stage::new(&[], true, move |task: Task| async move {
                task.stream
                    .write(&vec![7; MUCH])
                    .await
                    .map_err(|code| code.to_string())?;
                task.stream.close().await.map_err(|code| code.to_string())?;
                if !forgets {
                    task.stream.give_up();
                }
                Ok(())
            })
            .await;
            let (mut client, session) = stage.client().await;
            let (bytes, proper) = rest(&mut client).await;
            assert_eq!((bytes.len(), proper), (MUCH, true));
            let end = ended(session).await;
            assert_eq!(end.sent, MUCH as u64);
        }
    });
}

#[test]
fn a_session_that_is_dropped_is_reset() {
    play(|| async {
        let stage = Stage::new(&[], true, |task: Task| async move {
            task.stream
                .write(b"hello\n")
                .await
                .map_err(|code| code.to_string())?;
            task.stopping().await;
            Ok(())
        })
        .await;
        let (mut client, session) = stage.client().await;
        assert_eq!(line(&mut client).await, "hello\n");
        session.abort();
        assert_eq!(rest(&mut client).await, (Vec::new(), false));
    });
}

/// Panics when it is dropped.
struct Thorn;

impl Drop for Thorn {
    fn drop(&mut self) {
        panic!("a thorn");
    }
}

#[test]
fn a_panic_ends_its_own_session_and_no_other() {
    play(|| async {
        let stage = Stage::new(&[], true, |task: Task| async move {
            loop {
                let said = task.stream.line().await.map_err(|code| code.to_string())?;
                match said.as_str() {
                    "poll\n" => panic!("as told"),
                    "drop\n" => {
                        let _thorn = Thorn;
                        task.stopping().await;
                    }
                    "" => return Ok(()),
                    _ => task
                        .stream
                        .write(b"still here\n")
                        .await
                        .map_err(|code| code.to_string())?,
                }
            }
        })
        .await;
        let (mut steady, steady_session) = stage.client().await;
        let (mut polled, polled_session) = stage.client().await;
        let (mut dropped, dropped_session) = stage.client().await;
        write(&mut polled, b"poll\n").await;
        assert_eq!(rest(&mut polled).await, (Vec::new(), false));
        assert_eq!(ended(polled_session).await.outcome, Outcome::Panicked);
        write(&mut dropped, b"drop\n").await;
        tokio::task::yield_now().await;
        dropped_session.abort();
        assert_eq!(rest(&mut dropped).await, (Vec::new(), false));
        write(&mut steady, b"are you there?\n").await;
        assert_eq!(line(&mut steady).await, "still here\n");
        drop(steady);
        ended(steady_session).await;
    });
}

#[test]
fn a_plugin_that_panics_again_and_again_is_quarantined() {
    play(|| async {
        let served = Arc::new(AtomicUsize::new(0));
        let serves = Arc::clone(&served);
        let stage = Stage::new(&[], true, move |_task: Task| {
            serves.fetch_add(1, Ordering::Relaxed);
            async { panic!("always") }
        })
        .await;
        let mut outcomes = Vec::new();
        for _ in 0..8 {
            let (mut client, session) = stage.client().await;
            outcomes.push(ended(session).await.outcome);
            assert_eq!(rest(&mut client).await, (Vec::new(), false));
        }
        assert_eq!(served.load(Ordering::Relaxed), 5);
        assert!(
            outcomes[..5]
                .iter()
                .all(|outcome| *outcome == Outcome::Panicked)
        );
        assert!(
            outcomes[5..]
                .iter()
                .all(|outcome| *outcome == Outcome::Refused)
        );
    });
}

#[test]
fn an_instance_is_destroyed_when_its_last_session_has_gone() {
    play(|| async {
        let stage = Stage::new(&[], true, |task: Task| async move {
            task.stopping().await;
            Ok(())
        })
        .await;
        let (_client, session) = stage.client().await;
        tokio::task::yield_now().await;
        let inner = Arc::downgrade(stage.instance.inner());
        let Stage {
            instance, stopper, ..
        } = stage;
        drop(instance);
        assert!(inner.upgrade().is_some(), "a session holds it");
        stopper.stop();
        ended(session).await;
        super::stage::until("the instance is destroyed", || inner.upgrade().is_none()).await;
    });
}
