//! Answers: given once what they speak of is durable here, and for creates and deletes at the peers.

use super::api::{Answer, Now, Ticket};
use super::state::Core;
use super::waits::{Ack, Acked, Wait, Waiting};
use super::write::WRITE_WAIT;
use crate::cursor::Cut;
use crate::server::Appended;

impl Core {
    pub(super) fn ack_append(
        &mut self,
        ticket: Ticket,
        at: usize,
        position: usize,
        new: bool,
        released: bool,
        min: Cut,
    ) {
        let what = Acked::Append { new, released, min };
        self.ack(ticket, at, position, what);
    }

    pub(super) fn ack_control(
        &mut self,
        ticket: Ticket,
        at: usize,
        position: usize,
        answer: Answer,
    ) {
        self.ack(ticket, at, position, Acked::Control(answer));
    }

    fn ack(&mut self, ticket: Ticket, room: usize, position: usize, what: Acked) {
        let held = self.rooms.get(room).and_then(|r| r.replica.get(position));
        let sequence = held.map_or(0, |held| held.sequence);
        let ack = Ack {
            ticket,
            room,
            position,
            what,
        };
        if sequence <= self.synced || !self.settings.rules.durable_first {
            self.acknowledge_one(None, ack);
        } else {
            self.acks.entry(sequence).or_default().push(ack);
        }
    }

    /// Answers what has become durable.
    pub(super) fn acknowledge(&mut self, now: Now) {
        let later = self.acks.split_off(&(self.synced + 1));
        let done = std::mem::replace(&mut self.acks, later);
        for ack in done.into_values().flatten() {
            self.acknowledge_one(Some(now), ack);
        }
    }

    /// `now`: when it just became durable, so that the peers cannot have it yet.
    fn acknowledge_one(&mut self, now: Option<Now>, ack: Ack) {
        let Some(room) = self.rooms.get(ack.room) else {
            return;
        };
        let Some(held) = room.replica.get(ack.position) else {
            return;
        };
        let name = held.entry.name;
        match ack.what {
            Acked::Append { new, released, min } => {
                let mut next = room.replica.cut(ack.position + 1);
                next.merge(&min);
                let producer = held.entry.producer.as_ref();
                let answer = Appended {
                    new,
                    entry: name,
                    next: room.cursor(next),
                    stable: room.stable_cursor(),
                    producer: producer.and_then(|p| room.producers.highest(&p.id)),
                    released,
                };
                self.answer(ack.ticket, Ok(Answer::Appended(answer)));
            }
            Acked::Control(answer) => match now {
                None => self.answer(ack.ticket, Ok(answer)),
                Some(now) => {
                    let waiting = Waiting {
                        path: room.path.clone(),
                        deadline: now.since_start + WRITE_WAIT,
                        round: 0,
                        wait: Wait::Control {
                            room: ack.room,
                            name,
                            answer,
                        },
                    };
                    self.try_control(now, ack.ticket, waiting);
                    for index in self.peers_in_reach() {
                        self.ship(now, index); // somebody waits for it, so not for the interval
                    }
                }
            },
        }
    }

    /// Answers a create or delete when every peer in reach has it, or the time is over.
    pub(super) fn try_control(&mut self, now: Now, ticket: Ticket, waiting: Waiting) {
        let Wait::Control { room, name, answer } = &waiting.wait else {
            return;
        };
        let in_reach = self.peers_in_reach();
        let missing = self.rooms.get(*room).is_some_and(|room| {
            let has = |&peer: &usize| {
                let at_peer = room.peers.get(peer);
                at_peer.is_some_and(|at| at.told.get(name.letter) >= name.index)
            };
            !in_reach.iter().all(has)
        });
        if missing && waiting.deadline > now.since_start {
            self.wait(ticket, waiting);
        } else {
            let answer = answer.clone();
            self.answer(ticket, Ok(answer));
        }
    }
}
