//! A director as a user starts it: `director proxy --config FILE`, and what its admin socket says.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::folder::Folder;
use crate::group;
use crate::http::{Answer, Connection};
use crate::process::Program;
use crate::programs;

/// How long a director may take to listen.
pub const START: Duration = Duration::from_secs(20);

/// Any port of the loopback: what most stories listen on.
pub const LOOPBACK: &str = "127.0.0.1:0";

/// One service's settings; the rest of the file has defaults.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The service's name, and a plugin's library.
    pub service: String,
    /// The plugin's library.
    pub plugin: PathBuf,
    /// Where clients are listened for, `ip:port`.
    pub listen: String,
    /// `nodes`.
    pub nodes: Vec<String>,
    /// More lines of `[services.NAME]`, TOML.
    pub more: String,
    /// The lines of `[services.NAME.options]`, TOML.
    pub options: String,
}

/// A running director with one service.
#[derive(Debug)]
pub struct Director {
    /// Where the service listens.
    pub address: String,
    /// The process.
    pub program: Program,
    admin: PathBuf,
    /// Its state directory, which goes with it.
    folder: Folder,
}

impl Director {
    /// Starts one and waits until it listens.
    ///
    /// # Errors
    /// When it does not.
    pub async fn start(settings: &Settings) -> io::Result<Self> {
        let folder = Folder::fresh("state")?;
        let config = folder.write("director.toml", config_text(settings, folder.path()))?;
        let mut command = Command::new(programs::director()?);
        command.arg("proxy").arg("--config").arg(&config);
        let mut program = Program::start("director", command)?;
        let listening = format!("service {} listening on", settings.service);
        let line = program.line_with(&listening, START).await?;
        let address = address_in(&line)
            .ok_or_else(|| program.trouble(&format!("names no address in `{line}`")))?;
        Ok(Self {
            address,
            program,
            admin: folder.join("admin.sock"),
            folder,
        })
    }

    /// Asks its admin socket.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn admin(&self, target: &str) -> io::Result<Answer> {
        let asked = async {
            Connection::open_unix(&self.admin)
                .await?
                .ask("GET", target, &[], None)
                .await
        };
        match tokio::time::timeout(Duration::from_secs(5), asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self
                .program
                .trouble(&format!("did not answer {target}: {error}"))),
            Err(_) => Err(self
                .program
                .trouble(&format!("has not answered {target} within 5 s"))),
        }
    }

    /// Runs `director` with these arguments, towards this director; what it prints.
    ///
    /// # Errors
    /// When it fails, with what it says.
    pub async fn command(&self, arguments: &[&str]) -> io::Result<String> {
        let mut command = Command::new(programs::director()?);
        command.args(arguments).arg("--admin").arg(&self.admin);
        let output = command.kill_on_drop(true).output().await?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let text = format!("refuses {arguments:?}: {said}");
            return Err(self.program.trouble(&text));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What `/status` says.
    ///
    /// # Errors
    /// When it does not answer, or with another status than 200.
    pub async fn status(&self) -> io::Result<Status> {
        let answer = self.admin("/status").await?;
        if answer.status() != 200 {
            let text = format!("answers /status with {} {}", answer.status(), answer.text());
            return Err(self.program.trouble(&text));
        }
        Ok(Status(answer.json()?))
    }

    /// A metric, summed over its labels; 0 when it is not there.
    ///
    /// # Errors
    /// When `/metrics` does not answer.
    pub async fn metric(&self, name: &str) -> io::Result<f64> {
        Ok(group::sum_of_metric(
            &self.admin("/metrics").await?.text(),
            name,
        ))
    }

    /// Waits until a status satisfies `holds`, asking every 20 ms.
    ///
    /// # Errors
    /// When none did in time, with the last one.
    pub async fn status_with(
        &self,
        what: &str,
        within: Duration,
        holds: impl Fn(&Status) -> bool,
    ) -> io::Result<Status> {
        let until = tokio::time::Instant::now() + within;
        loop {
            let status = self.status().await?;
            if holds(&status) {
                return Ok(status);
            }
            if tokio::time::Instant::now() > until {
                let last = &status.0;
                return Err(self
                    .program
                    .trouble(&format!("shows not within {within:?}: {what}; but {last}")));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until it holds all its nodes for up.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn all_up(&self, within: Duration) -> io::Result<Status> {
        self.status_with("all nodes up", within, |status| {
            let nodes = status.nodes();
            !nodes.is_empty() && nodes.iter().all(|n| n.standing == "up")
        })
        .await
    }

    /// What it holds, once that no longer changes: watches have begun, admin connections are closed.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn steady(&self, within: Duration) -> io::Result<Rest> {
        let until = tokio::time::Instant::now() + within;
        let mut last = self.rest().await?;
        let mut same = 0;
        while same < 5 && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let now = self.rest().await?;
            same = if now == last { same + 1 } else { 0 };
            last = now;
        }
        Ok(last)
    }

    /// What it holds, once it is what it was, or as it is when the time for it is over.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn settled(&self, before: &Rest, within: Duration) -> io::Result<Rest> {
        let until = tokio::time::Instant::now() + within;
        loop {
            let now = self.rest().await?;
            if now == *before || tokio::time::Instant::now() > until {
                return Ok(now);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What it holds now.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn rest(&self) -> io::Result<Rest> {
        let status = self.status().await?;
        let open = status.0["open_files"].as_u64().unwrap_or(0);
        Ok(Rest {
            descriptors: open.saturating_sub(status.at_rest()),
            in_flight: status.nodes().iter().map(|n| n.in_flight).sum(),
            host: status.host(),
        })
    }

    /// Its state directory.
    #[must_use]
    pub fn state(&self) -> &Folder {
        &self.folder
    }
}

/// What a director holds for its clients: nothing, when it has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// Open descriptors, without those that wait for their next use.
    pub descriptors: u64,
    /// Sessions in flight on all nodes.
    pub in_flight: u64,
    /// The host's objects, without links at rest.
    pub host: Vec<(String, u64)>,
}

/// An answer of `/status`.
#[derive(Debug, Clone)]
pub struct Status(pub Value);

/// A node of the service, as a director sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// `host:port`.
    pub address: String,
    /// `up`, `suspect`, `down`, `leaving`, `draining`.
    pub standing: String,
    /// Sessions in flight on it.
    pub in_flight: u64,
}

/// A session, as a director sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionStatus {
    /// The client's address.
    pub peer: String,
    /// The addresses of the nodes it has links to.
    pub links: Vec<String>,
}

impl Status {
    /// The nodes of the first service.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeStatus> {
        let nodes = self.service()["nodes"].as_array().into_iter().flatten();
        nodes
            .map(|node| NodeStatus {
                address: text(&node["address"]),
                standing: text(&node["standing"]),
                in_flight: node["in_flight"].as_u64().unwrap_or(0),
            })
            .collect()
    }

    /// The sessions of the first service.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionStatus> {
        let sessions = self.service()["session_list"]
            .as_array()
            .into_iter()
            .flatten();
        sessions
            .map(|session| SessionStatus {
                peer: text(&session["peer"]),
                links: session["links"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(text)
                    .collect(),
            })
            .collect()
    }

    /// The host's objects that are alive: tasks, streams, timers, relays, chains, tickets. What waits
    /// for its next use, or for a client's own end, is told apart.
    #[must_use]
    pub fn host(&self) -> Vec<(String, u64)> {
        let counts = self.0["host"].as_object().into_iter().flatten();
        counts
            .filter(|(name, _)| {
                !matches!(name.as_str(), "resting_links" | "spare_pipes" | "lingering")
            })
            .filter_map(|(name, count)| Some((name.clone(), count.as_u64()?)))
            .collect()
    }

    /// Descriptors that belong to no session: links at rest, spare pipes of relays, which have two, and
    /// clients' sockets that linger.
    #[must_use]
    pub fn at_rest(&self) -> u64 {
        let count = |name: &str| self.0["host"][name].as_u64().unwrap_or(0);
        count("resting_links") + 2 * count("spare_pipes") + count("lingering")
    }

    fn service(&self) -> &Value {
        &self.0["services"][0]
    }
}

/// The address at the end of a line that says where something listens.
#[must_use]
pub fn address_in(line: &str) -> Option<String> {
    let (_, after) = line.split_once("listening on ")?;
    let address = after.split([' ', ',']).next()?;
    let address = address.trim_start_matches("http://").trim_end_matches('/');
    (!address.is_empty()).then(|| address.to_owned())
}

fn config_text(settings: &Settings, state: &Path) -> String {
    let Settings {
        service,
        plugin,
        listen,
        nodes,
        more,
        options,
    } = settings;
    format!(
        "state_dir = {state:?}\n\n[services.{service}]\nplugin = {plugin:?}\nlisten = {listen:?}\n\
         nodes = {nodes:?}\n{more}\n\n[services.{service}.options]\n{options}\n"
    )
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
