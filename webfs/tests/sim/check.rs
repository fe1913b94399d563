//! What was said, acknowledged and shown, and what is wrong with that.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use webfs::cursor::Cursor;

/// The longest token allowed.
const LONGEST: usize = 63;
/// How many of what a user had read its next word is held to answer.
const ANSWERS: usize = 6;

/// One message.
struct Said {
    user: usize,
    seq: u64,
    /// What its user had been shown before.
    after: Vec<u64>,
    acked: bool,
    /// Accepted without waiting for what its user had seen any longer.
    released: bool,
    /// Its second copy may come to a reader that nobody can tell had the first.
    unsure: bool,
}

/// All of a run that is judged.
#[derive(Default)]
pub struct History {
    said: Vec<Said>,
    shown: HashMap<usize, HashSet<u64>>,
    changed: HashSet<usize>,
    /// Kinds of faults found, with the first of each.
    pub faults: BTreeMap<&'static str, (usize, String)>,
    pub notes: Vec<String>,
    pub longest: usize,
}

impl History {
    pub fn said(&mut self, user: usize, seq: u64, got: &[u64]) -> u64 {
        self.said.push(Said {
            user,
            seq,
            after: got[got.len().saturating_sub(ANSWERS)..].to_vec(),
            acked: false,
            released: false,
            unsure: false,
        });
        self.said.len() as u64 - 1
    }

    fn of(&mut self, uid: u64) -> &mut Said {
        &mut self.said[uid as usize]
    }

    pub fn acked_now(&mut self, uid: u64) {
        self.of(uid).acked = true;
    }

    pub fn released(&mut self, uid: u64) {
        self.of(uid).released = true;
    }

    /// It may be shown twice to a reader that changed its director: it is sent again without a name, or
    /// while servers do not reach each other.
    pub fn unsure(&mut self, uid: u64) {
        self.of(uid).unsure = true;
    }

    pub fn changed(&mut self, user: usize) {
        self.changed.insert(user);
    }

    pub fn acked(&self) -> impl Iterator<Item = u64> + '_ {
        let uids = 0..self.said.len();
        uids.filter(|&uid| self.said[uid].acked)
            .map(|uid| uid as u64)
    }

    pub fn note(&mut self, what: impl FnOnce() -> String) {
        self.notes.push(what());
    }

    pub fn bad(&mut self, kind: &'static str, what: impl FnOnce() -> String) {
        let fault = self.faults.entry(kind).or_insert_with(|| (0, what()));
        fault.0 += 1;
    }

    /// A reader was shown a message.
    pub fn shown(&mut self, user: usize, uid: u64, what: impl Fn() -> String) {
        let shown = self.shown.entry(user).or_default();
        let again = !shown.insert(uid);
        let allowed = self.said[uid as usize].unsure && self.changed.contains(&user);
        if again && !allowed {
            self.bad("shown twice", || {
                format!("{uid} to user {user}: {}", what())
            });
        }
    }

    /// A reader's token, after the one it had.
    pub fn token(&mut self, user: usize, before: Option<&Cursor>, after: &Cursor) {
        let token = after.to_string();
        self.longest = self.longest.max(token.len());
        if token.len() > LONGEST {
            self.bad("token too long", || token.clone());
        }
        let parsed = token.parse::<Cursor>();
        if parsed.as_ref() != Ok(after) {
            self.bad("token not read back", || token.clone());
        }
        if let Some(before) = before.map(ToString::to_string)
            && token < before
        {
            self.bad("token falls", || {
                format!("user {user}: {before} then {token}")
            });
        }
    }

    /// Everything that a reader was shown, in its order, once all is quiet.
    pub fn judge_reader(&mut self, user: usize, got: &[u64], there: &BTreeSet<u64>) {
        let place: HashMap<u64, usize> = got
            .iter()
            .enumerate()
            .rev()
            .map(|(at, &uid)| (uid, at))
            .collect();
        for (at, &uid) in got.iter().enumerate() {
            let said = &self.said[uid as usize];
            let late = said
                .after
                .iter()
                .find(|&&q| place.get(&q).is_some_and(|&p| p > at));
            if let Some(&question) = late
                && !said.released
            {
                self.bad("answer before question", || {
                    format!("user {user}: {uid} before {question}")
                });
            }
        }
        let mut last: HashMap<usize, u64> = HashMap::new();
        let mut met = HashSet::new();
        for &uid in got.iter().filter(|&&uid| met.insert(uid)) {
            let said = &self.said[uid as usize];
            let (writer, seq, released) = (said.user, said.seq, said.released);
            if last.get(&writer).is_some_and(|&last| last > seq) {
                self.bad("writer's order", || {
                    format!("user {user}: {uid} of {writer}")
                });
            }
            if !released {
                last.insert(writer, seq.max(last.get(&writer).copied().unwrap_or(0)));
            }
        }
        let missed: Vec<u64> = there
            .iter()
            .copied()
            .filter(|uid| !met.contains(uid))
            .collect();
        if let Some(uid) = missed.first().copied() {
            self.bad("reader lost", || {
                format!("user {user}: {uid} and {} in all", missed.len())
            });
        }
    }

    /// What is at the servers in the end.
    pub fn judge_servers(&mut self, there: &BTreeSet<u64>) {
        let lost: Vec<u64> = self.acked().filter(|uid| !there.contains(uid)).collect();
        if let Some(uid) = lost.first() {
            self.bad("acknowledged, lost", || {
                format!("{uid} and {} in all", lost.len())
            });
        }
    }
}
