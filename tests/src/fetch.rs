//! Nodes of the fetch protocol (`examples/fetch`), one process each, and a client that trusts nobody.

use std::io;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::director::{self, Director};
use crate::group::free_port;
use crate::network::Host;
use crate::process::Program;
use crate::programs;

/// How long a node may take to listen.
const START: Duration = Duration::from_secs(10);

/// Servers with the same made-up files: file `n` has `n` bytes.
#[derive(Debug)]
pub struct Mirrors {
    /// The nodes.
    pub nodes: Vec<Mirror>,
}

/// One of them.
#[derive(Debug)]
pub struct Mirror {
    /// `host:port`, the same at each start.
    pub address: String,
    /// Its process; `None` while it is down.
    pub program: Option<Program>,
    /// Its host, when it has one of its own.
    pub host: Option<Host>,
    rate: u64,
}

impl Mirrors {
    /// Starts `count` nodes, each of which gives a download `rate` bytes a second; with `hosts` each on
    /// a host of its own.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn start(count: u8, rate: u64, hosts: bool) -> io::Result<Self> {
        let mut nodes = Vec::new();
        for number in 1..=count {
            let host = match hosts {
                true => Some(Host::make(&format!("m{number}"), number).await?),
                false => None,
            };
            let address = match &host {
                Some(host) => format!("{}:7200", host.address()),
                None => format!("127.0.0.1:{}", free_port()?),
            };
            let mut node = Mirror {
                address,
                program: None,
                host,
                rate,
            };
            node.start().await?;
            nodes.push(node);
        }
        Ok(Self { nodes })
    }

    /// A director before them.
    ///
    /// # Errors
    /// When it does not start, or does not find its nodes well.
    pub async fn director(&self) -> io::Result<Director> {
        self.director_with("").await
    }

    /// The same, with more lines of the service's settings.
    ///
    /// # Errors
    /// As [`director`](Self::director).
    pub async fn director_with(&self, more: &str) -> io::Result<Director> {
        let settings = director::Settings {
            service: "fetch".to_owned(),
            plugin: programs::fetch_plugin()?,
            listen: director::LOOPBACK.to_owned(),
            nodes: self.nodes.iter().map(|node| node.address.clone()).collect(),
            more: more.to_owned(),
            options: String::new(),
        };
        let director = Director::start(&settings).await?;
        director.all_up(START).await?;
        Ok(director)
    }
}

impl Mirror {
    /// Starts its process.
    ///
    /// # Errors
    /// When it does not listen.
    pub async fn start(&mut self) -> io::Result<()> {
        let program = programs::fetch_node()?;
        let mut command = match &self.host {
            Some(host) => host.command(program),
            None => Command::new(program),
        };
        let rate = self.rate.to_string();
        command.args(["--listen", &self.address, "--seed", "1", "--rate", &rate]);
        let mut program = Program::start(&format!("fetch-node {}", self.address), command)?;
        program.line_with("listening on", START).await?;
        self.program = Some(program);
        Ok(())
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When it is down already.
    pub async fn kill(&mut self) -> io::Result<()> {
        let mut program = self
            .program
            .take()
            .ok_or_else(|| io::Error::other("it is down"))?;
        program.kill().await
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it is down.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.program
            .as_ref()
            .ok_or_else(|| io::Error::other("it is down"))?
            .signal(signal)
    }
}

/// How a download ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Download {
    /// All bytes came, and they have the digest that was promised.
    Whole,
    /// It was refused in words, before any byte.
    Refused(String),
    /// It ended early, as the client could tell: short, after so many bytes.
    Short(usize),
    /// It looked whole and was not: the one thing that must never be.
    Wrong(String),
}

/// Downloads file `size`, checks it, and reports how many bytes have come so far through `progress`.
///
/// # Errors
/// When no connection could be made.
pub async fn download(
    address: &str,
    size: usize,
    mut progress: impl FnMut(usize),
) -> io::Result<Download> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    if stream
        .write_all(format!("GET {size} 0\r\n").as_bytes())
        .await
        .is_err()
    {
        return Ok(Download::Short(0));
    }
    let mut line = String::new();
    if stream.read_line(&mut line).await.is_err() || !line.ends_with('\n') {
        return Ok(Download::Short(0));
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let promised = match words.as_slice() {
        ["OK", bytes, digest] if *bytes == size.to_string() => (*digest).to_owned(),
        ["ERR", ..] => return Ok(Download::Refused(line.trim().to_owned())),
        _ => {
            return Ok(Download::Wrong(format!(
                "the answer to GET {size} is {line:?}"
            )));
        }
    };
    let mut bytes = Vec::with_capacity(size);
    while bytes.len() < size {
        let mut next = (&mut stream).take((size - bytes.len()) as u64);
        match next.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return Ok(Download::Short(bytes.len())),
            Ok(_) => progress(bytes.len()),
        }
    }
    let got = digest(&bytes);
    Ok(if got == promised {
        Download::Whole
    } else {
        Download::Wrong(format!(
            "{size} bytes with digest {got}, promised was {promised}"
        ))
    })
}

/// FNV-1a of 64 bits, as the protocol says; written again here, so that a mistake there shows.
fn digest(bytes: &[u8]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_digest_is_that_of_the_published_vectors() {
        assert_eq!(super::digest(b""), "cbf29ce484222325");
        assert_eq!(super::digest(b"foobar"), "85944171f73967e8");
    }
}
