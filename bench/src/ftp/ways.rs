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
const HAPROXY_COPYING: &str = "127.0.0.33";

/// The server itself.
pub const DIRECT: &str = "direct";
/// The director as it is configured by default, with shared storage.
pub const DIRECTOR: &str = "director";
/// The director where only the last bytes prove a file, which it must see for that.
pub const DIRECTOR_TAIL: &str = "director-tail";
/// HAProxy, splicing.
pub const SPLICING: &str = "haproxy";
/// HAProxy without splice: every byte is copied through user space.
pub const COPYING: &str = "haproxy-copy";
/// ProFTPD's mod_proxy.
pub const PROXYING: &str = "mod_proxy";

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
    running: (Server, [Director; 2], Vec<Program>),
    _folder: Folder,
}

impl Ways {
    /// An error of a way's, with what the director said meanwhile.
    #[must_use]
    pub fn trouble(&self, way: &Way, error: &io::Error) -> io::Error {
        let [any, tail] = &self.running.1;
        let stood_by = if way.name == DIRECTOR_TAIL { tail } else { any };
        stood_by
            .program
            .trouble(&format!("stood by when {} failed: {error}", way.name))
    }

    /// The ways of these names, in the order of [`Ways::ways`].
    #[must_use]
    pub fn named(&self, names: &[&str]) -> Vec<&Way> {
        let ways = self.ways.iter();
        ways.filter(|way| names.contains(&way.name)).collect()
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

/// A director with the FTP plugin before these servers, on one thread; `options` are the plugin's, as TOML.
///
/// # Errors
/// When it does not start, or a node does not come up.
pub async fn director(nodes: Vec<String>, options: &str) -> io::Result<Director> {
    let settings = director::Settings {
        service: "ftp".to_owned(),
        plugin: programs::ftp_plugin()?,
        listen: director::LOOPBACK.to_owned(),
        nodes,
        more: "max_sessions = 4000".to_owned(),
        options: format!("storage = \"shared\"\n{options}"),
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
    let nodes = vec![server.address.clone()];
    let any = director(nodes.clone(), "").await?;
    let tail = director(nodes, "proof = \"tail\"").await?;
    let mut ways = vec![
        Way {
            name: DIRECT,
            address: origin,
            between: None,
        },
        Way {
            name: DIRECTOR,
            address: parse(&any.address)?,
            between: Some(any.program.pid()),
        },
        Way {
            name: DIRECTOR_TAIL,
            address: parse(&tail.address)?,
            between: Some(tail.program.pid()),
        },
    ];
    let mut programs = Vec::new();
    for (name, started) in [
        (
            SPLICING,
            haproxy(&folder, HAPROXY, "option splice-auto", origin),
        ),
        (COPYING, haproxy(&folder, HAPROXY_COPYING, "", origin)),
        (PROXYING, mod_proxy(&folder, origin)),
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
        running: (server, [any, tail], programs),
        _folder: folder,
    })
}

fn haproxy(
    folder: &Folder,
    listen: &str,
    splice: &str,
    origin: SocketAddr,
) -> io::Result<(Program, SocketAddr)> {
    let text = std::fs::read_to_string(peers().join("haproxy.cfg"))?;
    let filled = [
        ("{LISTEN}", listen.to_owned()),
        ("{SPLICE}", splice.to_owned()),
        ("{FIRST}", PORTS.start().to_string()),
        ("{LAST}", PORTS.end().to_string()),
    ];
    let config = folder.write(
        &format!("haproxy-{listen}.cfg"),
        fill(text, origin, &filled),
    )?;
    let mut command = Command::new("/usr/sbin/haproxy");
    command.arg("-db").arg("-f").arg(config);
    Ok((
        Program::start("haproxy", command)?,
        parse(&format!("{listen}:2121"))?,
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
