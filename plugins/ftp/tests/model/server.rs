//! An FTP server in memory: its settings, its control connection, and which command does what.
//!
//! It does what the RFCs and the real servers do, in order, without haste. What a client must not have
//! done twice it notes as an effect ([`Wire::effect`]), so that a test can count it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use director_sdk::testing::{Wire, World};

use super::session::Session;
use super::style::Style;
use super::tree::Tree;

/// What a server is like.
#[derive(Debug, Clone)]
pub struct Settings {
    pub style: Style,
    /// HASH with CRC32.
    pub hash: bool,
    /// XSHA256.
    pub xsha256: bool,
    /// XCRC.
    pub xcrc: bool,
    /// MLSD and MLST.
    pub facts: bool,
    pub size: bool,
    pub mdtm: bool,
    /// REST STREAM; else 502.
    pub restart: bool,
    /// REST before STOR; else 501 at REST's transfer (ProFTPD without `AllowStoreRestart`).
    pub restart_stores: bool,
    pub epsv: bool,
    pub pasv: bool,
    pub mfmt: bool,
    /// AUTH TLS.
    pub tls: bool,
    /// 522 at a protected data connection that resumes no session.
    pub require_reuse: bool,
    /// An upload that was broken off leaves nothing (vsftpd's `delete_failed_uploads`, ProFTPD's
    /// `DeleteAbortedStores`).
    pub discards: bool,
    /// Uploads to names that begin so are refused with 553.
    pub denies: Option<&'static str>,
    /// A file that is restarted has a hidden name until its end (Pure-FTPd; so said by ESTA and ESTP).
    pub hides: bool,
    /// Replies come byte by byte, a millisecond apart.
    pub mumbles: bool,
    /// Bytes a second of each transfer; 0 for no limit.
    pub rate: u64,
    /// How many bytes a transfer writes at a time.
    pub piece: usize,
    /// The password is followed by 332, and this is right.
    pub account: Option<&'static str>,
    /// Sends other addresses in 227, as behind a NAT that nobody told it of.
    pub foreign_pasv: bool,
}

impl Settings {
    /// As the distribution's packages are set, with uploads allowed.
    pub fn of(style: Style) -> Self {
        Self {
            style,
            hash: false,
            xsha256: false,
            xcrc: false,
            facts: style != Style::Vsftpd,
            size: true,
            mdtm: true,
            restart: true,
            restart_stores: true,
            epsv: true,
            pasv: true,
            mfmt: style != Style::Vsftpd,
            tls: false,
            require_reuse: false,
            discards: false,
            denies: None,
            hides: style == Style::PureFtpd,
            mumbles: false,
            rate: 0,
            piece: 512,
            account: None,
            foreign_pasv: false,
        }
    }
}

/// What a server does once in an unusual order, or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirk {
    /// 226 before the first byte of a download, whose data follows.
    WordFirst,
    /// All of a download and its end, and only then 150 and 226.
    DataFirst,
    /// A download without 150.
    NoMark,
    /// 150 twice.
    TwoMarks,
    /// A 226 in place of 150, with no data connection used.
    NoData,
    /// Behind the last reply, in one piece with it, another 226.
    TwoWords,
    /// The same, a second later.
    LateWord,
    /// No last reply at all, and nothing else either.
    NoWord,
    /// 421 in place of 150, and the end.
    LeavesAtMark,
    /// After so many bytes a proper end of the data, 421, and the end.
    Leaves(usize),
    /// 421 in place of the last reply, and the end.
    LeavesAtEnd,
}

/// What the servers of a cluster share beside their files.
#[derive(Debug, Default)]
pub struct Common {
    /// What was done that must not be done twice: at which server, and what. An upload is noted when it came to
    /// its end with bytes of its own and the file was then what the client meant it to be.
    pub ledger: RefCell<Vec<(String, String)>>,
    /// The server that heard the last command.
    pub last: RefCell<String>,
    /// After so many more commands, whichever server hears the next says 421 and leaves.
    pub goodbye: Cell<Option<usize>>,
}

/// A user and the password that is right.
pub const USER: (&str, &str) = ("joe", "secret");

/// A server: what its connections share.
pub struct Server {
    pub name: String,
    pub settings: Settings,
    /// Its storage; several servers may have one.
    pub tree: Rc<RefCell<Tree>>,
    /// What clients are known to upload.
    pub expected: Rc<RefCell<BTreeMap<String, Vec<u8>>>>,
    /// Every command it was sent, passwords included.
    pub heard: RefCell<Vec<String>>,
    /// Uploads that came to a proper end here with all that the client meant to send, by path.
    pub stored: RefCell<Vec<String>>,
    /// Replies that take the place of the next ones to a command.
    instead: RefCell<BTreeMap<String, VecDeque<String>>>,
    /// Says 421 to whoever connects.
    pub busy: Cell<bool>,
    /// Says 421 after so many more commands, and closes.
    pub sleepy: Cell<Option<usize>>,
    /// Resets the next data connection after so many bytes, and says 426.
    pub trips: Cell<Option<usize>>,
    /// Closes the next download's data connection after so many bytes as if that were the end, and
    /// says 451.
    pub stumbles: Cell<Option<usize>>,
    /// The next transfer goes like this.
    pub quirk: Cell<Option<Quirk>>,
    /// How long it takes for a digest.
    pub ponders: Cell<Duration>,
    /// How long it waits after a download's data before its last word; an ABOR is heard meanwhile.
    pub lingers: Cell<Duration>,
    /// What it says instead of that all of a transfer is done, or that it broke.
    pub last_words: RefCell<VecDeque<String>>,
    /// Connections accepted so far.
    pub connections: Cell<usize>,
    /// What it shares with the others.
    pub common: Rc<Common>,
}

impl Server {
    pub fn new(
        name: &str,
        settings: Settings,
        tree: &Rc<RefCell<Tree>>,
        common: &Rc<Common>,
    ) -> Rc<Self> {
        Rc::new(Self {
            name: name.to_owned(),
            settings,
            tree: Rc::clone(tree),
            expected: Rc::default(),
            heard: RefCell::default(),
            stored: RefCell::default(),
            instead: RefCell::default(),
            busy: Cell::new(false),
            sleepy: Cell::new(None),
            trips: Cell::new(None),
            stumbles: Cell::new(None),
            quirk: Cell::new(None),
            ponders: Cell::default(),
            lingers: Cell::default(),
            last_words: RefCell::default(),
            connections: Cell::new(0),
            common: Rc::clone(common),
        })
    }

    /// Makes it a node of a world.
    pub fn join(self: &Rc<Self>, world: &World) {
        let server = Rc::clone(self);
        world.node(&self.name, move |wire| serve(Rc::clone(&server), wire));
    }

    /// The next `verb` is answered with `reply`, and nothing is done.
    pub fn answer_instead(&self, verb: &str, reply: &str) {
        let mut instead = self.instead.borrow_mut();
        instead
            .entry(verb.to_owned())
            .or_default()
            .push_back(reply.to_owned());
    }

    /// Notes what must not be done twice.
    pub(super) fn did(&self, what: impl Into<String>) {
        let entry = (self.name.clone(), what.into());
        self.common.ledger.borrow_mut().push(entry);
    }

    /// Whether a command is answered with 421, and notes it.
    pub(super) fn hears(&self, line: String) -> bool {
        self.common.last.borrow_mut().clone_from(&self.name);
        self.heard.borrow_mut().push(line);
        let leaves = |left: &Cell<Option<usize>>| match left.get() {
            Some(now) => {
                left.set(now.checked_sub(1));
                now == 0
            }
            None => false,
        };
        // Both count.
        leaves(&self.sleepy) | leaves(&self.common.goodbye)
    }

    pub(super) fn take_instead(&self, verb: &str) -> Option<String> {
        self.instead.borrow_mut().get_mut(verb)?.pop_front()
    }

    /// How often it heard a command that begins so.
    pub fn heard_of(&self, start: &str) -> usize {
        let heard = self.heard.borrow();
        heard.iter().filter(|line| line.starts_with(start)).count()
    }
}

async fn serve(server: Rc<Server>, wire: Wire) {
    server.connections.set(server.connections.get() + 1);
    // An error is the director's having gone, or a fault of the test's own.
    let _gone: io::Result<()> = Session::new(server, wire).run().await;
}
