//! The other members: connections, what they say, and what they send.

use std::collections::VecDeque;
use std::time::Duration;

use super::api::{Hello, Message, Now, Output, PeerIndex, Shipped, StreamCut};
use super::replica::Fit;
use super::ship::CREDIT;
use super::state::{Core, From};
use crate::entry::Entry;
use crate::letter::{Letter, ServerId};
use crate::path::StreamPath;
use crate::server::{Append, Fatal, Identity};

/// How often a peer hears from this server when there is nothing to say.
const STATUS_EVERY: Duration = Duration::from_millis(250);
/// After this without a message nothing waits for a peer any more.
const QUIET: Duration = Duration::from_millis(750);
/// After this without a message a connection is given up.
const SILENCE: Duration = Duration::from_secs(2);

/// What a peer knows of this server's lineage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) letter: Option<Letter>,
    pub(super) start: u64,
    pub(super) top: u64,
}

/// One of the other configured members.
#[derive(Debug, Default)]
pub(super) struct Peer {
    pub(super) id: Option<ServerId>,
    pub(super) identity: Option<Identity>,
    pub(super) load: u32,
    pub(super) leaving: bool,
    /// It is this server under another address.
    pub(super) itself: bool,
    /// A connection came up or failed since the start.
    pub(super) tried: bool,
    pub(super) up: bool,
    pub(super) fresh: bool,
    pub(super) known: Option<Known>,
    /// It has said what it has.
    pub(super) told_all: bool,
    /// It has sent what this server lacked when the connection came up.
    pub(super) level: bool,
    /// Streams with something to ship.
    pub(super) listed: VecDeque<usize>,
    /// Pulls of its that are not answered yet.
    pub(super) pulls: VecDeque<(u64, Option<StreamPath>)>,
    /// Bytes that may still be sent before it has taken some.
    pub(super) credit: usize,
    pub(super) last_ship: Option<Duration>,
    pub(super) next_ship: Option<Duration>,
    pub(super) heard: Duration,
    pub(super) told_status: Duration,
}

impl Peer {
    pub(super) fn next_timer(&self) -> Option<Duration> {
        let alive = self
            .up
            .then(|| (self.told_status + STATUS_EVERY).min(self.heard + SILENCE));
        let ship = self.next_ship.filter(|_| self.up);
        alive.into_iter().chain(ship).min()
    }
}

impl Core {
    /// What this server's driver says first on a connection.
    #[must_use]
    pub fn hello(&self) -> Hello {
        Hello {
            id: self.settings.id,
            session: self.settings.session,
            address: self.settings.listen.clone(),
            fresh: self.is_fresh(),
        }
    }

    /// The configured address turned out to be this server's own.
    pub fn peer_is_self(&mut self, now: Now, peer: PeerIndex) {
        if let Some(peer) = self.peers.get_mut(peer.0) {
            peer.itself = true;
            peer.up = false;
        }
        self.try_to_join(now);
    }

    /// A connection to a peer is up, and its hello came. It replaces an earlier one.
    pub fn peer_up(&mut self, now: Now, peer: PeerIndex, hello: Hello) {
        if hello.id == self.settings.id {
            if hello.session == self.settings.session {
                self.peer_is_self(now, peer);
            } else if hello.fresh && self.identity.is_some() {
                // The newcomer ends by itself: it hears of this server, which goes on.
                let why = "a newcomer has the id of this server";
                self.outputs.push(Output::Disconnect { peer, why });
            } else {
                self.stopping = true;
                self.outputs
                    .push(Output::Fatal(Fatal::SameId(hello.address)));
            }
            return;
        }
        self.peer_down(now, peer);
        let PeerIndex(index) = peer;
        let Some(peer) = self.peers.get_mut(index) else {
            return;
        };
        *peer = Peer {
            id: Some(hello.id),
            identity: None,
            itself: false,
            tried: true,
            up: true,
            fresh: hello.fresh,
            credit: CREDIT,
            heard: now.since_start,
            told_status: now.since_start,
            ..Peer::default()
        };
        for room in &mut self.rooms {
            if let Some(at_peer) = room.peers.get_mut(index) {
                *at_peer = super::room::AtPeer::default();
            }
        }
        self.view += 1;
        self.tell_all(now, index, hello.id);
    }

    /// A connection to a peer has ended, or could not be made.
    pub fn peer_down(&mut self, now: Now, peer: PeerIndex) {
        let PeerIndex(index) = peer;
        let Some(peer) = self.peers.get_mut(index) else {
            return;
        };
        peer.tried = true;
        if std::mem::take(&mut peer.up) {
            peer.level = false;
            peer.told_all = false;
            peer.identity = None;
            peer.listed.clear();
            peer.pulls.clear();
            peer.next_ship = None;
            self.view += 1;
            self.lose_in_rounds(now, index);
        }
        self.try_to_join(now);
    }

    /// What a peer said.
    pub fn peer_message(&mut self, now: Now, peer: PeerIndex, message: Message) {
        let PeerIndex(index) = peer;
        let Some(peer) = self.peers.get_mut(index).filter(|peer| peer.up) else {
            return;
        };
        peer.heard = now.since_start;
        match message {
            Message::Known { letter, start, top } => {
                peer.known = Some(Known { letter, start, top });
            }
            Message::Synced { streams, last } => self.hear_synced(now, index, streams, last),
            Message::Entries(entries) => self.receive(now, index, entries),
            Message::Pull { nonce, path } => {
                peer.pulls.push_back((nonce, path));
                self.ship(now, index);
            }
            Message::Pulled { nonce: 0 } => {
                peer.level = true;
                self.try_to_join(now);
            }
            Message::Pulled { nonce } => self.pulled(now, index, nonce),
            Message::Status {
                identity,
                load,
                leaving,
            } => {
                let changed = peer.identity != identity || peer.leaving != leaving;
                (peer.identity, peer.load, peer.leaving) = (identity, load, leaving);
                self.view += u64::from(changed);
                if let Some(Identity { letter, start }) = identity {
                    let lineage = self.lineage(letter);
                    if lineage.letter == letter {
                        lineage.start = lineage.start.max(start);
                    }
                }
            }
        }
    }

    /// How many other members there are.
    pub(super) fn others(&self) -> usize {
        self.peers.iter().filter(|peer| !peer.itself).count()
    }

    pub(super) fn peers_in_reach(&self) -> Vec<usize> {
        let up = self.peers.iter().enumerate().filter(|(_, peer)| peer.up);
        up.map(|(index, _)| index).collect()
    }

    /// Those that have said something lately.
    pub(super) fn peers_that_answer(&self, now: Now) -> Vec<usize> {
        let mut peers = self.peers_in_reach();
        peers.retain(|&index| {
            let heard = self.peers.get(index).map(|peer| peer.heard);
            heard.is_some_and(|heard| heard + QUIET > now.since_start)
        });
        peers
    }

    /// Whether every member is in reach and has sent what this server lacked.
    pub(super) fn all_level(&self) -> bool {
        let mut others = self.peers.iter().filter(|peer| !peer.itself);
        others.all(|peer| peer.up && peer.level)
    }

    /// Sends due batches and signs of life, gives silent connections up.
    pub(super) fn look_at_peers(&mut self, now: Now) {
        for index in self.peers_in_reach() {
            let Some(peer) = self.peers.get_mut(index) else {
                continue;
            };
            if peer.heard + SILENCE <= now.since_start {
                self.disconnect(now, index, "nothing heard for two seconds");
                continue;
            }
            let quiet = peer.heard + QUIET <= now.since_start;
            if peer.told_status + STATUS_EVERY <= now.since_start {
                self.tell_status(now, index);
            }
            if quiet {
                self.lose_in_rounds(now, index);
            }
            let due = self.peers.get(index).and_then(|peer| peer.next_ship);
            if due.is_some_and(|due| due <= now.since_start) {
                self.ship(now, index);
            }
        }
    }

    pub(super) fn tell_status(&mut self, now: Now, index: usize) {
        if let Some(peer) = self.peers.get_mut(index) {
            peer.told_status = now.since_start;
        }
        let message = Message::Status {
            identity: self.identity,
            load: self.load,
            leaving: self.leaving,
        };
        self.send(index, message);
    }

    pub(super) fn disconnect(&mut self, now: Now, index: usize, why: &'static str) {
        let peer = PeerIndex(index);
        self.outputs.push(Output::Disconnect { peer, why });
        self.peer_down(now, peer);
    }

    /// The first telling: what this server knows of the peer, and all that it has.
    fn tell_all(&mut self, now: Now, index: usize, id: ServerId) {
        let lineage = self.lineages.get(&id).copied();
        self.send(
            index,
            Message::Known {
                letter: lineage.map(|lineage| lineage.letter),
                start: lineage.map_or(0, |lineage| lineage.start),
                top: lineage.map_or(0, |lineage| lineage.top),
            },
        );
        let cuts: Vec<StreamCut> = self.rooms.iter().filter_map(synced_cut).collect();
        for streams in cuts.chunks(Message::MAX_CUTS) {
            let streams = streams.to_vec();
            self.send(
                index,
                Message::Synced {
                    streams,
                    last: false,
                },
            );
        }
        let (streams, last) = (Vec::new(), true);
        self.send(index, Message::Synced { streams, last });
        self.tell_status(now, index);
    }

    /// Tells every peer what became durable here of entries that others had accepted; that this
    /// server's own are durable the shipping of them says.
    pub(super) fn tell_synced(&mut self, foreign: &[usize]) {
        let rooms = foreign.iter().filter_map(|&at| self.rooms.get(at));
        let streams: Vec<StreamCut> = rooms.filter_map(synced_cut).collect();
        for streams in streams.chunks(Message::MAX_CUTS) {
            for index in self.peers_in_reach() {
                let streams = streams.to_vec();
                self.send(
                    index,
                    Message::Synced {
                        streams,
                        last: false,
                    },
                );
            }
        }
    }

    fn hear_synced(&mut self, now: Now, index: usize, streams: Vec<StreamCut>, last: bool) {
        for stream in streams {
            let at = self.room_at(&stream.path, stream.generation);
            if let Some(at_peer) = self.at_peer(at, index) {
                at_peer.told.merge(&stream.cut);
            }
            self.settle(at);
            self.recheck(now, &stream.path);
        }
        if last {
            self.begin_shipping(now, index);
        }
    }

    fn receive(&mut self, now: Now, index: usize, entries: Vec<Shipped>) {
        if self.full {
            self.disconnect(now, index, "the disk here is full");
            return;
        }
        let mut touched: Vec<usize> = Vec::new();
        let mut gap = false;
        for Shipped { entry, .. } in entries {
            let at = self.room_at(&entry.path, entry.generation);
            let name = entry.name;
            let fit = self
                .rooms
                .get(at)
                .map(|room| room.replica.fits(name, entry.before));
            match fit {
                Some(Fit::Next) => {
                    self.take_in(at, entry);
                    if touched.last() != Some(&at) {
                        touched.push(at);
                    }
                }
                Some(Fit::Known) => {}
                Some(Fit::Gap) | None => {
                    gap = true;
                    break; // what follows may be its effect
                }
            }
            if let Some(at_peer) = self.at_peer(at, index) {
                at_peer.told.raise(name);
            }
        }
        touched.sort_unstable();
        touched.dedup();
        for at in touched {
            self.wake_for_more(at);
            if let Some(path) = self.rooms.get(at).map(|room| room.path.clone()) {
                self.recheck(now, &path);
            }
        }
        if gap {
            self.counters.gaps += 1;
            self.disconnect(now, index, "an entry came without the one before it");
        }
    }

    /// Applies an entry from a peer, after logging again what it makes void here.
    fn take_in(&mut self, at: usize, entry: Entry) {
        let name = entry.name;
        if name.letter.id == self.settings.id {
            self.own_came_back(&entry);
        }
        if self.settings.rules.leap
            && entry.before + 1 < name.index
            && let Some(room) = self.rooms.get(at)
        {
            let replica = &room.replica;
            let mut ends = replica.inside(name.letter, entry.before, name.index);
            ends.extend(replica.outlived(name.letter, entry.before));
            for position in ends {
                self.log_again(at, position, name.letter);
            }
        }
        self.apply(at, entry, From::Peer);
    }

    /// Logs an entry again as one's own, because its name is about to be void or dead (`ending` is
    /// whose entry makes it so); not when its message is here under another name that lasts.
    pub(super) fn log_again(&mut self, at: usize, position: usize, ending: Letter) {
        if self.identity.is_none() {
            self.joining.log_again.push((at, position, ending));
            return;
        }
        let Some(room) = self.rooms.get(at) else {
            return;
        };
        let Some(held) = room.replica.get(position) else {
            return;
        };
        let old = held.entry.name;
        let lives = |&&name: &&crate::letter::Name| {
            let seen = room.tail.get(name.letter);
            name.letter.id != ending.id
                && room.replica.find(name).is_some()
                && !room.replica.is_void(name, seen)
                && !room.replica.is_dead(name)
        };
        if room.names.others(old).iter().any(|name| lives(&name)) {
            return;
        }
        let mut entry = held.entry.clone();
        let place = held.place.filter(|_| held.evicted);
        let len = held.len;
        entry.was.insert(0, old);
        entry.was.truncate(Append::MAX_WAS);
        (entry.name, entry.before) = self.next_name(at);
        self.counters.logged_again += 1;
        match place {
            None => {
                self.apply(at, entry, From::Here);
            }
            Some(place) => {
                self.apply(at, entry, From::Copy { place, len });
            }
        }
    }

    pub(super) fn at_peer(&mut self, at: usize, index: usize) -> Option<&mut super::room::AtPeer> {
        self.rooms.get_mut(at)?.peers.get_mut(index)
    }
}

/// What is durable of a stream; `None` while nothing is.
fn synced_cut(room: &super::room::Room) -> Option<StreamCut> {
    (room.synced > 0).then(|| StreamCut {
        path: room.path.clone(),
        generation: room.generation,
        cut: room.replica.cut(room.synced),
    })
}
