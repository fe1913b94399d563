//! Whole servers: on a disk that fails as it is told, and as a group over loopback.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::*;
use crate::http;
use crate::log::memory::MemoryDisk;
use crate::wire;

/// For everything that has to happen.
const SOON: Duration = Duration::from_secs(20);

fn room() -> StreamPath {
    "rooms/lobby".parse().unwrap()
}

fn append(text: &str) -> Append {
    Append {
        payload: Bytes::from(format!("\"{text}\"")),
        count: 1,
        ..Append::default()
    }
}

fn config() -> ServerConfig {
    ServerConfig {
        limits: Limits {
            segment: 64 << 10,
            ..Limits::default()
        },
        ..ServerConfig::new("a".parse().unwrap(), "127.0.0.1:1", "/nowhere")
    }
}

async fn start_on(disk: &MemoryDisk, config: ServerConfig) -> (Server, Owner) {
    let disk = disk.clone();
    let (server, owner) = start::start_on(config, move || Ok(disk)).await.unwrap();
    timeout(SOON, server.joined()).await.unwrap();
    (server, owner)
}

/// Everything in the room, as text.
async fn texts(server: &Server) -> Vec<String> {
    let mut position = Position::Start;
    let mut texts = Vec::new();
    loop {
        let slice = server
            .read(&room(), &position, None, ReadLimits::default())
            .await
            .unwrap();
        let text = |delivery: &Delivery| String::from_utf8(delivery.payload.to_vec()).unwrap();
        texts.extend(slice.entries.iter().map(text));
        if slice.up_to_date {
            return texts;
        }
        position = Position::After(slice.next);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_a_power_cut_at_any_instant() {
    let disk = MemoryDisk::default();
    let (server, owner) = start_on(&disk, config()).await;
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let server = server.clone();
        writers.spawn(async move {
            for n in 0..100 {
                server
                    .append(&room(), append(&format!("{writer}/{n}")))
                    .await
                    .unwrap();
            }
        });
    }
    let mut starts = 0;
    while !writers.is_empty() || starts == 0 {
        let acknowledged = texts(&server).await;
        let copy = disk.copy();
        copy.power_cut();
        let (again, owner) = start_on(&copy, config()).await;
        let found = texts(&again).await;
        assert!(
            found.starts_with(&acknowledged),
            "{} of {}",
            found.len(),
            acknowledged.len()
        );
        assert_ne!(again.identity(), server.identity());
        owner.stop(SOON).await;
        starts += 1;
        while let Some(ended) = writers.try_join_next() {
            ended.unwrap();
        }
    }
    assert_eq!(texts(&server).await.len(), 400);
    owner.stop(SOON).await;
    disk.power_cut();
    let (again, owner) = start_on(&disk, config()).await;
    assert_eq!(texts(&again).await.len(), 400);
    owner.stop(SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_durability_is_synced_at_an_orderly_end() {
    let disk = MemoryDisk::default();
    let memory = ServerConfig {
        durability: Durability::Memory,
        ..config()
    };
    let (server, owner) = start_on(&disk, memory.clone()).await;
    for n in 0..10 {
        server
            .append(&room(), append(&n.to_string()))
            .await
            .unwrap();
    }
    let cut = disk.copy();
    owner.stop(SOON).await;
    cut.power_cut();
    let (again, owner) = start_on(&cut, memory.clone()).await;
    assert_eq!(
        texts(&again).await,
        Vec::<String>::new(),
        "nothing was synced before"
    );
    owner.stop(SOON).await;
    disk.power_cut();
    let (again, owner) = start_on(&disk, memory).await;
    assert_eq!(texts(&again).await.len(), 10);
    owner.stop(SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_ends_the_server_at_once() {
    let disk = MemoryDisk::default();
    let (server, mut owner) = start_on(&disk, config()).await;
    server.append(&room(), append("one")).await.unwrap();
    disk.fail_sync_after(0);
    let refused = timeout(SOON, server.append(&room(), append("two")))
        .await
        .unwrap();
    assert_eq!(refused.unwrap_err(), NotReady::Stopping.into());
    let fatal = timeout(SOON, owner.failed()).await.unwrap();
    assert!(matches!(fatal, Fatal::Log(_)), "{fatal}");
    let refused = server.append(&room(), append("three")).await;
    assert_eq!(refused.unwrap_err(), NotReady::Stopping.into());
    timeout(SOON, owner.stop(SOON)).await.unwrap();
    disk.power_cut();
    let (again, owner) = start_on(&disk, config()).await;
    assert_eq!(texts(&again).await, ["\"one\""]);
    owner.stop(SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_the_disk_thread_ends_the_server() {
    let disk = MemoryDisk::default();
    let (server, mut owner) = start_on(&disk, config()).await;
    disk.panic();
    let refused = timeout(SOON, server.append(&room(), append("one")))
        .await
        .unwrap();
    assert_eq!(refused.unwrap_err(), NotReady::Stopping.into());
    let fatal = timeout(SOON, owner.failed()).await.unwrap();
    assert!(matches!(fatal, Fatal::Broken(_)), "{fatal}");
    timeout(SOON, owner.stop(SOON)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_appends_and_nothing_else() {
    let disk = MemoryDisk::default();
    let (server, owner) = start_on(&disk, config()).await;
    disk.set_capacity(Some(256 << 10));
    let text = "x".repeat(1000);
    let mut kept = 0;
    let refused = loop {
        match server.append(&room(), append(&text)).await {
            Ok(_) => kept += 1,
            Err(refused) => break refused,
        }
        assert!(kept < 1000);
    };
    assert_eq!(refused, Refusal::DiskFull);
    assert!(kept > 60, "{kept}");
    assert_eq!(texts(&server).await.len(), kept);
    disk.set_capacity(None);
    let again = async {
        while server.append(&room(), append(&text)).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, again)
        .await
        .expect("a disk with room again takes appends");
    assert_eq!(texts(&server).await.len(), kept + 1);
    owner.stop(SOON).await;
    disk.power_cut();
    let (again, owner) = start_on(&disk, config()).await;
    assert_eq!(texts(&again).await.len(), kept + 1);
    owner.stop(SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_memory_gave_up_is_read_from_the_log() {
    let disk = MemoryDisk::default();
    let small = ServerConfig {
        limits: Limits {
            memory: 500,
            ..config().limits
        },
        ..config()
    };
    let (server, owner) = start_on(&disk, small.clone()).await;
    let mut written = Vec::new();
    for n in 0..100 {
        let text = format!("{n} {}", "x".repeat(n));
        server.append(&room(), append(&text)).await.unwrap();
        written.push(format!("\"{text}\""));
    }
    assert_eq!(texts(&server).await, written);
    owner.stop(SOON).await;
    let (again, owner) = start_on(&disk, small).await;
    assert_eq!(texts(&again).await, written);
    // And a log that cannot be read is told, not made up for.
    let names = disk.list_segments();
    for name in names {
        disk.damage(&name, |bytes| {
            bytes.iter_mut().skip(4096).for_each(|byte| *byte ^= 1)
        });
    }
    let read = again
        .read(&room(), &Position::Start, None, ReadLimits::default())
        .await;
    assert!(matches!(read, Err(Refusal::Unreadable(_))), "{read:?}");
    owner.stop(SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_with_less_patience_than_the_disk_gets_on() {
    let disk = MemoryDisk::default();
    let mut small = config();
    small.limits.memory = 0;
    let (server, owner) = start_on(&disk, small).await;
    for n in 0..50 {
        server
            .append(&room(), append(&n.to_string()))
            .await
            .unwrap();
    }
    let mut follower = server
        .follow(&room(), &Position::Start, None)
        .await
        .unwrap();
    disk.read_slowly(Duration::from_millis(4));
    let (mut got, mut given_up) = (0, 0);
    let reading = async {
        while got < 50 {
            let patience = Duration::from_millis(20);
            match timeout(patience, follower.next(ReadLimits::default())).await {
                Ok(slice) => got += slice.unwrap().entries.len(),
                Err(_late) => given_up += 1,
            }
        }
    };
    timeout(SOON, reading).await.expect("it gets on");
    assert_eq!(got, 50);
    assert!(given_up > 3, "the disk was slower: {given_up}");
    owner.stop(SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_reads_are_woken_and_end_with_the_server() {
    let disk = MemoryDisk::default();
    let (server, owner) = start_on(&disk, config()).await;
    let mut follower = server.follow(&room(), &Position::Now, None).await.unwrap();
    assert!(follower.state().up_to_date);
    assert_eq!(server.group().members[0].load, 1);
    let early = timeout(
        Duration::from_millis(20),
        follower.next(ReadLimits::default()),
    )
    .await;
    assert!(early.is_err(), "nothing there yet: {early:?}");
    server.append(&room(), append("one")).await.unwrap();
    let slice = timeout(SOON, follower.next(ReadLimits::default()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(slice.entries.len(), 1);
    assert_eq!(follower.state().next, slice.next);
    let counters = server.counters();
    for one in ["webfs_log_entries_total", "webfs_log_batches_total"] {
        assert!(counters.contains(&(one, 1)), "{counters:?}");
    }
    assert!(
        counters.contains(&("webfs_log_bytes_waiting", 0)),
        "{counters:?}"
    );
    let waiting = tokio::spawn(async move { follower.next(ReadLimits::default()).await });
    owner.stop(SOON).await;
    let ended = timeout(SOON, waiting).await.unwrap().unwrap();
    assert_eq!(ended.unwrap_err(), NotReady::Stopping.into());
    assert_eq!(server.group().members[0].load, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_beats_and_tells_what_is_stable() {
    let (server, owner) = start_on(&MemoryDisk::default(), config()).await;
    let mut watch = server.watch(&"d1".parse().unwrap());
    assert_eq!(
        timeout(SOON, watch.next()).await.unwrap(),
        Some(WatchEvent::Beat)
    );
    let mut write = append("one");
    write.request = Some("d1.1".parse().unwrap());
    let appended = server.append(&room(), write).await.unwrap();
    let told = async {
        loop {
            match watch.next().await.unwrap() {
                WatchEvent::Beat => {}
                WatchEvent::Stable { path, cursor } => return (path, cursor),
            }
        }
    };
    assert_eq!(timeout(SOON, told).await.unwrap(), (room(), appended.next));
    owner.stop(SOON).await;
    assert_eq!(timeout(SOON, watch.next()).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_talks_nonsense_is_left() {
    let (server, owner) = start_on(&MemoryDisk::default(), config()).await;
    let mut nonsense = vec![vec![0xff; 64], b"GET / HTTP/1.1\r\n\r\n".to_vec()];
    let mut stranger = Vec::new();
    let hello = crate::core::Hello {
        id: "z".parse().unwrap(),
        session: 1,
        address: "127.0.0.1:2".to_owned(),
        fresh: true,
    };
    wire::encode_hello(&hello, &mut stranger);
    nonsense.push(stranger);
    for bytes in nonsense {
        let (mut here, there) = tokio::io::duplex(1 << 16);
        here.write_all(&bytes).await.unwrap();
        timeout(SOON, server.serve_peer(there))
            .await
            .expect("it is left");
    }
    server.append(&room(), append("one")).await.unwrap();
    owner.stop(SOON).await;
}

#[tokio::test]
async fn settings_that_cannot_be_are_told() {
    let told = |config: ServerConfig| async {
        let disk = MemoryDisk::default();
        let started = start::start_on(config, move || Ok(disk)).await;
        started.err().map(|error| error.to_string()).unwrap()
    };
    let mut bad = config();
    bad.join = vec!["nonsense".to_owned()];
    assert!(told(bad).await.contains("`nonsense` is no address"));
    let mut bad = config();
    bad.join = (1..=16).map(|port| format!("10.0.0.1:{port}")).collect();
    assert!(told(bad).await.contains("at most 16"));
    let mut bad = config();
    bad.limits.append = Limits::MAX_APPEND + 1;
    assert!(told(bad).await.contains("are the most"));
}

/// Three servers on loopback, with directories of their own.
struct Trio {
    root: PathBuf,
    addresses: Vec<String>,
    running: Vec<Option<Running>>,
}

struct Running {
    server: Server,
    owner: Owner,
    http: JoinHandle<usize>,
    stop: tokio::sync::watch::Sender<bool>,
}

impl Trio {
    async fn start(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("webfs-{name}-{}", std::process::id()));
        let mut listeners = Vec::new();
        for _ in 0..3 {
            listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let address = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
        let mut trio = Self {
            root,
            addresses: listeners.iter().map(address).collect(),
            running: vec![None, None, None],
        };
        for (at, listener) in listeners.into_iter().enumerate() {
            trio.begin(at, listener).await;
        }
        for at in 0..3 {
            timeout(SOON, trio.server(at).joined()).await.unwrap();
        }
        trio
    }

    fn data(&self, at: usize) -> PathBuf {
        self.root.join(["a", "b", "c"][at])
    }

    async fn begin(&mut self, at: usize, listener: TcpListener) {
        let config = ServerConfig {
            join: self.addresses.clone(),
            ..ServerConfig::new(
                ["a", "b", "c"][at].parse().unwrap(),
                self.addresses[at].clone(),
                self.data(at),
            )
        };
        // The one before it may be about to let its directory go.
        let started = timeout(SOON, async {
            loop {
                match Server::start(config.clone()).await {
                    Err(StartError::Data(why)) if why.contains("in use") => {
                        sleep(Duration::from_millis(5)).await;
                    }
                    other => return other.unwrap(),
                }
            }
        });
        let (server, owner) = started.await.unwrap();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let settings = http::Settings::default();
        let http = tokio::spawn(http::serve(
            listener,
            server.clone(),
            settings,
            stopped,
            SOON,
        ));
        self.running[at] = Some(Running {
            server,
            owner,
            http,
            stop,
        });
    }

    fn server(&self, at: usize) -> &Server {
        &self.running[at].as_ref().unwrap().server
    }

    /// Ends one without any order.
    async fn kill(&mut self, at: usize) {
        let Running {
            server,
            owner,
            http,
            ..
        } = self.running[at].take().unwrap();
        http.abort();
        let _aborted = http.await;
        drop((server, owner));
    }

    async fn restart(&mut self, at: usize) {
        let listener = TcpListener::bind(&self.addresses[at]).await.unwrap();
        self.begin(at, listener).await;
        timeout(SOON, self.server(at).joined()).await.unwrap();
    }

    /// Waits until a server has all of these, in any order.
    async fn has(&self, at: usize, wanted: &[&str]) {
        let mut wanted: Vec<String> = wanted.iter().map(|text| format!("\"{text}\"")).collect();
        wanted.sort_unstable();
        let arrived = async {
            let mut follower = self
                .server(at)
                .follow(&room(), &Position::Start, None)
                .await
                .unwrap();
            let mut found = Vec::new();
            while found.len() < wanted.len() {
                let slice = follower.next(ReadLimits::default()).await.unwrap();
                let text = |one: &Delivery| String::from_utf8(one.payload.to_vec()).unwrap();
                found.extend(slice.entries.iter().map(text));
            }
            found.sort_unstable();
            found
        };
        let found = timeout(SOON, arrived).await;
        assert_eq!(found.expect("all of them arrive"), wanted, "at {at}");
    }

    async fn end(mut self) {
        // The last one first: the others have dialed it.
        for running in self.running.iter_mut().rev() {
            let Some(Running {
                server,
                owner,
                http,
                stop,
            }) = running.take()
            else {
                continue;
            };
            stop.send_replace(true);
            // Long before the grace that requests have: a peer's connection is not waited for.
            let aborted = timeout(SOON / 4, http).await.expect("it ends").unwrap();
            assert_eq!(aborted, 0, "none aborted");
            owner.stop(SOON).await;
            drop(server);
        }
        std::fs::remove_dir_all(&self.root).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_servers_are_one_room_through_kills_and_a_lost_directory() {
    let mut trio = Trio::start("trio").await;
    for (at, text) in ["one", "two", "three"].into_iter().enumerate() {
        trio.server(at).append(&room(), append(text)).await.unwrap();
    }
    for at in 0..3 {
        trio.has(at, &["one", "two", "three"]).await;
    }

    trio.kill(0).await;
    trio.server(1)
        .append(&room(), append("four"))
        .await
        .unwrap();
    trio.restart(0).await;
    let identity = trio.server(0).identity().unwrap();
    assert_eq!(identity.to_string(), "a/2");
    let appended = trio
        .server(0)
        .append(&room(), append("five"))
        .await
        .unwrap();
    assert!(
        appended.entry.index >= 65_536,
        "it leapt: {}",
        appended.entry
    );
    for at in 0..3 {
        trio.has(at, &["one", "two", "three", "four", "five"]).await;
    }

    trio.kill(0).await;
    std::fs::remove_dir_all(trio.data(0)).unwrap();
    trio.restart(0).await;
    assert_eq!(trio.server(0).identity().unwrap().to_string(), "a1/1");
    trio.server(0).append(&room(), append("six")).await.unwrap();
    for at in 0..3 {
        trio.has(at, &["one", "two", "three", "four", "five", "six"])
            .await;
    }
    trio.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_disk_gets_many_megabytes_back() {
    let mut trio = Trio::start("much").await;
    let long = "x".repeat(50_000);
    let mut all = Vec::new();
    for n in 0..400 {
        all.push(format!("{n} {long}"));
    }
    for text in &all {
        trio.server(0).append(&room(), append(text)).await.unwrap();
    }
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    for _ in 0..3 {
        trio.kill(2).await;
        std::fs::remove_dir_all(trio.data(2)).unwrap();
        trio.restart(2).await;
        trio.has(2, &all).await;
    }
    trio.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_the_middle_is_fetched_from_the_peers_under_a_new_letter() {
    let mut trio = Trio::start("damage").await;
    for text in ["one", "two", "three", "four"] {
        trio.server(0).append(&room(), append(text)).await.unwrap();
    }
    for at in 0..3 {
        trio.has(at, &["one", "two", "three", "four"]).await;
    }
    trio.kill(0).await;
    sleep_until_unlocked(&trio.data(0)).await;
    let mut segment = std::fs::read_dir(trio.data(0))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let first = segment
        .find(|path| path.to_string_lossy().contains("log-0000000001"))
        .unwrap();
    let mut bytes = std::fs::read(&first).unwrap();
    bytes[4096 + 60] ^= 1;
    std::fs::write(&first, bytes).unwrap();
    trio.restart(0).await;
    assert_eq!(trio.server(0).identity().unwrap().to_string(), "a1/1");
    trio.server(0)
        .append(&room(), append("five"))
        .await
        .unwrap();
    for at in 0..3 {
        trio.has(at, &["one", "two", "three", "four", "five"]).await;
    }
    trio.kill(0).await;
    trio.restart(0).await;
    assert_eq!(trio.server(0).identity().unwrap().to_string(), "a1/2");
    trio.has(0, &["one", "two", "three", "four", "five"]).await;
    trio.end().await;
}

async fn sleep_until_unlocked(data: &std::path::Path) {
    let unlocked = async {
        while crate::log::files::Files::open(data).is_err() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, unlocked).await.unwrap();
}
