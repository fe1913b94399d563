//! The service's `options`, with their defaults, checked.

use std::fmt;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use director_sdk::ConfigMistake;
use serde::Deserialize;

/// What stands under `[services.<name>.options]`. `docs/ftp.md` has a table of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// What the client is greeted with, behind the code 220.
    pub banner: String,
    /// Seconds without a command after which a client is sent away with 421.
    pub idle_seconds: u64,
    /// Most bytes of a command line.
    pub line_limit: usize,
    /// Where clients' passive data connections are listened for.
    pub ports: Ports,
    /// The IPv4 address that a 227 names instead of the listener's own: that of a translator before
    /// the director.
    pub address: Option<Ipv4Addr>,
    /// Who connects to whom for data between the director and the nodes.
    pub node_data: NodeData,
    /// Whether the data connections of a client with TLS must resume its control connection's TLS
    /// session.
    pub require_reuse: bool,
    /// What proves at another node that a file is the one that was begun.
    pub proof: Proof,
    /// With `proof = "any"`: the size in bytes up to which a file's digest is asked for at the start.
    pub digest_limit: u64,
}

/// A range of ports, `"first-last"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Ports {
    first: u16,
    last: u16,
}

impl Ports {
    /// Whichever the system gives.
    pub const ANY: Self = Self { first: 0, last: 0 };

    /// The range; `0..=0` for any port.
    pub fn range(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }
}

/// Text that is no range of ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPorts(String);

impl fmt::Display for BadPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = &self.0;
        write!(
            f,
            "{found:?} was found; a range like \"50000-50999\" is right, from 1024 on, or \"any\""
        )
    }
}

impl TryFrom<String> for Ports {
    type Error = BadPorts;

    fn try_from(text: String) -> Result<Self, BadPorts> {
        if text == "any" {
            return Ok(Self::ANY);
        }
        let ends = text.split_once('-').and_then(|(first, last)| {
            let port = |text: &str| text.trim().parse::<u16>().ok();
            Some((port(first)?, port(last)?))
        });
        match ends {
            Some((first, last)) if first >= 1024 && first <= last => Ok(Self { first, last }),
            Some(_) | None => Err(BadPorts(text)),
        }
    }
}

/// Who connects to whom for data between the director and a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeData {
    /// The director to the node: EPSV, or PASV where a node has no other.
    #[default]
    Passive,
    /// The node to the director: PORT, or EPRT for IPv6.
    Active,
}

/// What proves at another node that a file is the one that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proof {
    /// The strongest that the nodes have: a digest (of files up to `digest_limit`), else size and time of
    /// the last change, else the last 64 KiB.
    #[default]
    Any,
    /// A digest alone; a node that has none proves nothing.
    Digest,
    /// Size and the last 64 KiB: for mirrors that do not keep the times of their files.
    Tail,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            banner: "FTP service ready.".to_owned(),
            idle_seconds: 300,
            line_limit: 8 * 1024,
            ports: Ports::ANY,
            address: None,
            node_data: NodeData::default(),
            require_reuse: false,
            proof: Proof::default(),
            digest_limit: 16 << 20,
        }
    }
}

impl Options {
    /// Every mistake in it.
    #[must_use]
    pub fn mistakes(&self) -> Vec<ConfigMistake> {
        let mut mistakes = Vec::new();
        let mut check = |path: &str, good: bool, found: String, right: &str| {
            if !good {
                let message = format!("{found} was found; {right} is right");
                mistakes.push(ConfigMistake::new(path, message));
            }
        };
        check(
            "banner",
            !self.banner.contains(char::is_control),
            format!("{:?}", self.banner),
            "one line without control characters",
        );
        check(
            "idle_seconds",
            self.idle_seconds > 0,
            self.idle_seconds.to_string(),
            "1 or more",
        );
        check(
            "line_limit",
            (512..=1 << 20).contains(&self.line_limit),
            self.line_limit.to_string(),
            "a number from 512 to 1048576",
        );
        mistakes
    }
}
