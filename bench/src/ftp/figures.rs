//! Throughput, small files, logins and memory, a way at a time and round by round.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use director_tests::folder::Folder;
use director_tests::ftp::clients::{self, Place};

use super::client::Client;
use super::report::{Bar, Figure};
use super::usage;
use super::ways::{self, COPYING, DIRECT, DIRECTOR, DIRECTOR_TAIL, PROXYING, SPLICING, Way, Ways};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Paired rounds of each figure.
    pub rounds: usize,
    /// Bytes of the big file.
    pub big: usize,
    /// Small files.
    pub small: usize,
    /// Sessions held at once for the memory of one.
    pub sessions: usize,
}

/// One way's work in one round.
#[derive(Debug, Clone, Copy, Default)]
struct Done {
    /// Bytes, or logins, or files a second.
    rate: f64,
    /// Processor time in between, in nanoseconds a byte.
    cost: f64,
}

/// What each way did, round by round.
type Rounds = Vec<(&'static str, Vec<Done>)>;

/// The ways of the figures that hold for any transfer.
const USUAL: [&str; 4] = [DIRECT, DIRECTOR, SPLICING, PROXYING];

/// Every figure that one server and the ways to it give.
///
/// # Errors
/// When a way fails: a figure with errors in it says nothing.
pub async fn all(size: Size) -> io::Result<Vec<Figure>> {
    let folder = Folder::in_memory("bench-home")?;
    let home = folder.join("home");
    ways::home(&home, size.big, size.small)?;
    let mut figures = Vec::new();
    let free = ways::start(&home, None).await?;
    for connections in [1, 16] {
        let told = format!("{} MiB on {connections}", size.big >> 20);
        figures.extend(throughput(&free, &told, connections, size.rounds, SPLICING, 0.95).await?);
    }
    for connections in [1, 16] {
        figures.extend(copied(&free, size, connections).await?);
    }
    figures.push(logins(&free, size.rounds).await?);
    figures.push(small_files(&free, size).await?);
    figures.extend(memory(&free, size.sessions).await?);
    drop(free);
    let limited = ways::start(&home, Some(100_000_000)).await?;
    let told = format!("{} MiB at 100 MB/s", size.big >> 20);
    figures.extend(throughput(&limited, &told, 1, size.rounds, DIRECT, 0.98).await?);
    Ok(figures)
}

async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

/// The rounds of a figure: every way of these names once a round, beginning with another one each time.
async fn rounds<F>(ways: &Ways, names: &[&str], n: usize, once: F) -> io::Result<Rounds>
where
    F: AsyncFn(&Way) -> io::Result<Done>,
{
    let taken = ways.named(names);
    let mut done: Rounds = taken.iter().map(|way| (way.name, Vec::new())).collect();
    for round in 0..n {
        for turn in 0..taken.len() {
            let index = (round + turn) % taken.len();
            let way = taken[index];
            let one = once(way).await.map_err(|error| ways.trouble(way, &error))?;
            done[index].1.push(one);
        }
    }
    Ok(done)
}

/// What `work` moves through a way, and what the way spends on it.
async fn moved(
    way: &Way,
    work: impl FnOnce(SocketAddr) -> io::Result<(u64, Duration)> + Send + 'static,
) -> io::Result<Done> {
    let before = usage::processor_times(&way.processes()?)?;
    let address = way.address;
    let (bytes, took) = blocking(move || work(address)).await?;
    let spent = usage::processor_times(&way.processes()?)?.saturating_sub(before);
    Ok(Done {
        rate: bytes as f64 / took.as_secs_f64(),
        cost: spent.as_nanos() as f64 / bytes as f64,
    })
}

/// The big file on one connection, or its sixteenth on each of sixteen.
async fn throughput(
    ways: &Ways,
    told: &str,
    connections: usize,
    n: usize,
    peer: &'static str,
    bar: f64,
) -> io::Result<Vec<Figure>> {
    let done = rounds(ways, &USUAL, n, async |way| {
        moved(way, move |address| fetch_at_once(address, connections)).await
    })
    .await?;
    let rates = column(&done, |done| done.rate / 1e6);
    let costs = column(&done, |done| done.cost);
    let named = || format!("{told}, MB/s");
    let mut figures = vec![Figure::ratio(named(), &rates, (DIRECTOR, peer), bar.into())];
    // Under the server's own limit nobody is faster than another.
    if peer == SPLICING {
        figures.push(Figure::ratio(
            named(),
            &rates,
            (DIRECTOR, PROXYING),
            1.2.into(),
        ));
        let told = format!("{told}, processor ns a byte");
        let bar = Bar::AtMost(1.1);
        figures.push(Figure::ratio(told, &costs, (DIRECTOR, peer), bar));
    }
    Ok(figures)
}

/// Transfers whose bytes the director must see, beside HAProxy without splice: downloads that only their
/// last bytes prove, and uploads.
async fn copied(ways: &Ways, size: Size, connections: usize) -> io::Result<Vec<Figure>> {
    let told = format!("{} MiB on {connections}", size.big >> 20);
    let bytes = (size.big / connections) as u64;
    let down = [DIRECTOR_TAIL, COPYING];
    let downloads = rounds(ways, &down, size.rounds, async |way| {
        moved(way, move |address| fetch_at_once(address, connections)).await
    });
    let downloads = downloads.await?;
    let up = [DIRECT, DIRECTOR, COPYING, PROXYING];
    let uploads = rounds(ways, &up, size.rounds, async |way| {
        moved(way, move |address| {
            store_at_once(address, connections, bytes)
        })
        .await
    });
    let uploads = uploads.await?;
    let mut figures = Vec::new();
    for (what, of, done) in [
        ("proved by the tail", DIRECTOR_TAIL, &downloads),
        ("uploaded", DIRECTOR, &uploads),
    ] {
        let rates = column(done, |done| done.rate / 1e6);
        figures.push(Figure::told(format!("{told} {what}, MB/s"), &rates));
        let costs = column(done, |done| done.cost);
        let told = format!("{told} {what}, processor ns a byte");
        let bar = Bar::AtMost(1.1);
        figures.push(Figure::ratio(told, &costs, (of, COPYING), bar));
    }
    Ok(figures)
}

fn fetch_at_once(address: SocketAddr, connections: usize) -> io::Result<(u64, Duration)> {
    let name = if connections == 1 { "big" } else { "part" };
    at_once(address, connections, move |client, _number| {
        client.fetch(name).map(|fetched| fetched.bytes)
    })
}

/// Each connection stores a file of its own of `bytes` bytes.
fn store_at_once(
    address: SocketAddr,
    connections: usize,
    bytes: u64,
) -> io::Result<(u64, Duration)> {
    at_once(address, connections, move |client, number| {
        client.store(&format!("stored-{number}"), bytes)?;
        Ok(bytes)
    })
}

/// The bytes that `work` moves on so many connections together, and how long all of them took.
fn at_once(
    address: SocketAddr,
    connections: usize,
    work: impl Fn(&mut Client, usize) -> io::Result<u64> + Send + Copy + 'static,
) -> io::Result<(u64, Duration)> {
    let clients: io::Result<Vec<Client>> = (0..connections).map(|_| Client::ann(address)).collect();
    let began = Instant::now();
    let working: Vec<_> = clients?
        .into_iter()
        .enumerate()
        .map(|(number, mut client)| {
            thread::spawn(move || work(&mut client, number).map(|bytes| (client, bytes)))
        })
        .collect();
    let mut bytes = 0;
    let mut clients = Vec::new();
    for working in working {
        let moved = working
            .join()
            .map_err(|_panic| io::Error::other("a client panicked"))?;
        let (client, moved) = moved?;
        bytes += moved;
        clients.push(client);
    }
    let took = began.elapsed();
    clients.into_iter().try_for_each(Client::quit)?;
    Ok((bytes, took))
}

/// Logins a second, one after another, each with its goodbye.
async fn logins(ways: &Ways, n: usize) -> io::Result<Figure> {
    const EACH: u32 = 40;
    let done = rounds(ways, &USUAL, n, async |way| {
        let address = way.address;
        blocking(move || {
            let began = Instant::now();
            for _ in 0..EACH {
                Client::ann(address)?.quit()?;
            }
            let rate = f64::from(EACH) / began.elapsed().as_secs_f64();
            Ok(Done { rate, cost: 0.0 })
        })
        .await
    })
    .await?;
    let rates = column(&done, |done| done.rate);
    Ok(Figure::told("logins a second".to_owned(), &rates))
}

/// The small files by lftp's `mirror`.
async fn small_files(ways: &Ways, size: Size) -> io::Result<Figure> {
    let done = rounds(ways, &USUAL, size.rounds.div_ceil(3), async |way| {
        let into = Folder::fresh("mirrored")?;
        let script = format!("mirror small {}", into.join("small").display());
        let command = clients::lftp(&Place::plain(&way.address.to_string()), &script);
        let began = Instant::now();
        let ended = clients::run(command, Duration::from_secs(300)).await?;
        let took = began.elapsed();
        let came = std::fs::read_dir(into.join("small"))?.count();
        if !ended.status.success() || came != size.small {
            let (status, said) = (ended.status, ended.stderr);
            return Err(io::Error::other(format!(
                "{}: {came} files, {status}: {said}",
                way.name
            )));
        }
        let rate = came as f64 / took.as_secs_f64();
        Ok(Done { rate, cost: 0.0 })
    })
    .await?;
    let rates = column(&done, |done| done.rate);
    let told = format!("{} files of 1 KiB by lftp mirror, files/s", size.small);
    Ok(Figure::ratio(told, &rates, (DIRECTOR, DIRECT), 0.8.into()))
}

/// Memory of a session that is idle, and of one whose client has stopped reading in mid-file.
async fn memory(ways: &Ways, sessions: usize) -> io::Result<Vec<Figure>> {
    let (mut idle, mut transferring) = (Vec::new(), Vec::new());
    for way in ways
        .named(&USUAL)
        .into_iter()
        .filter(|way| way.between.is_some())
    {
        let trouble = |error: io::Error| ways.trouble(way, &error);
        let none = usage::memory(&way.processes()?)?;
        let address = way.address;
        let held = blocking(move || {
            (0..sessions)
                .map(|_| Client::ann(address))
                .collect::<io::Result<Vec<_>>>()
        })
        .await
        .map_err(trouble)?;
        let some = usage::memory(&way.processes()?)?;
        idle.push((way.name, vec![a_session(none, some, sessions)]));
        let few = (sessions / 4).clamp(1, 50);
        let held = blocking(move || {
            let mut held: Vec<Client> = held;
            held.truncate(few);
            held.iter_mut()
                .map(|client| client.begin("big"))
                .collect::<io::Result<Vec<_>>>()
                .map(|data| (held, data))
        })
        .await
        .map_err(trouble)?;
        let busy = usage::memory(&way.processes()?)?;
        transferring.push((way.name, vec![a_session(none, busy, few)]));
        drop(held);
    }
    Ok(vec![
        Figure::told("an idle session, KiB".to_owned(), &idle),
        Figure::told("a transferring session, KiB".to_owned(), &transferring),
    ])
}

fn a_session(before: u64, after: u64, sessions: usize) -> f64 {
    after.saturating_sub(before) as f64 / 1024.0 / sessions as f64
}

/// One number of each round, by way.
fn column(done: &Rounds, pick: impl Fn(&Done) -> f64) -> Vec<(&'static str, Vec<f64>)> {
    let picked = |rounds: &Vec<Done>| rounds.iter().map(&pick).collect();
    done.iter()
        .map(|(way, rounds)| (*way, picked(rounds)))
        .collect()
}
