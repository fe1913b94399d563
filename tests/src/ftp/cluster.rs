//! A director before FTP servers, and the folders that these serve.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use crate::director::{Director, LOOPBACK, Settings};
use crate::folder::Folder;
use crate::ftp::clients::Place;
use crate::ftp::config::{Kind, Setup};
use crate::ftp::content;
use crate::ftp::identity::Identity;
use crate::ftp::server::Server;
use crate::network::Host;
use crate::{process, programs};

/// How long the cluster may take to be well.
const SOON: Duration = Duration::from_secs(30);

/// What a cluster is made of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// A server each.
    pub kinds: Vec<Kind>,
    /// One home for all, or a home each.
    pub shared: bool,
    /// Bytes a second that a server gives one transfer.
    pub rate: Option<u64>,
    /// Each server on a host of its own, which can be cut off.
    pub hosts: bool,
    /// The servers and the director have certificates.
    pub tls: bool,
    /// Where the director listens, `ip:port`.
    pub listen: String,
    /// The servers' addresses; when there are more servers, again from the first.
    pub ips: Vec<&'static str>,
    /// Where the plugin is.
    pub plugin: fn() -> io::Result<PathBuf>,
    /// The servers that take uploads, in this order; none for the director's own choice.
    pub primary: Vec<usize>,
    /// What each server is set up with beside.
    pub setup: fn(&mut Setup),
    /// More lines of `[services.ftp]`.
    pub more: String,
    /// Lines of `[services.ftp.options]`.
    pub options: String,
}

impl Plan {
    /// Servers without limits that share one home.
    #[must_use]
    pub fn of(kinds: &[Kind]) -> Self {
        Self {
            kinds: kinds.to_vec(),
            shared: true,
            rate: None,
            hosts: false,
            tls: false,
            listen: LOOPBACK.to_owned(),
            ips: vec!["127.0.0.1"],
            plugin: programs::ftp_plugin,
            primary: Vec::new(),
            setup: |_| {},
            more: String::new(),
            options: "storage = \"shared\"\n".to_owned(),
        }
    }

    /// The same, with a home each.
    #[must_use]
    pub fn separate(mut self) -> Self {
        self.shared = false;
        self.options = "storage = \"separate\"\n".to_owned();
        self
    }

    /// The same, each transfer at this many bytes a second.
    #[must_use]
    pub fn rate(mut self, rate: u64) -> Self {
        self.rate = Some(rate);
        self
    }
}

/// A running director and its servers.
#[derive(Debug)]
pub struct Cluster {
    /// The servers, in the config's order.
    pub servers: Vec<Server>,
    /// The director.
    pub director: Director,
    /// Certificates, when the plan says so.
    pub identity: Option<Identity>,
    /// Where a second listener is, with TLS first.
    pub implicit: Option<String>,
    /// All files.
    pub folder: Folder,
}

impl Cluster {
    /// Starts the servers and a director that finds them well. `fill` puts files into each home.
    ///
    /// # Errors
    /// When anything does not start.
    pub async fn start(plan: &Plan, fill: impl Fn(&Path) -> io::Result<()>) -> io::Result<Self> {
        let folder = Folder::fresh("ftp")?;
        let identity = match plan.tls {
            true => Some(Identity::make(folder.path()).await?),
            false => None,
        };
        let mut servers = Vec::new();
        let ips = plan.ips.iter().cycle();
        for ((number, kind), ip) in (1..).zip(&plan.kinds).zip(ips) {
            let name = if plan.shared {
                "home".to_owned()
            } else {
                format!("home{number}")
            };
            let fresh = !folder.join(&name).exists();
            let home = content::folder(&folder.join(&name))?;
            if fresh {
                fill(&home)?;
            }
            let mut setup = Setup::new(*kind, &home);
            setup.rate = plan.rate;
            setup.identity = identity.as_ref().map(|identity| identity.both.clone());
            (plan.setup)(&mut setup);
            servers.push(match plan.hosts {
                true => {
                    let host = Host::make(&format!("f{number}"), number).await?;
                    Server::start_on(setup, host).await?
                }
                false => Server::start_on_loopback(setup, ip).await?,
            });
        }
        let (director, implicit) = start_director(plan, &servers, identity.as_ref()).await?;
        director.all_up(SOON).await?;
        Ok(Self {
            servers,
            director,
            identity,
            implicit,
            folder,
        })
    }

    /// Where clients go, without TLS.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::plain(&self.director.address)
    }

    /// Where clients go, with TLS.
    ///
    /// # Errors
    /// When the cluster has no certificates.
    pub fn tls_place(&self) -> io::Result<Place> {
        let identity = self.identity.as_ref();
        let identity =
            identity.ok_or_else(|| io::Error::other("the cluster has no certificate"))?;
        Ok(Place::tls(&self.director.address, &identity.authority))
    }

    /// The home of server `number`.
    #[must_use]
    pub fn home(&self, number: usize) -> &Path {
        &self.servers[number].setup.home
    }

    /// The server, if there is one, that has the file open whose path ends so.
    ///
    /// # Errors
    /// When the processes cannot be looked at.
    pub fn carrier(&self, name: &str) -> io::Result<Option<usize>> {
        for (number, server) in self.servers.iter().enumerate() {
            if server.runs() && !server.sessions_with(name)?.is_empty() {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// The same, once there is one: between two servers nobody has it open.
    ///
    /// # Errors
    /// When there is none for long, or the processes cannot be looked at.
    pub async fn carried_by(&self, name: &str) -> io::Result<usize> {
        let mut found = Ok(None);
        let what = format!("a server has {name} open");
        process::until(&what, SOON, || {
            found = self.carrier(name);
            !matches!(found, Ok(None))
        })
        .await
        .map_err(|error| self.director.program.trouble(&error.to_string()))?;
        found?.ok_or_else(|| io::Error::other(what))
    }

    /// The servers that clients' sessions have links to, by the director's own account.
    ///
    /// # Errors
    /// When the director does not answer.
    pub async fn in_use(&self) -> io::Result<Vec<usize>> {
        let sessions = self.director.status().await?.sessions();
        let links: Vec<String> = sessions
            .into_iter()
            .flat_map(|session| session.links)
            .collect();
        let used = |number: &usize| links.contains(&self.servers[*number].address);
        Ok((0..self.servers.len()).filter(used).collect())
    }

    /// The sessions that have a file open for writing.
    ///
    /// # Errors
    /// When the processes cannot be looked at.
    pub fn writers(&self) -> io::Result<Vec<Writer>> {
        let mut writers = Vec::new();
        for (number, server) in self.servers.iter().enumerate() {
            if !server.runs() {
                continue;
            }
            let written = server.written()?.into_iter();
            writers.extend(written.map(|(pid, file)| Writer { number, pid, file }));
        }
        Ok(writers)
    }

    /// Does to the server what the fault is. The server has the file open whose path ends with `name`.
    ///
    /// # Errors
    /// When it cannot be done.
    pub async fn hurt(&mut self, number: usize, fault: Fault, name: &str) -> io::Result<()> {
        let server = &mut self.servers[number];
        match fault {
            Fault::Kill => server.kill().await,
            Fault::Stop | Fault::Pause => server.signal(Signal::STOP),
            Fault::KillSession => signal_session(server, name, Signal::KILL),
            Fault::StopSession => signal_session(server, name, Signal::STOP),
            Fault::Cut => host(server)?.cut().await,
            Fault::Goodbye => server.say_goodbye(name).await,
        }
    }

    /// Brings the server back to what it was, as a new process unless only its packets were dropped.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn mend(&mut self, number: usize, fault: Fault) -> io::Result<()> {
        let server = &mut self.servers[number];
        match fault {
            Fault::Kill => server.restart().await,
            Fault::Stop => {
                server.kill().await?;
                server.restart().await
            }
            Fault::Pause => server.signal(Signal::CONT),
            Fault::KillSession | Fault::StopSession | Fault::Goodbye => Ok(()),
            Fault::Cut => host(server)?.heal().await,
        }
    }
}

/// A session that has a file open for writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// The server's number.
    pub number: usize,
    /// The session's process.
    pub pid: u32,
    /// The file's path.
    pub file: String,
}

/// What is done to a server in the middle of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9`.
    Kill,
    /// All its processes stand still, until they are killed.
    Stop,
    /// All its processes stand still, and then do what they were told before.
    Pause,
    /// `kill -9` of the one session; the server lives.
    KillSession,
    /// The one session stands still; the server lives.
    StopSession,
    /// Its packets vanish.
    Cut,
    /// It says 421 to the one session, and ends it (vsftpd).
    Goodbye,
}

fn signal_session(server: &Server, name: &str, signal: Signal) -> io::Result<()> {
    for pid in server.sessions_with(name)? {
        process::signal(pid, signal)?;
    }
    Ok(())
}

fn host(server: &Server) -> io::Result<&Host> {
    let host = server.host();
    host.ok_or_else(|| io::Error::other("the server has no host of its own"))
}

async fn start_director(
    plan: &Plan,
    servers: &[Server],
    identity: Option<&Identity>,
) -> io::Result<(Director, Option<String>)> {
    let mut more = plan.more.clone();
    let mut implicit = None;
    if let Some(identity) = identity {
        let port = crate::group::free_port()?;
        let Identity {
            certificate, key, ..
        } = identity;
        more += &format!(
            "\n[services.ftp.tls]\ncertificate = {certificate:?}\nkey = {key:?}\n\
             listen = \"127.0.0.1:{port}\"\n\n[services.ftp.node_tls]\nca = {:?}\n",
            identity.authority
        );
        implicit = Some(format!("127.0.0.1:{port}"));
        if servers.iter().any(|server| server.setup.implicit) {
            more += "first = true\n";
        }
    }
    let mut options = plan.options.clone();
    if !plan.primary.is_empty() {
        let primary = plan.primary.iter();
        let names: Vec<&str> = primary.map(|n| servers[*n].address.as_str()).collect();
        options += &format!("primary = {names:?}\n");
    }
    let settings = Settings {
        service: "ftp".to_owned(),
        plugin: (plan.plugin)()?,
        listen: plan.listen.clone(),
        nodes: servers
            .iter()
            .map(|server| server.address.clone())
            .collect(),
        more,
        options,
    };
    Ok((Director::start(&settings).await?, implicit))
}

/// A path's length now; 0 when nothing is there.
#[must_use]
pub fn length(path: &PathBuf) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}
