//! A WebFS group as a user starts it: `director webfs serve`, one process a node.

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tokio::process::Command;

use crate::folder::Folder;
use crate::http::{self, Connection};
use crate::network::Host;
use crate::process::Program;
use crate::programs;

/// How long a node may take to listen, and to join its group.
pub const START: Duration = Duration::from_secs(20);

/// A group's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Nodes: `a`, `b`, ...
    pub nodes: usize,
    /// `--interval`.
    pub interval: String,
    /// More arguments of each node.
    pub flags: Vec<String>,
    /// Each node on a host of its own (see [`crate::network`]).
    pub hosts: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            nodes: 3,
            interval: "300ms".to_owned(),
            flags: Vec::new(),
            hosts: false,
        }
    }
}

/// A running group. Dropping it ends every node.
#[derive(Debug)]
pub struct Group {
    /// The nodes, in the order of their ids.
    pub nodes: Vec<Node>,
    folder: Folder,
}

/// One node: its place, and its process while it runs.
#[derive(Debug)]
pub struct Node {
    /// Its `--id`.
    pub id: String,
    /// `host:port`, the same at each start.
    pub address: String,
    /// Its data directory.
    pub data: PathBuf,
    /// Its process; `None` while it is down.
    pub program: Option<Program>,
    /// Its host, with [`Settings::hosts`].
    pub host: Option<Host>,
    arguments: Vec<String>,
    /// What the processes before this one said on stderr.
    earlier: String,
}

impl Group {
    /// Starts all nodes and waits until each has joined.
    ///
    /// # Errors
    /// When one does not.
    pub async fn start(settings: &Settings) -> io::Result<Self> {
        let folder = Folder::fresh("group")?;
        let mut nodes = Vec::new();
        for (number, id) in ('a'..='z').take(settings.nodes).enumerate() {
            let host = match settings.hosts {
                true => {
                    Some(Host::make(&id.to_string(), u8::try_from(number + 1).unwrap_or(1)).await?)
                }
                false => None,
            };
            let address = match &host {
                Some(host) => format!("{}:7100", host.address()),
                None => format!("127.0.0.1:{}", free_port()?),
            };
            let (id, data) = (id.to_string(), folder.join(id.to_string()));
            nodes.push(Node {
                id,
                address,
                data,
                program: None,
                host,
                arguments: Vec::new(),
                earlier: String::new(),
            });
        }
        let addresses: Vec<String> = nodes.iter().map(|n| n.address.clone()).collect();
        for node in &mut nodes {
            let others: Vec<&str> = addresses
                .iter()
                .filter(|a| **a != node.address)
                .map(String::as_str)
                .collect();
            node.arguments = node.serve_arguments(&others.join(","), settings);
            node.start().await?;
        }
        let group = Self { nodes, folder };
        for node in &group.nodes {
            node.joined().await?;
        }
        Ok(group)
    }

    /// The nodes' addresses.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|n| n.address.clone()).collect()
    }

    /// The node at an address.
    ///
    /// # Errors
    /// When none is there.
    pub fn node_at(&mut self, address: &str) -> io::Result<&mut Node> {
        let node = self.nodes.iter_mut().find(|n| n.address == address);
        node.ok_or_else(|| {
            io::Error::other(format!("no node of the group has the address {address}"))
        })
    }

    /// A folder of the group's, for whatever else the story stores.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.folder
    }
}

impl Node {
    /// Starts the process and waits until it listens.
    ///
    /// # Errors
    /// When it runs already, cannot be started, or does not listen in time.
    pub async fn start(&mut self) -> io::Result<()> {
        if self.program.is_some() {
            return Err(io::Error::other(format!("node {} runs already", self.id)));
        }
        let mut program = self.spawn(&self.data.clone())?;
        program.line_with("listening on", START).await?;
        self.program = Some(program);
        Ok(())
    }

    /// Starts a process with this node's arguments, but with another data directory.
    ///
    /// # Errors
    /// When it cannot be started at all.
    pub fn spawn(&self, data: &Path) -> io::Result<Program> {
        let director = programs::director()?;
        let mut command = match &self.host {
            Some(host) => host.command(director),
            None => Command::new(director),
        };
        command
            .args(["webfs", "serve", "--data"])
            .arg(data)
            .args(&self.arguments);
        Program::start(&format!("node {}", self.id), command)
    }

    /// Waits until it answers its probe: it has joined and serves.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn joined(&self) -> io::Result<()> {
        let mut last = "was not asked".to_owned();
        let wait = async {
            loop {
                let health =
                    http::ask(&self.address, "GET", "/.well-known/webfs/health", &[], None);
                last = match health.await {
                    Ok(answer) if answer.status() == 200 => return,
                    Ok(answer) => format!("says {} {}", answer.status(), answer.text()),
                    Err(error) => format!("cannot be asked: {error}"),
                };
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let joined = tokio::time::timeout(START, wait).await;
        joined.map_err(|_| self.trouble(&format!("has not joined within {START:?}: it {last}")))
    }

    /// Its process.
    ///
    /// # Errors
    /// When it is down.
    pub fn running(&mut self) -> io::Result<&mut Program> {
        let id = &self.id;
        self.program
            .as_mut()
            .ok_or_else(|| io::Error::other(format!("node {id} is down")))
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When it is down already.
    pub async fn kill(&mut self) -> io::Result<()> {
        self.running()?.kill().await?;
        if let Some(program) = self.program.take() {
            self.earlier += &format!("{}--- killed ---\n", program.stderr());
        }
        Ok(())
    }

    /// `SIGSTOP`: it falls silent, and its sockets stay.
    ///
    /// # Errors
    /// When it is down.
    pub fn stop(&mut self) -> io::Result<()> {
        self.running()?.signal(Signal::STOP)
    }

    /// `SIGCONT`.
    ///
    /// # Errors
    /// When it is down.
    pub fn cont(&mut self) -> io::Result<()> {
        self.running()?.signal(Signal::CONT)
    }

    /// Removes its data directory: its disk is lost.
    ///
    /// # Errors
    /// When it cannot be removed, or the node runs.
    pub fn remove_data(&self) -> io::Result<()> {
        if self.program.is_some() {
            return Err(io::Error::other(format!(
                "node {} runs; its disk cannot go now",
                self.id
            )));
        }
        std::fs::remove_dir_all(&self.data)
    }

    /// All messages of a stream, read at this node from the start.
    ///
    /// # Errors
    /// When a read fails or is no JSON array.
    pub async fn read_all(&self, stream: &str) -> io::Result<Vec<Value>> {
        read_all(&self.address, stream).await
    }

    /// A counter or gauge of its `/metrics`, summed over its labels; 0 when it is not there.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metric(&self, name: &str) -> io::Result<f64> {
        let answer = http::ask(&self.address, "GET", "/metrics", &[], None).await?;
        Ok(sum_of_metric(&answer.text(), name))
    }

    /// What all its processes have said on stderr, the ends of it.
    #[must_use]
    pub fn log(&self) -> String {
        let now = self
            .program
            .as_ref()
            .map(Program::stderr)
            .unwrap_or_default();
        format!("{}{now}", self.earlier)
    }

    fn trouble(&self, what: &str) -> io::Error {
        match &self.program {
            Some(program) => program.trouble(what),
            None => io::Error::other(format!("node {} {what}; it is down", self.id)),
        }
    }

    fn serve_arguments(&self, join: &str, settings: &Settings) -> Vec<String> {
        let mut arguments: Vec<String> = [
            "--id",
            &self.id,
            "--listen",
            &self.address,
            "--interval",
            &settings.interval,
            "--until-stdin-closes",
        ]
        .map(str::to_owned)
        .to_vec();
        if join.is_empty() {
            arguments.push("--alone".to_owned());
        } else {
            arguments.extend(["--join".to_owned(), join.to_owned()]);
        }
        arguments.extend(settings.flags.iter().cloned());
        arguments
    }
}

/// All messages of a JSON stream, read at one address from the start until it says that it is up to date.
///
/// # Errors
/// When a read fails or is no JSON array.
pub async fn read_all(address: &str, stream: &str) -> io::Result<Vec<Value>> {
    let mut connection = Connection::open(address).await?;
    let (mut messages, mut offset) = (Vec::new(), "-1".to_owned());
    loop {
        let target = format!("/v1/stream/{stream}?offset={offset}");
        let answer = connection.ask("GET", &target, &[], None).await?;
        if answer.status() != 200 {
            let (status, text) = (answer.status(), answer.text());
            return Err(io::Error::other(format!(
                "GET {target} at {address}: {status} {text}"
            )));
        }
        let Value::Array(more) = answer.json()? else {
            return Err(io::Error::other(format!(
                "GET {target}: no array: {}",
                answer.text()
            )));
        };
        messages.extend(more);
        let next = answer.header("stream-next-offset").map(str::to_owned);
        offset =
            next.ok_or_else(|| io::Error::other(format!("GET {target}: no Stream-Next-Offset")))?;
        if answer.header("stream-up-to-date") == Some("true") {
            return Ok(messages);
        }
    }
}

/// The sum of a metric over its labels, in Prometheus's text.
#[must_use]
pub fn sum_of_metric(text: &str, name: &str) -> f64 {
    let lines = text.lines().filter(|l| !l.starts_with('#'));
    lines
        .filter(|l| {
            l.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
        })
        .filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// A port below those that the kernel gives out by itself, free now: a server that is killed can listen
/// on it again, because no client's socket has taken it meanwhile.
///
/// # Errors
/// When none is free.
pub fn free_port() -> io::Result<u16> {
    const FIRST: u32 = 15_000;
    const COUNT: u32 = 15_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(977) % COUNT;
    for _ in 0..COUNT {
        let number = (start + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT + FIRST;
        let port = u16::try_from(number).unwrap_or(u16::MAX);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::other("no port is free between 15000 and 30000"))
}
