//! Requests that wait: for the disk, for the peers, or for the time; and the pulls that they wait for.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::api::{Answer, Message, Now, Output, Ticket};
use super::read::Asked;
use super::state::Core;
use crate::cursor::Cut;
use crate::letter::Name;
use crate::path::StreamPath;
use crate::server::{Append, NotReady, Refusal};

/// The most requests that wait at once.
const MOST: usize = 65_536;

/// An answer that waits for the disk.
#[derive(Debug)]
pub(super) struct Ack {
    pub(super) ticket: Ticket,
    pub(super) room: usize,
    pub(super) position: usize,
    pub(super) what: Acked,
}

/// What is answered once the disk has it.
#[derive(Debug)]
pub(super) enum Acked {
    /// An append.
    Append {
        /// As in [`crate::server::Appended`].
        new: bool,
        released: bool,
        /// What the writer had seen, expanded.
        min: Cut,
    },
    /// A create or a delete, which the peers then have to have.
    Control(Answer),
}

/// A request that waits for peers.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) path: StreamPath,
    /// When it ends, one way or the other.
    pub(super) deadline: Duration,
    /// The round of pulls that it waits for; 0 for none.
    pub(super) round: u64,
    pub(super) wait: Wait,
}

/// What waits.
#[derive(Debug)]
pub(super) enum Wait {
    /// For its writer's cursor, or for a producer's missing sequences.
    Append(Append),
    /// For the reader's cursor.
    Read(Asked),
    /// For the peers in reach to have a create or a delete.
    Control {
        room: usize,
        name: Name,
        answer: Answer,
    },
}

/// Pulls of one stream: one round at a time, and at most one more ordered.
#[derive(Debug, Default)]
struct Rounds {
    /// Number of the running round, or of the last one.
    number: u64,
    /// The running round's nonce.
    nonce: Option<u64>,
    /// Peers that have not answered it.
    left: Vec<usize>,
    /// It goes to every configured member.
    all: bool,
    again: bool,
    /// Number of the last round that ended, and whether all members answered it.
    ended: u64,
    ended_all: bool,
}

/// All that waits.
#[derive(Debug, Default)]
pub(super) struct Waits {
    waiting: HashMap<Ticket, Waiting>,
    at: HashMap<StreamPath, BTreeSet<Ticket>>,
    deadlines: BTreeSet<(Duration, Ticket)>,
    rounds: HashMap<StreamPath, Rounds>,
    nonces: HashMap<u64, StreamPath>,
    last_nonce: u64,
}

impl Waits {
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|&(at, _)| at)
    }

    /// Whether a round has ended, and if so whether every member answered.
    pub(super) fn ended(&self, path: &StreamPath, round: u64) -> Option<bool> {
        match self.rounds.get(path) {
            Some(rounds) => (rounds.ended >= round).then_some(rounds.ended_all),
            None => Some(false), // forgotten with the last request that waited
        }
    }

    fn take(&mut self, ticket: Ticket) -> Option<Waiting> {
        let waiting = self.waiting.remove(&ticket)?;
        self.deadlines.remove(&(waiting.deadline, ticket));
        if let Some(tickets) = self.at.get_mut(&waiting.path) {
            tickets.remove(&ticket);
            if tickets.is_empty() {
                self.at.remove(&waiting.path);
            }
        }
        Some(waiting)
    }

    /// Drops what is known of pulls of a stream that nobody waits for.
    pub(super) fn forget(&mut self, path: &StreamPath) {
        let idle = |rounds: &Rounds| rounds.nonce.is_none();
        if !self.at.contains_key(path) && self.rounds.get(path).is_some_and(idle) {
            self.rounds.remove(path);
        }
    }
}

impl Core {
    /// The request's connection is gone: nobody waits for its answer. What was accepted stays.
    pub fn cancel(&mut self, ticket: Ticket) {
        if let Some(waiting) = self.waits.take(ticket) {
            self.waits.forget(&waiting.path);
        }
    }

    /// Refuses everything from now on, and what waits for peers; what waits for the disk is still
    /// answered when the driver syncs once more.
    pub fn stop(&mut self) {
        self.stopping = true;
        let mut tickets: Vec<Ticket> = self.waits.waiting.keys().copied().collect();
        tickets.sort_unstable();
        for ticket in tickets {
            self.waits.take(ticket);
            self.refuse(ticket, NotReady::Stopping.into());
        }
    }

    pub(super) fn answer(&mut self, ticket: Ticket, result: Result<Answer, Refusal>) {
        self.outputs.push(Output::Answer { ticket, result });
    }

    pub(super) fn refuse(&mut self, ticket: Ticket, why: Refusal) {
        self.answer(ticket, Err(why));
    }

    pub(super) fn wait(&mut self, ticket: Ticket, waiting: Waiting) {
        if self.waits.waiting.len() >= MOST {
            self.refuse(ticket, NotReady::Busy.into());
            return;
        }
        let tickets = self.waits.at.entry(waiting.path.clone()).or_default();
        tickets.insert(ticket);
        self.waits.deadlines.insert((waiting.deadline, ticket));
        self.waits.waiting.insert(ticket, waiting);
    }

    /// Orders a pull of a stream from every member in reach; gives the round that will have it all.
    pub(super) fn pull(&mut self, now: Now, path: &StreamPath) -> u64 {
        let rounds = self.waits.rounds.entry(path.clone()).or_default();
        if rounds.nonce.is_some() {
            rounds.again = true;
            return rounds.number + 1;
        }
        self.start_round(now, path)
    }

    fn start_round(&mut self, now: Now, path: &StreamPath) -> u64 {
        self.counters.pulls += 1;
        let asked = self.peers_that_answer(now);
        let all = asked.len() == self.others();
        self.waits.last_nonce += 1;
        let nonce = self.waits.last_nonce;
        let rounds = self.waits.rounds.entry(path.clone()).or_default();
        rounds.number += 1;
        rounds.again = false;
        rounds.all = all;
        let number = rounds.number;
        if asked.is_empty() {
            rounds.ended = number;
            rounds.ended_all = all;
            return number;
        }
        rounds.nonce = Some(nonce);
        rounds.left.clone_from(&asked);
        self.waits.nonces.insert(nonce, path.clone());
        for peer in asked {
            let path = Some(path.clone());
            self.send(peer, Message::Pull { nonce, path });
        }
        number
    }

    /// A peer has sent all that a pull asked for.
    pub(super) fn pulled(&mut self, now: Now, peer: usize, nonce: u64) {
        let Some(path) = self.waits.nonces.get(&nonce).cloned() else {
            return; // of an earlier connection's round, which ended with that
        };
        self.leave_round(now, &path, peer, true);
    }

    /// A peer will not answer any more.
    pub(super) fn lose_in_rounds(&mut self, now: Now, peer: usize) {
        let mut paths: Vec<StreamPath> = self.waits.nonces.values().cloned().collect();
        paths.sort_unstable();
        for path in paths {
            self.leave_round(now, &path, peer, false);
        }
    }

    fn leave_round(&mut self, now: Now, path: &StreamPath, peer: usize, answered: bool) {
        let Some(rounds) = self.waits.rounds.get_mut(path) else {
            return;
        };
        let before = rounds.left.len();
        rounds.left.retain(|&other| other != peer);
        rounds.all &= answered || rounds.left.len() == before;
        if rounds.left.is_empty()
            && let Some(nonce) = rounds.nonce.take()
        {
            rounds.ended = rounds.number;
            rounds.ended_all = rounds.all;
            let again = rounds.again;
            self.waits.nonces.remove(&nonce);
            self.recheck(now, path);
            if again {
                self.start_round(now, path);
                self.recheck(now, path); // with no peer left it has ended already
            }
            self.waits.forget(path);
        }
    }

    /// Looks again at everything that waits for a stream.
    pub(super) fn recheck(&mut self, now: Now, path: &StreamPath) {
        let tickets: Vec<Ticket> = match self.waits.at.get(path) {
            Some(tickets) => tickets.iter().copied().collect(),
            None => return,
        };
        for ticket in tickets {
            if let Some(waiting) = self.waits.take(ticket) {
                self.look_at(now, ticket, waiting);
            }
        }
        self.waits.forget(path);
    }

    pub(super) fn expire_waits(&mut self, now: Now) {
        while let Some(&(deadline, ticket)) = self.waits.deadlines.first()
            && deadline <= now.since_start
            && let Some(waiting) = self.waits.take(ticket)
        {
            let path = waiting.path.clone();
            self.look_at(now, ticket, waiting);
            self.waits.forget(&path);
        }
    }

    /// Does what a waiting request waits for, refuses it, or lets it wait on.
    fn look_at(&mut self, now: Now, ticket: Ticket, waiting: Waiting) {
        match waiting.wait {
            Wait::Append(append) => {
                let held = (waiting.deadline, waiting.round);
                self.try_append(now, ticket, &waiting.path, append, Some(held));
            }
            Wait::Read(asked) => {
                let held = (waiting.deadline, waiting.round);
                self.try_read(now, ticket, &waiting.path, asked, Some(held));
            }
            Wait::Control { room, name, answer } => {
                let held = Waiting {
                    path: waiting.path,
                    deadline: waiting.deadline,
                    round: 0,
                    wait: Wait::Control { room, name, answer },
                };
                self.try_control(now, ticket, held);
            }
        }
    }
}
