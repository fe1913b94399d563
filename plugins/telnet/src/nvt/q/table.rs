//! The options of a connection to one peer. Only those that are not plainly off take room.

use super::Side;
use crate::nvt::Verb;

/// Most options that a table has anything to say about; words about others are held.
pub const MAX_OPTIONS: usize = 64;
/// Most words a peer may say of an option between two calls of [`Table::calm`]; behind that the option
/// flaps, and is held for good. A shell that hides passwords says some two words each.
pub const MAX_WORDS: u8 = 64;
/// `words` of an option that is held.
const HELD: u8 = u8::MAX;
/// Most words of a peer that are counted as unanswered.
const MAX_OWED: u8 = 8;

/// Which way a word goes that others say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the table's peer.
    Sent,
    /// From the table's peer.
    Received,
}

/// Who performs an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Performer {
    /// This end: WILL and WONT are said here, DO and DONT by the peer.
    Us,
    /// The peer.
    Peer,
}

/// An option on one side, with what only a passive table knows.
#[derive(Debug, Clone, Copy, Default)]
struct Half {
    side: Side,
    /// Words of the peer that those who answer have not answered yet; `side` is as before them.
    owed: u8,
    /// The last of them.
    wanted: bool,
}

impl Half {
    const fn is_on(self) -> bool {
        self.owed == 0 && self.side.is_on()
    }

    const fn is_idle(self) -> bool {
        self.owed == 0 && matches!(self.side, Side::No)
    }

    /// A word went to the peer.
    fn sent(&mut self, positive: bool) {
        if self.owed == 0 {
            // What `ask` would have queued has been said already, and is awaited just the same.
            let _said = self.side.ask(positive);
            return;
        }
        if self.owed == 1 && self.side == Side::Yes && !self.wanted && positive {
            return; // "Yes" to one who has just ended it is no answer to that.
        }
        self.owed -= 1;
        if self.owed == 0 {
            self.side = if positive && self.wanted {
                Side::Yes
            } else {
                Side::No
            };
        }
    }

    /// A word came from the peer.
    fn received(&mut self, positive: bool) {
        if self.owed > 0 {
            if self.wanted != positive {
                self.owed = (self.owed + 1).min(MAX_OWED);
                self.wanted = positive;
            }
        } else if !self.side.is_settled() {
            let _said = self.side.receive(positive, true);
        } else if self.side.is_on() != positive {
            self.owed = 1;
            self.wanted = positive;
        }
    }

    /// Whether `positive` would ask for something, or say again what is so.
    const fn is_news(self, positive: bool) -> bool {
        let settled = self.owed == 0 && self.side.is_settled();
        settled && (positive || !self.side.is_on())
    }

    /// Answers what is owed, oldest word first.
    fn settle(&mut self, allow: bool, mut say: impl FnMut(bool)) {
        while self.owed > 0 {
            self.owed -= 1;
            let wanted = self.wanted == self.owed.is_multiple_of(2);
            let answer = wanted && allow;
            self.side = if answer { Side::Yes } else { Side::No };
            say(answer);
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    option: u8,
    /// Words that the peer has said lately.
    words: u8,
    us: Half,
    peer: Half,
}

impl Entry {
    const fn half(&mut self, performer: Performer) -> &mut Half {
        match performer {
            Performer::Us => &mut self.us,
            Performer::Peer => &mut self.peer,
        }
    }
}

/// The options of a connection to one peer; at most [`MAX_OPTIONS`], 8 bytes each.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// By option, ascending.
    entries: Vec<Entry>,
}

impl Table {
    /// A connection on which nothing has been said.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// Whether `option` is on at this end.
    #[must_use]
    pub fn us(&self, option: u8) -> bool {
        self.find(option).is_some_and(|entry| entry.us.is_on())
    }

    /// Whether `option` is on at the peer's.
    #[must_use]
    pub fn him(&self, option: u8) -> bool {
        self.find(option).is_some_and(|entry| entry.peer.is_on())
    }

    /// Whether `option` is on at `performer`'s end.
    #[must_use]
    pub fn is_on(&self, performer: Performer, option: u8) -> bool {
        match performer {
            Performer::Us => self.us(option),
            Performer::Peer => self.him(option),
        }
    }

    /// The RFC's state of `option` at `performer`'s end.
    #[must_use]
    pub fn side(&self, performer: Performer, option: u8) -> Side {
        self.find(option).map_or(Side::No, |entry| match performer {
            Performer::Us => entry.us.side,
            Performer::Peer => entry.peer.side,
        })
    }

    /// All that is on, by option.
    pub fn on(&self) -> impl Iterator<Item = (Performer, u8)> + '_ {
        self.entries.iter().flat_map(|entry| {
            let us = entry.us.is_on().then_some((Performer::Us, entry.option));
            let peer = entry.peer.is_on();
            us.into_iter()
                .chain(peer.then_some((Performer::Peer, entry.option)))
        })
    }

    /// A word that others say goes by. Returns whether it may pass: what asks for an option that flaps,
    /// or for one too many, may not, and has not been noted. Its speaker is to be told
    /// [`Verb::negative_answer`] if it is positive, and nothing if it is not.
    #[must_use]
    pub fn observe(&mut self, direction: Direction, verb: Verb, option: u8) -> bool {
        let performer = match (direction, verb.is_about_speaker()) {
            (Direction::Sent, true) | (Direction::Received, false) => Performer::Us,
            (Direction::Sent, false) | (Direction::Received, true) => Performer::Peer,
        };
        let Some(entry) = self.entry(option) else {
            return false;
        };
        match direction {
            Direction::Sent => entry.half(performer).sent(verb.is_positive()),
            Direction::Received => {
                let flaps = count(entry);
                if flaps && entry.half(performer).is_news(verb.is_positive()) {
                    return false;
                }
                entry.half(performer).received(verb.is_positive());
            }
        }
        true
    }

    /// The peer said `verb` of `option` to us; `allow` is whether the option may be on. Returns what is
    /// to be answered. An option that flaps is not allowed.
    #[must_use]
    pub fn receive(&mut self, verb: Verb, option: u8, allow: bool) -> Option<Verb> {
        let performer = if verb.is_about_speaker() {
            Performer::Peer
        } else {
            Performer::Us
        };
        let Some(entry) = self.entry(option) else {
            return verb.is_positive().then(|| verb.negative_answer());
        };
        let allow = !count(entry) && allow;
        let half = entry.half(performer);
        if half.owed > 0 {
            half.received(verb.is_positive());
            return None; // `settle` answers this one too
        }
        let answer = half.side.receive(verb.is_positive(), allow)?;
        Some(word(performer, answer))
    }

    /// We want `option` on, or off, at `performer`'s end. Returns what is to be said. What is owed has
    /// to be settled before; nothing is asked of an option in debt.
    #[must_use]
    pub fn ask(&mut self, performer: Performer, option: u8, on: bool) -> Option<Verb> {
        let half = self.entry(option)?.half(performer);
        if half.owed > 0 {
            return None;
        }
        Some(word(performer, half.side.ask(on)?))
    }

    /// The end that we passed on for is gone, and we are in its place: answers what it has not answered
    /// any more, where `allow` says what may be on.
    #[must_use]
    pub fn settle(&mut self, allow: impl Fn(Performer, u8) -> bool) -> Vec<(Verb, u8)> {
        let mut said = Vec::new();
        for entry in &mut self.entries {
            let option = entry.option;
            for performer in [Performer::Us, Performer::Peer] {
                entry
                    .half(performer)
                    .settle(allow(performer, option), |answer| {
                        said.push((word(performer, answer), option));
                    });
            }
        }
        said
    }

    /// Some time has passed, a minute say: what has been said of options before is forgiven, but where
    /// an option has been held.
    pub fn calm(&mut self) {
        for entry in &mut self.entries {
            if entry.words != HELD {
                entry.words = 0;
            }
        }
        self.entries
            .retain(|entry| entry.words == HELD || !entry.us.is_idle() || !entry.peer.is_idle());
        self.entries.shrink_to_fit();
    }

    /// Bytes of the heap that are held.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    fn find(&self, option: u8) -> Option<&Entry> {
        let at = self
            .entries
            .binary_search_by_key(&option, |entry| entry.option)
            .ok()?;
        self.entries.get(at)
    }

    /// `None` when the table is full.
    fn entry(&mut self, option: u8) -> Option<&mut Entry> {
        let at = self
            .entries
            .binary_search_by_key(&option, |entry| entry.option);
        let at = match at {
            Ok(at) => at,
            Err(_) if self.entries.len() == MAX_OPTIONS => return None,
            Err(at) => {
                let entry = Entry {
                    option,
                    words: 0,
                    us: Half::default(),
                    peer: Half::default(),
                };
                self.entries.insert(at, entry);
                at
            }
        };
        self.entries.get_mut(at)
    }
}

/// Counts a word of the peer; returns whether the option flaps.
const fn count(entry: &mut Entry) -> bool {
    if entry.words != HELD {
        entry.words += 1;
        if entry.words > MAX_WORDS {
            entry.words = HELD;
        }
    }
    entry.words == HELD
}

/// What we say of an option that `performer` performs.
const fn word(performer: Performer, positive: bool) -> Verb {
    match performer {
        Performer::Us => Verb::of_performer(positive),
        Performer::Peer => Verb::of_other(positive),
    }
}
