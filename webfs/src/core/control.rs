//! Creates and deletes: records that all members in reach apply before the answer.

use super::api::{Answer, Now, Ticket};
use super::state::{Core, From};
use crate::entry::{Entry, Kind};
use crate::path::StreamPath;
use crate::server::{Create, Created, Refusal};
use crate::stream::RequestId;

impl Core {
    /// Makes sure a stream is there. Answers [`Answer::Created`] once it is durable, and at all members
    /// in reach (a second at most).
    pub fn create(&mut self, now: Now, ticket: Ticket, path: &StreamPath, create: Create) {
        match self.try_create(now, path, create) {
            Ok((at, position, created)) => match position {
                Some(position) => self.ack_control(ticket, at, position, Answer::Created(created)),
                None => self.answer(ticket, Ok(Answer::Created(created))),
            },
            Err(why) => self.refuse(ticket, why),
        }
    }

    fn try_create(
        &mut self,
        now: Now,
        path: &StreamPath,
        create: Create,
    ) -> Result<(usize, Option<usize>, Created), Refusal> {
        self.ready()?;
        self.fits_limit(create.payload.len())?;
        if let Some((at, position)) = self.control_repeat(path, create.request.as_ref()) {
            return Ok((at, Some(position), self.created(at, true)?));
        }
        let given = create.content_type;
        let newest = self.newest(path);
        let generation = newest.map_or(0, |room| room.generation + u32::from(room.deleted));
        if let Some(room) = newest
            && room.is_open()
            && room.replica.len() > 0
        {
            let at = self.room_at(path, generation);
            if let Some(sent) = &given {
                self.same_type(at, sent)?;
            }
            return Ok((at, None, self.created(at, false)?));
        }
        if self.full {
            return Err(Refusal::DiskFull);
        }
        let at = self.room_at(path, generation);
        let content_type = match given {
            Some(sent) if path.is_room() => {
                self.same_type(at, &sent)?;
                sent
            }
            Some(sent) => sent,
            None => self.room(at)?.content_type(),
        };
        let mut entry = self.control_entry(now, at, Kind::Create, create.request)?;
        entry.content_type = Some(content_type);
        entry.count = if create.payload.is_empty() {
            0
        } else {
            create.count
        };
        entry.payload = create.payload;
        let position = self.apply(at, entry, From::Here);
        Ok((at, Some(position), self.created(at, true)?))
    }

    /// Deletes a stream. Answers [`Answer::Deleted`] once that is durable, and at all members in reach
    /// (a second at most).
    pub fn delete(
        &mut self,
        now: Now,
        ticket: Ticket,
        path: &StreamPath,
        request: Option<RequestId>,
    ) {
        match self.try_delete(now, path, request) {
            Ok((at, position)) => self.ack_control(ticket, at, position, Answer::Deleted),
            Err(why) => self.refuse(ticket, why),
        }
    }

    fn try_delete(
        &mut self,
        now: Now,
        path: &StreamPath,
        request: Option<RequestId>,
    ) -> Result<(usize, usize), Refusal> {
        self.ready()?;
        if let Some(repeat) = self.control_repeat(path, request.as_ref()) {
            return Ok(repeat);
        }
        let unknown = || Refusal::UnknownStream(path.clone());
        let room = self.newest(path).filter(|room| room.is_open());
        let generation = room.ok_or_else(unknown)?.generation;
        if self.full {
            return Err(Refusal::DiskFull);
        }
        let at = self.room_at(path, generation);
        let entry = self.control_entry(now, at, Kind::Delete, request)?;
        let position = self.apply(at, entry, From::Here);
        self.wake(at);
        Ok((at, position))
    }

    fn control_entry(
        &self,
        now: Now,
        at: usize,
        kind: Kind,
        request: Option<RequestId>,
    ) -> Result<Entry, Refusal> {
        let room = self.room(at)?;
        let (name, before) = self.next_name(at);
        Ok(Entry {
            path: room.path.clone(),
            generation: room.generation,
            name,
            before,
            accepted_at: now.wall,
            request,
            producer: None,
            stream_seq: None,
            was: Vec::new(),
            count: 0,
            kind,
            content_type: None,
            payload: bytes::Bytes::new(),
        })
    }

    fn control_repeat(
        &self,
        path: &StreamPath,
        request: Option<&RequestId>,
    ) -> Option<(usize, usize)> {
        let request = request?;
        self.by_path.get(path)?.iter().find_map(|&at| {
            let room = self.rooms.get(at)?;
            let name = room.names.by_request(request)?;
            Some((at, room.replica.find(name)?))
        })
    }

    fn created(&self, at: usize, new: bool) -> Result<Created, Refusal> {
        let room = self.room(at)?;
        Ok(Created {
            new,
            content_type: room.content_type(),
            next: room.cursor(room.tail.clone()),
            stable: room.stable_cursor(),
        })
    }
}
