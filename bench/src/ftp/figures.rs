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
use super::ways::{self, Way, Ways};

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

/// Every figure that one server and the ways to it give.
///
/// # Errors
/// When a way fails: a figure with errors in it says nothing.
pub async fn all(size: Size) -> io::Result<Vec<Figure>> {
    let folder = Folder::fresh("bench-home")?;
    let home = folder.join("home");
    ways::home(&home, size.big, size.small)?;
    let mut figures = Vec::new();
    let free = ways::start(&home, None).await?;
    for connections in [1, 16] {
        let told = format!("{} MiB on {connections}", size.big >> 20);
        figures.extend(throughput(&free, &told, connections, size.rounds, "haproxy", 0.95).await?);
    }
    figures.push(logins(&free, size.rounds).await?);
    figures.push(small_files(&free, size).await?);
    figures.extend(memory(&free, size.sessions).await?);
    drop(free);
    let limited = ways::start(&home, Some(100_000_000)).await?;
    let told = format!("{} MiB at 100 MB/s", size.big >> 20);
    figures.extend(throughput(&limited, &told, 1, size.rounds, "direct", 0.98).await?);
    Ok(figures)
}

async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

/// The rounds of a figure: every way once a round, beginning with another one each time.
async fn rounds<F>(ways: &Ways, rounds: usize, once: F) -> io::Result<Vec<Vec<Done>>>
where
    F: AsyncFn(&Way) -> io::Result<Done>,
{
    let mut done = vec![Vec::new(); ways.ways.len()];
    for round in 0..rounds {
        for turn in 0..ways.ways.len() {
            let index = (round + turn) % ways.ways.len();
            let way = &ways.ways[index];
            let one = once(way).await.map_err(|error| ways.trouble(way, &error))?;
            done[index].push(one);
        }
    }
    Ok(done)
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
    let done = rounds(ways, n, async |way| {
        let before = usage::processor_times(&way.processes()?)?;
        let address = way.address;
        let (bytes, took) = blocking(move || fetch_at_once(address, connections)).await?;
        let spent = usage::processor_times(&way.processes()?)?.saturating_sub(before);
        Ok(Done {
            rate: bytes as f64 / took.as_secs_f64(),
            cost: spent.as_nanos() as f64 / bytes as f64,
        })
    })
    .await?;
    let rates = column(ways, &done, |done| done.rate / 1e6);
    let costs = column(ways, &done, |done| done.cost);
    let mut figures = vec![
        Figure::ratio(
            format!("{told}, MB/s"),
            &rates,
            ("director", peer),
            bar.into(),
        ),
        Figure::ratio(
            format!("{told}, MB/s"),
            &rates,
            ("director", "mod_proxy"),
            1.2.into(),
        ),
    ];
    if peer == "haproxy" {
        let told = format!("{told}, processor ns a byte");
        figures.push(Figure::ratio(
            told,
            &costs,
            ("director", peer),
            Bar::AtMost(1.1),
        ));
    }
    Ok(figures)
}

fn fetch_at_once(address: SocketAddr, connections: usize) -> io::Result<(u64, Duration)> {
    let name = if connections == 1 { "big" } else { "part" };
    let clients: io::Result<Vec<Client>> = (0..connections).map(|_| Client::ann(address)).collect();
    let began = Instant::now();
    let fetching: Vec<_> = clients?
        .into_iter()
        .map(|mut client| {
            thread::spawn(move || client.fetch(name).map(|fetched| (client, fetched)))
        })
        .collect();
    let mut bytes = 0;
    let mut clients = Vec::new();
    for fetching in fetching {
        let fetched = fetching
            .join()
            .map_err(|_panic| io::Error::other("a client panicked"))?;
        let (client, fetched) = fetched?;
        bytes += fetched.bytes;
        clients.push(client);
    }
    let took = began.elapsed();
    clients.into_iter().try_for_each(Client::quit)?;
    Ok((bytes, took))
}

/// Logins a second, one after another, each with its goodbye.
async fn logins(ways: &Ways, n: usize) -> io::Result<Figure> {
    const EACH: u32 = 40;
    let done = rounds(ways, n, async |way| {
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
    let rates = column(ways, &done, |done| done.rate);
    Ok(Figure::told("logins a second".to_owned(), &rates))
}

/// The small files by lftp's `mirror`.
async fn small_files(ways: &Ways, size: Size) -> io::Result<Figure> {
    let done = rounds(ways, size.rounds.div_ceil(3), async |way| {
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
    let rates = column(ways, &done, |done| done.rate);
    let told = format!("{} files of 1 KiB by lftp mirror, files/s", size.small);
    Ok(Figure::ratio(
        told,
        &rates,
        ("director", "direct"),
        0.8.into(),
    ))
}

/// Memory of a session that is idle, and of one whose client has stopped reading in mid-file.
async fn memory(ways: &Ways, sessions: usize) -> io::Result<Vec<Figure>> {
    let (mut idle, mut transferring) = (Vec::new(), Vec::new());
    for way in ways.ways.iter().filter(|way| way.between.is_some()) {
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
fn column(
    ways: &Ways,
    done: &[Vec<Done>],
    pick: impl Fn(&Done) -> f64,
) -> Vec<(&'static str, Vec<f64>)> {
    let picked = |rounds: &Vec<Done>| rounds.iter().map(&pick).collect();
    ways.ways
        .iter()
        .zip(done)
        .map(|(way, rounds)| (way.name, picked(rounds)))
        .collect()
}
