//! Spools: what is kept, where, and within which bounds.

use std::sync::Mutex;
use std::sync::mpsc;

use director_abi as abi;

use super::plugin::{Spool, Task};
use super::stage::{Stage, ended, play, until};
use crate::host::{Outcome, SpoolBounds, Timeouts, counts};

/// Bytes of which each tells its place.
fn bytes(from: usize, to: usize) -> Vec<u8> {
    (from..to)
        .map(|at| (at % 251) as u8 ^ (at / 251 % 256) as u8)
        .collect()
}

/// Appends until it is full, or `most` is reached; how much there is then.
async fn fill(spool: Spool, most: usize) -> usize {
    let mut end = 0;
    while end < most {
        let piece = bytes(end, (end + 50_000).min(most));
        match spool.append(&piece).await.unwrap() {
            0 => break,
            n => end += n,
        }
    }
    end
}

async fn holds(spool: Spool, from: usize, to: usize) {
    let mut at = from;
    while at < to {
        let read = spool.read(at as u64, 40_000).await.unwrap();
        assert!(!read.is_empty(), "the end at {at} of {to}");
        assert!(read == bytes(at, at + read.len()), "at {at}");
        at += read.len();
    }
    assert_eq!(spool.read(to as u64, 10).await, Ok(Vec::new()));
}

async fn run<F>(spool: SpoolBounds, does: impl Fn(Task) -> F + Send + Sync + 'static)
where
    F: Future<Output = Result<(), String>> + 'static,
{
    let stage = Stage::spooling(&[], true, Timeouts::default(), spool, does).await;
    let (_client, session) = stage.client().await;
    assert_eq!(ended(session).await.outcome, Outcome::Ended);
}

#[test]
fn memory_first_then_the_disk_then_it_is_full_and_forgetting_makes_room() {
    play(|| async {
        run(SpoolBounds::default(), |task| async move {
            const MEMORY: usize = 200_000;
            const DISK: usize = 1_000_000;
            let spool = task.spool(MEMORY as u64, DISK as u64);
            assert_eq!(fill(spool, MEMORY).await, MEMORY);
            let info = spool.info().unwrap();
            assert_eq!((info.in_memory, info.on_disk), (MEMORY as u64, 0));
            assert_eq!(counts().spool_files, 0);
            let mut end = MEMORY;
            loop {
                let piece = bytes(end, end + 77_777);
                match spool.append(&piece).await.unwrap() {
                    0 => break,
                    n => end += n,
                }
            }
            assert_eq!(end, MEMORY + DISK);
            let info = spool.info().unwrap();
            assert_eq!((info.first, info.end), (0, end as u64));
            assert_eq!((info.in_memory, info.on_disk), (MEMORY as u64, DISK as u64));
            assert_eq!(counts().spool_files, 1);
            holds(spool, 0, end).await;
            // From the middle of the disk, and back.
            holds(spool, 700_001, end).await;
            assert_eq!(spool.read(3, 4).await.unwrap(), bytes(3, 7));
            spool.forget(300_000);
            assert_eq!(spool.read(299_999, 1).await, Err(abi::CODE_GONE));
            let mut more = end;
            loop {
                let piece = bytes(more, more + 33_333);
                match spool.append(&piece).await.unwrap() {
                    0 => break,
                    n => more += n,
                }
            }
            assert_eq!(more, end + 300_000, "as much as was forgotten");
            holds(spool, 300_000, more).await;
            spool.forget(u64::MAX);
            let info = spool.info().unwrap();
            assert_eq!((info.first, info.end), (more as u64, more as u64));
            spool.end();
            assert!(spool.info().is_none());
            assert_eq!(spool.append(b"x").await, Err(abi::CODE_GONE));
            assert_eq!(spool.read(0, 1).await, Err(abi::CODE_GONE));
            Ok(())
        })
        .await;
    });
}

#[test]
fn the_services_totals_bound_all_spools_together() {
    play(|| async {
        let totals = SpoolBounds {
            memory: 300_000,
            disk: 100_000,
        };
        run(totals, |task| async move {
            let first = task.spool(u64::MAX, 0);
            assert_eq!(fill(first, 200_000).await, 200_000);
            let second = task.spool(u64::MAX, u64::MAX);
            // Blocks of the first one's are taken whole.
            let room = fill(second, 10_000_000).await;
            assert_eq!(room, 300_000 - 4 * 65_536 + 100_000);
            assert_eq!(task.spool(1, 1).0, 0, "no room at all");
            holds(second, 0, room).await;
            first.end();
            let third = task.spool(150_000, 0);
            assert_eq!(
                fill(third, 10_000_000).await,
                150_000,
                "there is room again"
            );
            Ok(())
        })
        .await;
    });
}

#[test]
fn no_memory_at_all_is_the_disk_alone_and_a_task_has_so_many() {
    play(|| async {
        run(SpoolBounds::default(), |task| async move {
            assert_eq!(task.spool(0, 0).0, 0);
            let spool = task.spool(0, 150_000);
            assert_eq!(fill(spool, 10_000_000).await, 150_000);
            holds(spool, 0, 150_000).await;
            let mut many = 1;
            while task.spool(1, 0).0 != 0 {
                many += 1;
                assert!(many < 1000, "no bound");
            }
            spool.end();
            assert_ne!(task.spool(1, 0).0, 0);
            Ok(())
        })
        .await;
    });
}

#[test]
fn a_disk_that_fails_makes_it_full_and_loses_nothing() {
    play(|| async {
        // The directory cannot be made: there is a file in its place.
        let blocked = std::env::temp_dir().join(format!("director-blocked-{}", std::process::id()));
        std::fs::write(&blocked, b"in the way").unwrap();
        let dir = blocked.join("below");
        let stage = Stage::in_dir(dir, |task| async move {
            let spool = task.spool(70_000, 1_000_000);
            let end = fill(spool, 10_000_000).await;
            assert!((70_000..70_000 + 3 * 65_536).contains(&end), "{end}");
            holds(spool, 0, end).await;
            assert_eq!(spool.append(b"x").await, Ok(0), "for good");
            spool.forget(u64::MAX);
            assert_eq!(spool.append(b"x").await, Ok(1), "in memory it goes on");
            Ok(())
        })
        .await;
        let (_client, session) = stage.client().await;
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
        std::fs::remove_file(&blocked).unwrap();
    });
}

#[test]
fn a_forgotten_spool_ends_with_its_task_though_its_disk_is_at_work() {
    play(|| async {
        let (told, tells) = mpsc::channel();
        let told = Mutex::new(told);
        let stage = Stage::new(&[], true, move |task| {
            let told = told.lock().unwrap().clone();
            async move {
                let spool = task.spool(0, 10_000_000);
                assert_eq!(fill(spool, 2_000_000).await, 2_000_000);
                std::mem::forget(Box::pin(spool.read(0, 10)));
                told.send(()).unwrap();
                task.stopping().await;
                Ok(())
            }
        })
        .await;
        let (_client, session) = stage.client().await;
        until("it is filled", || tells.try_recv().is_ok()).await;
        assert_eq!((counts().spools, counts().spool_files), (1, 1));
        session.abort();
        until("nothing of it is open", || counts().spool_files == 0).await;
    });
}
