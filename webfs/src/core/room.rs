//! One generation of one stream at this server: its replica, its names, and how far what is known of it.

use std::collections::VecDeque;
use std::time::Duration;

use super::api::Place;
use super::names::Names;
use super::producers::Producers;
use super::replica::{Held, Replica};
use crate::cursor::{Cursor, Cut};
use crate::entry::{Entry, Kind};
use crate::letter::{Letter, Name};
use crate::path::StreamPath;
use crate::stream::{ContentType, DirectorId, StreamSeq};

/// What a peer has of this stream.
#[derive(Debug, Default)]
pub(super) struct AtPeer {
    /// What it has synced, as it said or as what it sent shows.
    pub(super) told: Cut,
    /// Every entry before this position was sent to it on this connection, or is covered by `told`.
    pub(super) sent: usize,
    /// It stands in the list of streams to be shipped.
    pub(super) listed: bool,
}

/// A name that was waited for in vain.
#[derive(Debug, Clone, Copy)]
pub(super) struct GivenUp {
    pub(super) name: Name,
    pub(super) since: Duration,
    pub(super) asked: Duration,
}

/// One generation of one stream.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) path: StreamPath,
    pub(super) generation: u32,
    pub(super) replica: Replica,
    pub(super) names: Names,
    pub(super) producers: Producers,
    /// Of the winning create: the earliest, and of equals the one with the lower name.
    pub(super) content_type: Option<(u64, Name, ContentType)>,
    pub(super) deleted: bool,
    pub(super) stream_seq: Option<StreamSeq>,
    /// All that was applied.
    pub(super) tail: Cut,
    /// Entries before this position are durable here.
    pub(super) synced: usize,
    /// Entries before this position were told of to waiting readers.
    pub(super) told_of: usize,
    /// Entries before this position are stable, and what they cover.
    pub(super) stable: usize,
    pub(super) stable_cut: Cut,
    /// Positions of own entries that are not durable yet.
    pub(super) own_unsynced: VecDeque<usize>,
    pub(super) peers: Vec<AtPeer>,
    /// What writers had seen and a second's wait did not bring.
    pub(super) given_up: Vec<GivenUp>,
    /// Directors that wrote here in this start.
    pub(super) writers: Vec<DirectorId>,
    /// Somebody waits for the stable cut to move.
    pub(super) stable_wanted: bool,
}

impl Room {
    pub(super) fn new(path: StreamPath, generation: u32, peers: usize) -> Self {
        Self {
            path,
            generation,
            replica: Replica::default(),
            names: Names::default(),
            producers: Producers::default(),
            content_type: None,
            deleted: false,
            stream_seq: None,
            tail: Cut::default(),
            synced: 0,
            told_of: 0,
            stable: 0,
            stable_cut: Cut::default(),
            own_unsynced: VecDeque::new(),
            peers: (0..peers).map(|_| AtPeer::default()).collect(),
            given_up: Vec::new(),
            writers: Vec::new(),
            stable_wanted: false,
        }
    }

    /// Applies an entry; gives its position, and whether another message has its producer's triple.
    pub(super) fn apply(
        &mut self,
        entry: Entry,
        sequence: u64,
        place: Option<Place>,
    ) -> (usize, bool) {
        let named = self.names.add(&entry);
        if let Some(triple) = &entry.producer {
            self.producers.note(triple);
        }
        if entry.stream_seq > self.stream_seq {
            self.stream_seq.clone_from(&entry.stream_seq);
        }
        match entry.kind {
            Kind::Append => {}
            Kind::Create => self.created(&entry),
            Kind::Delete => self.deleted = true,
        }
        let name = entry.name;
        self.tail.raise(name);
        let position = self.replica.push(Held {
            len: u32::try_from(entry.payload.len()).unwrap_or(u32::MAX),
            entry,
            place,
            evicted: false,
            sequence,
            names: None,
        });
        if let Some(group) = named.group {
            self.tell_group(group);
        }
        (position, named.fault)
    }

    /// The stream's type; a room's is JSON, a stream's that nobody has made yet is the protocol's default.
    pub(super) fn content_type(&self) -> ContentType {
        match &self.content_type {
            Some((_, _, content_type)) => content_type.clone(),
            None if self.path.is_room() => ContentType::json(),
            None => ContentType::octets(),
        }
    }

    /// Whether it is there for clients.
    pub(super) fn is_open(&self) -> bool {
        !self.deleted && (self.path.is_room() || self.content_type.is_some())
    }

    /// Entries before this position may be shown: all but own ones that a crash can take back, and
    /// what stands after those.
    pub(super) fn visible(&self) -> usize {
        let first = self.own_unsynced.front().copied();
        first.unwrap_or(self.replica.len())
    }

    /// Whether more can be shown than waiting readers were told of; then they are told now.
    pub(super) fn shows_more(&mut self) -> bool {
        let visible = self.visible();
        let more = visible > self.told_of;
        self.told_of = visible;
        more
    }

    /// Since when all of these are waited for in vain, if they are: these very names, since a higher one
    /// may still come.
    pub(super) fn in_vain(&mut self, missing: &[Name], now: Duration) -> Option<Duration> {
        /// What nobody asks for any more is forgotten.
        const KEPT: Duration = Duration::from_secs(60);
        self.given_up.retain(|given| given.asked + KEPT > now);
        let mut since = Duration::ZERO;
        for name in missing {
            let given = self.given_up.iter_mut().find(|given| given.name == *name)?;
            given.asked = now;
            since = since.max(given.since);
        }
        Some(since)
    }

    /// Remembers what was waited for in vain.
    pub(super) fn give_up(&mut self, missing: Vec<Name>, now: Duration) {
        /// The most names of one stream.
        const MOST: usize = 64;
        for name in missing {
            if !self.given_up.iter().any(|given| given.name == name) {
                let (since, asked) = (now, now);
                self.given_up.push(GivenUp { name, since, asked });
            }
        }
        let over = self.given_up.len().saturating_sub(MOST);
        self.given_up.drain(..over);
    }

    /// A cut of this stream as it is told to readers: superseded letters are left out where what
    /// follows covers them anyway, under whichever names.
    pub(super) fn cursor(&self, mut cut: Cut) -> Cursor {
        self.replica.fold(&mut cut, |cut, name| {
            let others = self.names.others(name).iter();
            others.into_iter().any(|other| {
                let seen = cut.get(other.letter);
                other.letter.id != name.letter.id
                    && seen >= other.index
                    && !self.replica.is_void(*other, seen)
            })
        });
        Cursor {
            generation: self.generation,
            cut,
        }
    }

    /// `Stream-Stable-Offset`. Of each lineage the two newest letters are spelled whatever they cover,
    /// so that a director finds in it the names it was told before a server lost its disk.
    pub(super) fn stable_cursor(&self) -> Cursor {
        let mut cut = self.stable_cut.clone();
        let old: Vec<Letter> = {
            let letters: Vec<Letter> = cut.names().map(|name| name.letter).collect();
            let third = |three: &[Letter]| (three[0].id == three[2].id).then_some(three[0]);
            letters.windows(3).filter_map(third).collect()
        };
        old.into_iter().for_each(|letter| cut.fold(letter));
        Cursor {
            generation: self.generation,
            cut,
        }
    }

    /// Whether all that an expanded cut covers is here, under whichever name.
    pub(super) fn covers(&self, cut: &Cut) -> bool {
        cut.names().all(|name| self.covers_up_to(name))
    }

    /// Whether all of a letter up to an index is here, under whichever name.
    pub(super) fn covers_up_to(&self, upto: Name) -> bool {
        /// More than this under other names is not looked for; one pull brings them.
        const MOST: u64 = 4096;
        let have = self.tail.get(upto.letter);
        let missing = upto.index.saturating_sub(have);
        missing == 0
            || missing <= MOST
                && (have + 1..=upto.index).all(|index| self.known(upto.letter.name(index)))
    }

    /// Whether a message that is not here under a name is here under another.
    fn known(&self, name: Name) -> bool {
        let others = self.names.others(name);
        others
            .iter()
            .any(|&other| self.replica.find(other).is_some())
    }

    /// Marks the entries of a group of names.
    fn tell_group(&mut self, group: u32) {
        for &name in self.names.group(group) {
            if let Some(position) = self.replica.find(name)
                && let Some(held) = self.replica.get_mut(position)
            {
                held.names = Some(group);
            }
        }
    }

    fn created(&mut self, entry: &Entry) {
        let Some(content_type) = &entry.content_type else {
            return;
        };
        let key = (entry.accepted_at, entry.name);
        let first = match &self.content_type {
            Some((at, name, _)) => key < (*at, *name),
            None => true,
        };
        if first {
            self.content_type = Some((key.0, key.1, content_type.clone()));
        }
    }
}
