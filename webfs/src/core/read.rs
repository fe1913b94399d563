//! Reads, heads and live reads.
//!
//! What the reader has seen is pulled from the peers first (200 ms at most); then it gets what it lacks.
//! While something that it has seen is missing here, "nothing new" is not an answer.

use std::time::Duration;

use super::api::{Answer, Now, Picked, Reading, Ticket};
use super::follow::{Follow, Step};
use super::pick::Way;
use super::room::Room;
use super::state::Core;
use super::waits::{Wait, Waiting};
use crate::cursor::{Cursor, Cut, Position};
use crate::path::StreamPath;
use crate::server::{Head, NotReady, ReadLimits, Refusal};
use crate::stream::ContentType;

/// How long a read waits for what its reader has seen.
const READ_WAIT: Duration = Duration::from_millis(200);
/// After this with every member in reach, what has not come is lost.
const LOST_AFTER: Duration = Duration::from_secs(1);

/// A read that is being answered.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) kind: Kind,
    pub(super) from: Position,
    pub(super) min: Option<Cursor>,
}

/// What is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Head,
    Read(ReadLimits),
    Follow,
}

/// What a read found.
enum Found {
    Answer(Answer),
    Wait(Duration, u64),
}

impl Core {
    /// What a stream is now. Answers [`Answer::Head`].
    pub fn head(&mut self, now: Now, ticket: Ticket, path: &StreamPath, min: Option<Cursor>) {
        let asked = Asked {
            kind: Kind::Head,
            from: Position::Now,
            min,
        };
        self.try_read(now, ticket, path, asked, None);
    }

    /// What follows a position. Answers [`Answer::Read`].
    pub fn read(
        &mut self,
        now: Now,
        ticket: Ticket,
        path: &StreamPath,
        from: Position,
        min: Option<Cursor>,
        limits: ReadLimits,
    ) {
        let kind = Kind::Read(limits);
        self.try_read(now, ticket, path, Asked { kind, from, min }, None);
    }

    /// Begins a live read. Answers [`Answer::Following`]; then [`Core::step`].
    pub fn follow(
        &mut self,
        now: Now,
        ticket: Ticket,
        path: &StreamPath,
        from: Position,
        min: Option<Cursor>,
    ) {
        let kind = Kind::Follow;
        self.try_read(now, ticket, path, Asked { kind, from, min }, None);
    }

    /// The stream's stable cut; `None` for a stream that is not there.
    #[must_use]
    pub fn stable(&self, path: &StreamPath) -> Option<Cursor> {
        let room = self.newest(path).filter(|room| room.is_open());
        match room {
            Some(room) => Some(room.stable_cursor()),
            None => path.is_room().then(|| unopened(self.newest(path))),
        }
    }

    pub(super) fn try_read(
        &mut self,
        now: Now,
        ticket: Ticket,
        path: &StreamPath,
        asked: Asked,
        held: Option<(Duration, u64)>,
    ) {
        match self.read_or_wait(now, path, &asked, held) {
            Ok(Found::Answer(answer)) => {
                self.answer(ticket, Ok(answer));
                self.waits.forget(path);
            }
            Ok(Found::Wait(deadline, round)) => {
                let waiting = Waiting {
                    path: path.clone(),
                    deadline,
                    round,
                    wait: Wait::Read(asked),
                };
                self.wait(ticket, waiting);
            }
            Err(why) => {
                self.refuse(ticket, why);
                self.waits.forget(path);
            }
        }
    }

    fn read_or_wait(
        &mut self,
        now: Now,
        path: &StreamPath,
        asked: &Asked,
        held: Option<(Duration, u64)>,
    ) -> Result<Found, Refusal> {
        self.ready()?;
        let from = match &asked.from {
            Position::Beyond => return Err(Refusal::BeyondTail),
            Position::Start | Position::Now => None,
            Position::After(cursor) => Some(cursor),
        };
        let seen: Vec<&Cursor> = from.into_iter().chain(&asked.min).collect();
        let behind = !self.covers_all(path, &seen);
        let mut lost = false;
        if behind && self.settings.rules.pull_first {
            let (deadline, round) =
                held.unwrap_or_else(|| (now.since_start + READ_WAIT, self.pull(now, path)));
            let ended = self.waits.ended(path, round);
            if ended.is_none() && deadline > now.since_start {
                return Ok(Found::Wait(deadline, round));
            }
            lost = ended == Some(true) && self.others() > 0;
        }
        let behind = behind && !lost;
        let room = self.readable(path, from)?;
        let answer = match room {
            None => self.unopened_answer(now, path, asked, from, behind)?,
            Some(room) => self.answer_from(room, now, asked, from, behind)?,
        };
        Ok(Found::Answer(answer))
    }

    fn answer_from(
        &self,
        room: &Room,
        now: Now,
        asked: &Asked,
        from: Option<&Cursor>,
        behind: bool,
    ) -> Result<Answer, Refusal> {
        let start = match &asked.from {
            Position::Now => self.now_cut(room, asked.min.as_ref()),
            Position::Start | Position::Beyond | Position::After(_) => {
                from.map_or_else(Cut::default, |cursor| cursor.cut.clone())
            }
        };
        let behind_cursor = || NotReady::Behind {
            cursor: room.cursor(start.clone()),
        };
        match asked.kind {
            Kind::Head if behind => Err(behind_cursor().into()),
            Kind::Head => Ok(Answer::Head(Head {
                content_type: room.content_type(),
                next: room.cursor(start),
                stable: room.stable_cursor(),
            })),
            Kind::Read(limits) => {
                if behind && !room.understands(&start) {
                    return Err(behind_cursor().into());
                }
                let mut way = room.way(start.clone());
                let reading = self.reading(room, &mut way, limits, behind);
                if behind && reading.entries.is_empty() {
                    return Err(behind_cursor().into());
                }
                Ok(Answer::Read(reading))
            }
            Kind::Follow => {
                let mut follow = Follow {
                    path: room.path.clone(),
                    generation: room.generation,
                    behind_since: behind.then_some(now.since_start),
                    stable: room.stable_cursor(),
                    up_to_date: false,
                    next: room.cursor(start.clone()),
                    from: start.clone(),
                    at: start,
                    position: 0,
                };
                if !behind {
                    let way = room.way(follow.at);
                    follow.up_to_date = way.position >= room.visible();
                    (follow.from, follow.at, follow.position) = (way.from, way.at, way.position);
                }
                Ok(Answer::Following(follow))
            }
        }
    }

    /// The tail, and what the reader has seen beyond it: older entries that come later are no news.
    fn now_cut(&self, room: &Room, min: Option<&Cursor>) -> Cut {
        let mut cut = room.replica.cut(room.visible());
        if let Some(min) = min.filter(|min| min.generation == room.generation) {
            cut.merge(&min.cut);
        }
        cut
    }

    /// One step of a live read: what there is for it now.
    ///
    /// # Errors
    /// `UnknownStream` or `Gone` once the stream was deleted; `NotReady(Stopping)`.
    pub fn step(&mut self, now: Now, follow: &Follow, limits: ReadLimits) -> Result<Step, Refusal> {
        self.ready()?;
        let Some(at) = self.find_room(&follow.path, follow.generation) else {
            return self.step_unopened(now, follow);
        };
        let room = self.room(at)?;
        if room.deleted {
            return Err(self.gone(&follow.path, follow.generation));
        }
        let mut follow = follow.clone();
        let mut way = match follow.behind_since {
            Some(since) => {
                let lost = self.is_lost(now, since);
                if !lost && !room.understands(&follow.at) {
                    let reading = None;
                    return Ok(Step { reading, follow });
                }
                let mut way = room.way(follow.at);
                way.from = follow.from;
                room.replica.expand(&mut way.from);
                if lost || room.covers(&way.at) {
                    follow.behind_since = None;
                }
                way
            }
            None => Way {
                from: follow.from,
                at: follow.at,
                position: follow.position,
            },
        };
        let behind = follow.behind_since.is_some();
        let reading = self.reading(room, &mut way, limits, behind);
        let follow = Follow {
            path: follow.path,
            generation: follow.generation,
            from: way.from,
            at: way.at,
            position: way.position,
            behind_since: follow.behind_since,
            next: reading.next.clone(),
            stable: reading.stable.clone(),
            up_to_date: reading.up_to_date,
        };
        let reading = (!reading.entries.is_empty()).then_some(reading);
        if limits.stable_only
            && reading.is_none()
            && let Some(room) = self.rooms.get_mut(at)
        {
            room.stable_wanted = true;
        }
        Ok(Step { reading, follow })
    }

    /// Of a room that nobody has written to here.
    fn step_unopened(&self, now: Now, follow: &Follow) -> Result<Step, Refusal> {
        let path = &follow.path;
        let newest = self.newest(path).map(|room| room.generation);
        if !path.is_room() || newest.is_some_and(|newest| newest > follow.generation) {
            return Err(self.gone(path, follow.generation));
        }
        let mut follow = follow.clone();
        if follow
            .behind_since
            .is_some_and(|since| self.is_lost(now, since))
        {
            (follow.behind_since, follow.up_to_date) = (None, true);
        }
        let reading = None;
        Ok(Step { reading, follow })
    }

    /// Whether what a reader has seen, and was waited for since a time, is nowhere any more.
    fn is_lost(&self, now: Now, since: Duration) -> bool {
        self.all_level() && since + LOST_AFTER <= now.since_start
    }

    fn reading(&self, room: &Room, way: &mut Way, limits: ReadLimits, behind: bool) -> Reading {
        let rules = &self.settings.rules;
        let end = match limits.stable_only && rules.stable_prefix {
            true => room.stable.min(room.visible()),
            false => room.visible(),
        };
        let mut picked = room.pick(way, end, limits, rules.names);
        if limits.stable_only && !rules.stable_prefix {
            picked.retain(|&position| room.is_stable(position));
        }
        let entries: Vec<Picked> = picked
            .into_iter()
            .filter_map(|position| Self::picked(room, position))
            .collect();
        Reading {
            content_type: room.content_type(),
            entries,
            next: room.cursor(way.at.clone()),
            up_to_date: way.position >= end && !behind,
            stable: room.stable_cursor(),
        }
    }

    /// Whether all that cursors of a stream cover is here.
    fn covers_all(&self, path: &StreamPath, seen: &[&Cursor]) -> bool {
        let newest = self.newest(path);
        seen.iter().all(|cursor| match newest {
            Some(room) if room.generation > cursor.generation => true,
            Some(room) if room.generation == cursor.generation => {
                let mut cut = cursor.cut.clone();
                room.replica.expand(&mut cut);
                room.covers(&cut)
            }
            Some(_) | None => cursor.cut.is_empty() && cursor.generation == 0,
        })
    }

    /// The generation that a read is about; `None` for a room that nobody has written to.
    fn readable(&self, path: &StreamPath, from: Option<&Cursor>) -> Result<Option<&Room>, Refusal> {
        let newest = self.newest(path);
        let now = match newest {
            Some(room) if room.is_open() => room.generation,
            Some(room) if path.is_room() => room.generation + 1,
            None if path.is_room() => 0,
            Some(_) | None => return Err(Refusal::UnknownStream(path.clone())),
        };
        if let Some(cursor) = from {
            if cursor.generation < now {
                return Err(self.gone(path, cursor.generation));
            }
            if cursor.generation > now {
                let cursor = cursor.clone();
                return Err(NotReady::Behind { cursor }.into());
            }
        }
        Ok(newest.filter(|room| room.generation == now))
    }

    fn gone(&self, path: &StreamPath, asked: u32) -> Refusal {
        match self.newest(path) {
            Some(room) if room.is_open() || path.is_room() => Refusal::Gone {
                path: path.clone(),
                asked,
                now: Some(room.generation + u32::from(room.deleted)),
            },
            Some(_) | None => Refusal::UnknownStream(path.clone()),
        }
    }

    /// Of a room that is not there in any way yet.
    fn unopened_answer(
        &self,
        now: Now,
        path: &StreamPath,
        asked: &Asked,
        from: Option<&Cursor>,
        behind: bool,
    ) -> Result<Answer, Refusal> {
        let empty = unopened(self.newest(path));
        let seen = match &asked.from {
            Position::Now => asked.min.as_ref(),
            Position::Start | Position::Beyond | Position::After(_) => from,
        };
        let at = seen
            .filter(|cursor| cursor.generation == empty.generation)
            .unwrap_or(&empty)
            .clone();
        let content_type = ContentType::json();
        let refusal = || NotReady::Behind { cursor: at.clone() };
        match asked.kind {
            Kind::Head | Kind::Read(_) if behind => Err(refusal().into()),
            Kind::Head => Ok(Answer::Head(Head {
                content_type,
                next: at,
                stable: empty,
            })),
            Kind::Read(_) => Ok(Answer::Read(Reading {
                content_type,
                entries: Vec::new(),
                next: at,
                up_to_date: true,
                stable: empty,
            })),
            Kind::Follow => Ok(Answer::Following(Follow {
                path: path.clone(),
                generation: at.generation,
                from: at.cut.clone(),
                at: at.cut.clone(),
                position: 0,
                behind_since: behind.then_some(now.since_start),
                next: at,
                stable: empty,
                up_to_date: !behind,
            })),
        }
    }
}

/// The start of a room after its last deletion.
fn unopened(newest: Option<&Room>) -> Cursor {
    Cursor {
        generation: newest.map_or(0, |room| room.generation + u32::from(room.deleted)),
        cut: Cut::default(),
    }
}
