//! What the director remembers of one stream, over all its clients.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_channel::oneshot;

use crate::cursor::{Cursor, Cut};
use crate::keys::Keys;
use crate::memory::outbox::Outbox;
use crate::memory::turns::Turns;
use crate::name::{Letter, Name};
use crate::path::StreamPath;

/// One stream.
#[derive(Debug)]
pub struct Room {
    path: StreamPath,
    state: Mutex<State>,
}

/// What is remembered.
#[derive(Debug, Default)]
pub struct State {
    /// The largest cursor of any answer; `None` before the first.
    largest: Option<Cursor>,
    /// What clients brought, from another director perhaps. Writes wait for it beside the largest, once,
    /// and nothing else believes it: a client may bring anything.
    offered: Cursor,
    /// What a write was accepted without, after a second of waiting for it. It is not asked for again:
    /// each write to come would wait a second for it too.
    given_up: Cut,
    /// The largest stable cursor of any answer.
    pub stable: Cursor,
    /// Writes that are not yet stable.
    pub outbox: Outbox,
    /// What readers were shown lately.
    pub keys: Keys,
    /// Producers at work.
    pub turns: Turns,
    /// Whoever waits for somebody else's claim in the outbox to end.
    waiting: Vec<oneshot::Sender<()>>,
    /// When it was last asked for.
    pub used: Duration,
}

impl Room {
    /// A stream of which nothing is known.
    #[must_use]
    pub fn new(path: StreamPath) -> Self {
        Self {
            path,
            state: Mutex::default(),
        }
    }

    /// Its path.
    pub fn path(&self) -> &StreamPath {
        &self.path
    }

    /// What is remembered. Held for the length of a statement or two, never over an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// `Stream-Min-Offset` of the next request. `own` is what that request brings itself.
    #[must_use]
    pub fn min(&self, writes: bool, own: Option<&Cursor>) -> Option<Cursor> {
        let trusted = self.largest.as_ref().map(|largest| self.asked(largest));
        let mut all = trusted.clone().or_else(|| own.cloned());
        if all.is_none() && writes && !self.offered.cut.is_empty() {
            all = Some(self.offered.clone());
        }
        if let Some(all) = &mut all {
            let offered = Some(&self.offered).filter(|_| writes);
            for brought in [own, offered].into_iter().flatten() {
                if brought.generation == all.generation {
                    all.cut.merge(&brought.cut);
                }
            }
        }
        // What clients bring may be too much for a token; what servers tell is not.
        all.filter(Cursor::fits).or(trusted).filter(Cursor::fits)
    }

    /// What of the largest cursor is still asked for.
    fn asked(&self, largest: &Cursor) -> Cursor {
        let stable = self.stable.cut_of(largest.generation);
        let known = |name: Name| stable.map_or(0, |cut| cut.get(name.letter));
        let cut: Cut = largest
            .cut
            .names()
            // A letter that the stable cut no longer spells, and a later one of the same server has
            // taken its place: it counts no more.
            .filter(|name| {
                known(*name) > 0 || !stable.is_some_and(|cut| cut.supersedes(name.letter))
            })
            .map(|name| match self.given_up.covers(name) {
                true => Name {
                    index: known(name),
                    ..name
                },
                false => name,
            })
            .collect();
        Cursor {
            generation: largest.generation,
            cut,
        }
    }

    /// Whether all that is known is of this generation or an earlier one.
    #[must_use]
    pub fn is_at_most(&self, generation: u32) -> bool {
        let largest = self.largest.as_ref();
        largest.is_none_or(|largest| largest.generation <= generation)
    }

    /// Takes in a cursor that a client brought, as far as `known` letters are in it.
    pub fn offered(&mut self, cursor: &Cursor, known: impl Fn(Letter) -> bool) {
        if self.offered.generation != cursor.generation {
            self.offered = Cursor {
                generation: cursor.generation,
                cut: Cut::default(),
            };
        }
        for name in cursor.cut.names().filter(|name| known(name.letter)) {
            self.offered.cut.raise(name);
        }
    }

    /// Takes in a cursor of an answer. `true` when the stream is of a newer generation than was known:
    /// what was remembered of the old one is gone.
    pub fn told(&mut self, next: &Cursor) -> bool {
        let Some(largest) = &mut self.largest else {
            self.largest = Some(next.clone());
            return false;
        };
        let anew = next.generation > largest.generation;
        largest.merge(next);
        if anew {
            self.given_up = Cut::default();
            self.keys.clear();
        }
        anew
    }

    /// Whether a stable cursor says more than was known.
    #[must_use]
    pub fn is_stable_news(&self, stable: &Cursor) -> bool {
        stable.generation > self.stable.generation
            || self
                .stable
                .cut_of(stable.generation)
                .is_some_and(|known| !known.covers_all(&stable.cut))
    }

    /// A write with that min was accepted by a server that did not have all of it, and answered with
    /// `had`. A server that counts the min into its answer does not tell what it lacked: then it may be
    /// anything that is not stable.
    pub fn released(&mut self, min: &Cursor, had: &Cursor) {
        let Some(had) = had.cut_of(min.generation) else {
            return;
        };
        let stable = self.stable.cut_of(min.generation).cloned();
        let stable = stable.unwrap_or_default();
        let had = if had.covers_all(&min.cut) {
            &stable
        } else {
            had
        };
        let missing: Vec<Name> = min.cut.names().filter(|name| !had.covers(*name)).collect();
        let largest = self.largest.as_ref().map(|largest| &largest.cut);
        for name in missing {
            // What no server has ever told is not waited for a second time; that says nothing about
            // what servers will tell.
            let told = largest.map_or(0, |largest| largest.get(name.letter));
            self.given_up.raise(Name {
                index: name.index.min(told),
                ..name
            });
            self.offered.cut.retain(|other| other.letter != name.letter);
        }
    }

    /// A promise to be told when a claim in the outbox ends.
    pub fn wait(&mut self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.retain(|waiting| !waiting.is_canceled());
        self.waiting.push(sender);
        receiver
    }

    /// A claim ended.
    pub fn wake(&mut self) {
        for waiting in self.waiting.drain(..) {
            // Whoever waited may be gone.
            let _ = waiting.send(());
        }
    }

    /// Forgets the stream: it was deleted.
    pub fn forget(&mut self) {
        self.largest = None;
        self.offered = Cursor::default();
        self.given_up = Cut::default();
        self.stable = Cursor::default();
        self.keys.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(text: &str) -> Cursor {
        text.parse().unwrap()
    }

    fn min(state: &State) -> String {
        state
            .min(true, None)
            .map_or_else(String::new, |min| min.to_string())
    }

    #[test]
    fn min_is_the_largest_of_all_answers() {
        let mut state = State::default();
        assert_eq!(min(&state), "");
        state.told(&cursor("0000000000000080_g0-a.80"));
        state.told(&cursor("0000000000000062_g0-a.5-b.57"));
        assert_eq!(min(&state), "0000000000000137_g0-a.80-b.57");
        assert!(state.told(&cursor("0000000000000001_g1-c.1")));
        assert_eq!(min(&state), "0000000000000001_g1-c.1");
        state.forget();
        assert_eq!(min(&state), "");
    }

    #[test]
    fn what_clients_bring_counts_for_writes_and_is_not_believed() {
        let mut state = State::default();
        state.offered(&cursor("0000000000000007_g5-b.7"), |_| true);
        assert_eq!(state.min(false, None), None);
        assert_eq!(min(&state), "0000000000000007_g5-b.7");
        state.told(&cursor("0000000000000080_g0-a.80"));
        assert_eq!(min(&state), "0000000000000080_g0-a.80");
        state.offered(&cursor("0000000000000014_g0-b.7-z.7"), |letter| {
            letter != "z".parse().unwrap()
        });
        assert_eq!(min(&state), "0000000000000087_g0-a.80-b.7");
        let own = cursor("0000000000000003_g0-c.3");
        let reads = state.min(false, Some(&own)).unwrap();
        assert_eq!(reads.to_string(), "0000000000000083_g0-a.80-c.3");
        assert_eq!(
            state.min(false, None).unwrap().to_string(),
            "0000000000000080_g0-a.80"
        );
    }

    #[test]
    fn a_client_cannot_make_a_token_that_no_server_takes() {
        let mut state = State::default();
        state.told(&cursor("0000000000000080_g0-a.80"));
        state.offered(&cursor("9999999999999999_g0-b.9999999999999999"), |_| true);
        assert_eq!(min(&state), "0000000000000080_g0-a.80");
        let mut state = State::default();
        state.told(&cursor("0000000000000080_g0-a.80"));
        for letter in 'a'..='z' {
            let many = format!("0000000000000001_g0-a{letter}.1");
            state.offered(&cursor(&many), |_| true);
            let many = format!("0000000000000001_g0-b{letter}.1");
            state.offered(&cursor(&many), |_| true);
        }
        assert_eq!(min(&state), "0000000000000080_g0-a.80");
    }

    #[test]
    fn a_lie_costs_one_wait_and_no_truth() {
        let mut state = State::default();
        state.told(&cursor("0000000000000080_g0-a.80"));
        state.offered(&cursor("0000000000009999_g0-a.9999"), |_| true);
        let sent = state.min(true, None).unwrap();
        state.released(&sent, &cursor("0000000000000080_g0-a.80"));
        state.told(&cursor("0000000000000081_g0-a.81"));
        assert_eq!(min(&state), "0000000000000081_g0-a.81");
    }

    #[test]
    fn what_a_write_could_not_wait_for_is_not_asked_for_again() {
        let mut state = State::default();
        state.told(&cursor("0000000000000087_g0-a.80-b.7"));
        state.stable = cursor("0000000000000050_g0-a.50");
        let sent = state.min(true, None).unwrap();
        state.released(&sent, &cursor("0000000000000068_g0-a.60-b.8"));
        assert_eq!(min(&state), "0000000000000057_g0-a.50-b.7");
        state.told(&cursor("0000000000000081_g0-a.81"));
        assert_eq!(min(&state), "0000000000000088_g0-a.81-b.7");
        let sent = state.min(true, None).unwrap();
        state.released(&sent, &sent);
        assert_eq!(min(&state), "0000000000000050_g0-a.50");
        state.stable = cursor("0000000000000081_g0-a.81");
        assert_eq!(min(&state), "0000000000000081_g0-a.81");
    }

    #[test]
    fn a_letter_that_is_folded_away_is_not_asked_for() {
        let mut state = State::default();
        state.told(&cursor("0000000000065545_g0-a.80-a1.65538-b.7"));
        assert_eq!(min(&state), "0000000000065545_g0-a.80-a1.65538-b.7");
        state.stable = cursor("0000000000065537_g0-a1.65537");
        assert_eq!(min(&state), "0000000000065545_g0-a1.65538-b.7");
    }
}
