//! Shipping: a peer gets what it lacks, in this server's order, whoever's entries they are.
//!
//! The first own entry after a quiet interval goes at once, then what has gathered goes every interval.
//! Entries of others alone wait for the interval: their own server ships them too. What a peer has said
//! it has is not sent to it, and no order suffers by that, since it holds the entry's causes as well.

use super::api::{Message, Now, PeerIndex, Shipped};
use super::room::Room;
use super::state::Core;

/// Bytes on their way to a peer before it has taken some.
pub(super) const CREDIT: usize = 1 << 20;

/// What is being put together for one peer.
#[derive(Default)]
struct Batch {
    entries: Vec<Shipped>,
    bytes: usize,
}

impl Core {
    /// The peer has taken what was sent: there is room for more.
    pub fn peer_drained(&mut self, now: Now, peer: PeerIndex) {
        let Some(peer_state) = self.peers.get_mut(peer.0).filter(|peer| peer.up) else {
            return;
        };
        let blocked = peer_state.credit == 0;
        peer_state.credit = CREDIT;
        if blocked {
            self.ship(now, peer.0);
        }
    }

    /// A peer has said what it has: everything else is due.
    pub(super) fn begin_shipping(&mut self, now: Now, index: usize) {
        for (at, room) in self.rooms.iter_mut().enumerate() {
            let end = shippable(room, self.settings.rules.durable_first);
            let Some(at_peer) = room.peers.get_mut(index) else {
                continue;
            };
            at_peer.sent = room.replica.position(&at_peer.told);
            if at_peer.sent < end
                && let Some(peer) = self.peers.get_mut(index)
            {
                at_peer.listed = true;
                peer.listed.push_back(at);
            }
        }
        if let Some(peer) = self.peers.get_mut(index) {
            peer.told_all = true;
            peer.pulls.push_front((0, None));
        }
        self.ship(now, index);
    }

    /// Streams moved: every peer is due something. `own`: something of it is this server's own.
    pub(super) fn list_for_shipping(&mut self, now: Now, moved: &[usize], own: bool) {
        if moved.is_empty() {
            return;
        }
        let interval = self.settings.interval;
        for index in 0..self.peers.len() {
            let Some(peer) = self.peers.get_mut(index).filter(|peer| peer.told_all) else {
                continue;
            };
            for &at in moved {
                let Some(room) = self.rooms.get_mut(at) else {
                    continue;
                };
                if let Some(at_peer) = room.peers.get_mut(index)
                    && !at_peer.listed
                {
                    at_peer.listed = true;
                    peer.listed.push_back(at);
                }
            }
            let after_last = peer
                .last_ship
                .map_or(now.since_start, |last| last + interval);
            let due = match own {
                true => after_last.max(now.since_start),
                false => now.since_start + interval,
            };
            let due = peer.next_ship.map_or(due, |other| other.min(due));
            peer.next_ship = Some(due);
            if due <= now.since_start {
                self.ship(now, index);
            }
        }
    }

    /// Sends a peer what is due: pulls first, then every listed stream, as far as its credit goes.
    pub(super) fn ship(&mut self, now: Now, index: usize) {
        let Some(peer) = self
            .peers
            .get_mut(index)
            .filter(|peer| peer.up && peer.told_all)
        else {
            return;
        };
        peer.next_ship = None;
        let mut batch = Batch::default();
        while let Some((nonce, path)) = self.next_pull(index) {
            let rooms: Vec<usize> = match &path {
                Some(path) => self.by_path.get(path).cloned().unwrap_or_default(),
                None => self
                    .peers
                    .get(index)
                    .map_or_else(Vec::new, |p| p.listed.iter().copied().collect()),
            };
            if !rooms
                .into_iter()
                .all(|at| self.ship_room(at, index, &mut batch))
            {
                self.flush(index, &mut batch);
                return; // goes on with its credit
            }
            self.flush(index, &mut batch);
            self.send(index, Message::Pulled { nonce });
            if let Some(peer) = self.peers.get_mut(index) {
                peer.pulls.pop_front();
            }
        }
        while let Some(at) = self.next_listed(index) {
            if !self.ship_room(at, index, &mut batch) {
                break;
            }
            if let Some(peer) = self.peers.get_mut(index) {
                peer.listed.pop_front();
            }
            if let Some(at_peer) = self.at_peer(at, index) {
                at_peer.listed = false;
            }
        }
        let sent = !batch.entries.is_empty();
        self.flush(index, &mut batch);
        if let Some(peer) = self.peers.get_mut(index)
            && sent
        {
            peer.last_ship = Some(now.since_start);
        }
        if !self.settings.rules.apply_order {
            self.list_rest(now, index);
        }
    }

    fn next_pull(&self, index: usize) -> Option<(u64, Option<crate::path::StreamPath>)> {
        self.peers.get(index)?.pulls.front().cloned()
    }

    fn next_listed(&self, index: usize) -> Option<usize> {
        self.peers.get(index)?.listed.front().copied()
    }

    /// Puts what a peer lacks of a stream into batches; `false` when its credit is used up before.
    fn ship_room(&mut self, at: usize, index: usize, batch: &mut Batch) -> bool {
        if !self.settings.rules.apply_order {
            self.ship_one_letter(at, index, batch);
            return true;
        }
        loop {
            if self.peers.get(index).is_none_or(|peer| peer.credit == 0) {
                return false;
            }
            let durable_first = self.settings.rules.durable_first;
            let Some(room) = self.rooms.get_mut(at) else {
                return true;
            };
            let end = shippable(room, durable_first);
            let Some(at_peer) = room.peers.get_mut(index) else {
                return true;
            };
            while at_peer.sent < end && batch.bytes < Message::MAX_BATCH {
                if let Some(held) = room.replica.get(at_peer.sent)
                    && at_peer.told.get(held.entry.name.letter) < held.entry.name.index
                {
                    batch.add(held);
                }
                at_peer.sent += 1;
            }
            let done = at_peer.sent >= end;
            if batch.bytes >= Message::MAX_BATCH {
                self.flush(index, batch);
            }
            if done {
                return true;
            }
        }
    }

    /// The rule of apply order switched off: only one letter's entries, the next time another's.
    fn ship_one_letter(&mut self, at: usize, index: usize, batch: &mut Batch) {
        let durable_first = self.settings.rules.durable_first;
        let turn = usize::try_from(self.counters.shipped_out_of_order).unwrap_or(0);
        let Some(room) = self.rooms.get_mut(at) else {
            return;
        };
        let end = shippable(room, durable_first);
        let Some(at_peer) = room.peers.get_mut(index) else {
            return;
        };
        let lacks: Vec<_> = (at_peer.sent..end)
            .filter_map(|position| room.replica.get(position))
            .filter(|held| at_peer.told.get(held.entry.name.letter) < held.entry.name.index)
            .collect();
        let mut letters: Vec<_> = lacks.iter().map(|held| held.entry.name.letter).collect();
        letters.sort_unstable();
        letters.dedup();
        if letters.is_empty() {
            at_peer.sent = end;
            return;
        }
        let letter = letters[turn % letters.len()];
        for held in lacks {
            if held.entry.name.letter == letter {
                batch.add(held);
                at_peer.told.raise(held.entry.name);
            }
        }
        at_peer.sent = room.replica.position(&at_peer.told);
        self.counters.shipped_out_of_order += 1;
    }

    /// With that rule off: streams of which other letters are still due.
    fn list_rest(&mut self, now: Now, index: usize) {
        let durable_first = self.settings.rules.durable_first;
        let Some(peer) = self.peers.get_mut(index) else {
            return;
        };
        for (at, room) in self.rooms.iter_mut().enumerate() {
            let end = shippable(room, durable_first);
            if let Some(at_peer) = room.peers.get_mut(index)
                && at_peer.sent < end
                && !at_peer.listed
            {
                at_peer.listed = true;
                peer.listed.push_back(at);
                peer.next_ship = Some(now.since_start + self.settings.interval);
            }
        }
    }

    fn flush(&mut self, index: usize, batch: &mut Batch) {
        let Batch { entries, bytes } = std::mem::take(batch);
        if entries.is_empty() {
            return;
        }
        if let Some(peer) = self.peers.get_mut(index) {
            peer.credit = peer.credit.saturating_sub(bytes.max(1));
        }
        self.counters.shipped += entries.len() as u64;
        self.send(index, Message::Entries(entries));
    }
}

impl Batch {
    fn add(&mut self, held: &super::replica::Held) {
        self.bytes += held.len as usize + size_of::<Shipped>();
        self.entries.push(Shipped {
            entry: held.entry.clone(),
            place: held.place.filter(|_| held.evicted),
        });
    }
}

/// Entries before this position may be shipped.
fn shippable(room: &Room, durable_first: bool) -> usize {
    match durable_first {
        true => room.synced,
        false => room.replica.len(),
    }
}
