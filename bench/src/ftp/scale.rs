//! The paper's Figure 6 again: one, two, four servers, each limited to the same rate, and clients that
//! fetch 512 KB forty times.
//!
//! The rate is the server's whole, not a connection's: the kernel shapes what leaves each server's address
//! (tc-htb(8)), in a network of the bench's own.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use director_tests::folder::Folder;
use director_tests::ftp::config::{Kind, Setup};
use director_tests::ftp::content;
use director_tests::ftp::server::Server;
use director_tests::network;
use tokio::process::Command;

use super::client::Client;
use super::report::{Bar, Figure};
use super::ways;

/// Bits a second that one server's address may send: so few that the servers' logins, which share this
/// machine's cores, are not what limits them.
const RATE: u64 = 32_000_000;
/// Bytes of the file: 512 KB, as in the paper.
const FILE: usize = 512_000;
/// Clients, as many as there are points of the curve.
const CLIENTS: [usize; 4] = [1, 4, 16, 64];

/// Throughput with one, two and four servers; each client fetches its file `times` times.
///
/// # Errors
/// When this process has no network of its own, or a client fails.
pub async fn all(times: usize) -> io::Result<Vec<Figure>> {
    if !network::is_own() {
        return Err(io::Error::other(
            "servers are limited in a network of one's own only",
        ));
    }
    let folder = Folder::fresh("bench-scale")?;
    let home = content::folder(&folder.join("home"))?;
    content::file(&home.join("file"), &content::bytes(3, FILE))?;
    shape().await?;
    let mut best = Vec::new();
    let mut figures = Vec::new();
    for count in [1_u8, 2, 4] {
        let mut servers = Vec::new();
        for number in 1..=count {
            let setup = Setup::new(Kind::Proftpd, &home);
            servers.push(Server::start_on_loopback(setup, &ip(number)).await?);
        }
        let nodes = servers
            .iter()
            .map(|server| server.address.clone())
            .collect();
        let director = ways::director(nodes, "").await?;
        let address = ways::parse(&director.address)?;
        let mut curve = Vec::new();
        for clients in CLIENTS {
            let rate = tokio::task::spawn_blocking(move || fetch(address, clients, times)).await;
            let rate = rate.map_err(io::Error::other)??;
            curve.push((format!("{clients} clients"), rate / 1e6));
        }
        let most = curve.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
        best.push(most);
        figures.push(Figure {
            name: format!("{count} servers of {} MB/s, MB/s", RATE / 8_000_000),
            medians: curve,
            held: None,
        });
    }
    for (figure, (count, most)) in figures
        .iter_mut()
        .zip([1.0, 2.0, 4.0].into_iter().zip(&best))
    {
        let ratio = most / (count * best[0]);
        let held = Figure::held(
            String::new(),
            "of n servers' throughput",
            ratio,
            Bar::AtLeast(0.9),
        );
        figure.held = held.held;
    }
    Ok(figures)
}

fn ip(number: u8) -> String {
    format!("127.0.0.{}", 40 + number)
}

/// Limits what leaves each server's address.
async fn shape() -> io::Result<()> {
    tc(&["qdisc", "add", "dev", "lo", "root", "handle", "1:", "htb"]).await?;
    for number in 1..=4 {
        let class = format!("1:{number}");
        let (rate, source) = (format!("{RATE}bit"), format!("{}/32", ip(number)));
        // A packet of the loopback is up to 64 KiB long.
        tc(&[
            "class", "add", "dev", "lo", "parent", "1:", "classid", &class, "htb", "rate", &rate,
            "burst", "256k", "cburst", "256k", "quantum", "65536",
        ])
        .await?;
        tc(&[
            "filter", "add", "dev", "lo", "parent", "1:", "protocol", "ip", "u32", "match", "ip",
            "src", &source, "flowid", &class,
        ])
        .await?;
    }
    Ok(())
}

async fn tc(arguments: &[&str]) -> io::Result<()> {
    let output = Command::new("tc").args(arguments).output().await?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!(
        "tc {}: {said}",
        arguments.join(" ")
    )))
}

/// Bytes a second of so many clients together, each with one session.
fn fetch(address: SocketAddr, clients: usize, times: usize) -> io::Result<f64> {
    let began = Instant::now();
    let clients: Vec<_> = (0..clients)
        .map(|_| {
            thread::spawn(move || -> io::Result<u64> {
                let mut bytes = 0;
                // A session a file, as the paper's clients did: the director chooses at each.
                for _ in 0..times {
                    let mut client = Client::ann(address)?;
                    bytes += client.fetch("file")?.bytes;
                    client.quit()?;
                }
                Ok(bytes)
            })
        })
        .collect();
    let mut bytes = 0;
    for client in clients {
        bytes += client
            .join()
            .map_err(|_panic| io::Error::other("a client panicked"))??;
    }
    let took = began.elapsed().max(Duration::from_millis(1));
    Ok(bytes as f64 / took.as_secs_f64())
}
