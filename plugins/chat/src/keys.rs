//! Which messages readers were shown lately, under which names.
//!
//! A write whose acknowledgement was lost with its server is sent again and becomes an entry of its own at
//! another server: one message, two names, and no server knows that they are one. The director does, because
//! both entries carry the write's key: its request id, or its producer triple. So the keys of the last
//! entries that were passed on are kept here, for a while, with all names that came with them; and an entry
//! one of whose names a reader's cursor covers is not shown to that reader again.
//!
//! Across a leap of its server a cursor says nothing of a name: what was lost lies in the hole. Such an entry
//! is shown; servers that have both names know them for one.
//!
//! Two writes with one triple but different bytes are two messages (a fault of that producer), so the key of
//! a triple has a digest of the bytes in it.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use crate::body::Parts;
use crate::cursor::Cut;
use crate::entry::Entry;
use crate::name::Name;

/// How much is kept of one stream.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Keys.
    pub keys: usize,
    /// For how long after a key came last.
    pub age: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Request(Box<str>),
    Producer(Box<str>, u64, u64, u64),
}

#[derive(Debug, Default)]
struct Known {
    names: Vec<Name>,
    /// The number of the key's last place in the order.
    nth: u64,
    /// When it took that place.
    at: Duration,
}

/// The keys of one stream.
#[derive(Debug, Default)]
pub struct Keys {
    known: HashMap<Key, Known>,
    order: VecDeque<(u64, Duration, Key)>,
    next: u64,
}

impl Keys {
    /// The names under which a write is known.
    #[must_use]
    pub fn names(&self, request: &str) -> &[Name] {
        self.known
            .get(&Key::Request(request.into()))
            .map_or(&[], |known| &known.names)
    }

    /// A write was acknowledged under a name.
    pub fn acknowledged(&mut self, request: &str, name: Name, now: Duration, bounds: Bounds) {
        self.learn(Key::Request(request.into()), &[name], now, bounds);
        self.forget(now, bounds);
    }

    /// What of an answer a reader with this cursor was shown before: places to cut out, sorted. All
    /// entries are remembered, those cut out too.
    pub fn seen_before(
        &mut self,
        cursor: &Cut,
        entries: &[Entry],
        parts: &Parts<'_>,
        now: Duration,
        bounds: Bounds,
    ) -> Vec<Range<usize>> {
        let mut cut = Vec::new();
        // What this very answer shows first is covered for the rest of it.
        let mut here: Vec<Name> = Vec::new();
        for entry in entries {
            let Some(place) = entry.place() else {
                continue;
            };
            let keys = keys_of(entry, &place, parts);
            let mut names = vec![entry.name];
            for key in &keys {
                let known = self.known.get(key).map_or(&[][..], |known| &known.names);
                names.extend(known);
            }
            names.sort_unstable();
            names.dedup();
            if names
                .iter()
                .any(|name| cursor.covers_surely(*name) || here.contains(name))
            {
                cut.push(place);
            } else {
                here.extend_from_slice(&names);
            }
            for key in keys {
                self.learn(key, &names, now, bounds);
            }
        }
        self.forget(now, bounds);
        cut
    }

    /// Forgets everything: the stream was deleted.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many keys are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn learn(&mut self, key: Key, names: &[Name], now: Duration, bounds: Bounds) {
        // Every reader of a stream passes here with the same entries: a key that has a fresh place needs
        // no other, or the readers' number would shorten the memory.
        let oldest_fresh = self.next.saturating_sub(bounds.keys as u64 / 2);
        if let Some(known) = self.known.get_mut(&key) {
            known.add(names);
            if known.nth >= oldest_fresh && now.saturating_sub(known.at) <= bounds.age / 8 {
                return;
            }
            (known.nth, known.at) = (self.next, now);
        } else {
            let mut known = Known {
                names: Vec::new(),
                nth: self.next,
                at: now,
            };
            known.add(names);
            self.known.insert(key.clone(), known);
        }
        self.order.push_back((self.next, now, key));
        self.next += 1;
    }

    /// Drops what is too old or too much.
    pub fn forget(&mut self, now: Duration, bounds: Bounds) {
        while let Some((nth, at, key)) = self.order.front() {
            let last = self.known.get(key).is_some_and(|known| known.nth == *nth);
            let spare = self.known.len() <= bounds.keys && now.saturating_sub(*at) <= bounds.age;
            // A key's earlier places are of no use.
            if last && spare {
                break;
            }
            if last {
                self.known.remove(key);
            }
            self.order.pop_front();
        }
    }
}

impl Known {
    fn add(&mut self, names: &[Name]) {
        for name in names {
            if !self.names.contains(name) && self.names.len() < MAX_NAMES {
                self.names.push(*name);
            }
        }
    }
}

/// A message has a name more per crash that its write lived through; more than that nobody needs.
const MAX_NAMES: usize = 16;

fn keys_of(entry: &Entry, place: &Range<usize>, parts: &Parts<'_>) -> Vec<Key> {
    let mut keys = Vec::with_capacity(2);
    if let Some(request) = &entry.request {
        keys.push(Key::Request(request.as_str().into()));
    }
    if let Some((id, epoch, seq)) = &entry.producer
        && let Some(digest) = parts.digest(place.clone())
    {
        keys.push(Key::Producer(id.as_str().into(), *epoch, *seq, digest));
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Form;
    use crate::cursor::Cursor;

    const BOUNDS: Bounds = Bounds {
        keys: 8,
        age: Duration::from_secs(10),
    };

    fn entry(name: &str, at: usize, request: Option<&str>, producer: Option<u64>) -> Entry {
        Entry {
            name: name.parse().unwrap(),
            at,
            len: 1,
            request: request.map(str::to_owned),
            producer: producer.map(|seq| ("p".to_owned(), 0, seq)),
        }
    }

    fn cut(text: &str) -> Cut {
        text.parse::<Cursor>().unwrap().cut
    }

    struct Reader<'a>(&'a mut Keys, Cut);

    impl Reader<'_> {
        fn reads(&mut self, body: &str, entries: &[Entry]) -> Vec<Range<usize>> {
            let parts = Parts::of(Form::Json, body.as_bytes()).unwrap();
            let cut = self
                .0
                .seen_before(&self.1, entries, &parts, Duration::ZERO, BOUNDS);
            self.1.merge(&entries.iter().map(|e| e.name).collect());
            cut
        }
    }

    #[test]
    fn one_request_under_two_names_is_shown_once() {
        let mut keys = Keys::default();
        let mut reader = Reader(&mut keys, Cut::default());
        assert!(
            reader
                .reads("[1]", &[entry("a.1", 0, Some("d.1"), None)])
                .is_empty()
        );
        let again = [
            entry("b.7", 0, Some("d.2"), None),
            entry("b.8", 1, Some("d.1"), None),
        ];
        assert_eq!(reader.reads("[2,1]", &again), [1..2]);
        let mut other = Reader(&mut keys, cut("0000000000000007_g0-b.7"));
        assert!(
            other
                .reads("[1]", &[entry("b.8", 0, Some("d.1"), None)])
                .is_empty()
        );
    }

    #[test]
    fn both_names_in_one_answer_are_shown_once() {
        let mut keys = Keys::default();
        let mut reader = Reader(&mut keys, Cut::default());
        let both = [
            entry("a.1", 0, Some("d.1"), None),
            entry("b.1", 1, Some("d.1"), None),
        ];
        assert_eq!(reader.reads("[1,1]", &both), [1..2]);
    }

    #[test]
    fn a_triple_counts_only_with_the_same_bytes() {
        let mut keys = Keys::default();
        let mut reader = Reader(&mut keys, Cut::default());
        reader.reads("[1]", &[entry("a.1", 0, None, Some(4))]);
        assert!(
            reader
                .reads("[2]", &[entry("b.1", 0, None, Some(4))])
                .is_empty()
        );
        assert_eq!(
            reader.reads("[1]", &[entry("b.2", 0, None, Some(4))]),
            [0..1]
        );
    }

    #[test]
    fn an_acknowledged_name_counts_too() {
        let mut keys = Keys::default();
        keys.acknowledged("d.1", "b.3".parse().unwrap(), Duration::ZERO, BOUNDS);
        assert_eq!(keys.names("d.1"), ["b.3".parse().unwrap()]);
        let mut reader = Reader(&mut keys, cut("0000000000000003_g0-b.3"));
        assert_eq!(
            reader.reads("[1]", &[entry("a.9", 0, Some("d.1"), None)]),
            [0..1]
        );
    }

    #[test]
    fn a_name_in_a_hole_is_no_reason_to_hide_a_message() {
        let mut keys = Keys::default();
        keys.acknowledged("d.1", "a.51".parse().unwrap(), Duration::ZERO, BOUNDS);
        let mut reader = Reader(&mut keys, cut("0000000000065536_g0-a.65536"));
        assert!(
            reader
                .reads("[1]", &[entry("b.80", 0, Some("d.1"), None)])
                .is_empty()
        );
    }

    #[test]
    fn what_is_too_old_or_too_much_is_forgotten() {
        let mut keys = Keys::default();
        for n in 0..20u64 {
            let name = format!("a.{}", n + 1).parse().unwrap();
            keys.acknowledged(&format!("d.{n}"), name, Duration::from_secs(n), BOUNDS);
        }
        assert_eq!(keys.len(), 8);
        assert!(keys.names("d.11").is_empty());
        assert!(!keys.names("d.12").is_empty());
        keys.forget(Duration::from_secs(28), BOUNDS);
        assert_eq!(keys.len(), 2);
        keys.clear();
        assert!(keys.is_empty());
    }

    #[test]
    fn many_readers_of_one_entry_do_not_shorten_the_memory() {
        let mut keys = Keys::default();
        let bounds = Bounds {
            keys: 100,
            ..BOUNDS
        };
        let parts = Parts::of(Form::Json, b"[1]").unwrap();
        for n in 1..60 {
            let entry = entry(&format!("a.{n}"), 0, Some(&format!("d.{n}")), Some(n));
            for _reader in 0..300 {
                let some = std::slice::from_ref(&entry);
                keys.seen_before(&Cut::default(), some, &parts, Duration::ZERO, bounds);
            }
        }
        // Two keys an entry: the last fifty.
        assert!(!keys.names("d.11").is_empty());
        assert!(keys.names("d.9").is_empty());
        assert!(keys.order.len() <= 200, "{}", keys.order.len());
    }

    #[test]
    fn a_key_that_comes_again_stays() {
        let mut keys = Keys::default();
        let name = "a.1".parse().unwrap();
        keys.acknowledged("d.0", name, Duration::from_secs(0), BOUNDS);
        keys.acknowledged("d.0", name, Duration::from_secs(9), BOUNDS);
        keys.forget(Duration::from_secs(15), BOUNDS);
        assert_eq!(keys.len(), 1);
    }
}
