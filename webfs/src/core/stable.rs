//! Stable: what min(2, configured members) servers have synced. The stable view of a stream is the
//! longest *prefix* of this server's order that is stable; it never goes back.

use super::api::Output;
use super::room::Room;
use super::state::Core;
use crate::letter::Name;
use crate::stream::{DirectorId, RequestId};

/// The most directors whose watch one stream feeds; the one that wrote longest ago goes first, of those
/// that have no watch.
const MOST_WRITERS: usize = 256;
/// The most directors that are known to have begun a watch in this start.
const MOST_WATCHES: usize = 128;

impl Room {
    /// Whether an entry that is durable here is durable at a peer, under whichever of its names.
    pub(super) fn is_at_peer(&self, position: usize) -> bool {
        let Some(held) = self.replica.get(position) else {
            return false;
        };
        let has = |name: Name| {
            self.peers.iter().any(|at_peer| {
                let told = at_peer.told.get(name.letter);
                told >= name.index && !self.replica.is_void(name, told)
            })
        };
        let others = held.names.map_or(&[][..], |group| self.names.group(group));
        has(held.entry.name) || others.iter().any(|&name| has(name))
    }

    /// Whether an entry is stable, wherever it stands.
    pub(super) fn is_stable(&self, position: usize) -> bool {
        position < self.stable || position < self.synced && self.is_at_peer(position)
    }
}

impl Core {
    /// Moves a stream's stable prefix as far as it goes, and tells whom it concerns.
    pub(super) fn settle(&mut self, at: usize) {
        let alone = self.others() == 0;
        let Some(room) = self.rooms.get_mut(at) else {
            return;
        };
        let before = room.stable;
        while room.stable < room.synced && (alone || room.is_at_peer(room.stable)) {
            if let Some(held) = room.replica.get(room.stable) {
                room.stable_cut.raise(held.entry.name);
            }
            room.stable += 1;
        }
        if room.stable == before {
            return;
        }
        let wanted = std::mem::take(&mut room.stable_wanted);
        let cursor = room.stable_cursor();
        for director in &room.writers {
            self.outputs.push(Output::Stable {
                director: director.clone(),
                path: room.path.clone(),
                cursor: cursor.clone(),
            });
        }
        if wanted {
            self.wake(at);
        }
    }

    /// Remembers who wrote to a stream, for its watch.
    pub(super) fn note_writer(&mut self, at: usize, request: Option<&RequestId>) {
        let Some(director) = request.and_then(RequestId::director) else {
            return;
        };
        let Ok(director) = director.parse::<DirectorId>() else {
            return;
        };
        let Some(room) = self.rooms.get_mut(at) else {
            return;
        };
        if room.writers.last() == Some(&director) {
            return;
        }
        room.writers.retain(|other| *other != director);
        room.writers.push(director);
        if room.writers.len() > MOST_WRITERS {
            let idle = |director: &DirectorId| !self.watching.contains(director);
            let gone = room.writers.iter().position(idle).unwrap_or(0);
            room.writers.remove(gone);
        }
    }

    /// The stable cuts of the streams that a director wrote to in this start, as its watch begins;
    /// what moves later comes as [`Output::Stable`].
    #[must_use]
    pub fn watched(
        &mut self,
        director: &DirectorId,
    ) -> Vec<(crate::path::StreamPath, crate::cursor::Cursor)> {
        if !self.watching.contains(director) {
            self.watching.push_back(director.clone());
            if self.watching.len() > MOST_WATCHES {
                self.watching.pop_front();
            }
        }
        let wrote = |room: &&Room| room.writers.contains(director);
        let rooms = self.rooms.iter().filter(wrote);
        rooms
            .map(|room| (room.path.clone(), room.stable_cursor()))
            .collect()
    }
}
