//! Every verb, said to every server directly and through the director: the transcripts are the same, but
//! for what is declared here.

use std::fmt::Write;
use std::path::Path;

use director_tests::ftp::cluster::{Cluster, Plan};
use director_tests::ftp::config::Kind;
use director_tests::ftp::content;
use director_tests::ftp::talk::{Reply, Talk};

use crate::bounded::story;

/// What is said, in this order. `<` receives over a data connection, `>` sends. `!`: the code alone is
/// the same. `=501`: the director answers for itself, and this code, whatever the server would have said.
const SCRIPT: &[&str] = &[
    "=530 PWD",
    "=200 NOOP",
    "USER nobody-of-that-name",
    "PASS wrong",
    "=530 RETR before-login",
    "USER ann",
    "PASS secret",
    "SYST",
    "!FEAT",
    "!NOOP",
    "PWD",
    "XPWD",
    "CWD dir",
    "PWD",
    "CWD none",
    "=501 CWD",
    "CDUP",
    "PWD",
    "XCWD dir",
    "XCUP",
    "TYPE A",
    "TYPE I",
    "TYPE L 8",
    "TYPE A N",
    "=501 TYPE X",
    "=501 TYPE",
    "STRU F",
    "!STRU R",
    "MODE S",
    "!MODE B",
    "TYPE I",
    "SIZE file",
    "SIZE none",
    "SIZE dir",
    "=501 SIZE",
    "MDTM file",
    "MDTM none",
    "=501 MDTM",
    "TYPE A",
    "SIZE file",
    "TYPE I",
    "MLST file",
    "MLST none",
    "!HELP",
    "!STAT",
    "STAT dir/inner",
    "MKD new",
    "MKD new",
    "=501 MKD",
    "CWD new",
    "PWD",
    "CDUP",
    "RNFR new",
    "RNTO other",
    "RNFR none",
    "=503 RNTO other",
    "=503 RNTO stray",
    "RMD other",
    "RMD other",
    "XMKD xnew",
    "XRMD xnew",
    "!REST 5",
    "<RETR file",
    "<RETR file",
    "=501 REST abc",
    "!REST 4",
    "!NOOP",
    "<RETR file",
    "<RETR none",
    "=501 RETR",
    "ALLO 100",
    "=501 ALLO",
    "OPTS UTF8 ON",
    "OPTS UTF8 OFF",
    "OPTS NONE",
    "!SITE HELP",
    "SITE CHMOD 640 file",
    "SITE NONE",
    "=501 SITE",
    "HASH file",
    "XCRC file",
    "XMD5 file",
    "XSHA256 file",
    "MFMT 20200102030405 old",
    "MDTM old",
    "<LIST dir",
    "<LIST none",
    "<NLST dir",
    "<NLST none",
    "<NLST",
    "<MLSD dir",
    "<MLSD none",
    "TYPE A",
    "<RETR lines",
    "<NLST dir",
    "TYPE I",
    ">STOR up",
    "SIZE up",
    "<RETR up",
    ">APPE up",
    "SIZE up",
    "!REST 5",
    ">STOR up",
    "SIZE up",
    ">STOR none/up",
    "!>STOU",
    "DELE up",
    "DELE up",
    "=501 DELE",
    "=226 ABOR",
    "=202 ACCT x",
    "=502 SMNT x",
    "!NONSENSE",
    "!nOoP",
    "!noop",
    "=501 PORT 1,2,3",
    "=501 EPRT |9|x|",
    "=522 EPSV 9",
    "=534 CCC",
    "=503 PROT P",
    "=503 PBSZ 0",
    "=502 AUTH NONE",
    "LANG en",
    "=220 REIN",
    "=530 PWD",
    "!QUIT",
];

fn fill(home: &Path) -> std::io::Result<()> {
    content::file(&home.join("file"), b"0123456789")?;
    content::file(&home.join("old"), b"old")?;
    content::file(&home.join("lines"), b"one\ntwo\nthree\n")?;
    let dir = content::folder(&home.join("dir"))?;
    content::file(&dir.join("inner"), b"inner")?;
    content::file(&dir.join("another"), b"another one")
}

/// What is told of a reply: its code, and its text without what differs from one run to the next.
fn told(reply: &Reply, code_alone: bool) -> String {
    if code_alone || matches!(reply.code, 227 | 229) {
        return reply.code.to_string();
    }
    let same =
        |line: &&String| !line.contains("seconds") && !line.contains("Accepted data connection");
    let lines: Vec<&str> = reply
        .lines
        .iter()
        .filter(same)
        .map(String::as_str)
        .collect();
    format!("{} {}", reply.code, without_own_facts(&lines.join(" / ")))
}

/// A list of facts (RFC 3659, 7) without those that differ from one folder to the next.
fn without_own_facts(text: &str) -> String {
    let own = |fact: &str| {
        let new = fact.contains("modify=")
            && !fact.contains("modify=2023")
            && !fact.contains("modify=2020");
        fact.contains("unique=") || new
    };
    text.split(';')
        .filter(|fact| !own(fact))
        .collect::<Vec<_>>()
        .join(";")
}

/// What came over a data connection, without the folder itself and the one above: both are written to.
fn listed(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.split_inclusive('\n');
    let lines =
        lines.filter(|line| !line.trim_end().ends_with(" .") && !line.trim_end().ends_with(" .."));
    without_own_facts(&lines.collect::<String>())
}

/// Says it all, and tells each line with its replies.
async fn transcript(address: &str) -> Vec<String> {
    let mut talk = Talk::open(address).await.unwrap();
    let mut told_all = Vec::new();
    for line in SCRIPT {
        let own = line.strip_prefix('=').and_then(|rest| rest.split_once(' '));
        let (alone, rest) = match (own, line.strip_prefix('!')) {
            (Some((_, rest)), _) | (None, Some(rest)) => (true, rest),
            (None, None) => (false, *line),
        };
        let mut text = format!("{line}:");
        if let Some(command) = rest.strip_prefix('<') {
            let (replies, bytes) = talk
                .receive(command)
                .await
                .unwrap_or_else(|error| panic!("{line}: {error}"));
            for reply in &replies {
                write!(text, " {}", told(reply, alone)).unwrap();
            }
            write!(text, " {:?}", listed(&bytes)).unwrap();
        } else if let Some(command) = rest.strip_prefix('>') {
            let replies = talk
                .send(command, b"uploaded")
                .await
                .unwrap_or_else(|error| panic!("{line}: {error}"));
            for reply in &replies {
                write!(text, " {}", told(reply, alone)).unwrap();
            }
        } else {
            match talk.ask(rest).await {
                Ok(reply) => write!(text, " {}", told(&reply, alone)).unwrap(),
                Err(error) => write!(text, " {error}").unwrap(),
            }
        }

        told_all.push(text);
    }
    told_all
}

async fn compare(kind: Kind) {
    let cluster = Cluster::start(&Plan::of(&[kind]), fill).await.unwrap();
    let directly = transcript(&cluster.servers[0].address).await;
    drop(cluster);
    let cluster = Cluster::start(&Plan::of(&[kind]), fill).await.unwrap();
    let through = transcript(&cluster.director.address).await;
    let mut wrong = String::new();
    for (one, other) in directly.iter().zip(&through) {
        let own = one.strip_prefix('=').and_then(|rest| rest.get(..3));
        let same = match own {
            Some(code) => other.ends_with(&format!(": {code}")),
            None => one == other,
        };
        if !same {
            writeln!(wrong, "directly {one}\n through {other}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{kind:?}:\n{wrong}");
}

#[test]
fn vsftpd_says_the_same_through_the_director() {
    story(120, || compare(Kind::Vsftpd));
}

#[test]
fn proftpd_says_the_same_through_the_director() {
    story(120, || compare(Kind::Proftpd));
}

#[test]
fn pureftpd_says_the_same_through_the_director() {
    story(120, || compare(Kind::Pureftpd));
}
