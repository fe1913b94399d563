//! Writes of one stream that a server acknowledged and that are not yet stable.
//!
//! They are kept in the order of their numbers. What is in doubt (see [`super::servers`]) is sent again, to
//! any server, under its old request id and with the names it has; whoever does so *claims* it, so that
//! nobody sends it at the same time.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::cursor::Cursor;
use crate::memory::servers::Servers;
use crate::memory::store::Stored;
use crate::memory::write::Write;
use crate::name::{Identity, Name};

/// One write, kept.
#[derive(Debug)]
pub struct Kept {
    /// The write; its body is in `stored`.
    pub write: Arc<Write>,
    /// Its body.
    pub stored: Stored,
    /// Of the stream, when it was acknowledged.
    pub generation: u32,
    /// The names it was acknowledged under, in that order.
    pub names: Vec<Name>,
    home: Identity,
    stamp: u64,
    claimed: bool,
}

/// An acknowledgement.
#[derive(Debug, Clone, Copy)]
pub struct Acknowledged {
    /// `Stream-Entry`.
    pub name: Name,
    /// `Stream-Server`.
    pub home: Identity,
    /// [`Servers::stamp`] when the request was sent.
    pub stamp: u64,
    /// Of `Stream-Next-Offset`.
    pub generation: u32,
}

/// What is to be sent again.
#[derive(Debug)]
pub enum Next {
    /// This, now claimed.
    Send(Again),
    /// Somebody else is sending the first one that is in doubt.
    Wait,
    /// Nothing.
    Nothing,
}

/// A write to be sent again.
#[derive(Debug, Clone)]
pub struct Again {
    /// The write.
    pub write: Arc<Write>,
    /// Its body.
    pub stored: Stored,
    /// `WebFS-Was`.
    pub names: Vec<Name>,
    /// Of the stream, when it was acknowledged.
    pub generation: u32,
}

/// The most names a request may carry in `WebFS-Was`.
pub const MAX_WAS: usize = 8;

/// The kept writes of one stream.
#[derive(Debug, Default)]
pub struct Outbox {
    kept: VecDeque<Kept>,
    /// At this stamp of the servers, nothing with a number below this was in doubt.
    clear: (u64, u64),
}

impl Outbox {
    /// A write was acknowledged: for the first time, or again after it was sent again. `stored` is taken
    /// the first time.
    pub fn acknowledged(
        &mut self,
        write: &Arc<Write>,
        stored: impl FnOnce() -> Stored,
        as_: Acknowledged,
    ) {
        if as_.stamp < self.clear.0 {
            self.clear.1 = self.clear.1.min(write.number);
        }
        match self.find(write.number) {
            Ok(at) => {
                let kept = &mut self.kept[at];
                kept.home = as_.home;
                kept.stamp = as_.stamp;
                kept.claimed = false;
                if !kept.names.contains(&as_.name) {
                    kept.names.push(as_.name);
                }
            }
            Err(at) => self.kept.insert(
                at,
                Kept {
                    write: Arc::clone(write),
                    stored: stored(),
                    generation: as_.generation,
                    names: vec![as_.name],
                    home: as_.home,
                    stamp: as_.stamp,
                    claimed: false,
                },
            ),
        }
    }

    /// Forgets what a stable cut covers, and what was written to an earlier generation of the stream.
    pub fn stable(&mut self, stable: &Cursor, servers: &Servers) -> Vec<Kept> {
        self.remove(|kept| {
            kept.generation < stable.generation
                || (kept.generation == stable.generation && kept.is_stable(stable, servers))
        })
    }

    /// Forgets everything: the stream was deleted.
    pub fn clear(&mut self) -> Vec<Kept> {
        self.kept.drain(..).collect()
    }

    /// Forgets one write: it is known to be stable, or no server takes it again.
    pub fn remove_one(&mut self, number: u64) -> Vec<Kept> {
        self.remove(|kept| kept.write.number == number)
    }

    /// The first write in doubt with a number below `below`; it is claimed by this.
    pub fn next(&mut self, below: u64, servers: &Servers) -> Next {
        let Some(at) = self.first_in_doubt(below, servers) else {
            return Next::Nothing;
        };
        let kept = &mut self.kept[at];
        if kept.claimed {
            return Next::Wait;
        }
        kept.claimed = true;
        Next::Send(Again {
            write: Arc::clone(&kept.write),
            stored: kept.stored.clone(),
            names: was(&kept.names),
            generation: kept.generation,
        })
    }

    /// Whether anything is in doubt.
    #[must_use]
    pub fn has_doubts(&mut self, servers: &Servers) -> bool {
        self.first_in_doubt(u64::MAX, servers).is_some()
    }

    /// Where the first write in doubt is. What was found clear is not looked at again until some server
    /// fails: an outbox may be long, and every append asks.
    fn first_in_doubt(&mut self, below: u64, servers: &Servers) -> Option<usize> {
        let stamp = servers.stamp();
        if self.clear.0 != stamp {
            self.clear = (stamp, 0);
        }
        let from = self
            .kept
            .partition_point(|kept| kept.write.number < self.clear.1);
        let mut rest = self.kept.iter().enumerate().skip(from);
        let first = rest.find(|(_, kept)| {
            kept.write.number >= below || servers.in_doubt(kept.home, kept.stamp)
        });
        match first {
            None => {
                self.clear.1 = below.max(self.clear.1);
                None
            }
            Some((at, kept)) => {
                self.clear.1 = kept.write.number.min(below).max(self.clear.1);
                (kept.write.number < below).then_some(at)
            }
        }
    }

    /// The claim is over without an acknowledgement.
    pub fn release(&mut self, number: u64) {
        if let Ok(at) = self.find(number) {
            self.kept[at].claimed = false;
        }
    }

    /// How many writes are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    fn remove(&mut self, gone: impl Fn(&Kept) -> bool) -> Vec<Kept> {
        if !self.kept.iter().any(&gone) {
            return Vec::new();
        }
        let (removed, left) = std::mem::take(&mut self.kept).into_iter().partition(gone);
        self.kept = left;
        let removed: VecDeque<Kept> = removed;
        removed.into()
    }

    fn find(&self, number: u64) -> Result<usize, usize> {
        self.kept
            .binary_search_by_key(&number, |kept| kept.write.number)
    }
}

impl Kept {
    fn is_stable(&self, stable: &Cursor, servers: &Servers) -> bool {
        let in_doubt = servers.in_doubt(self.home, self.stamp);
        self.names.iter().any(|&name| {
            if stable.cut.get(name.letter) > 0 {
                // A server that still has what it had before a leap says so when it is asked.
                return match in_doubt {
                    true => stable.cut.covers_surely(name),
                    false => stable.cut.covers(name),
                };
            }
            // A later letter of that server, standing alone, covers of the earlier one what its first
            // entry says, which is not told. A server that knows the later letter and still answers with
            // the old name has the entry among that.
            let answered_since = match servers.marked(name.letter) {
                Some(mark) => self.stamp >= mark,
                None => self.home.letter != name.letter,
            };
            stable.cut.supersedes(name.letter) && answered_since
        })
    }
}

/// The first name, which readers most likely know, and the last ones.
fn was(names: &[Name]) -> Vec<Name> {
    let skip = names.len().saturating_sub(MAX_WAS);
    let first = names.first().filter(|_| skip > 0);
    let rest = names.iter().skip(if skip > 0 { skip + 1 } else { 0 });
    first.into_iter().chain(rest).copied().collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn write(number: u64) -> Arc<Write> {
        Arc::new(Write {
            number,
            target: String::new(),
            request: format!("d.{number}"),
            min: None,
            headers: hyper::HeaderMap::new(),
        })
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn acked(as_: &str, home: &str, servers: &Servers) -> Acknowledged {
        Acknowledged {
            name: name(as_),
            home: home.parse().unwrap(),
            stamp: servers.stamp(),
            generation: 0,
        }
    }

    fn stored() -> Stored {
        Stored::Memory(Bytes::from_static(b"x"))
    }

    fn cursor(text: &str) -> Cursor {
        text.parse().unwrap()
    }

    fn numbers(kept: &[Kept]) -> Vec<u64> {
        kept.iter().map(|kept| kept.write.number).collect()
    }

    /// The next one as text: its number and names; `wait` and `-` likewise.
    fn next(outbox: &mut Outbox, below: u64, servers: &Servers) -> String {
        match outbox.next(below, servers) {
            Next::Send(again) => format!("{} {:?}", again.write.number, again.names),
            Next::Wait => "wait".to_owned(),
            Next::Nothing => "-".to_owned(),
        }
    }

    #[test]
    fn what_is_in_doubt_is_sent_again_in_order_and_by_one_at_a_time() {
        let mut servers = Servers::default();
        servers.seen(1, "a/5".parse().unwrap());
        let mut outbox = Outbox::default();
        for (number, as_) in [(9, "a.2"), (4, "a.3"), (7, "b.1")] {
            let home = if as_.starts_with('a') { "a/5" } else { "b/1" };
            outbox.acknowledged(&write(number), stored, acked(as_, home, &servers));
        }
        assert_eq!(next(&mut outbox, u64::MAX, &servers), "-");
        servers.failed(1);
        assert!(outbox.has_doubts(&servers));
        assert_eq!(next(&mut outbox, 4, &servers), "-");
        assert_eq!(next(&mut outbox, 9, &servers), "4 [a.3]");
        assert_eq!(next(&mut outbox, u64::MAX, &servers), "wait");
        outbox.release(4);
        assert_eq!(next(&mut outbox, u64::MAX, &servers), "4 [a.3]");
        outbox.acknowledged(&write(4), stored, acked("b.2", "b/1", &servers));
        assert_eq!(next(&mut outbox, u64::MAX, &servers), "9 [a.2]");
        // It had not died: it answers again, with the first name.
        outbox.acknowledged(&write(9), stored, acked("a.2", "a/5", &servers));
        assert!(!outbox.has_doubts(&servers));
        assert_eq!(outbox.len(), 3);
        servers.seen(2, "b/1".parse().unwrap());
        servers.seen(2, "b/2".parse().unwrap());
        assert_eq!(next(&mut outbox, u64::MAX, &servers), "4 [a.3, b.2]");
    }

    #[test]
    fn stable_writes_are_forgotten_under_any_name() {
        let servers = Servers::default();
        let mut outbox = Outbox::default();
        for (number, as_) in [(1, "a.1"), (2, "a.2"), (3, "a.3")] {
            outbox.acknowledged(&write(number), stored, acked(as_, "a/5", &servers));
        }
        outbox.acknowledged(&write(3), stored, acked("b.1", "b/1", &servers));
        let gone = outbox.stable(&cursor("0000000000000002_g0-a.1-b.1"), &servers);
        assert_eq!(numbers(&gone), [1, 3]);
        assert!(
            outbox
                .stable(&cursor("0000000000000009_g0-c.9"), &servers)
                .is_empty()
        );
        // The stream was made anew: what was written to the old one is nobody's any more.
        assert_eq!(
            numbers(&outbox.stable(&cursor("0000000000000000_g1"), &servers)),
            [2]
        );
    }

    #[test]
    fn a_superseded_letter_is_stable_only_when_told_so_since() {
        let mut servers = Servers::default();
        servers.seen(1, "a/5".parse().unwrap());
        let mut outbox = Outbox::default();
        outbox.acknowledged(&write(1), stored, acked("a.1", "a/5", &servers));
        let stable = cursor("0000000000065537_g0-a1.65537");
        assert!(outbox.stable(&stable, &servers).is_empty());
        servers.seen(1, "a1/1".parse().unwrap());
        assert!(outbox.stable(&stable, &servers).is_empty());
        assert_eq!(next(&mut outbox, 2, &servers), "1 [a.1]");
        outbox.acknowledged(&write(1), stored, acked("a.1", "b/1", &servers));
        assert_eq!(outbox.stable(&stable, &servers).len(), 1);
    }

    #[test]
    fn what_may_lie_in_a_hole_is_sent_again_before_it_counts_as_stable() {
        let mut servers = Servers::default();
        servers.seen(1, "a/5".parse().unwrap());
        let mut outbox = Outbox::default();
        outbox.acknowledged(&write(1), stored, acked("a.57", "a/5", &servers));
        servers.failed(1);
        servers.seen(1, "a/6".parse().unwrap());
        let stable = cursor("0000000000065536_g0-a.65536");
        assert!(outbox.stable(&stable, &servers).is_empty());
        assert_eq!(next(&mut outbox, 2, &servers), "1 [a.57]");
        // It had not lost it.
        outbox.acknowledged(&write(1), stored, acked("a.57", "a/6", &servers));
        assert_eq!(outbox.stable(&stable, &servers).len(), 1);
    }

    #[test]
    fn was_has_at_most_eight_names_the_first_among_them() {
        let names: Vec<Name> = (1..=12).map(|n| name(&format!("a.{n}"))).collect();
        assert_eq!(was(&names[..8]), names[..8]);
        let some = was(&names);
        assert_eq!(some.len(), MAX_WAS);
        assert_eq!((some[0], some[7]), (names[0], names[11]));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Write(u8),
        Fail(u8),
        Restart(u8),
        Resend(u8),
        Stable(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = (0u8..5, 0u8..3).prop_map(|(what, at)| match what {
            0 => Step::Write(at),
            1 => Step::Fail(at),
            2 => Step::Restart(at),
            3 => Step::Resend(at),
            _ => Step::Stable(at),
        });
        proptest::collection::vec(step, 1..80)
    }

    proptest! {
        /// Servers that lose everything unstable whenever they fail: what was acknowledged is at a
        /// server that has not failed since, or in the outbox and in doubt.
        #[test]
        fn no_acknowledged_write_is_out_of_reach(steps in steps()) {
            let letters = ["a", "b", "c"];
            let mut servers = Servers::default();
            let mut starts = [1u64; 3];
            let mut tails = [0u64; 3];
            // (number, names, indices of the servers that hold it, stable)
            let mut held: Vec<(u64, Vec<Name>, Vec<usize>, bool)> = Vec::new();
            let mut outbox = Outbox::default();
            let mut number = 0;
            let put = |at: usize, tails: &mut [u64; 3]| {
                tails[at] += 1;
                name(&format!("{}.{}", letters[at], tails[at]))
            };
            for (at, letter) in (0..).zip(letters) {
                servers.seen(at, format!("{letter}/1").parse().unwrap());
            }
            for step in steps {
                match step {
                    Step::Write(at) => {
                        let at = usize::from(at);
                        number += 1;
                        let as_ = put(at, &mut tails);
                        held.push((number, vec![as_], vec![at], false));
                        let home = format!("{}/{}", letters[at], starts[at]);
                        outbox.acknowledged(&write(number), stored, acked(&as_.to_string(), &home, &servers));
                    }
                    Step::Fail(at) => {
                        servers.failed(u32::from(at));
                        for entry in held.iter_mut().filter(|entry| !entry.3) {
                            entry.2.retain(|holder| *holder != usize::from(at));
                        }
                    }
                    Step::Restart(at) => {
                        let at = usize::from(at);
                        starts[at] += 1;
                        servers.seen(at as u32, format!("{}/{}", letters[at], starts[at]).parse().unwrap());
                        for entry in held.iter_mut().filter(|entry| !entry.3) {
                            entry.2.retain(|holder| *holder != at);
                        }
                    }
                    Step::Resend(at) => {
                        let at = usize::from(at);
                        while let Next::Send(again) = outbox.next(u64::MAX, &servers) {
                            let entry = &mut held[again.write.number as usize - 1];
                            prop_assert!(again.names.iter().all(|name| entry.1.contains(name)));
                            let as_ = put(at, &mut tails);
                            entry.1.push(as_);
                            entry.2.push(at);
                            let home = format!("{}/{}", letters[at], starts[at]);
                            outbox.acknowledged(&again.write, stored, acked(&as_.to_string(), &home, &servers));
                        }
                    }
                    Step::Stable(at) => {
                        let letter = letters[usize::from(at)];
                        let all = format!("{:016}_g0-{letter}.{}", tails[usize::from(at)], tails[usize::from(at)]);
                        if let Ok(all) = all.parse::<Cursor>() {
                            for entry in &mut held {
                                entry.3 |= entry.1.iter().any(|name| all.cut.covers(*name)) && !entry.2.is_empty();
                            }
                            // What is stable is what is still held somewhere.
                            let lost = held.iter().any(|entry| !entry.3 && entry.1.iter().any(|name| all.cut.covers(*name)));
                            if !lost {
                                outbox.stable(&all, &servers);
                            }
                        }
                    }
                }
                for (number, _, holders, stable) in &held {
                    let in_box = outbox.kept.iter().find(|kept| kept.write.number == *number);
                    let in_doubt = in_box.is_some_and(|kept| servers.in_doubt(kept.home, kept.stamp));
                    prop_assert!(*stable || !holders.is_empty() || in_doubt, "write {} is out of reach", number);
                    prop_assert!(*stable || in_box.is_some());
                }
            }
        }
    }
}
