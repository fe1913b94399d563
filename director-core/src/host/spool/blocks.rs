//! The bytes of a spool, in blocks: each in memory, or on its way to the disk, or on the disk.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use super::BLOCK;
use super::disk::Disk;
use super::room::{Grant, Room, Rooms, SpoolBounds};

/// Bytes that a block has room for at least, in a spool of sixteen times as many or more.
const LEAST: u64 = 1024;

/// Blocks in the order of their offsets, without a gap.
#[derive(Debug)]
pub(super) struct Blocks {
    bounds: SpoolBounds,
    rooms: Arc<Rooms>,
    pub(super) disk: Arc<Disk>,
    blocks: VecDeque<Block>,
    /// The offset of the first byte that is kept.
    first: u64,
    /// The offset behind the last.
    end: u64,
    /// Slots of the file that are not in use, and the first that never was.
    free: Vec<u32>,
    next: u32,
    /// The disk failed: nothing more goes there.
    broken: bool,
}

#[derive(Debug)]
struct Block {
    start: u64,
    place: Place,
    grant: Grant,
}

#[derive(Debug)]
enum Place {
    Memory(Vec<u8>),
    /// For the disk, and not yet on its way: it is not full, or another is.
    Staged(Vec<u8>),
    Writing(Arc<Vec<u8>>),
    Disk {
        len: usize,
        slot: u32,
    },
}

/// Where a byte is.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// Here, with what follows it in its block.
    Here(&'a [u8]),
    /// On the disk: its block's first offset, slot and length.
    Disk { start: u64, slot: u32, len: usize },
    /// Behind the end.
    End,
    /// It was forgotten.
    Forgotten,
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Appended {
    /// So many bytes were taken.
    Taken(usize),
    /// A block has to go to the disk first.
    Held,
    /// There is no room.
    Full,
}

/// A block to be written to the disk.
#[derive(Debug)]
pub(super) struct ToWrite {
    pub(super) start: u64,
    pub(super) slot: u32,
    pub(super) bytes: Arc<Vec<u8>>,
}

impl Block {
    fn room(&self) -> usize {
        match &self.place {
            Place::Memory(bytes) | Place::Staged(bytes) => {
                self.grant.bytes() as usize - bytes.len()
            }
            Place::Writing(_) | Place::Disk { .. } => 0,
        }
    }

    fn len(&self) -> usize {
        match &self.place {
            Place::Memory(bytes) | Place::Staged(bytes) => bytes.len(),
            Place::Writing(bytes) => bytes.len(),
            Place::Disk { len, .. } => *len,
        }
    }

    fn is_in_memory(&self) -> bool {
        match self.place {
            Place::Memory(_) => true,
            Place::Staged(_) | Place::Writing(_) | Place::Disk { .. } => false,
        }
    }
}

/// Room for a block, of the `left` bytes that the spool has of its `bound`. One of a few bytes is none: a full spool
/// that forgets a byte and takes a byte in turns would have a block for each.
fn grant(room: &Arc<Room>, left: u64, bound: u64) -> Option<Grant> {
    let least = (bound / 16).clamp(1, LEAST);
    if left < least {
        return None;
    }
    let granted = room.grant(left.min(BLOCK))?;
    (granted.bytes() >= least).then_some(granted)
}

impl Blocks {
    pub(super) fn new(bounds: SpoolBounds, rooms: &Arc<Rooms>, dir: &Path) -> Self {
        Self {
            bounds,
            rooms: Arc::clone(rooms),
            disk: Arc::new(Disk::new(dir)),
            blocks: VecDeque::new(),
            first: 0,
            end: 0,
            free: Vec::new(),
            next: 0,
            broken: false,
        }
    }

    /// Takes bytes, at most one block full of them. `busy`: a block is on its way to the disk.
    pub(super) fn append(&mut self, bytes: &[u8], busy: bool) -> Appended {
        let wants_room = self.blocks.back().is_none_or(|last| last.room() == 0);
        if wants_room {
            if busy && self.has_full_staged() {
                return Appended::Held;
            }
            let Some(block) = self.new_block() else {
                return Appended::Full;
            };
            self.blocks.push_back(block);
        }
        let Some(last) = self.blocks.back_mut() else {
            return Appended::Full;
        };
        let n = last.room().min(bytes.len());
        if let Place::Memory(kept) | Place::Staged(kept) = &mut last.place {
            kept.extend_from_slice(&bytes[..n]);
        }
        self.end += n as u64;
        Appended::Taken(n)
    }

    /// Bytes granted for memory or for the disk that still count: what was forgotten does not.
    fn granted(&self, in_memory: bool) -> u64 {
        let of = |block: &&Block| block.is_in_memory() == in_memory;
        let all: u64 = self.blocks.iter().filter(of).map(|b| b.grant.bytes()).sum();
        let head = self.blocks.front().filter(of);
        all - head.map_or(0, |head| self.first - head.start)
    }

    fn new_block(&mut self) -> Option<Block> {
        let start = self.end;
        let memory = self.bounds.memory.saturating_sub(self.granted(true));
        if let Some(grant) = grant(&self.rooms.memory, memory, self.bounds.memory) {
            let place = Place::Memory(Vec::new());
            return Some(Block {
                start,
                place,
                grant,
            });
        }
        if self.broken {
            return None;
        }
        let disk = self.bounds.disk.saturating_sub(self.granted(false));
        let grant = grant(&self.rooms.disk, disk, self.bounds.disk)?;
        let place = Place::Staged(Vec::new());
        Some(Block {
            start,
            place,
            grant,
        })
    }

    fn has_full_staged(&self) -> bool {
        self.blocks
            .back()
            .is_some_and(|last| matches!(last.place, Place::Staged(_)) && last.room() == 0)
    }

    /// The block that is full and to go to the disk, if there is one; it is on its way now.
    pub(super) fn next_to_write(&mut self) -> Option<ToWrite> {
        if !self.has_full_staged() {
            return None;
        }
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                let slot = self.next;
                self.next = slot.checked_add(1)?;
                slot
            }
        };
        let last = self.blocks.back_mut()?;
        let Place::Staged(bytes) = &mut last.place else {
            return None;
        };
        let bytes = Arc::new(std::mem::take(bytes));
        last.place = Place::Writing(Arc::clone(&bytes));
        Some(ToWrite {
            start: last.start,
            slot,
            bytes,
        })
    }

    /// A block has been written, or could not be: then it stays in memory, and no other goes.
    pub(super) fn written(&mut self, start: u64, slot: u32, well: bool) {
        if !well {
            self.broken = true;
        }
        let index = self.index_of(start);
        let block = index
            .and_then(|index| self.blocks.get_mut(index))
            .filter(|block| block.start == start);
        match block.map(|block| &mut block.place) {
            Some(place @ Place::Writing(_)) => {
                let Place::Writing(bytes) = std::mem::replace(place, Place::Memory(Vec::new()))
                else {
                    return;
                };
                if well {
                    let len = bytes.len();
                    *place = Place::Disk { len, slot };
                } else {
                    *place = Place::Memory(Arc::unwrap_or_clone(bytes));
                    self.free.push(slot);
                }
            }
            // Forgotten meanwhile.
            Some(Place::Memory(_) | Place::Staged(_) | Place::Disk { .. }) | None => {
                self.free.push(slot);
            }
        }
    }

    /// The last block that begins at or before an offset.
    fn index_of(&self, offset: u64) -> Option<usize> {
        let behind = self.blocks.partition_point(|block| block.start <= offset);
        behind.checked_sub(1)
    }

    pub(super) fn find(&self, offset: u64) -> Found<'_> {
        if offset < self.first {
            return Found::Forgotten;
        }
        if offset >= self.end {
            return Found::End;
        }
        let Some(block) = self.index_of(offset).and_then(|at| self.blocks.get(at)) else {
            return Found::Forgotten;
        };
        let within = (offset - block.start) as usize;
        let bytes = match &block.place {
            Place::Memory(bytes) | Place::Staged(bytes) => bytes.as_slice(),
            Place::Writing(bytes) => bytes.as_slice(),
            Place::Disk { len, slot } => {
                return Found::Disk {
                    start: block.start,
                    slot: *slot,
                    len: *len,
                };
            }
        };
        Found::Here(bytes.get(within..).unwrap_or_default())
    }

    /// The bytes before an offset are not needed any more.
    pub(super) fn forget(&mut self, before: u64) {
        self.first = before.clamp(self.first, self.end);
        while let Some(head) = self.blocks.front() {
            if head.start + head.len() as u64 > self.first {
                return;
            }
            // One that is on its way is found to be gone when it has arrived.
            if let Place::Disk { slot, .. } = head.place {
                self.free.push(slot);
            }
            self.blocks.pop_front();
        }
    }

    pub(super) fn first(&self) -> u64 {
        self.first
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Bytes that are kept, in memory and on the disk or on their way there.
    pub(super) fn kept(&self) -> (u64, u64) {
        let mut kept = (0, 0);
        for block in &self.blocks {
            let len = block.start + block.len() as u64 - block.start.max(self.first);
            if block.is_in_memory() {
                kept.0 += len;
            } else {
                kept.1 += len;
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Do {
        Append(usize),
        /// Forget this share of what is kept.
        Forget(f64),
        /// The block that is on its way arrives, well or not.
        Arrive(bool),
        /// Read from this share of all offsets on.
        Read(f64),
    }

    fn what() -> impl Strategy<Value = Do> {
        prop_oneof![
            4 => (1_usize..200_000).prop_map(Do::Append),
            2 => (0.0..=1.0).prop_map(Do::Forget),
            3 => prop::bool::weighted(0.97).prop_map(Do::Arrive),
            3 => (0.0..=1.1).prop_map(Do::Read),
        ]
    }

    /// The byte at an offset.
    fn byte(offset: u64) -> u8 {
        (offset % 251) as u8 ^ (offset / 251 % 256) as u8
    }

    /// Byte by byte out and in: each block costs memory of its own that no bound counts.
    #[test]
    fn a_full_spool_has_no_block_for_each_byte() {
        const MEMORY: u64 = 200_000;
        let bounds = SpoolBounds {
            memory: MEMORY,
            disk: 0,
        };
        let total = SpoolBounds {
            memory: 2 * MEMORY,
            disk: 0,
        };
        let rooms = Arc::new(Rooms::new("bytes", total));
        let mut blocks = Blocks::new(bounds, &rooms, &std::env::temp_dir());
        while let Appended::Taken(_) = blocks.append(&[7; 4096], false) {}
        let mut most = 0;
        for _ in 0..MEMORY {
            blocks.forget(blocks.first() + 1);
            blocks.append(b"7", false);
            most = most.max(blocks.blocks.len());
        }
        let (in_memory, _) = blocks.kept();
        assert!(in_memory + 2 * BLOCK >= MEMORY, "{in_memory} kept");
        assert!(most as u64 <= MEMORY / LEAST + 2, "{most} blocks");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        /// Whatever is appended, forgotten, written late, badly or never: what is kept is what was
        /// appended, within the bounds, and everything is given back.
        #[test]
        fn what_is_kept_is_what_was_appended(
            memory in 0_u64..300_000,
            disk in 0_u64..600_000,
            steps in prop::collection::vec(what(), 1..60),
        ) {
            // Its files count among those of the process.
            let _turn = crate::host::tests::stage::turn();
            let dir = std::env::temp_dir().join(format!("director-blocks-{}", std::process::id()));
            let total = SpoolBounds { memory: 250_000, disk: 500_000 };
            let rooms = Arc::new(Rooms::new("blocks", total));
            let bounds = SpoolBounds { memory, disk };
            let mut blocks = Blocks::new(bounds, &rooms, &dir);
            let mut writing: Option<ToWrite> = None;
            let mut well = true;
            for step in steps {
                match step {
                    Do::Append(n) => {
                        let end = blocks.end();
                        let bytes: Vec<u8> = (end..end + n as u64).map(byte).collect();
                        match blocks.append(&bytes, writing.is_some()) {
                            Appended::Taken(taken) => {
                                prop_assert!(taken > 0 && taken <= n);
                                prop_assert_eq!(blocks.end(), end + taken as u64);
                            }
                            Appended::Held => prop_assert!(writing.is_some()),
                            Appended::Full => {
                                let room = memory.min(total.memory) + disk.min(total.disk);
                                let kept = end - blocks.first();
                                // A block that is half forgotten is held by the service's totals.
                                prop_assert!(kept + BLOCK >= room || !well, "{kept} of {room}");
                            }
                        }
                        if writing.is_none() {
                            writing = blocks.next_to_write();
                        }
                    }
                    Do::Forget(share) => {
                        let kept = (blocks.end() - blocks.first()) as f64;
                        let before = blocks.first() + (kept * share) as u64;
                        blocks.forget(before);
                        prop_assert_eq!(blocks.first(), before);
                    }
                    Do::Arrive(arrives) => {
                        if let Some(to) = writing.take() {
                            well &= arrives;
                            if arrives {
                                blocks.disk.write(to.slot, &to.bytes).unwrap();
                            }
                            blocks.written(to.start, to.slot, arrives);
                            writing = blocks.next_to_write();
                        }
                    }
                    Do::Read(share) => {
                        let offset = (blocks.end() as f64 * share) as u64;
                        match blocks.find(offset) {
                            Found::Forgotten => prop_assert!(offset < blocks.first()),
                            Found::End => prop_assert!(offset >= blocks.end()),
                            Found::Here(bytes) => {
                                prop_assert!(!bytes.is_empty());
                                prop_assert!((offset..).zip(bytes).all(|(at, b)| byte(at) == *b));
                            }
                            Found::Disk { start, slot, len } => {
                                prop_assert!((start..start + len as u64).contains(&offset));
                                let bytes = blocks.disk.read(slot, len).unwrap();
                                prop_assert!((start..).zip(&bytes).all(|(at, b)| byte(at) == *b));
                            }
                        }
                    }
                }
                let (in_memory, on_disk) = blocks.kept();
                prop_assert_eq!(in_memory + on_disk, blocks.end() - blocks.first());
                prop_assert!(!well || in_memory <= memory, "{in_memory} in memory");
                prop_assert!(on_disk <= disk, "{on_disk} on the disk");
            }
            blocks.forget(u64::MAX);
            prop_assert_eq!(rooms.memory.left(), total.memory);
            prop_assert_eq!(rooms.disk.left(), total.disk);
            drop(blocks);
            // There only when something was written, and empty: the file has no name.
            prop_assert!(!dir.exists() || std::fs::remove_dir(&dir).is_ok());
        }
    }
}
