//! The ways from a client to a server: each with its address, and the processes in between.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use director_tests::cargo;
use director_tests::director::{self, Director};
use director_tests::folder::Folder;
use director_tests::ftp::config::{Kind, Setup};
use director_tests::ftp::content;
use director_tests::ftp::server::Server;
use director_tests::process::Program;
use director_tests::programs;
use tokio::process::Command;

use super::client::Client;
use super::usage;

/// The passive ports of the server, which HAProxy passes through one by one.
pub const PORTS: std::ops::RangeInclusive<u16> = 50_000..=50_399;
/// How long a peer may take to greet.
const START: Duration = Duration::from_secs(10);
/// Where HAProxy and mod_proxy listen: addresses of the loopback of their own.
const HAPROXY: &str = "127.0.0.31";
const MOD_PROXY: &str = "127.0.0.32";

/// One way to the server.
#[derive(Debug)]
pub struct Way {
    /// What the table calls it.
    pub name: &'static str,
    /// Where its clients connect.
    pub address: SocketAddr,
    /// What stands in between; `None` directly.
    pub between: Option<u32>,
}

impl Way {
    /// The processes in between.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn processes(&self) -> io::Result<Vec<u32>> {
        self.between.map_or(Ok(Vec::new()), usage::family)
    }
}

/// A server, and all the ways to it. Dropping it ends everything.
#[derive(Debug)]
pub struct Ways {
    /// The ways; the first is the direct one, the second the director's.
    pub ways: Vec<Way>,
    /// What runs.
    running: (Server, Director, Vec<Program>),
    _folder: Folder,
}

impl Ways {
    /// An error of a way's, with what the director said meanwhile.
    #[must_use]
    pub fn trouble(&self, way: &Way, error: &io::Error) -> io::Error {
        self.running
            .1
            .program
            .trouble(&format!("stood by when {} failed: {error}", way.name))
    }
}

/// Where the peers' configurations are.
fn peers() -> PathBuf {
    cargo::root().join("bench/peers")
}

/// A home with the files that are fetched: `big` of `big` bytes, `part` of a sixteenth of it, and
/// `small/<n>` of one KiB each.
///
/// # Errors
/// When it cannot be written.
pub fn home(path: &Path, big: usize, small: usize) -> io::Result<()> {
    content::folder(path)?;
    content::file(&path.join("big"), &content::bytes(1, big))?;
    content::file(&path.join("part"), &content::bytes(2, big / 16))?;
    let many = content::folder(&path.join("small"))?;
    for n in 0..small {
        content::file(&many.join(n.to_string()), &content::bytes(n as u64, 1024))?;
    }
    Ok(())
}

/// A director with the FTP plugin before these servers, on one thread.
///
/// # Errors
/// When it does not start, or a node does not come up.
pub async fn director(nodes: Vec<String>, more: &str) -> io::Result<Director> {
    let settings = director::Settings {
        service: "ftp".to_owned(),
        plugin: programs::ftp_plugin()?,
        listen: director::LOOPBACK.to_owned(),
        nodes,
        more: format!("max_sessions = 4000\n{more}"),
        options: "storage = \"shared\"".to_owned(),
    };
    let director = Director::start(&settings).await?;
    director.all_up(START).await?;
    Ok(director)
}

/// Starts a ProFTPD that gives a transfer `rate` bytes a second, and every way to it.
///
/// # Errors
/// When one of them does not start; `bench/install` installs the peers.
pub async fn start(home: &Path, rate: Option<u64>) -> io::Result<Ways> {
    let folder = Folder::fresh("bench-ftp")?;
    let mut setup = Setup::new(Kind::Proftpd, home);
    setup.rate = rate;
    setup.ports = Some(PORTS);
    let server = Server::start(setup).await?;
    let origin = parse(&server.address)?;
    let director = director(vec![server.address.clone()], "").await?;
    let mut ways = vec![
        Way {
            name: "direct",
            address: origin,
            between: None,
        },
        Way {
            name: "director",
            address: parse(&director.address)?,
            between: Some(director.program.pid()),
        },
    ];
    let mut programs = Vec::new();
    for (name, started) in [
        ("haproxy", haproxy(&folder, origin)),
        ("mod_proxy", mod_proxy(&folder, origin)),
    ] {
        let (program, address) = started?;
        let between = Some(program.pid());
        programs.push(program);
        let way = Way {
            name,
            address,
            between,
        };
        greeted(&way).await?;
        ways.push(way);
    }
    Ok(Ways {
        ways,
        running: (server, director, programs),
        _folder: folder,
    })
}

fn haproxy(folder: &Folder, origin: SocketAddr) -> io::Result<(Program, SocketAddr)> {
    let text = std::fs::read_to_string(peers().join("haproxy.cfg"))?;
    let filled = [
        ("{LISTEN}", HAPROXY.to_owned()),
        ("{FIRST}", PORTS.start().to_string()),
        ("{LAST}", PORTS.end().to_string()),
    ];
    let config = folder.write("haproxy.cfg", fill(text, origin, &filled))?;
    let mut command = Command::new("/usr/sbin/haproxy");
    command.arg("-db").arg("-f").arg(config);
    Ok((
        Program::start("haproxy", command)?,
        parse(&format!("{HAPROXY}:2121"))?,
    ))
}

fn mod_proxy(folder: &Folder, origin: SocketAddr) -> io::Result<(Program, SocketAddr)> {
    let tree = Kind::Proftpd.tree()?;
    let text = std::fs::read_to_string(peers().join("mod_proxy.conf"))?;
    let filled = [
        ("{LISTEN}", MOD_PROXY.to_owned()),
        (
            "{MODULES}",
            tree.join("usr/lib/proftpd").display().to_string(),
        ),
        ("{FOLDER}", folder.path().display().to_string()),
    ];
    let config = folder.write("mod_proxy.conf", fill(text, origin, &filled))?;
    let mut command = Command::new(tree.join("usr/sbin/proftpd"));
    command.args(["-n", "-q", "-c"]).arg(config);
    command.env(
        "LD_LIBRARY_PATH",
        director_tests::ftp::server::libraries(&tree)?,
    );
    Ok((
        Program::start("mod_proxy", command)?,
        parse(&format!("{MOD_PROXY}:2121"))?,
    ))
}

fn fill(mut text: String, origin: SocketAddr, more: &[(&str, String)]) -> String {
    let origin = [
        ("{SERVER}", origin.ip().to_string()),
        ("{SERVER_PORT}", origin.port().to_string()),
    ];
    for (name, value) in origin.iter().chain(more) {
        text = text.replace(name, value);
    }
    text
}

async fn greeted(way: &Way) -> io::Result<()> {
    let until = tokio::time::Instant::now() + START;
    let address = way.address;
    loop {
        let tried = tokio::task::spawn_blocking(move || Client::ann(address)?.quit()).await;
        match tried.map_err(io::Error::other)? {
            Ok(()) => return Ok(()),
            Err(error) if tokio::time::Instant::now() > until => {
                return Err(io::Error::other(format!(
                    "{} serves nobody: {error}",
                    way.name
                )));
            }
            Err(_not_yet) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// An address as text.
///
/// # Errors
/// When it is none.
pub fn parse(address: &str) -> io::Result<SocketAddr> {
    address
        .parse()
        .map_err(|error| io::Error::other(format!("{address}: {error}")))
}
