//! What each kind of server is told: its configuration, and the machine's accounts as it sees them.

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::cargo;
use crate::folder::Folder;
use crate::ftp::USER;

/// The account's number, and its group's: files that clients may change belong to it.
pub const OWNER: u32 = 61_234;

/// The number of an account that may read them and no more.
const READER: u32 = OWNER + 1;

/// `secret`, as `crypt(3)` keeps it (SHA-512).
const SECRET: &str = "$6$directortests$xoIpf4QK5UPuT96ChGm/ScPVg1fjp/pyUK.vpTmxUeflt4.lM7mw/MZ1KBItJ3c0lOGlso6kw4MHY8KsnTXc/0";

/// A make of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// vsftpd.
    Vsftpd,
    /// ProFTPD, with its TLS and digest modules.
    Proftpd,
    /// Pure-FTPd.
    Pureftpd,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Vsftpd, Self::Proftpd, Self::Pureftpd];

    /// Its program's name, and its folder's below `target/ftp-servers`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Vsftpd => "vsftpd",
            Self::Proftpd => "proftpd",
            Self::Pureftpd => "pure-ftpd",
        }
    }

    /// Where its package is unpacked.
    ///
    /// # Errors
    /// With the command that unpacks it, when it is not there.
    pub fn tree(self) -> io::Result<PathBuf> {
        let tree = cargo::root().join("target/ftp-servers").join(self.name());
        if tree.join("usr/sbin").join(self.name()).is_file() {
            return Ok(tree);
        }
        let tree = tree.display();
        Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("no server is in {tree}; unpack it: tests/run install"),
        ))
    }
}

/// How a server is set up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The make.
    pub kind: Kind,
    /// The account's home, which is the server's root for it.
    pub home: PathBuf,
    /// Bytes a second that one transfer gets at most.
    pub rate: Option<u64>,
    /// Clients at a time; the next is answered 421 or the like in the greeting.
    pub clients: Option<u32>,
    /// A PEM file with the key and the certificate: TLS is offered.
    pub identity: Option<PathBuf>,
    /// A command line is waited for so long, in seconds; then the server says 421.
    pub idle_seconds: u32,
    /// ProFTPD says 421 to a session of this age, in seconds, whatever it does.
    pub session_seconds: Option<u32>,
    /// `anonymous` is let in, to the account's home.
    pub anonymous: bool,
    /// TLS comes first, without AUTH. (Pure-FTPd cannot.)
    pub implicit: bool,
    /// The ports of passive data connections; whichever are free when there is no range.
    pub ports: Option<RangeInclusive<u16>>,
}

impl Setup {
    /// A server without TLS and without limits.
    #[must_use]
    pub fn new(kind: Kind, home: &Path) -> Self {
        Self {
            kind,
            home: home.to_path_buf(),
            rate: None,
            clients: None,
            identity: None,
            idle_seconds: 300,
            session_seconds: None,
            anonymous: false,
            implicit: false,
            ports: None,
        }
    }
}

/// Writes all that the server reads into `folder`, and says how it is started.
///
/// # Errors
/// When the server is not unpacked, or a file cannot be written.
pub fn write(setup: &Setup, folder: &Folder, ip: &str, port: u16) -> io::Result<Vec<String>> {
    accounts(setup, folder)?;
    let tree = setup.kind.tree()?;
    let program = tree.join("usr/sbin").join(setup.kind.name());
    let mut line = vec![text(&program)];
    match setup.kind {
        Kind::Vsftpd => {
            std::fs::create_dir_all(folder.join("empty"))?;
            line.push(text(
                &folder.write("vsftpd.conf", vsftpd(setup, folder, ip, port))?,
            ));
        }
        Kind::Proftpd => {
            let config = folder.write("proftpd.conf", proftpd(setup, folder, &tree, ip, port))?;
            line.extend([
                "-n".to_owned(),
                "-q".to_owned(),
                "-c".to_owned(),
                text(&config),
            ]);
        }
        Kind::Pureftpd => line.extend(pureftpd(setup, folder, ip, port)),
    }
    Ok(line)
}

/// The accounts' files, which the server sees in the places of the machine's own.
fn accounts(setup: &Setup, folder: &Folder) -> io::Result<()> {
    let home = setup.home.display();
    let etc = folder.join("etc");
    std::fs::create_dir_all(etc.join("pam.d"))?;
    let put = |name: &str, text: String| std::fs::write(etc.join(name), text);
    let passwd = std::fs::read_to_string("/etc/passwd")?;
    put(
        "passwd",
        format!(
            "{passwd}{USER}:x:{OWNER}:{OWNER}::{home}:/bin/sh\nftp:x:{OWNER}:{OWNER}::{home}:/bin/sh\n\
             reader:x:{READER}:{READER}::{home}:/bin/sh\n"
        ),
    )?;
    put(
        "shadow",
        format!("root:*:19000:0:99999:7:::\n{USER}:{SECRET}:19000:0:99999:7:::\n"),
    )?;
    let group = std::fs::read_to_string("/etc/group")?;
    put("group", format!("{group}{USER}:x:{OWNER}:\n"))?;
    let pam =
        "auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_permit.so\n";
    put(&format!("pam.d/{}", setup.kind.name()), pam.to_owned())
}

fn vsftpd(setup: &Setup, folder: &Folder, ip: &str, port: u16) -> String {
    let empty = folder.join("empty");
    let mut lines = vec![
        match ip.contains(':') {
            true => format!("listen_ipv6=YES\nlisten_address6={ip}"),
            false => format!("listen=YES\nlisten_address={ip}"),
        },
        format!("listen_port={port}"),
        format!("secure_chroot_dir={}", empty.display()),
        format!("idle_session_timeout={}", setup.idle_seconds),
        format!("local_max_rate={}", setup.rate.unwrap_or(0)),
        format!("max_clients={}", setup.clients.unwrap_or(0)),
        match setup.anonymous {
            // Not as the home's owner: vsftpd lets nobody in who could write its root, whatever
            // `allow_writeable_chroot` says.
            true => format!(
                "anonymous_enable=YES\nftp_username=reader\nanon_root={}\nanon_max_rate={}",
                setup.home.display(),
                setup.rate.unwrap_or(0)
            ),
            false => "anonymous_enable=NO".to_owned(),
        },
    ];
    if let Some(ports) = &setup.ports {
        lines.push(format!("pasv_min_port={}", ports.start()));
        lines.push(format!("pasv_max_port={}", ports.end()));
    }
    // A session that was stopped between the file's opening and its data connection, and wakes when that has gone,
    // waits as long for another; a minute is as long as the stories wait.
    lines.push("accept_timeout=20".to_owned());
    // A reset behind more than its full buffer took is out of the window, and the kernel throws it away (RFC 9293,
    // section 3.10.7.4): such a session takes its data connection for alive for five minutes.
    lines.push("data_connection_timeout=20".to_owned());
    // Its sandbox is for kernels of its own time; namespaces of its own would hide its children.
    lines.extend(
        "background=NO local_enable=YES write_enable=YES local_umask=022 \
         chroot_local_user=YES allow_writeable_chroot=YES pam_service_name=vsftpd seccomp_sandbox=NO \
         isolate=NO isolate_network=NO ascii_upload_enable=YES ascii_download_enable=YES \
         mdtm_write=YES xferlog_enable=NO use_localtime=NO \
         lock_upload_files=NO"
            .split_whitespace()
            .map(str::to_owned),
    );
    if let Some(identity) = &setup.identity {
        let identity = identity.display();
        lines.push(format!("rsa_cert_file={identity}"));
        lines.push(format!("rsa_private_key_file={identity}"));
        lines.extend(
            "ssl_enable=YES allow_anon_ssl=YES force_local_data_ssl=NO force_local_logins_ssl=NO ssl_ciphers=HIGH \
             require_ssl_reuse=YES"
                .split_whitespace()
                .map(str::to_owned),
        );
        if setup.implicit {
            lines.push("implicit_ssl=YES".to_owned());
        }
    }
    lines.join("\n") + "\n"
}

fn proftpd(setup: &Setup, folder: &Folder, tree: &Path, ip: &str, port: u16) -> String {
    let at = |name: &str| folder.join(name).display().to_string();
    let mut text = format!(
        "ModulePath {modules}\nLoadModule mod_digest.c\nLoadModule mod_tls.c\nLoadModule mod_copy.c\n\
         LoadModule mod_site_misc.c\nServerName tests\nServerType standalone\nDefaultAddress {ip}\n\
         Port {port}\nSocketBindTight on\nUseIPv6 {ipv6}\nUser nobody\nGroup nogroup\nUmask 022\n\
         AuthOrder mod_auth_unix.c\nRequireValidShell off\nDefaultRoot ~\nUseReverseDNS off\n\
         AllowOverwrite on\nAllowStoreRestart on\nAllowRetrieveRestart on\nTimesGMT on\n\
         TimeoutIdle {idle}\nTimeoutNoTransfer 600\nTimeoutStalled 600\nPidFile {pid}\n\
         ScoreboardFile {board}\nControlsEngine off\nDelayEngine off\nWtmpLog off\nTransferLog none\n\
         SystemLog {log}\n",
        ipv6 = if ip.contains(':') { "on" } else { "off" },
        modules = tree.join("usr/lib/proftpd").display(),
        idle = setup.idle_seconds,
        pid = at("proftpd.pid"),
        board = at("scoreboard"),
        log = at("proftpd.log"),
    );
    if let Some(rate) = setup.rate {
        let rate = (rate / 1024).max(1);
        text += &format!("TransferRate RETR,STOR,APPE {rate}\n");
    }
    if let Some(seconds) = setup.session_seconds {
        text += &format!("TimeoutSession {seconds}\n");
    }
    if setup.anonymous {
        text += &format!(
            "<Anonymous {}>\nUser {USER}\nGroup {USER}\nUserAlias anonymous {USER}\n\
             UserAlias ftp {USER}\n</Anonymous>\n",
            setup.home.display()
        );
    }
    if let Some(ports) = &setup.ports {
        text += &format!("PassivePorts {} {}\n", ports.start(), ports.end());
    }
    if let Some(clients) = setup.clients {
        text += &format!("MaxInstances {clients}\nMaxClients {clients}\n");
    }
    if let Some(identity) = &setup.identity {
        let identity = identity.display();
        text += &format!(
            "TLSEngine on\nTLSRequired off\nTLSRSACertificateFile {identity}\n\
             TLSRSACertificateKeyFile {identity}\nTLSLog {}\n",
            at("tls.log")
        );
        if setup.implicit {
            text += "TLSOptions UseImplicitSSL\n";
        }
    }
    text
}

fn pureftpd(setup: &Setup, folder: &Folder, ip: &str, port: u16) -> Vec<String> {
    let clients = setup.clients.unwrap_or(1000);
    let mut words = vec![
        format!("-S{ip},{port}"),
        format!("-g{}", folder.join("pure-ftpd.pid").display()),
        format!("-c{clients}"),
        "-C1000".to_owned(),
        // Its unit is the minute.
        format!("-I{}", setup.idle_seconds.div_ceil(60)),
    ];
    if !setup.anonymous {
        words.push("-E".to_owned());
    }
    // No names looked up, everybody in the own home, accounts of the system, listings of any length.
    words.extend(
        "-L1000000:5 -H -A -lunix -u1 -U133:022 -D"
            .split_whitespace()
            .map(str::to_owned),
    );
    if let Some(rate) = setup.rate {
        words.push(format!("-T{}", (rate / 1024).max(1)));
    }
    if let Some(ports) = &setup.ports {
        words.push(format!("-p{}:{}", ports.start(), ports.end()));
    }
    if let Some(identity) = &setup.identity {
        words.push("-Y1".to_owned());
        words.push(format!("-2{}", identity.display()));
    }
    words
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
