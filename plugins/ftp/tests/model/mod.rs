//! A cluster of FTP servers in memory, and a client: what the plugin stands between.
//!
//! [`server`] and [`session`] are a server that speaks as vsftpd, ProFTPD or Pure-FTPd would, with
//! whatever a test takes from it or breaks in it; [`client`] writes a transcript.

// Each test program uses its own part of it.
#![allow(dead_code, unreachable_pub)]
// Outside of a `#[test]` function, but in a test all the same.
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod client;
mod control;
pub mod server;
mod session;
pub mod style;
pub mod sweep;
mod transfer;
pub mod tree;

use std::cell::RefCell;
use std::rc::Rc;

use director_ftp::Ftp;
use director_sdk::testing::World;

use server::{Common, Server, Settings};
use tree::Tree;

/// Several servers.
pub struct Cluster {
    pub servers: Vec<Rc<Server>>,
    pub common: Rc<Common>,
    /// Each server has its own storage.
    apart: bool,
}

/// The nodes' names, in the order in which they are made.
pub const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

impl Cluster {
    /// Servers over one storage.
    pub fn shared(settings: &[Settings], tree: Tree) -> Self {
        let tree = Rc::new(RefCell::new(tree));
        let common = Rc::default();
        let servers = NAMES
            .iter()
            .zip(settings)
            .map(|(name, settings)| Server::new(name, settings.clone(), &tree, &common));
        Self {
            servers: servers.collect(),
            common: Rc::clone(&common),
            apart: false,
        }
    }

    /// Servers that have a storage each, with the same files in the beginning.
    pub fn separate(settings: &[Settings], tree: &Tree) -> Self {
        let common = Rc::default();
        let servers = NAMES.iter().zip(settings).map(|(name, settings)| {
            let tree = Rc::new(RefCell::new(tree.clone()));
            Server::new(name, settings.clone(), &tree, &common)
        });
        Self {
            servers: servers.collect(),
            common: Rc::clone(&common),
            apart: true,
        }
    }

    /// The client will upload this: only then it is complete.
    pub fn expect(&self, path: &str, bytes: &[u8]) {
        for server in &self.servers {
            server
                .expected
                .borrow_mut()
                .insert(path.to_owned(), bytes.to_vec());
        }
    }

    /// Starts the plugin with `options` (JSON) and makes every server a node.
    pub fn start(&self, world: &World, options: &str) {
        world.start::<Ftp>(options).unwrap();
        for server in &self.servers {
            server.join(world);
        }
    }

    /// How often a file that the client uploaded was stored whole: at each server.
    pub fn stored(&self, path: &str) -> Vec<usize> {
        let times = |server: &Rc<Server>| {
            let stored = server.stored.borrow();
            stored.iter().filter(|stored| *stored == path).count()
        };
        self.servers.iter().map(times).collect()
    }

    /// What was done more than once: with one storage anywhere, with several at one of them.
    pub fn done_twice(&self) -> Vec<String> {
        let ledger = self.common.ledger.borrow();
        let mut seen = std::collections::BTreeSet::new();
        let again = |(server, what): &&(String, String)| {
            let server = if self.apart { server.as_str() } else { "" };
            !seen.insert((server.to_owned(), what.clone()))
        };
        let again = ledger.iter().filter(again);
        again.map(|(_, what)| what.clone()).collect()
    }

    /// Nothing was done twice; else `told` is part of the message.
    pub fn assert_once(&self, told: &str) {
        let twice = self.done_twice();
        assert!(
            twice.is_empty(),
            "done twice: {twice:?}\n{told}\n{:#?}",
            self.heard()
        );
    }

    /// How often something was done, at all servers together.
    pub fn times(&self, what: &str) -> usize {
        let ledger = self.common.ledger.borrow();
        ledger.iter().filter(|(_, done)| done == what).count()
    }

    /// The server that heard the last command.
    pub fn used(&self) -> &Rc<Server> {
        let last = self.common.last.borrow();
        let mut servers = self.servers.iter();
        servers.find(|server| server.name == *last).unwrap()
    }

    /// Sets every server's next transfer.
    pub fn quirk(&self, quirk: server::Quirk) {
        let servers = self.servers.iter();
        servers.for_each(|server| server.quirk.set(Some(quirk)));
    }

    /// What each server was told, for messages.
    pub fn heard(&self) -> Vec<(String, Vec<String>)> {
        let heard = |server: &Rc<Server>| (server.name.clone(), server.heard.borrow().clone());
        self.servers.iter().map(heard).collect()
    }
}
