//! An FTP server in memory: its settings, its control connection, and which command does what.
//!
//! It does what the RFCs and the real servers do, in order, without haste. What a client must not have
//! done twice it notes as an effect ([`Wire::effect`]), so that a test can count it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::rc::Rc;

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
    /// An upload that was broken off leaves nothing.
    pub discards: bool,
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
            rate: 0,
            piece: 512,
            account: None,
            foreign_pasv: false,
        }
    }
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
    /// Connections accepted so far.
    pub connections: Cell<usize>,
}

impl Server {
    pub fn new(name: &str, settings: Settings, tree: &Rc<RefCell<Tree>>) -> Rc<Self> {
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
            connections: Cell::new(0),
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
