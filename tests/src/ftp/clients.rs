//! The clients that people run, each with what it takes to fetch and to store one file.
//!
//! What they read of the user's own settings is kept from them: they run in a home of their own.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use tokio::process::Command;

use crate::folder::Folder;
use crate::ftp::{PASSWORD, USER};
use crate::process::Program;

/// A client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// curl: EPSV, one connection.
    Curl,
    /// lftp: asks FEAT, MDTM and SIZE, and sends without waiting for replies.
    Lftp,
    /// tnftp, the BSDs' client.
    Tnftp,
    /// GNU wget; it stores nothing.
    Wget,
    /// Python's ftplib.
    Python,
}

/// Where a client is sent, and how.
#[derive(Debug, Clone)]
pub struct Place {
    /// `ip:port`.
    pub address: String,
    /// The certificate of whoever signed the server's: TLS on both connections is insisted on.
    pub authority: Option<PathBuf>,
    /// TLS comes first, without AUTH.
    pub implicit: bool,
    /// The client listens for data (PORT, EPRT), and does not connect for it.
    pub active: bool,
}

/// How a client ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it said on stdout.
    pub said: String,
    /// What it said on stderr.
    pub stderr: String,
}

const PYTHON: &str = r#"
import ftplib, ssl, sys
way, host, port, user, password, remote, local, authority, active = sys.argv[1:]
if authority:
    context = ssl.create_default_context(cafile=authority)
    class Reusing(ftplib.FTP_TLS):
        def ntransfercmd(self, cmd, rest=None):
            conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
            if self._prot_p:
                conn = self.context.wrap_socket(conn, server_hostname=self.host, session=self.sock.session)
            return conn, size
    ftp = Reusing(context=context)
else:
    ftp = ftplib.FTP()
ftp.connect(host, int(port), timeout=60)
ftp.set_pasv(not active)
ftp.login(user, password)
if authority:
    ftp.prot_p()
if way == "get":
    with open(local, "wb") as file:
        ftp.retrbinary("RETR " + remote, file.write)
else:
    with open(local, "rb") as file:
        ftp.storbinary("STOR " + remote, file)
ftp.quit()
"#;

impl Place {
    /// Without TLS.
    #[must_use]
    pub fn plain(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            authority: None,
            implicit: false,
            active: false,
        }
    }

    /// With TLS asked for by AUTH, and a certificate signed by `authority`.
    #[must_use]
    pub fn tls(address: &str, authority: &Path) -> Self {
        Self {
            address: address.to_owned(),
            authority: Some(authority.to_path_buf()),
            implicit: false,
            active: false,
        }
    }

    /// The URL of a path, with the account in it.
    #[must_use]
    pub fn url(&self, remote: &str) -> String {
        let scheme = if self.implicit { "ftps" } else { "ftp" };
        format!("{scheme}://{USER}:{PASSWORD}@{}/{remote}", self.address)
    }

    fn host_and_port(&self) -> (&str, &str) {
        let (host, port) = self
            .address
            .rsplit_once(':')
            .unwrap_or((&self.address, "21"));
        (host.trim_matches(['[', ']']), port)
    }
}

impl Client {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Curl,
        Self::Lftp,
        Self::Tnftp,
        Self::Wget,
        Self::Python,
    ];

    /// Whether it can insist on TLS on both connections.
    #[must_use]
    pub fn speaks_tls(self) -> bool {
        self != Self::Tnftp
    }

    /// Whether it can store a file.
    #[must_use]
    pub fn stores(self) -> bool {
        self != Self::Wget
    }

    /// The command that fetches `remote` into the file `local`.
    #[must_use]
    pub fn fetch(self, place: &Place, remote: &str, local: &Path) -> Command {
        let url = place.url(remote);
        let mut command;
        match self {
            Self::Curl => {
                command = curl(place);
                command.arg("-o").arg(local).arg(url);
            }
            Self::Lftp => {
                let local = local.display();
                command = lftp(place, &format!("get -e {remote} -o {local}"));
            }
            Self::Tnftp => {
                command = tnftp(place);
                command.arg("-o").arg(local).arg(url);
            }
            Self::Wget => {
                command = Command::new("wget");
                command
                    .args(["-nv", "--tries=1", "--timeout=60", "-O"])
                    .arg(local);
                if place.active {
                    command.arg("--no-passive-ftp");
                }
                if let Some(authority) = &place.authority {
                    command.arg("--ca-certificate").arg(authority);
                    command.arg(url.replacen("ftp://", "ftps://", 1));
                    // `ftps` in a URL is TLS first, for wget, unless it is told otherwise.
                    command.arg(match place.implicit {
                        true => "--ftps-implicit",
                        false => "--ftps-fallback-to-ftp",
                    });
                } else {
                    command.arg(url);
                }
            }
            Self::Python => command = python(place, "get", remote, local),
        }
        command
    }

    /// The command that stores the file `local` as `remote`; `None` for a client that only fetches.
    #[must_use]
    pub fn store(self, place: &Place, local: &Path, remote: &str) -> Option<Command> {
        let mut command;
        match self {
            Self::Curl => {
                command = curl(place);
                command.arg("-T").arg(local).arg(place.url(remote));
            }
            Self::Lftp => {
                let local = local.display();
                command = lftp(place, &format!("put {local} -o {remote}"));
            }
            Self::Tnftp => {
                command = tnftp(place);
                command.arg("-u").arg(place.url(remote)).arg(local);
            }
            Self::Wget => return None,
            Self::Python => command = python(place, "put", remote, local),
        }
        Some(command)
    }
}

/// curl, quiet, for one URL; more arguments may follow.
#[must_use]
pub fn curl(place: &Place) -> Command {
    let mut command = Command::new("curl");
    command.args(["-sS", "-q", "--connect-timeout", "20"]);
    if let Some(authority) = &place.authority {
        command.arg("--ssl-reqd").arg("--cacert").arg(authority);
    }
    if place.active {
        command.args(["-P", "-"]);
    }
    command
}

/// lftp with a script; it ends with the first command that fails.
#[must_use]
pub fn lftp(place: &Place, script: &str) -> Command {
    let mut settings = "set cmd:fail-exit yes; set net:max-retries 1; set net:timeout 60; \
         set xfer:clobber yes; "
        .to_owned();
    match &place.authority {
        Some(authority) => {
            settings += &format!(
                "set ssl:ca-file {}; set ftp:ssl-force yes; set ftp:ssl-protect-data yes; ",
                authority.display()
            );
        }
        None => settings += "set ftp:ssl-allow no; ",
    }
    if place.active {
        settings += "set ftp:passive-mode off; ";
    }
    let scheme = if place.implicit { "ftps" } else { "ftp" };
    let address = &place.address;
    let open = format!("open -u {USER},{PASSWORD} {scheme}://{address}; ");
    let mut command = Command::new("lftp");
    command
        .arg("--norc")
        .arg("-c")
        .arg(format!("{settings}{open}{script}"));
    command
}

/// tnftp, quiet.
fn tnftp(place: &Place) -> Command {
    let mut command = Command::new("tnftp");
    command.args(["-n", "-V"]);
    if place.active {
        command.arg("-A");
    }
    command
}

fn python(place: &Place, way: &str, remote: &str, local: &Path) -> Command {
    let (host, port) = place.host_and_port();
    let mut command = Command::new("python3");
    command
        .args(["-c", PYTHON, way, host, port, USER, PASSWORD, remote])
        .arg(local);
    match &place.authority {
        Some(authority) => command.arg(authority),
        None => command.arg(""),
    };
    command.arg(if place.active { "active" } else { "" });
    command
}

/// A client at work. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    /// The process.
    pub program: Program,
    /// Its home, which goes with it.
    _home: Folder,
}

/// Starts a client.
///
/// # Errors
/// When it is not installed.
pub fn start(mut command: Command) -> io::Result<Running> {
    let home = Folder::fresh("home")?;
    let name = command
        .as_std()
        .get_program()
        .to_string_lossy()
        .into_owned();
    command.env("HOME", home.path()).current_dir(home.path());
    command.env_remove("ftp_proxy").env_remove("FTP_PROXY");
    let mut program = Program::start(&name, command)?;
    program.close_stdin();
    Ok(Running {
        program,
        _home: home,
    })
}

impl Running {
    /// How far it has read the file that it stores; 0 while it has it not open.
    #[must_use]
    pub fn has_read(&self, file: &Path) -> u64 {
        let pid = self.program.pid();
        let Ok(open) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
            return 0;
        };
        for entry in open.flatten() {
            if std::fs::read_link(entry.path()).is_ok_and(|path| path == file) {
                let number = entry.file_name().to_string_lossy().into_owned();
                let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}"));
                let info = info.unwrap_or_default();
                // pos: decimal, of lseek(2).
                let at = info.lines().find_map(|line| line.strip_prefix("pos:"));
                return at.and_then(|at| at.trim().parse().ok()).unwrap_or(0);
            }
        }
        0
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it has not ended in time.
    pub async fn ended(mut self, within: Duration) -> io::Result<Ended> {
        let status = self.program.ended(within).await?;
        Ok(Ended {
            status,
            said: self.program.lines().join("\n"),
            stderr: self.program.stderr(),
        })
    }
}

/// Runs a client to its end.
///
/// # Errors
/// When it is not installed, or has not ended in time.
pub async fn run(command: Command, within: Duration) -> io::Result<Ended> {
    start(command)?.ended(within).await
}
