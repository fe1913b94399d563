//! A network of one's own: packets can be dropped in it without anybody else noticing.
//!
//! The program that needs one starts itself again inside a fresh network namespace
//! ([`in_own_network`]); the namespace goes with its last process, so nothing has to be cleaned up.
//! There, each [`Host`] is a namespace on a wire of its own, and [`Host::cut`] makes its packets vanish
//! in both directions: no reset ever comes, and no sender is told.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use crate::process::Program;

/// Set for a program that runs in a network of its own.
const MARK: &str = "TESTS_OWN_NETWORK";

/// Where Debian keeps `ip` and `nft`, which is not on every user's path.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Whether this process runs in a network of its own.
#[must_use]
pub fn is_own() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Whether this process may make one: it takes root.
#[must_use]
pub fn may_make_one() -> bool {
    rustix::process::geteuid().is_root()
}

/// The command that runs `program` in a network of its own, with only a loopback in it.
#[must_use]
pub fn in_own_network(program: &Path) -> std::process::Command {
    let mut command = std::process::Command::new("unshare");
    command
        .args([
            "--net",
            "--",
            "sh",
            "-c",
            "ip link set lo up && exec \"$@\"",
            "sh",
        ])
        .arg(program)
        .env(MARK, "1")
        .env("PATH", SYSTEM_PATH);
    command
}

/// One host: a namespace with an address of its own, reached through this one.
#[derive(Debug)]
pub struct Host {
    name: String,
    address: String,
    holder: Program,
}

impl Host {
    /// Makes the host `number` (1 to 254) and wires it up.
    ///
    /// # Errors
    /// When this process has no network of its own, or a command fails.
    pub async fn make(name: &str, number: u8) -> io::Result<Self> {
        if !is_own() {
            return Err(io::Error::other(
                "hosts are made in a network of one's own only",
            ));
        }
        let mut hold = Command::new("unshare");
        // `cat` ends with its stdin, so the namespace ends with this process.
        hold.args(["--net", "--", "sh", "-c", "echo held; exec cat"]);
        let mut holder = Program::start(&format!("network of {name}"), hold)?;
        holder.line_with("held", Duration::from_secs(10)).await?;
        let host = Self {
            name: name.to_owned(),
            address: format!("10.77.{number}.2"),
            holder,
        };
        let (wire, gateway) = (host.wire(), format!("10.77.{number}.1"));
        let pid = host.holder.pid().to_string();
        run(
            "ip",
            [
                "link", "add", &wire, "type", "veth", "peer", "name", "eth0", "netns", &pid,
            ],
        )
        .await?;
        run(
            "ip",
            ["addr", "add", &format!("{gateway}/30"), "dev", &wire],
        )
        .await?;
        run("ip", ["link", "set", &wire, "up"]).await?;
        host.run_inside("ip", ["link", "set", "lo", "up"]).await?;
        host.run_inside(
            "ip",
            [
                "addr",
                "add",
                &format!("{}/30", host.address),
                "dev",
                "eth0",
            ],
        )
        .await?;
        host.run_inside("ip", ["link", "set", "eth0", "up"]).await?;
        host.run_inside("ip", ["route", "add", "default", "via", &gateway])
            .await?;
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
        // Dropped where they arrive: a sender whose own side drops is told so by its kernel.
        let chain = "{ type filter hook prerouting priority -300; }";
        run("nft", ["add", "table", "inet", &wire]).await?;
        run("nft", ["add", "chain", "inet", &wire, "arrive", chain]).await?;
        host.run_inside("nft", ["add", "table", "inet", "faults"])
            .await?;
        host.run_inside("nft", ["add", "chain", "inet", "faults", "arrive", chain])
            .await?;
        Ok(host)
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A command that runs on this host.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.holder.pid()))
            .arg("--")
            .arg(program);
        command
    }

    /// From now on every packet from and to the host vanishes.
    ///
    /// # Errors
    /// When a rule cannot be added.
    pub async fn cut(&self) -> io::Result<()> {
        let wire = self.wire();
        run(
            "nft",
            [
                "add", "rule", "inet", &wire, "arrive", "iifname", &wire, "drop",
            ],
        )
        .await?;
        self.run_inside(
            "nft",
            [
                "add", "rule", "inet", "faults", "arrive", "iifname", "eth0", "drop",
            ],
        )
        .await
    }

    /// Packets pass again.
    ///
    /// # Errors
    /// When the rules cannot be removed.
    pub async fn heal(&self) -> io::Result<()> {
        run("nft", ["flush", "chain", "inet", &self.wire(), "arrive"]).await?;
        self.run_inside("nft", ["flush", "chain", "inet", "faults", "arrive"])
            .await
    }

    fn wire(&self) -> String {
        format!("to-{}", self.name)
    }

    async fn run_inside<const N: usize>(&self, program: &str, args: [&str; N]) -> io::Result<()> {
        let mut command = self.command(program);
        command.args(args);
        succeed(command).await
    }
}

async fn run<const N: usize>(program: &str, args: [&str; N]) -> io::Result<()> {
    let mut command = Command::new(program);
    command.args(args);
    succeed(command).await
}

async fn succeed(mut command: Command) -> io::Result<()> {
    let output = command.output().await?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("{:?}: {said}", command.as_std())))
}
