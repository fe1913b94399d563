//! Spools of the kit's host: bounded, and on a disk that can fail.

use std::collections::VecDeque;
use std::task::{Poll, Waker};

use director_abi as abi;

use super::World;
use super::net::EIO;
use super::state::{State, number};

/// Bytes that one call takes or gives at most.
const BLOCK: usize = 64 * 1024;

/// A spool.
pub(super) struct Spool {
    pub(super) task: u64,
    /// Its own bounds, in memory and on the disk.
    bounds: (u64, u64),
    first: u64,
    /// In the order of their offsets, without a gap.
    pieces: VecDeque<Piece>,
    /// An operation on the disk takes two polls; whether the first of them was.
    appending: bool,
    reading: bool,
    /// Who appends while the disk is held.
    held: Option<Waker>,
}

struct Piece {
    start: u64,
    bytes: Vec<u8>,
    on_disk: bool,
}

impl Piece {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl Spool {
    fn end(&self) -> u64 {
        self.pieces.back().map_or(self.first, Piece::end)
    }

    fn kept(&self, on_disk: bool) -> u64 {
        let pieces = self.pieces.iter().filter(|piece| piece.on_disk == on_disk);
        pieces
            .map(|piece| piece.end() - piece.start.max(self.first))
            .sum()
    }

    pub(super) fn told(&self) -> abi::SpoolInfo {
        abi::SpoolInfo {
            size: size_of::<abi::SpoolInfo>(),
            first: self.first,
            end: self.end(),
            in_memory: self.kept(false),
            on_disk: self.kept(true),
        }
    }
}

impl State {
    fn spool_room_left(&self, on_disk: bool) -> u64 {
        let (memory, disk) = self.spool_room;
        let total = if on_disk { disk } else { memory };
        let kept: u64 = self.spools.values().map(|spool| spool.kept(on_disk)).sum();
        total.saturating_sub(kept)
    }

    pub(super) fn begin_spool(&mut self, task: u64, memory: u64, disk: u64) -> u64 {
        let room = |bound: u64, on_disk| bound.min(self.spool_room_left(on_disk));
        if room(memory, false) + room(disk, true) == 0 || !self.tasks.contains_key(&task) {
            return 0;
        }
        let spool = Spool {
            task,
            bounds: (memory, disk),
            first: 0,
            pieces: VecDeque::new(),
            appending: false,
            reading: false,
            held: None,
        };
        let number = number();
        self.spools.insert(number, spool);
        number
    }

    /// Takes bytes; how many, 0 when it is full. A disk that fails is one that has no room.
    pub(super) fn append(
        &mut self,
        number: u64,
        bytes: &[u8],
        waker: &Waker,
    ) -> Poll<Result<usize, i32>> {
        let (left_memory, left_disk) = (self.spool_room_left(false), self.spool_room_left(true));
        let (broken, held, piece) = (self.disk_broken, self.disk_held, self.piece);
        let Some(spool) = self.spools.get_mut(&number) else {
            return Poll::Ready(Err(abi::CODE_GONE));
        };
        let room = |bound: u64, kept: u64, left: u64| bound.saturating_sub(kept).min(left);
        let memory = room(spool.bounds.0, spool.kept(false), left_memory);
        let disk = room(spool.bounds.1, spool.kept(true), left_disk);
        let (on_disk, room) = match (memory, disk) {
            (0, _) if broken => return Poll::Ready(Ok(0)),
            (0, 0) => return Poll::Ready(Ok(0)),
            (0, disk) => (true, disk),
            (memory, _) => (false, memory),
        };
        if on_disk && held {
            spool.held = Some(waker.clone());
            return Poll::Pending;
        }
        if on_disk && !std::mem::replace(&mut spool.appending, true) {
            waker.wake_by_ref();
            return Poll::Pending;
        }
        spool.appending = false;
        let most = usize::try_from(room).unwrap_or(usize::MAX);
        let n = bytes.len().min(most).min(BLOCK).min(piece);
        let start = spool.end();
        let bytes = bytes[..n].to_vec();
        spool.pieces.push_back(Piece {
            start,
            bytes,
            on_disk,
        });
        Poll::Ready(Ok(n))
    }

    /// Bytes from `offset` on; none at the end of what was appended.
    pub(super) fn read_spool(
        &mut self,
        number: u64,
        offset: u64,
        most: usize,
        waker: &Waker,
    ) -> Poll<Result<&[u8], i32>> {
        let (broken, most) = (self.disk_broken, most.min(self.piece).min(BLOCK));
        let Some(spool) = self.spools.get_mut(&number) else {
            return Poll::Ready(Err(abi::CODE_GONE));
        };
        if offset < spool.first {
            return Poll::Ready(Err(abi::CODE_GONE));
        }
        let Some(piece) = spool.pieces.iter().find(|piece| piece.end() > offset) else {
            return Poll::Ready(Ok(&[]));
        };
        if piece.on_disk && !std::mem::replace(&mut spool.reading, true) {
            waker.wake_by_ref();
            return Poll::Pending;
        }
        spool.reading = false;
        if piece.on_disk && broken {
            return Poll::Ready(Err(EIO));
        }
        let bytes = &piece.bytes[(offset - piece.start) as usize..];
        Poll::Ready(Ok(&bytes[..bytes.len().min(most)]))
    }

    pub(super) fn forget_in_spool(&mut self, number: u64, before: u64) {
        let Some(spool) = self.spools.get_mut(&number) else {
            return;
        };
        spool.first = before.clamp(spool.first, spool.end());
        let first = spool.first;
        // The last one stays: it says where the end is.
        while spool.pieces.len() > 1 && spool.pieces.front().is_some_and(|at| at.end() <= first) {
            spool.pieces.pop_front();
        }
    }

    pub(super) fn end_spool(&mut self, number: u64) {
        self.spools.remove(&number);
    }
}

impl World {
    /// Bounds what the service's spools may have together, in bytes; otherwise 64 MiB of memory and
    /// 1 GiB of the disk. A full disk is one of 0 bytes.
    pub fn spool_room(&self, memory: u64, disk: u64) {
        self.state.borrow_mut().spool_room = (memory, disk);
    }

    /// From now on what goes to the disk of the spools waits, until [`World::release_disk`].
    pub fn hold_disk(&self) {
        self.state.borrow_mut().disk_held = true;
    }

    /// The disk of the spools takes bytes again.
    pub fn release_disk(&self) {
        let mut state = self.state.borrow_mut();
        state.disk_held = false;
        let held = state.spools.values_mut().filter_map(|it| it.held.take());
        let held: Vec<Waker> = held.collect();
        drop(state);
        held.into_iter().for_each(Waker::wake);
    }

    /// From now on the disk of the spools fails: what is on it cannot be read, and nothing goes there.
    pub fn break_disk(&self) {
        self.state.borrow_mut().disk_broken = true;
    }
}
