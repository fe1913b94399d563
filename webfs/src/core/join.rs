//! A start: own entries are fetched back from the peers, then a letter and a floor are chosen.
//!
//! The floor lies beyond every index that this server may ever have given out, so an index never names
//! two entries. What a lost disk had given out and nobody knows of is allowed for: half of [`LEAP`] at
//! least. A server whose data was lost or repaired takes a new letter.

use std::time::Duration;

use super::api::{Now, Output, Place, Recovered};
use super::peers::Known;
use super::replica::Fit;
use super::state::{Core, From, LEAP};
use crate::entry::Entry;
use crate::letter::Letter;
use crate::server::{Append, Identity};

/// How long a start waits for members that it has not been able to ask yet.
const ASK_FOR: Duration = Duration::from_secs(1);
/// How long a start waits for members that have not sent all yet.
const FETCH_FOR: Duration = Duration::from_secs(10);

/// A start under way.
#[derive(Debug, Default)]
pub(super) struct Joining {
    started: Option<Duration>,
    /// When waiting for members is looked at again without news of them.
    again: Option<Duration>,
    recovered: Recovered,
    /// Peers hold entries of this server's that its disk has not.
    lost: bool,
    /// Being stored.
    chosen: Option<Identity>,
    /// Entries to be logged again once there is a letter: stream, position, and whose entry ends them.
    pub(super) log_again: Vec<(usize, usize, Letter)>,
    done: bool,
}

impl Joining {
    pub(super) fn next_timer(&self) -> Option<Duration> {
        self.again.filter(|_| !self.done && self.chosen.is_none())
    }
}

impl Core {
    /// An entry of the log, in the log's order; before [`Core::start`].
    pub fn recovered(&mut self, entry: Entry, place: Place) {
        let at = self.room_at(&entry.path, entry.generation);
        let fit = self
            .rooms
            .get(at)
            .map(|room| room.replica.fits(entry.name, entry.before));
        if fit == Some(Fit::Next) {
            self.apply(at, entry, From::Disk(place));
            self.evict();
        } else {
            self.recovered_aside(entry);
        }
    }

    /// An entry that stands in the log behind something that cannot be read any more; after all others.
    /// What is missing may be its cause, so it is kept aside: the peers are asked first, and what they do
    /// not have is logged again.
    pub fn recovered_aside(&mut self, entry: Entry) {
        let at = self.room_at(&entry.path, entry.generation);
        self.note_lineage(&entry);
        self.logged += 1;
        self.synced += 1;
        let room = self.rooms.get(at);
        if room.is_some_and(|room| room.replica.find(entry.name).is_none()) {
            self.orphans.push(entry);
        }
    }

    /// All of the log has gone through [`Core::recovered`]: the peers are to be asked now.
    pub fn start(&mut self, now: Now, recovered: Recovered) {
        self.joining.started = Some(now.since_start);
        self.joining.recovered = recovered;
        for at in 0..self.rooms.len() {
            self.settle(at);
        }
        self.try_to_join(now);
    }

    /// The identity that [`Output::StoreIdentity`] asked for is durable: requests are served from now on.
    pub fn identity_stored(&mut self, now: Now, identity: Identity) {
        self.identity = Some(identity);
        self.joining.done = true;
        self.view += 1;
        let lineage = self.lineage(identity.letter);
        lineage.start = lineage.start.max(identity.start);
        for (at, position, ending) in std::mem::take(&mut self.joining.log_again) {
            self.log_again(at, position, ending);
        }
        self.take_orphans();
        for index in self.peers_in_reach() {
            self.tell_status(now, index);
        }
    }

    /// Whether requests are served.
    #[must_use]
    pub fn joined(&self) -> bool {
        self.identity.is_some()
    }

    /// This start's letter and number, once it has joined.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// Its disk was empty, and it has not joined yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.identity.is_none() && self.joining.recovered.identity.is_none()
    }

    /// The letter it signs with; before it has joined, the one it last had.
    pub(super) fn letter(&self) -> Letter {
        let stored = self.joining.recovered.identity;
        let identity = self.identity.or(stored);
        identity.map_or(Letter::first(self.settings.id), |identity| identity.letter)
    }

    /// A peer sent an entry of this server's own.
    pub(super) fn own_came_back(&mut self, entry: &Entry) {
        if self.identity.is_none() {
            self.joining.lost = true;
        } else if self.settings.rules.leap
            && entry.name.letter == self.letter()
            && entry.name.index >= self.floor
        {
            let name = entry.name;
            self.broken(format!(
                "a peer sent {name}, which this server never gave out"
            ));
        }
        self.counters.fetched_back += 1;
    }

    /// For whom a start waits, for people to read.
    #[must_use]
    pub fn waits_to_join_for(&self) -> String {
        if self.joining.chosen.is_some() {
            return "its disk".to_owned();
        }
        let missing = |index: usize| {
            let peer = self.peers.get(index)?;
            let address = self.settings.peers.get(index)?;
            (!peer.itself && !peer.level).then_some(address.as_str())
        };
        let missing: Vec<&str> = (0..self.peers.len()).filter_map(missing).collect();
        missing.join(", ")
    }

    pub(super) fn try_to_join(&mut self, now: Now) {
        let Some(started) = self.joining.started else {
            return;
        };
        if self.joining.done || self.joining.chosen.is_some() || self.stopping {
            return;
        }
        let waited = now.since_start.saturating_sub(started);
        let waits = [ASK_FOR, FETCH_FOR].into_iter().find(|&wait| wait > waited);
        self.joining.again = waits.map(|wait| started + wait);
        let asked = self.peers.iter().all(|peer| {
            peer.itself
                || peer.level
                || if peer.up {
                    waited >= FETCH_FOR
                } else {
                    peer.tried || waited >= ASK_FOR
                }
        });
        let needs_others = self.is_fresh() || self.joining.recovered.damaged;
        if asked && (!needs_others || self.may_begin_afresh()) {
            self.choose();
        }
    }

    /// An empty disk does not know which letters it had: a member that has joined before knows, or
    /// all of them say that the whole group is new. A damaged one asks for what it cannot read any more.
    fn may_begin_afresh(&self) -> bool {
        let mut others = self.peers.iter().filter(|peer| !peer.itself);
        self.settings.alone
            || self.others() == 0
            || others.clone().any(|peer| peer.level && !peer.fresh)
            || others.all(|peer| peer.level)
    }

    fn choose(&mut self) {
        let id = self.settings.id;
        let own = self.lineages.get(&id).copied();
        let known: Vec<Known> = self.peers.iter().filter_map(|peer| peer.known).collect();
        let letters = known.iter().filter_map(|known| known.letter);
        let newest = letters.chain(own.map(|own| own.letter)).max();
        let tops = known.iter().map(|known| known.top);
        let top = tops.chain(own.map(|own| own.top)).max().unwrap_or(0);
        let starts = known.iter().filter(|known| known.letter == newest);
        let heard = starts.map(|known| known.start).max().unwrap_or(0);
        let leap = self.settings.rules.leap;
        let stored = self.joining.recovered.identity;
        let lost = self.joining.recovered.damaged
            || self.joining.lost
            || stored.is_some_and(|stored| {
                let told = newest.map(|newest| (newest, heard));
                told > Some((stored.letter, stored.start))
            });
        let letter = match stored {
            Some(stored) if !lost || !leap => Some(stored.letter),
            Some(stored) => newest.unwrap_or(stored.letter).max(stored.letter).next(),
            None => newest.map_or(Some(Letter::first(id)), Letter::next),
        };
        let Some(letter) = letter else {
            self.broken(format!("server {id} has used up all its letters"));
            return;
        };
        let start = match stored {
            Some(stored) if stored.letter == letter => stored.start + 1,
            Some(_) | None => 1,
        };
        let first_ever = start == 1 && top == 0 && letter == Letter::first(id);
        let starts = heard.max(start - 1) * LEAP;
        self.floor = match first_ever || !leap {
            true => 1,
            false => (top + LEAP / 2).next_multiple_of(LEAP).max(starts),
        };
        let identity = Identity { letter, start };
        self.joining.chosen = Some(identity);
        self.outputs.push(Output::StoreIdentity(identity));
    }

    /// Logs again what the disk had behind a damaged part and nobody has sent.
    fn take_orphans(&mut self) {
        for mut entry in std::mem::take(&mut self.orphans) {
            let at = self.room_at(&entry.path, entry.generation);
            let held = self.rooms.get(at).is_some_and(|room| {
                let others = room.names.others(entry.name).iter();
                std::iter::once(&entry.name)
                    .chain(others)
                    .any(|&name| room.replica.find(name).is_some())
            });
            if held {
                continue;
            }
            entry.was.insert(0, entry.name);
            entry.was.truncate(Append::MAX_WAS);
            (entry.name, entry.before) = self.next_name(at);
            self.counters.logged_again += 1;
            self.apply(at, entry, From::Here);
        }
    }
}
