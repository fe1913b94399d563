//! A server on its simulated disk.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use webfs::core::{Core, Payload, Place, Recovered, Settings};
use webfs::entry::Entry;
use webfs::server::Identity;

use crate::rng::Rng;

/// What happens to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its process dies; what it had written stays.
    Kill,
    /// The power goes: what was not synced may be lost.
    Power,
    /// The power goes, and the disk had lied: a little of what was synced is lost too.
    Lying,
    /// The disk is gone.
    Disk,
    /// An entry in the middle of the log cannot be read any more.
    Damage,
}

pub struct Host {
    pub settings: Settings,
    pub core: Option<Core>,
    /// Rises with every start, so that what an earlier process began does not reach a later one.
    pub epoch: u64,
    pub log: Vec<Entry>,
    /// Places of the log behind damage.
    aside: BTreeSet<usize>,
    damaged: bool,
    pub synced: usize,
    pub identity: Option<Identity>,
    pub syncing: bool,
    pub tick: Option<Duration>,
}

impl Host {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            core: None,
            epoch: 0,
            log: Vec::new(),
            aside: BTreeSet::new(),
            damaged: false,
            synced: 0,
            identity: None,
            syncing: false,
            tick: None,
        }
    }

    pub fn up(&self) -> bool {
        self.core.is_some()
    }

    pub fn joined(&self) -> bool {
        self.core.as_ref().is_some_and(Core::joined)
    }

    /// Reads the log into a new process.
    pub fn start(&mut self, session: u64) -> Recovered {
        self.epoch += 1;
        self.settings.session = session;
        let mut core = Core::new(self.settings.clone());
        for (at, entry) in self.log.iter().enumerate() {
            if !self.aside.contains(&at) {
                core.recovered(entry.clone(), Place(at as u64 + 1));
            }
        }
        for &at in &self.aside {
            core.recovered_aside(self.log[at].clone());
        }
        self.synced = self.log.len();
        self.syncing = false;
        self.tick = None;
        self.core = Some(core);
        Recovered {
            identity: self.identity,
            damaged: std::mem::take(&mut self.damaged),
        }
    }

    pub fn fail(&mut self, fault: Fault, rng: &mut Rng) {
        self.core = None;
        self.epoch += 1;
        match fault {
            Fault::Kill | Fault::Damage => {}
            Fault::Power => self.cut_log(self.synced, rng),
            Fault::Lying => self.cut_log(self.synced.saturating_sub(4), rng),
            Fault::Disk => {
                self.log.clear();
                self.aside.clear();
                self.identity = None;
            }
        }
        self.synced = self.log.len();
    }

    /// The messages that its disk holds.
    pub fn durable(&self) -> HashSet<u64> {
        let entries = self.log[..self.synced].iter();
        entries.map(|entry| uid_of(&entry.payload)).collect()
    }

    /// An entry cannot be read any more.
    pub fn damage(&mut self, at: usize) {
        self.log.remove(at);
        let moved = self
            .aside
            .iter()
            .map(|&other| other - usize::from(other > at));
        self.aside = moved.chain(at..self.log.len()).collect();
        self.damaged = true;
        self.synced = self.log.len();
    }

    fn cut_log(&mut self, from: usize, rng: &mut Rng) {
        let kept = from + rng.below(self.log.len() - from + 1);
        self.log.truncate(kept);
        self.aside.split_off(&kept);
    }

    pub fn load(&self, payload: &Payload) -> u64 {
        let bytes = match payload {
            Payload::Here(bytes) => bytes.clone(),
            Payload::At { place, .. } => self.at(*place).payload.clone(),
        };
        uid_of(&bytes)
    }

    pub fn at(&self, place: Place) -> &Entry {
        &self.log[place.0 as usize - 1]
    }
}

pub fn uid_of(payload: &[u8]) -> u64 {
    std::str::from_utf8(payload)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}
