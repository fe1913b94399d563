//! Appends.
//!
//! Order of an append's checks: a repeat gets the first answer again; the writer's cursor is waited for;
//! then content type, producer and `Stream-Seq`. A resend that says under which name it had been
//! acknowledged is past the last two: the protocol has answered it already.

use std::time::Duration;

use super::api::{Now, Ticket};
use super::producers::Verdict;
use super::room::Room;
use super::state::{Core, From};
use super::waits::{Wait, Waiting};
use crate::cursor::Cut;
use crate::entry::{Entry, Kind};
use crate::letter::Name;
use crate::path::StreamPath;
use crate::server::{Append, Conflict, NotReady, Refusal};
use crate::stream::ContentType;

/// How long a write waits for its writer's cursor, and a create or delete for the peers.
pub(super) const WRITE_WAIT: Duration = Duration::from_secs(1);

/// After this, what was waited for in vain and no member has counts as lost, and is not told any more.
const LOST_AFTER: Duration = Duration::from_secs(10);

/// When a wait ends, and the round of pulls it waits for.
type Held = Option<(Duration, u64)>;

/// What the wait for a writer's cursor came to.
enum Seen {
    /// All of it is here (or nowhere any more).
    Covered,
    /// Not all of it is; it is accepted all the same.
    Released,
    /// Not yet.
    Wait(Duration, u64),
}

impl Core {
    /// Adds one entry. Answers [`Appended`](super::Answer::Appended) once it is durable.
    pub fn append(&mut self, now: Now, ticket: Ticket, path: &StreamPath, append: Append) {
        self.try_append(now, ticket, path, append, None);
    }

    pub(super) fn try_append(
        &mut self,
        now: Now,
        ticket: Ticket,
        path: &StreamPath,
        append: Append,
        held: Held,
    ) {
        match self.append_or_wait(now, ticket, path, &append, held) {
            Ok(None) => self.waits.forget(path),
            Ok(Some((deadline, round))) => self.wait(
                ticket,
                Waiting {
                    path: path.clone(),
                    deadline,
                    round,
                    wait: Wait::Append(append),
                },
            ),
            Err(why) => {
                self.refuse(ticket, why);
                self.waits.forget(path);
            }
        }
    }

    /// `Some`: what to wait for.
    fn append_or_wait(
        &mut self,
        now: Now,
        ticket: Ticket,
        path: &StreamPath,
        append: &Append,
        held: Held,
    ) -> Result<Held, Refusal> {
        self.ready()?;
        if self.full {
            return Err(Refusal::DiskFull);
        }
        if append.payload.is_empty() || append.count == 0 {
            return Err(Refusal::Empty);
        }
        self.fits_limit(append.payload.len())?;
        let at = match self.writable(path, append.content_type.as_ref()) {
            Ok(at) => at,
            Err(why) => return self.unknown_yet(now, path, append, held, why),
        };
        if let Some(position) = self.repeat_of(at, append) {
            self.ack_append(ticket, at, position, true, false, Cut::default());
            return Ok(None);
        }
        let min = self.expanded_min(at, append)?;
        let released = match self.see(now, at, path, &min, held) {
            Seen::Covered => false,
            Seen::Released => true,
            Seen::Wait(deadline, round) => return Ok(Some((deadline, round))),
        };
        if let Some(sent) = &append.content_type {
            self.same_type(at, sent)?;
        }
        match self.repeat_of_triple(at, append) {
            Some((position, same_bytes)) => {
                self.counters.producer_faults += u64::from(!same_bytes);
                self.ack_append(ticket, at, position, false, released, min);
                return Ok(None);
            }
            None if append.was.is_empty() => {
                if let Some(wait) = self.judge(now, at, path, append, held)? {
                    return Ok(Some(wait));
                }
            }
            None => {}
        }
        self.counters.released += u64::from(released);
        let position = self.accept(now, at, append);
        self.ack_append(ticket, at, position, true, released, min);
        Ok(None)
    }

    /// Whether requests are served.
    pub(super) fn ready(&self) -> Result<(), Refusal> {
        if self.stopping {
            return Err(NotReady::Stopping.into());
        }
        if self.identity.is_none() {
            let waiting_for = self.waits_to_join_for();
            return Err(NotReady::Joining { waiting_for }.into());
        }
        Ok(())
    }

    pub(super) fn room(&self, at: usize) -> Result<&Room, Refusal> {
        let broken = || Refusal::Unreadable("a stream is not where its path says".to_owned());
        self.rooms.get(at).ok_or_else(broken)
    }

    pub(super) fn fits_limit(&self, size: usize) -> Result<(), Refusal> {
        let limit = self.settings.append_limit;
        if size > limit {
            return Err(Refusal::TooLarge { size, limit });
        }
        Ok(())
    }

    /// The generation that takes appends; a room comes into being here.
    fn writable(
        &mut self,
        path: &StreamPath,
        sent: Option<&ContentType>,
    ) -> Result<usize, Refusal> {
        let newest = self.newest(path);
        let generation = match newest {
            Some(room) if room.is_open() => room.generation,
            Some(room) if path.is_room() => room.generation + 1,
            None if path.is_room() => 0,
            Some(_) | None => return Err(Refusal::UnknownStream(path.clone())),
        };
        if let Some(at) = self.find_room(path, generation) {
            return Ok(at);
        }
        let have = ContentType::json();
        if let Some(sent) = sent.filter(|sent| **sent != have) {
            let sent = sent.clone();
            return Err(Conflict::ContentType { have, sent }.into());
        }
        Ok(self.room_at(path, generation))
    }

    /// A stream that the writer has seen is asked for before it is said not to be there.
    fn unknown_yet(
        &mut self,
        now: Now,
        path: &StreamPath,
        append: &Append,
        held: Held,
        why: Refusal,
    ) -> Result<Held, Refusal> {
        if append.min.as_ref().is_none_or(|min| min.cut.is_empty()) {
            return Err(why);
        }
        let (deadline, round) = self.held_or_pull(now, path, held);
        if deadline <= now.since_start || self.waits.ended(path, round).is_some() {
            return Err(why);
        }
        Ok(Some((deadline, round)))
    }

    fn held_or_pull(&mut self, now: Now, path: &StreamPath, held: Held) -> (Duration, u64) {
        held.unwrap_or_else(|| (now.since_start + WRITE_WAIT, self.pull(now, path)))
    }

    /// An earlier copy by request id, or by a name under which it had been acknowledged.
    fn repeat_of(&self, at: usize, append: &Append) -> Option<usize> {
        let room = self.rooms.get(at)?;
        let named = append
            .request
            .as_ref()
            .and_then(|r| room.names.by_request(r));
        let copies = named.into_iter().chain(append.was.iter().copied());
        let mut copies = copies.filter(|&name| {
            let seen = room.tail.get(name.letter);
            !self.settings.rules.names || !room.replica.is_void(name, seen)
        });
        copies.find_map(|name| Self::first_copy(room, name))
    }

    /// The first entry here that is the message of a name.
    fn first_copy(room: &Room, name: Name) -> Option<usize> {
        let own = room.replica.find(name);
        let others = room.names.others(name).iter();
        own.or_else(|| others.filter_map(|&other| room.replica.find(other)).min())
    }

    /// An earlier copy by the producer's triple, and whether its bytes are the same: if not, the protocol
    /// calls it a repeat all the same, but for a write that another server had acknowledged.
    fn repeat_of_triple(&self, at: usize, append: &Append) -> Option<(usize, bool)> {
        let room = self.rooms.get(at)?;
        let triple = append.producer.as_ref()?;
        let same = room.names.by_triple(triple, &append.payload)?;
        let repeat = same.same_bytes || append.was.is_empty();
        let position = room.replica.find(same.name).filter(|_| repeat)?;
        Some((position, same.same_bytes))
    }

    fn expanded_min(&self, at: usize, append: &Append) -> Result<Cut, Refusal> {
        let room = self.room(at)?;
        let Some(min) = &append.min else {
            return Ok(Cut::default());
        };
        if min.generation < room.generation {
            return Err(Refusal::Gone {
                path: room.path.clone(),
                asked: min.generation,
                now: Some(room.generation),
            });
        }
        if min.generation > room.generation {
            let cursor = min.clone();
            return Err(NotReady::Behind { cursor }.into());
        }
        let mut cut = min.cut.clone();
        room.replica.expand(&mut cut);
        Ok(cut)
    }

    /// The one wait of causal streams: for what the writer had seen.
    fn see(&mut self, now: Now, at: usize, path: &StreamPath, min: &Cut, held: Held) -> Seen {
        let covered = |core: &Self| core.rooms.get(at).is_none_or(|room| room.covers(min));
        if !self.settings.rules.min_offset || covered(self) {
            return Seen::Covered;
        }
        let (deadline, round) = self.held_or_pull(now, path, held);
        let ended = self.waits.ended(path, round);
        let Some(room) = self.rooms.get_mut(at) else {
            return Seen::Covered;
        };
        let missing: Vec<Name> = min
            .names()
            .filter(|&name| !room.covers_up_to(name))
            .collect();
        if ended.is_some()
            && let Some(since) = room.in_vain(&missing, now.since_start)
        {
            if ended == Some(true) && since + LOST_AFTER <= now.since_start {
                // No member has it, nor has any director sent it again: it is lost.
                self.counters.gone += 1;
                return Seen::Covered;
            }
            return Seen::Released;
        }
        if deadline <= now.since_start {
            room.give_up(missing, now.since_start);
            return Seen::Released;
        }
        Seen::Wait(deadline, round)
    }

    pub(super) fn same_type(&self, at: usize, sent: &ContentType) -> Result<(), Refusal> {
        let have = self.room(at)?.content_type();
        if have == *sent {
            return Ok(());
        }
        let sent = sent.clone();
        Err(Conflict::ContentType { have, sent }.into())
    }

    /// What the protocol says to a new write: `Some` for a gap that the peers may fill.
    fn judge(
        &mut self,
        now: Now,
        at: usize,
        path: &StreamPath,
        append: &Append,
        held: Held,
    ) -> Result<Held, Refusal> {
        let room = self.room(at)?;
        if let Some(triple) = &append.producer {
            match room.producers.judge(triple) {
                Verdict::Accept => {}
                Verdict::EpochStart => return Err(Refusal::EpochStart(triple.seq)),
                Verdict::Stale { current } => {
                    let sent = triple.epoch;
                    return Err(Refusal::StaleEpoch { sent, current });
                }
                Verdict::Gap { expected } => {
                    return self.gap(now, path, expected, triple.seq, held);
                }
            }
        }
        let last = room.stream_seq.as_ref();
        if let (Some(sent), Some(last)) = (&append.stream_seq, last)
            && sent <= last
        {
            let last = last.to_string();
            return Err(Conflict::StreamSeq { last }.into());
        }
        Ok(None)
    }

    fn gap(
        &mut self,
        now: Now,
        path: &StreamPath,
        expected: u64,
        received: u64,
        held: Held,
    ) -> Result<Held, Refusal> {
        let (deadline, round) = self.held_or_pull(now, path, held);
        match self.waits.ended(path, round) {
            Some(true) => Err(Conflict::ProducerGap { expected, received }.into()),
            None if deadline > now.since_start => Ok(Some((deadline, round))),
            Some(false) | None => Err(NotReady::ProducerGap { expected }.into()),
        }
    }

    fn accept(&mut self, now: Now, at: usize, append: &Append) -> usize {
        let Some((path, generation)) = self.rooms.get(at).map(|r| (r.path.clone(), r.generation))
        else {
            return 0; // every caller has the stream from `by_path`
        };
        let (name, before) = self.next_name(at);
        self.note_writer(at, append.request.as_ref());
        let entry = Entry {
            path,
            generation,
            name,
            before,
            accepted_at: now.wall,
            request: append.request.clone(),
            producer: append.producer.clone(),
            stream_seq: append.stream_seq.clone(),
            was: append.was.iter().copied().take(Append::MAX_WAS).collect(),
            count: append.count,
            kind: Kind::Append,
            content_type: None,
            payload: append.payload.clone(),
        };
        self.apply(at, entry, From::Here)
    }

    /// The next own name in a stream, and the index before it.
    pub(super) fn next_name(&self, at: usize) -> (Name, u64) {
        let (letter, room) = (self.letter(), self.rooms.get(at));
        let top = room.and_then(|room| room.replica.top(letter.id));
        let before = top.map_or(0, |name| name.index);
        (letter.name(self.floor.max(before + 1)), before)
    }
}
