//! A server of a cluster, to be hurt: killed, stopped (whole, or one of its sessions), cut off, started
//! again.
//!
//! Each runs in a mount namespace, where it finds accounts of its own, and in a process namespace: the
//! `kill -9` of its first process takes its sessions with it, as a machine's end would.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::folder::Folder;
use crate::ftp::config::{self, Kind, Setup};
use crate::network::Host;
use crate::process::{self, Program};

/// How long a server may take to greet its first client.
const START: Duration = Duration::from_secs(20);

/// Puts the accounts in place and runs the server. The shell stays: as the first process of its namespace
/// it is handed orphans, and vsftpd, in its place, dies of a child that it does not know.
const ENTER: &str = "etc=$1; shift; for file in passwd shadow group pam.d; do \
    mount --bind \"$etc/$file\" \"/etc/$file\" || exit 1; done; \"$@\" & wait $!";

/// One server. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    /// `ip:port`, the same at each start.
    pub address: String,
    /// How it is set up.
    pub setup: Setup,
    program: Option<Program>,
    host: Option<Host>,
    folder: Folder,
}

impl Server {
    /// Starts one on an address of the loopback.
    ///
    /// # Errors
    /// When it is not unpacked, or greets nobody.
    pub async fn start(setup: Setup) -> io::Result<Self> {
        Self::start_on_loopback(setup, "127.0.0.1").await
    }

    /// Starts one on another address of the loopback, IPv6's included.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_on_loopback(setup: Setup, ip: &str) -> io::Result<Self> {
        let port = crate::group::free_port()?;
        let address = match ip.contains(':') {
            true => format!("[{ip}]:{port}"),
            false => format!("{ip}:{port}"),
        };
        Self::start_at(setup, address, None).await
    }

    /// Starts one on a host of its own, which can be cut off.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_on(setup: Setup, host: Host) -> io::Result<Self> {
        let address = format!("{}:2121", host.address());
        Self::start_at(setup, address, Some(host)).await
    }

    async fn start_at(setup: Setup, address: String, host: Option<Host>) -> io::Result<Self> {
        let folder = Folder::fresh(setup.kind.name())?;
        let mut server = Self {
            address,
            setup,
            program: None,
            host,
            folder,
        };
        server.restart().await?;
        Ok(server)
    }

    /// Starts it again, after its end.
    ///
    /// # Errors
    /// When it runs, or greets nobody.
    pub async fn restart(&mut self) -> io::Result<()> {
        if self.program.is_some() {
            return Err(io::Error::other(format!("{} runs", self.address)));
        }
        let (ip, port) = self
            .address
            .rsplit_once(':')
            .and_then(|(ip, port)| Some((ip.trim_matches(['[', ']']), port.parse().ok()?)))
            .ok_or_else(|| io::Error::other(format!("no address: {}", self.address)))?;
        let line = config::write(&self.setup, &self.folder, ip, port)?;
        let mut command = match &self.host {
            Some(host) => host.command("unshare"),
            None => Command::new("unshare"),
        };
        command.args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--",
            "sh",
            "-c",
        ]);
        command
            .args([ENTER, "sh"])
            .arg(self.folder.join("etc"))
            .args(line);
        command.env("LD_LIBRARY_PATH", libraries(&self.setup.kind.tree()?)?);
        let name = format!("{} {}", self.setup.kind.name(), self.address);
        let mut program = Program::start(&name, command)?;
        let until = tokio::time::Instant::now() + START;
        while let Err(error) = greeted(&self.address, self.setup.implicit).await {
            if program.has_ended()? || tokio::time::Instant::now() > until {
                let log = std::fs::read_to_string(self.folder.join("proftpd.log"));
                let log = log.unwrap_or_default();
                return Err(program.trouble(&format!("greets nobody: {error}; {log}")));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.program = Some(program);
        Ok(())
    }

    /// `kill -9` of the server and all its sessions at once; waits until nothing of it is left.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill(&mut self) -> io::Result<()> {
        let mut program = self.program.take().ok_or_else(|| self.is_down())?;
        for first in children(program.pid())? {
            process::signal(first, Signal::KILL)?;
        }
        program.ended(START).await.map(|_status| ())
    }

    /// Sends a signal to the server and all its sessions. What was stopped is better killed than continued:
    /// vsftpd's sessions wait for good for a child that was merely stopped.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        for pid in self.processes()? {
            match process::signal(pid, signal) {
                Ok(()) => {}
                Err(gone)
                    if gone.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The processes that have the file `name` (the end of a path) open: the session that carries it.
    ///
    /// # Errors
    /// When it does not run.
    pub fn sessions_with(&self, name: &str) -> io::Result<Vec<u32>> {
        let mut with = self.processes()?;
        with.retain(|pid| has_open(*pid, name));
        Ok(with)
    }

    /// Brings vsftpd to say 421 to the session that has the file `name` (the end of a path) open, or, when
    /// that is empty, to all: its alarm is what tells it that a client has gone to sleep. A
    /// session in mid-transfer wants two without progress between.
    ///
    /// # Errors
    /// When it does not run, is no vsftpd, has no such session, or does not end it.
    pub async fn say_goodbye(&self, name: &str) -> io::Result<()> {
        if self.setup.kind != Kind::Vsftpd {
            return Err(io::Error::other("only vsftpd is told by a signal"));
        }
        let mut sessions = match name.is_empty() {
            true => self.processes()?,
            false => self.sessions_with(name)?,
        };
        // What listens, and what opens ports for the sessions, stays root's.
        sessions.retain(|pid| !is_of(*pid, 0));
        if sessions.is_empty() {
            return Err(io::Error::other(format!("no session has `{name}`")));
        }
        let until = tokio::time::Instant::now() + START;
        while !sessions.is_empty() {
            for pid in &sessions {
                // It may be gone by now.
                let _gone = process::signal(*pid, Signal::ALARM);
            }
            if tokio::time::Instant::now() > until {
                return Err(io::Error::other(format!("{sessions:?} go on")));
            }
            // Shorter than what the limit of its rate lets pass between two pieces.
            tokio::time::sleep(Duration::from_millis(1)).await;
            sessions.retain(|pid| process::is_alive(*pid));
        }
        Ok(())
    }

    /// The files in the account's home that its sessions have open for writing, each with its session's process.
    ///
    /// # Errors
    /// When it does not run.
    pub fn written(&self) -> io::Result<Vec<(u32, String)>> {
        let processes = self.processes()?.into_iter();
        let written = processes.filter_map(|pid| Some((pid, written_by(pid, &self.setup.home)?)));
        Ok(written.collect())
    }

    /// The server's own process and those of its sessions.
    ///
    /// # Errors
    /// When it does not run.
    pub fn processes(&self) -> io::Result<Vec<u32>> {
        let program = self.program.as_ref().ok_or_else(|| self.is_down())?;
        let mut found = children(program.pid())?;
        let parents = parents()?;
        let mut next = 0;
        while let Some(parent) = found.get(next).copied() {
            found.extend(parents.get(&parent).into_iter().flatten());
            next += 1;
        }
        Ok(found)
    }

    /// Whether it was started and not killed.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.program.is_some()
    }

    /// Its host, when it has one of its own.
    #[must_use]
    pub fn host(&self) -> Option<&Host> {
        self.host.as_ref()
    }

    fn is_down(&self) -> io::Error {
        io::Error::other(format!("{} is down", self.address))
    }
}

/// Connects and waits for a greeting; where TLS comes first nothing is said before.
async fn greeted(address: &str, implicit: bool) -> io::Result<()> {
    let greet = async {
        let stream = TcpStream::connect(address).await?;
        if implicit {
            return Ok("220".to_owned());
        }
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await?;
        Ok(line)
    };
    let line: io::Result<String> = tokio::time::timeout(Duration::from_secs(5), greet).await?;
    let line = line?;
    if line.starts_with("220") {
        return Ok(());
    }
    Err(io::Error::other(format!("the greeting is {line:?}")))
}

/// The folders with the libraries that came with the server, as `LD_LIBRARY_PATH` names them.
///
/// # Errors
/// When the folders cannot be read.
pub fn libraries(tree: &Path) -> io::Result<String> {
    let mut folders = Vec::new();
    for above in [tree.join("usr/lib"), tree.join("lib")] {
        let entries = match std::fs::read_dir(&above) {
            Ok(entries) => entries,
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = entry?.path();
            if path.to_string_lossy().ends_with("-linux-gnu") {
                folders.push(path.display().to_string());
            }
        }
    }
    Ok(folders.join(":"))
}

fn children(pid: u32) -> io::Result<Vec<u32>> {
    Ok(parents()?.remove(&pid).unwrap_or_default())
}

/// Each process's children.
fn parents() -> io::Result<BTreeMap<u32, Vec<u32>>> {
    let mut of = BTreeMap::<u32, Vec<u32>>::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process may end while it is looked at.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        // pid (name) state parent ...; the name may hold anything.
        let mut words = match stat.rsplit_once(") ") {
            Some((_, rest)) => rest.split(' '),
            None => continue,
        };
        let state = words.next();
        let parent = words.next().and_then(|parent| parent.parse().ok());
        if let (Some(parent), false) = (parent, matches!(state, Some("Z" | "X"))) {
            of.entry(parent).or_default().push(pid);
        }
    }
    Ok(of)
}

/// Whether the process runs as this user.
fn is_of(pid: u32, user: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    // Uid: real, effective, saved, of the file system.
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    ids.is_some_and(|ids| ids.split_whitespace().nth(1) == Some(&user.to_string()))
}

fn has_open(pid: u32, name: &str) -> bool {
    let Ok(open) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    open.flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .any(|path| path.to_string_lossy().ends_with(name))
}

/// A file below `home` that the process has open for writing.
fn written_by(pid: u32, home: &Path) -> Option<String> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    for entry in open.flatten() {
        let Ok(path) = std::fs::read_link(entry.path()) else {
            continue;
        };
        let number = entry.file_name().to_string_lossy().into_owned();
        let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}"));
        let flags = info.unwrap_or_default();
        // flags: octal, of open(2); the last digit is 0 for reading alone.
        let flags = flags.lines().find(|line| line.starts_with("flags:"));
        let writes = flags.is_some_and(|line| line.ends_with(['1', '2']));
        if writes && path.starts_with(home) && path.is_file() {
            return Some(path.display().to_string());
        }
    }
    None
}
