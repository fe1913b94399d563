//! How long a download pauses when its server dies: from the last byte before the fault to the next one.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use director_tests::folder::Folder;
use director_tests::ftp::config::{Kind, Setup};
use director_tests::ftp::server::Server;
use director_tests::process::until;
use rustix::process::Signal;

use super::client::{Client, Fetched};
use super::report::{Bar, Figure, quantile};
use super::ways;

/// Bytes a second that a server gives: a pause of a switch is then far longer than one between two pieces.
const RATE: u64 = 20_000_000;
/// Bytes of the file: some seconds of it.
const BIG: usize = 40 << 20;
/// The fault comes when so many bytes have come: 0.8 seconds after the other server was probed. The first process of
/// a standalone ProFTPD sleeps for 0.4 seconds after each session that has ended (`PR_TUNABLE_EINTR_RETRY_INTERVAL`
/// in its `options.h`, twice) and greets nobody meanwhile; a probe is a session. That is the server's own pause,
/// directly too, and not a switch's.
const FAULT_AT: u64 = 16 << 20;

/// How the server dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// `kill -9`: its connections are reset.
    Kill,
    /// `SIGSTOP`: it says nothing any more.
    Stop,
}

/// The pauses of `n` downloads for each kind of fault.
///
/// # Errors
/// When a download was not whole, or a server does not start.
pub async fn all(n: usize) -> io::Result<Vec<Figure>> {
    let folder = Folder::fresh("bench-switch")?;
    let home = folder.join("home");
    ways::home(&home, BIG, 0)?;
    let mut figures = Vec::new();
    for (fault, name, bar) in [
        (Fault::Kill, "switch after a reset, ms", 100.0),
        (Fault::Stop, "switch after a silence, ms", 1000.0),
    ] {
        let pauses = pauses(&home, n, fault).await?;
        let mut figure = Figure::held(
            name.to_owned(),
            "p99",
            quantile(&pauses, 0.99),
            Bar::AtMost(bar),
        );
        figure.medians = vec![("director".to_owned(), quantile(&pauses, 0.5))];
        figures.push(figure);
    }
    Ok(figures)
}

async fn pauses(home: &std::path::Path, n: usize, fault: Fault) -> io::Result<Vec<f64>> {
    let mut servers = Vec::new();
    for _ in 0..2 {
        let mut setup = Setup::new(Kind::Proftpd, home);
        setup.rate = Some(RATE);
        servers.push(Server::start(setup).await?);
    }
    let nodes = servers
        .iter()
        .map(|server| server.address.clone())
        .collect();
    let director = ways::director(nodes, "").await?;
    let address = ways::parse(&director.address)?;
    let mut pauses = Vec::new();
    for _ in 0..n {
        director.all_up(Duration::from_secs(30)).await?;
        let come = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&come);
        let fetching = tokio::task::spawn_blocking(move || {
            let mut client = Client::ann(address)?;
            client.fetch_and("big", |bytes| told.store(bytes, Ordering::Relaxed))
        });
        let enough = || come.load(Ordering::Relaxed) >= FAULT_AT;
        until("a part of the file", Duration::from_secs(20), enough).await?;
        let used = servers.iter().position(|server| {
            server
                .sessions_with("big")
                .is_ok_and(|sessions| !sessions.is_empty())
        });
        let used = used.ok_or_else(|| io::Error::other("no server has the file open"))?;
        match fault {
            Fault::Kill => servers[used].kill().await?,
            Fault::Stop => servers[used].signal(Signal::STOP)?,
        }
        let at = Instant::now();
        let fetched: Fetched = fetching.await.map_err(io::Error::other)??;
        if fetched.bytes != BIG as u64 {
            return Err(io::Error::other(format!(
                "{} bytes of {BIG} came",
                fetched.bytes
            )));
        }
        if fault == Fault::Stop {
            servers[used].kill().await?;
        }
        if at.elapsed() < fetched.longest_gap {
            return Err(io::Error::other("the pause was before the fault"));
        }
        pauses.push(fetched.longest_gap.as_secs_f64() * 1000.0);
        servers[used].restart().await?;
    }
    Ok(pauses)
}
