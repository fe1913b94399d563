//! Every verb, said to every server directly and through the director: the transcripts are the same, but
//! for what [`DECLARED`] names.

use std::fmt::{self, Write};
use std::path::Path;

use director_tests::ftp::cluster::{Cluster, Plan};
use director_tests::ftp::config::Kind;
use director_tests::ftp::content;
use director_tests::ftp::talk::{Reply, Talk, Way};

use crate::bounded::story;

/// What is said, in this order. Before a line: `<` receives over a passive data connection, `>` sends, `{`
/// receives over one that PASV names, `}` over one of PORT, `]` over one of EPRT. A line with a line end in it is
/// said at once, and answered as many times as it has lines.
const SCRIPT: &[&[u8]] = &[
    // Before the login.
    b"HOST example.org",
    b"CLNT before",
    b"CWD before-login",
    b"LIST before-login",
    b"STOR before-login",
    b"ACCT before",
    b"RETR before-login",
    b"USER nobody-of-that-name",
    b"PASS wrong",
    b"USER ann",
    b"PASS secret",
    b"ACCT x",
    b"HOST late.example.org",
    b"CLNT tests",
    b"SYST",
    b"FEAT",
    b"NOOP",
    b"nOoP",
    b"STAT",
    b"HELP",
    b"HELP NOOP",
    b"HELP NONE",
    b"LANG en",
    b"LANG xx",
    b"LANG",
    // Where one is.
    b"PWD",
    b"XPWD",
    b"CWD dir",
    b"PWD",
    b"CWD none",
    b"CWD",
    b"CDUP",
    b"PWD",
    b"CWD ..",
    b"PWD",
    b"CWD ../../../../etc",
    b"CWD dir/../dir/.",
    b"PWD",
    b"CWD /",
    b"XCWD dir",
    b"XCUP",
    b"PWD",
    b"CWD ~",
    b"PWD",
    // How things are sent.
    b"TYPE A",
    b"TYPE I",
    b"TYPE L 8",
    b"TYPE L8",
    b"TYPE A N",
    b"TYPE A T",
    b"TYPE E",
    b"TYPE L 36",
    b"TYPE X",
    b"TYPE",
    b"STRU F",
    b"STRU R",
    b"STRU P",
    b"STRU X",
    b"STRU",
    b"MODE S",
    b"MODE B",
    b"MODE C",
    b"MODE Z",
    b"MODE X",
    b"MODE",
    b"TYPE I",
    // What is there.
    b"SIZE file",
    b"SIZE none",
    b"SIZE dir",
    b"SIZE",
    b"MDTM file",
    b"MDTM none",
    b"MDTM",
    b"TYPE A",
    b"SIZE file",
    b"TYPE I",
    b"MLST file",
    b"MLST none",
    b"OPTS MLST type;size;",
    b"MLST file",
    b"OPTS MLST type;size;modify;",
    b"STAT dir/inner",
    b"STAT dir",
    b"STAT none",
    b"HASH file",
    b"OPTS HASH SHA-256",
    b"HASH file",
    b"OPTS HASH NONE",
    b"HASH none",
    b"MD5 file",
    b"XCRC file",
    b"XMD5 file",
    b"XSHA file",
    b"XSHA1 file",
    b"XSHA256 file",
    b"XSHA512 file",
    b"XSHA256 none",
    b"XCRC",
    // What is changed.
    b"MKD new",
    b"MKD new",
    b"MKD",
    b"CWD new",
    b"PWD",
    b"CDUP",
    b"RNFR new",
    b"RNTO other",
    b"RNFR none",
    b"RNTO stray",
    b"RNTO",
    b"RMD other",
    b"RMD other",
    b"RMD",
    b"XMKD xnew",
    b"XRMD xnew",
    b"MFMT 20200102030405 old",
    b"MDTM old",
    b"MFMT 2020 old",
    b"MFMT",
    b"MFF Modify=20210102030405; old",
    b"SITE HELP",
    b"SITE CHMOD 640 file",
    b"SITE CHMOD 640 none",
    b"SITE UTIME 20200102030405 old",
    b"SITE UMASK 027",
    b"SITE UMASK",
    b"SITE NONE",
    b"SITE",
    b"ALLO 100",
    b"ALLO 100 R 10",
    b"ALLO",
    b"OPTS UTF8 ON",
    b"OPTS UTF8 OFF",
    b"OPTS NONE",
    b"OPTS",
    // Transfers.
    b"REST 5",
    b"<RETR file",
    b"<RETR file",
    b"REST abc",
    b"REST",
    b"REST 4",
    b"NOOP",
    b"<RETR file",
    b"<RETR none",
    b"<RETR dir",
    b"RETR",
    b"{RETR file",
    b"}RETR file",
    b"]RETR file",
    b"}LIST dir",
    b"<LIST dir",
    b"<LIST none",
    b"<LIST -a dir",
    b"<NLST dir",
    b"<NLST none",
    b"<NLST",
    b"<NLST f*",
    b"<NLST dir/*",
    b"<MLSD dir",
    b"<MLSD none",
    b"<MLSD file",
    b"TYPE A",
    b"<RETR lines",
    b"<NLST dir",
    b"TYPE I",
    b">STOR up",
    b"SIZE up",
    b"<RETR up",
    b">APPE up",
    b"SIZE up",
    b"REST 5",
    b">STOR up",
    b"SIZE up",
    b">STOR none/up",
    b"STOR",
    b"APPE",
    b">STOU",
    b"DELE up",
    b"DELE up",
    b"DELE",
    b"ABOR",
    // Names.
    b"MKD with space",
    b"CWD with space",
    b"PWD",
    b"CDUP",
    b"RMD with space",
    b"MKD quo\"ted\"",
    b"CWD quo\"ted\"",
    b"PWD",
    b">STOR in'it",
    b"SIZE in'it",
    b"CDUP",
    b"<NLST quo\"ted\"",
    b"DELE quo\"ted\"/in'it",
    b"RMD quo\"ted\"",
    b">STOR st*r",
    b"SIZE st*r",
    b">STOR star",
    b"DELE st*r",
    b"SIZE star",
    b"DELE star",
    b">STOR [a]{b}?",
    b"<RETR [a]{b}?",
    b"DELE [a]{b}?",
    b">STOR gr\xc3\xbc\xc3\x9fe",
    b"SIZE gr\xc3\xbc\xc3\x9fe",
    b"<NLST gr*",
    b"DELE gr\xc3\xbc\xc3\x9fe",
    b"MKD latin\xfc",
    b"CWD latin\xfc",
    b"PWD",
    b">STOR \xe4",
    b"<RETR \xe4",
    b"<NLST",
    b"DELE \xe4",
    b"CDUP",
    b"RMD latin\xfc",
    b"MKD iac\xff\xff",
    b"CWD iac\xff\xff\r\nPWD\r\nCDUP",
    b"RMD iac\xff\xff",
    b"<RETR a%0ab",
    b"SIZE ../../../etc/passwd",
    b"<RETR ../../../etc/passwd",
    b">STOR ../outside",
    b"SIZE outside",
    b"DELE ../../outside",
    b"SIZE  file",
    b"SIZE file ",
    b"MKD -l",
    b"RMD -l",
    // Lines.
    b"NONSENSE",
    b"PRET RETR file",
    b"COMB a b",
    b"SMNT x",
    b"CCC",
    b"PROT P",
    b"PBSZ 0",
    b"AUTH NONE",
    b"MIC x",
    b"ADAT x",
    b"PORT 1,2,3",
    b"PORT",
    b"EPRT |9|x|",
    b"EPRT",
    b"EPSV 9",
    b"EPSV 1",
    b"PWD\r\nCWD dir\r\nPWD\r\nSIZE inner\r\nCDUP\r\nPWD",
    b"REST 2\r\nPWD\r\nREST 0\r\nTYPE A\r\nTYPE I",
    b"EPSV ALL",
    b"PASV",
    b"PORT 127,0,0,1,200,200",
    b"EPRT |1|127.0.0.1|51400|",
    b"<RETR file",
    b"REIN",
    b"RMD after-rein",
    b"QUIT",
];

/// How an answer may differ through the director.
#[derive(Clone, Copy)]
enum Differs {
    /// The code is the same; the text is the director's own.
    Text,
    /// The director answers for itself, with this code, whatever the server says.
    Code(u16),
}

/// All that may differ, and why. Beside it, for every line: the banner, addresses and ports.
const DECLARED: &[(Differs, &str, &[&[u8]])] = &[
    (
        Differs::Text,
        "what all nodes offer, less what is not proxied",
        &[b"FEAT"],
    ),
    (
        Differs::Text,
        "answered without a node",
        &[
            b"NOOP",
            b"nOoP",
            b"STAT",
            b"HELP",
            b"HELP NOOP",
            b"QUIT",
            b"NONSENSE",
        ],
    ),
    (
        Differs::Text,
        "kept for the transfer, whichever node it is at",
        &[
            b"REST 5",
            b"REST 4",
            b"REST 2\r\nPWD\r\nREST 0\r\nTYPE A\r\nTYPE I",
        ],
    ),
    (
        Differs::Text,
        "a name that the server makes up",
        &[b">STOU"],
    ),
    (
        Differs::Text,
        "a byte of 255 in a reply is doubled (RFC 854), which servers forget",
        &[b"MKD iac\xff\xff", b"CWD iac\xff\xff\r\nPWD\r\nCDUP"],
    ),
    (
        Differs::Code(226),
        "transfers are the director's",
        &[b"ABOR"],
    ),
    (
        Differs::Code(530),
        "no node is asked before the login",
        &[
            b"CWD before-login",
            b"LIST before-login",
            b"STOR before-login",
            b"RETR before-login",
            b"RMD after-rein",
        ],
    ),
    (
        Differs::Code(501),
        "an argument is missing, which some servers take for a name",
        &[
            b"CWD", b"TYPE", b"STRU", b"MODE", b"SIZE", b"MDTM", b"XCRC", b"MKD", b"RNTO", b"RMD",
            b"MFMT", b"SITE", b"ALLO", b"OPTS", b"REST", b"RETR", b"STOR", b"APPE", b"DELE",
            b"PORT", b"EPRT",
        ],
    ),
    (
        Differs::Code(501),
        "an argument that the RFC does not know",
        &[
            b"TYPE X",
            b"STRU X",
            b"MODE X",
            b"REST abc",
            b"PORT 1,2,3",
            b"EPRT |9|x|",
        ],
    ),
    (
        Differs::Code(504),
        "what cannot be gone on with at another node",
        &[
            b"TYPE A T",
            b"TYPE E",
            b"TYPE L 36",
            b"STRU R",
            b"STRU P",
            b"MODE B",
            b"MODE C",
            b"MODE Z",
        ],
    ),
    (
        Differs::Code(522),
        "the data connection is the director's",
        &[b"EPSV 9"],
    ),
    (
        Differs::Code(503),
        "out of order, by what the director knows of the session",
        &[
            b"ACCT before",
            b"HOST late.example.org",
            b"RNTO stray",
            b"PROT P",
            b"PBSZ 0",
            b"PASV",
            b"PORT 127,0,0,1,200,200",
            b"EPRT |1|127.0.0.1|51400|",
        ],
    ),
    (
        Differs::Code(200),
        "the data connection is the director's",
        &[b"EPSV ALL"],
    ),
    (Differs::Code(202), "a login that is done", &[b"ACCT x"]),
    (
        Differs::Code(220),
        "REIN is offered, whether nodes have it or not",
        &[b"REIN"],
    ),
    (
        Differs::Code(502),
        "known, and not offered",
        &[
            b"PRET RETR file",
            b"COMB a b",
            b"SMNT x",
            b"MFF Modify=20210102030405; old",
            b"AUTH NONE",
            b"HELP NONE",
        ],
    ),
    (
        Differs::Code(503),
        "RFC 2228 has ADAT behind an AUTH that wants it",
        &[b"ADAT x"],
    ),
    (
        Differs::Code(533),
        "RFC 2228: TLS protects commands",
        &[b"MIC x"],
    ),
    (
        Differs::Code(534),
        "the control connection stays protected",
        &[b"CCC"],
    ),
];

/// How this line may differ.
fn declared(line: &[u8]) -> Option<Differs> {
    let mut with = DECLARED
        .iter()
        .filter(|(_, _, lines)| lines.contains(&line));
    with.next().map(|(differs, ..)| *differs)
}

fn fill(home: &Path) -> std::io::Result<()> {
    content::file(&home.join("file"), b"0123456789")?;
    content::file(&home.join("old"), b"old")?;
    content::file(&home.join("lines"), b"one\ntwo\nthree\n")?;
    let dir = content::folder(&home.join("dir"))?;
    content::file(&dir.join("inner"), b"inner")?;
    content::file(&dir.join("another"), b"another one")
}

/// A line, and what came of it.
struct Told {
    line: &'static [u8],
    replies: Vec<Reply>,
    /// What came over the data connection.
    data: Vec<u8>,
}

impl Told {
    fn codes(&self) -> Vec<u16> {
        self.replies.iter().map(|reply| reply.code).collect()
    }

    /// The replies' texts, without what differs from one run to the next.
    fn texts(&self) -> Vec<String> {
        self.replies.iter().map(text).collect()
    }

    /// What came over the data connection, without what differs from one run to the next: the order of names
    /// in a folder, the folder itself and the one above, which are written to.
    fn came(&self) -> String {
        let text = match std::str::from_utf8(&self.data) {
            Ok(text) => text.to_owned(),
            Err(_) => self.data.iter().copied().map(char::from).collect(),
        };
        let lines = text
            .split_inclusive('\n')
            .filter(|line| !is_a_folder_itself(line));
        let mut lines: Vec<String> = lines.map(without_own_facts).collect();
        if !self.line.ends_with(b"lines") {
            lines.sort_unstable();
        }
        lines.concat()
    }

    /// Whether it is what a client is told by the director, where it is told `directly` by the server.
    fn is_as(&self, directly: &Self) -> bool {
        let same_data = self.came() == directly.came();
        match declared(self.line) {
            None => {
                same_data && self.codes() == directly.codes() && self.texts() == directly.texts()
            }
            Some(Differs::Text) => same_data && self.codes() == directly.codes(),
            Some(Differs::Code(code)) => self.codes() == [code],
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.escape_ascii();
        write!(f, "{line}: {}", self.texts().join(" | "))?;
        match self.data.is_empty() {
            true => Ok(()),
            false => write!(f, " <{}>", self.came().escape_debug()),
        }
    }
}

/// A reply without what differs from one run to the next: the time it took, and ports.
fn text(reply: &Reply) -> String {
    if matches!(reply.code, 227 | 229) {
        return reply.code.to_string();
    }
    let same = |line: &&String| {
        !line.contains("seconds")
            && !line.contains("Accepted data connection")
            && !line.contains("Connecting to port")
            && !is_a_folder_itself(line)
    };
    let lines = reply.lines.iter().filter(same);
    let lines: Vec<String> = lines.map(|line| without_own_facts(line)).collect();
    format!("{} {}", reply.code, lines.join(" / "))
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

/// Whether a listing tells of the folder itself or of the one above: both are written to.
fn is_a_folder_itself(line: &str) -> bool {
    line.trim_end().ends_with(" .") || line.trim_end().ends_with(" ..")
}

/// Says one line, as its first byte tells.
async fn tell(talk: &mut Talk, line: &'static [u8]) -> std::io::Result<Told> {
    let way = match line.first() {
        Some(b'<') => Some(Way::Epsv),
        Some(b'{') => Some(Way::Pasv),
        Some(b'}') => Some(Way::Port),
        Some(b']') => Some(Way::Eprt),
        Some(_) | None => None,
    };
    let (mut replies, mut data) = (Vec::new(), Vec::new());
    if let Some(way) = way {
        (replies, data) = talk.receive_by(way, &line[1..]).await?;
    } else if let Some(command) = line.strip_prefix(b">") {
        replies = talk.send(command, b"uploaded").await?;
    } else {
        replies.push(talk.ask(line).await?);
        for _ in 0..line.iter().filter(|byte| **byte == b'\n').count() {
            replies.push(talk.reply().await?);
        }
    }
    Ok(Told {
        line,
        replies,
        data,
    })
}

/// Says it all.
async fn transcript(address: &str) -> Vec<Told> {
    let mut talk = Talk::open(address).await.unwrap();
    let mut all: Vec<Told> = Vec::new();
    for line in SCRIPT {
        let told = tell(&mut talk, line).await;
        all.push(told.unwrap_or_else(|error| {
            let before: Vec<String> = all.iter().map(Told::to_string).collect();
            let before = before.join("\n");
            panic!("{}: {error}; before it\n{before}", line.escape_ascii())
        }));
    }
    all
}

async fn compare(kind: Kind) {
    let cluster = Cluster::start(&Plan::of(&[kind]), fill).await.unwrap();
    let directly = transcript(&cluster.servers[0].address).await;
    drop(cluster);
    let cluster = Cluster::start(&Plan::of(&[kind]), fill).await.unwrap();
    let through = transcript(&cluster.director.address).await;
    let mut wrong = String::new();
    for (directly, through) in directly.iter().zip(&through) {
        if !through.is_as(directly) {
            writeln!(wrong, "directly {directly}\n through {through}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{kind:?}:\n{wrong}");
}

#[test]
fn every_declared_difference_is_of_a_line_that_is_said() {
    for line in DECLARED.iter().flat_map(|(_, _, lines)| *lines) {
        assert!(SCRIPT.contains(line), "{}", line.escape_ascii());
    }
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
