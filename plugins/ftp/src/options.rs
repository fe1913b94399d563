//! The service's `options`, with their defaults, checked.

use std::fmt;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use director_sdk::ConfigMistake;
use serde::Deserialize;

use crate::down::swallow::TAIL;

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
    /// Who logs in at the nodes.
    pub login: LoginAs,
    /// TLS towards clients, RFC 4217.
    pub tls: Tls,
    /// A client's data connection must resume the TLS session of its control connection.
    pub require_reuse: bool,
    /// TLS towards nodes.
    pub node_tls: NodeTls,
    /// How data connections to nodes are made.
    pub node_data: NodeData,
    /// Where clients' passive data connections are listened for.
    pub ports: Ports,
    /// The address that a PASV reply names, when clients reach the director by another than its own.
    pub address: Option<Ipv4Addr>,
    /// What shows that another node has the file that a download was begun with.
    pub proof: Proof,
    /// Bytes up to which a file is told by its bytes alone, which are compared at another node, and nothing but
    /// its size is asked when its download begins.
    pub compare_limit: u64,
    /// Bytes up to which a file's digest is asked for when its download begins; by default 16 MiB, and any
    /// number where nothing but a digest is a proof.
    pub digest_limit: Option<u64>,
    /// Whether the nodes share one storage.
    pub storage: Storage,
    /// With separate storage: the names of the nodes that take uploads, in this order.
    pub primary: Vec<String>,
    /// Bytes of an upload that are kept in memory to be sent again, with shared storage.
    pub ring: u64,
    /// Bytes of an upload that are kept in memory, with separate storage; beyond, on disk.
    pub spool_memory: u64,
    /// Bytes of an upload that are kept on disk, with separate storage; beyond, it is unprotected.
    pub spool_disk: u64,
    /// Whether a reply says that its upload ran unprotected.
    pub tell: bool,
}

/// Who logs in at the nodes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum LoginAs {
    /// By a word.
    Word(LoginWord),
    /// This account, for every client, who says `anonymous` or `ftp` and any password.
    Service {
        /// Its USER.
        user: String,
        /// The file whose first line is its PASS.
        password_file: PathBuf,
    },
}

/// Who logs in at the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoginWord {
    /// The client, by what it said.
    Replay,
    /// The client, who may only be `anonymous` or `ftp`.
    Anonymous,
}

/// TLS towards clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    /// None; a listener where TLS comes first is not concerned.
    Off,
    /// By AUTH TLS, when the client likes.
    Offered,
    /// By AUTH TLS or from the first byte, before the login, and with PROT P before data.
    Required,
}

/// TLS towards nodes. (Where TLS comes first on every connection to a node, the host makes it.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeTls {
    /// None by command.
    None,
    /// By AUTH TLS before the login, and PROT P.
    Explicit,
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
    /// The bytes themselves (of files up to `compare_limit`), else the strongest that the nodes have: a digest (of
    /// files up to `digest_limit`), size and time of the last change, the last 64 KiB.
    #[default]
    Any,
    /// A digest alone; a node that has none proves nothing.
    Digest,
    /// Size and the last 64 KiB: for mirrors that do not keep the times of their files.
    Tail,
}

/// Whether the nodes share one storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// What one has stored, the others have.
    Shared,
    /// Each has its own.
    Separate,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            banner: "FTP service ready.".to_owned(),
            idle_seconds: 300,
            line_limit: 8 * 1024,
            login: LoginAs::Word(LoginWord::Replay),
            tls: Tls::Off,
            require_reuse: false,
            node_tls: NodeTls::None,
            node_data: NodeData::default(),
            ports: Ports::ANY,
            address: None,
            proof: Proof::default(),
            compare_limit: TAIL as u64,
            digest_limit: None,
            storage: Storage::Shared,
            primary: Vec::new(),
            ring: 16 << 20,
            spool_memory: 4 << 20,
            spool_disk: 1 << 30,
            tell: false,
        }
    }
}

impl Options {
    /// Bytes up to which a file's digest is asked for.
    #[must_use]
    pub fn digest_limit(&self) -> u64 {
        self.digest_limit.unwrap_or(match self.proof {
            Proof::Any | Proof::Tail => 16 << 20,
            Proof::Digest => u64::MAX,
        })
    }

    /// What needs a certificate for clients, where the service has none.
    fn without_certificate(&self) -> Vec<ConfigMistake> {
        let found = match self.tls {
            Tls::Off => return Vec::new(),
            Tls::Offered => "offered",
            Tls::Required => "required",
        };
        let right = "[services.<name>.tls] with `certificate` and `key`";
        let message = format!(
            "{found:?} was found, and the service has no certificate for its clients; {right}, or \"off\" is right"
        );
        let mut mistakes = vec![ConfigMistake::new("tls", message)];
        if self.require_reuse {
            let message = format!(
                "true was found, and the service has no certificate for its clients; {right}, or false is right"
            );
            mistakes.push(ConfigMistake::new("require_reuse", message));
        }
        mistakes
    }

    /// Every mistake in it. `certificate`: whether the service has one for its clients, `None` where that is not
    /// known.
    #[must_use]
    pub fn mistakes(&self, certificate: Option<bool>) -> Vec<ConfigMistake> {
        let mut mistakes = match certificate {
            Some(false) => self.without_certificate(),
            Some(true) | None => Vec::new(),
        };
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
        check(
            "compare_limit",
            self.compare_limit <= TAIL as u64,
            self.compare_limit.to_string(),
            "a number up to 65536, for so many bytes are remembered",
        );
        check(
            "require_reuse",
            !self.require_reuse || self.tls != Tls::Off,
            "true with `tls = \"off\"`".to_owned(),
            "tls = \"offered\" or \"required\"",
        );
        check(
            "primary",
            self.primary.is_empty() || self.storage == Storage::Separate,
            format!("{:?} with shared storage", self.primary),
            "storage = \"separate\", where one node's files are not another's",
        );
        if let LoginAs::Service { user, .. } = &self.login {
            check(
                "login.user",
                !user.is_empty() && !user.contains(char::is_control),
                format!("{user:?}"),
                "the name of an account",
            );
        }
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told_at_once() {
        let wrong = Options {
            banner: "a\nb".into(),
            idle_seconds: 0,
            line_limit: 3,
            require_reuse: true,
            primary: vec!["a".into()],
            login: LoginAs::Service {
                user: String::new(),
                password_file: "p".into(),
            },
            ..Options::default()
        };
        let paths: Vec<String> = wrong
            .mistakes(Some(false))
            .into_iter()
            .map(|m| m.path)
            .collect();
        let expected = [
            "banner",
            "idle_seconds",
            "line_limit",
            "require_reuse",
            "primary",
            "login.user",
        ];
        assert_eq!(paths, expected);
        assert_eq!(Options::default().mistakes(Some(false)), []);
    }
}
