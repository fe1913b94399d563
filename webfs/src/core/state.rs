//! What one server holds, and how an entry gets in: the one place where the log grows.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use super::api::{Message, Now, Output, Payload, Picked, Place, Settings};
use super::join::Joining;
use super::peers::Peer;
use super::room::Room;
use super::view::Counters;
use super::waits::{Ack, Waits};
use crate::entry::Entry;
use crate::letter::{Letter, ServerId};
use crate::path::StreamPath;
use crate::server::{Fatal, Identity};
use crate::stream::DirectorId;

/// The distance that indices leap over at a start, at least half of it.
pub(super) const LEAP: u64 = 65_536;

/// The rules of one server. See the [module](super).
#[derive(Debug)]
pub struct Core {
    pub(super) settings: Settings,
    pub(super) outputs: Vec<Output>,
    pub(super) rooms: Vec<Room>,
    /// Generations of each path, rising: places in `rooms`.
    pub(super) by_path: HashMap<StreamPath, Vec<usize>>,
    /// What is known of each server's letters.
    pub(super) lineages: BTreeMap<ServerId, Lineage>,
    /// Sequence of the last entry logged, and of the last durable one.
    pub(super) logged: u64,
    pub(super) synced: u64,
    /// The streams of the entries after `synced`.
    pub(super) unsynced: VecDeque<usize>,
    /// Entries with payloads in memory, oldest first: stream and position; and their bytes.
    pub(super) in_memory: VecDeque<(usize, usize)>,
    pub(super) in_memory_bytes: usize,
    /// Entries of the disk behind something that is missing.
    pub(super) orphans: Vec<Entry>,
    /// Answers that wait for a sequence to be durable.
    pub(super) acks: BTreeMap<u64, Vec<Ack>>,
    pub(super) waits: Waits,
    pub(super) peers: Vec<Peer>,
    pub(super) joining: Joining,
    pub(super) identity: Option<Identity>,
    /// No own index of this start is below it.
    pub(super) floor: u64,
    /// Directors that began a watch, the latest last.
    pub(super) watching: VecDeque<DirectorId>,
    pub(super) view: u64,
    pub(super) load: u32,
    pub(super) leaving: bool,
    pub(super) full: bool,
    pub(super) stopping: bool,
    pub(super) counters: Counters,
}

/// What is known of one server's letters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lineage {
    /// The newest.
    pub(super) letter: Letter,
    /// The highest start with it that was heard of; 0 for none.
    pub(super) start: u64,
    /// The highest index of any of them in any stream.
    pub(super) top: u64,
}

/// Whence an entry comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// The log, at a start.
    Disk(Place),
    /// This server accepted it.
    Here,
    /// This server logs it again, with a payload that only the log has.
    Copy {
        /// Where.
        place: Place,
        /// How long.
        len: u32,
    },
    /// A peer shipped it.
    Peer,
}

impl Core {
    /// A server with nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let peers = settings.peers.iter().map(|_| Peer::default()).collect();
        Self {
            settings,
            outputs: Vec::new(),
            rooms: Vec::new(),
            by_path: HashMap::new(),
            lineages: BTreeMap::new(),
            logged: 0,
            synced: 0,
            unsynced: VecDeque::new(),
            in_memory: VecDeque::new(),
            in_memory_bytes: 0,
            orphans: Vec::new(),
            acks: BTreeMap::new(),
            waits: Waits::default(),
            peers,
            joining: Joining::default(),
            identity: None,
            floor: 1,
            watching: VecDeque::new(),
            view: 1,
            load: 0,
            leaving: false,
            full: false,
            stopping: false,
            counters: Counters::default(),
        }
    }

    /// What the driver has to do, in order, since it asked last.
    #[must_use]
    pub fn outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// Everything up to a sequence is durable; `places` says where the entries are that were not
    /// durable before, in order.
    pub fn durable(&mut self, now: Now, up_to: u64, places: &[Place]) {
        let mut places = places.iter();
        let (mut moved, mut foreign): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
        let letter = self.letter();
        let mut own = false;
        while self.synced < up_to.min(self.logged)
            && let Some(at) = self.unsynced.pop_front()
        {
            self.synced += 1;
            let Some(room) = self.rooms.get_mut(at) else {
                continue;
            };
            let position = room.synced;
            room.synced += 1;
            if room.own_unsynced.front() == Some(&position) {
                room.own_unsynced.pop_front();
            }
            let place = places.next().copied();
            let Some(held) = room.replica.get_mut(position) else {
                continue;
            };
            held.place = place;
            moved.push(at);
            match held.entry.name.letter == letter {
                true => own = true,
                false => foreign.push(at),
            }
        }
        for rooms in [&mut moved, &mut foreign] {
            rooms.sort_unstable();
            rooms.dedup();
        }
        for &at in &moved {
            self.wake_for_more(at);
            self.settle(at);
        }
        self.tell_synced(&foreign);
        self.list_for_shipping(now, &moved, own);
        self.acknowledge(now);
        self.evict();
    }

    /// The disk is nearly full (or has room again): appends are refused, and peers' entries with them.
    pub fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// Applies an entry to its stream and logs it; gives its position.
    pub(super) fn apply(&mut self, at: usize, entry: Entry, from: From) -> usize {
        self.note_lineage(&entry);
        self.logged += 1;
        let (place, copy) = match from {
            From::Disk(place) => (Some(place), None),
            From::Copy { place, .. } => (Some(place), Some(place)),
            From::Here | From::Peer => (None, None),
        };
        if !matches!(from, From::Disk(_)) {
            self.unsynced.push_back(at);
            let entry = entry.clone();
            self.outputs.push(Output::Log { entry, copy });
        }
        let bytes = entry.payload.len();
        let shown_at_once = !self.settings.rules.durable_first;
        let Some(room) = self.rooms.get_mut(at) else {
            return 0; // every caller has the stream from `by_path`
        };
        let (position, fault) = room.apply(entry, self.logged, place);
        match from {
            From::Disk(_) => {
                self.synced += 1;
                room.synced += 1;
            }
            From::Here | From::Copy { .. } if !shown_at_once => {
                room.own_unsynced.push_back(position);
            }
            From::Here | From::Copy { .. } | From::Peer => {}
        }
        if let From::Copy { len, .. } = from
            && let Some(held) = room.replica.get_mut(position)
        {
            (held.len, held.evicted) = (len, true);
        }
        self.counters.producer_faults += u64::from(fault);
        if bytes > 0 {
            self.in_memory.push_back((at, position));
            self.in_memory_bytes += bytes;
        }
        position
    }

    /// Gives payloads up to the log, oldest first, until they fit into memory.
    pub(super) fn evict(&mut self) {
        while self.in_memory_bytes > self.settings.memory
            && let Some(&(at, position)) = self.in_memory.front()
        {
            let Some(held) = self
                .rooms
                .get_mut(at)
                .and_then(|room| room.replica.get_mut(position))
            else {
                self.in_memory.pop_front();
                continue;
            };
            if held.place.is_none() {
                return; // not durable yet, so nothing after it is
            }
            self.in_memory_bytes -= held.entry.payload.len();
            held.entry.payload = bytes::Bytes::new();
            held.evicted = true;
            self.in_memory.pop_front();
        }
    }

    /// The place of a generation, made when it is not there.
    pub(super) fn room_at(&mut self, path: &StreamPath, generation: u32) -> usize {
        if let Some(at) = self.find_room(path, generation) {
            return at;
        }
        let at = self.rooms.len();
        let room = Room::new(path.clone(), generation, self.peers.len());
        self.rooms.push(room);
        let generations = self.by_path.entry(path.clone()).or_default();
        generations.push(at);
        let rooms = &self.rooms;
        generations.sort_by_key(|&at| rooms.get(at).map(|room| room.generation));
        at
    }

    /// The place of a generation.
    pub(super) fn find_room(&self, path: &StreamPath, generation: u32) -> Option<usize> {
        let generations = self.by_path.get(path)?;
        generations.iter().rev().copied().find(|&at| {
            self.rooms
                .get(at)
                .is_some_and(|r| r.generation == generation)
        })
    }

    /// The newest generation of a path.
    pub(super) fn newest(&self, path: &StreamPath) -> Option<&Room> {
        self.rooms.get(*self.by_path.get(path)?.last()?)
    }

    /// Tells waiting readers of a stream when more of it can be shown.
    pub(super) fn wake_for_more(&mut self, at: usize) {
        if self.rooms.get_mut(at).is_some_and(Room::shows_more) {
            self.wake(at);
        }
    }

    /// Tells waiting readers that a stream moved.
    pub(super) fn wake(&mut self, at: usize) {
        if let Some(room) = self.rooms.get(at) {
            self.outputs.push(Output::Wake(room.path.clone()));
        }
    }

    /// One entry of a reading.
    pub(super) fn picked(room: &Room, position: usize) -> Option<Picked> {
        let held = room.replica.get(position)?;
        let entry = &held.entry;
        let payload = match held.place {
            Some(place) if held.evicted => Payload::At {
                place,
                len: held.len,
            },
            Some(_) | None => Payload::Here(entry.payload.clone()),
        };
        Some(Picked {
            name: entry.name,
            payload,
            count: entry.count,
            accepted_at: entry.accepted_at,
            request: entry.request.clone(),
            producer: entry.producer.clone(),
            stable: position < room.stable,
        })
    }

    pub(super) fn send(&mut self, peer: usize, message: Message) {
        self.outputs.push(Output::Send {
            peer: super::api::PeerIndex(peer),
            message,
        });
    }

    pub(super) fn broken(&mut self, what: String) {
        self.stopping = true;
        self.outputs.push(Output::Fatal(Fatal::Broken(what)));
    }

    pub(super) fn note_lineage(&mut self, entry: &Entry) {
        let name = entry.name;
        let lineage = self.lineage(name.letter);
        lineage.top = lineage.top.max(name.index);
    }

    /// What is known of the lineage of a letter, which is now heard of.
    pub(super) fn lineage(&mut self, letter: Letter) -> &mut Lineage {
        let new = Lineage {
            letter,
            start: 0,
            top: 0,
        };
        let lineage = self.lineages.entry(letter.id).or_insert(new);
        if lineage.letter < letter {
            (lineage.letter, lineage.start) = (letter, 0);
        }
        lineage
    }

    /// When [`Core::tick`] is due; `None` while nothing waits for the time.
    #[must_use]
    pub fn next_timer(&self) -> Option<Duration> {
        let peers = self.peers.iter().filter_map(Peer::next_timer);
        peers
            .chain(self.waits.next_deadline())
            .chain(self.joining.next_timer())
            .min()
    }

    /// The time has come.
    pub fn tick(&mut self, now: Now) {
        self.look_at_peers(now);
        self.try_to_join(now);
        self.expire_waits(now);
    }
}
