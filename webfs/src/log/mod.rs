//! The write-ahead log: every entry that this server applied, in the order in which it did.
//!
//! One log holds all streams, in segments of [`Options::segment`] bytes. A *batch* is one write and one
//! `fdatasync`; an entry's *sequence* is its place in the log, from 1. The log is read whole at each start
//! ([`Log::open`]): until there are checkpoints, a start takes time in proportion to all that is stored.
//! Formats are in `docs/webfs-format.md`.
//!
//! - A failed write or `fdatasync` is the end: a second `fdatasync` would say yes to data that is gone.
//!   Every later call says [`LogFailed`] again.
//! - A full disk shows when the *next* segment is set aside, one segment ahead of need. Then
//!   [`Log::prepare`] says [`Space::Full`], and what is under way still has the rest of this segment:
//!   no less than a segment without its first batch.

pub mod disk;
pub mod files;
mod format;
pub mod identity;
#[cfg(test)]
pub(crate) mod memory;
mod read;
mod recover;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use rustix::io::Errno;

use self::disk::{Disk, DiskFile};
use self::format::{BatchWriter, HEADER, Header, SegmentName};
use crate::core::Place;
use crate::entry::Entry;
use crate::letter::Letter;

pub use read::Reader;

/// Bytes of entries after which a batch takes no further one.
pub const BATCH_TARGET: usize = 1 << 20;

/// How a log is kept.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Bytes of a segment; more for a single batch that needs more.
    pub segment: u64,
    /// The letter that the identity file holds.
    pub letter: Option<Letter>,
}

/// One entry, read back at a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recalled {
    /// Its place in the log's order.
    pub sequence: u64,
    /// Where [`Reader::read`] finds it.
    pub place: Place,
    /// The entry.
    pub entry: Entry,
    /// It lies behind damage, outside of the order; all such come last.
    pub aside: bool,
}

/// What a start found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries handed over.
    pub entries: u64,
    /// Those of them that came last and outside of the order, from behind damage.
    pub set_aside: u64,
    /// Segments read and kept.
    pub segments: usize,
    /// Ends that were cut off: batches that nobody was told of.
    pub torn: Vec<Torn>,
    /// What had been durable and could not be read.
    pub damage: Vec<Damage>,
    /// The server needs another letter: there is damage that was found under its present one, or the
    /// whole log is gone.
    pub damaged: bool,
}

/// A segment's end that was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// The segment.
    pub segment: u32,
    /// Where its last good batch ends.
    pub at: u64,
    /// Bytes behind that.
    pub bytes: u64,
}

/// Entries that cannot be read any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment in which what comes after them was found.
    pub segment: u32,
    /// Sequence of the first of them.
    pub from: u64,
    /// Sequence after the last of them.
    pub to: u64,
    /// An earlier start had found it.
    pub fenced: bool,
}

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system says no.
    #[error("the log could not be read: {0}")]
    Io(#[from] io::Error),
    /// Written by another version of the program.
    #[error("log segment {segment} has version {found}, this program knows version {known}", known = format::VERSION)]
    Version {
        /// The segment.
        segment: u32,
        /// Its version.
        found: u16,
    },
    /// A whole batch holds what is no entry.
    #[error("entry {sequence} in log segment {segment}: {why}")]
    Entry {
        /// The segment.
        segment: u32,
        /// The entry's sequence.
        sequence: u64,
        /// What is wrong with it.
        why: String,
    },
    /// Whoever takes the entries did not take one.
    #[error("entry {sequence} of the log: {why}")]
    Refused {
        /// The entry's sequence.
        sequence: u64,
        /// Why.
        why: String,
    },
}

/// A write or sync failed, now or before. What was not yet durable may be lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LogFailed(String);

/// Whether there is a place for more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Space {
    /// This segment and the next one are set aside.
    Enough,
    /// The next segment could not be set aside, for this reason.
    Full(String),
}

/// The log of one server, open for writing. Calls block.
pub struct Log<D: Disk> {
    disk: Arc<D>,
    names: Arc<Names>,
    options: Options,
    current: Option<Segment<D::File>>,
    spare: Option<Segment<D::File>>,
    next_number: u32,
    /// Sequence of the next entry.
    next: u64,
    /// All up to this sequence are durable.
    durable: u64,
    batch: BatchWriter,
    failed: Option<String>,
}

type Names = RwLock<BTreeMap<u32, SegmentName>>;

struct Segment<F> {
    file: F,
    name: SegmentName,
    at: u64,
    size: u64,
}

/// An entry's place: segment number, and offset in the segment.
fn place(segment: u32, offset: u64) -> Place {
    Place(u64::from(segment) << 32 | offset & u64::from(u32::MAX))
}

impl<D: Disk> Log<D> {
    /// Reads the whole log, hands each entry to `each`, and makes the segment to go on in.
    ///
    /// # Errors
    /// When the disk fails, when the log is of another version, and when `each` refuses an entry.
    pub fn open(
        disk: Arc<D>,
        options: Options,
        each: &mut dyn FnMut(Recalled) -> Result<(), String>,
    ) -> Result<(Self, Report), OpenError> {
        let scan = recover::scan(&*disk, options.letter, each)?;
        let mut log = Self {
            disk,
            names: Arc::default(),
            options,
            current: None,
            spare: None,
            next_number: scan.next_number,
            next: scan.first,
            durable: scan.first - 1,
            batch: BatchWriter::default(),
            failed: None,
        };
        scan.segments.iter().for_each(|&name| log.add_name(name));
        let header = |name| Header {
            name,
            letter: options.letter,
            fence: scan.fence,
            first: scan.first,
            repaired: scan.report.damaged,
        };
        recover::cut(&*log.disk, &scan)?;
        log.current = Some(match log.make_segment(log.segment_size(), header) {
            // Without place for entries the fence must stand all the same, so that reads can go on.
            Err(error) if is_full(&error) => log.make_segment(HEADER, header)?,
            other => other?,
        });
        let unused = recover::remove(&*log.disk, &scan)?;
        log.names
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, name| !unused.contains(name));
        Ok((log, scan.report))
    }

    /// Reads entries back, also while this one writes.
    #[must_use]
    pub fn reader(&self) -> Reader<D> {
        Reader {
            disk: Arc::clone(&self.disk),
            names: Arc::clone(&self.names),
        }
    }

    /// Sequence of the next entry.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Sets the next segment aside if none is. To be called before the first write, after each, and
    /// now and then while the disk is full.
    ///
    /// # Errors
    /// When the disk fails in another way than by being full.
    pub fn prepare(&mut self) -> Result<Space, LogFailed> {
        self.check()?;
        if self.spare.is_some() {
            return Ok(Space::Enough);
        }
        let letter = self.options.letter;
        let header = |name| Header {
            name,
            letter,
            fence: 0,
            first: 0,
            repaired: false,
        };
        match self.make_segment(self.segment_size(), header) {
            Ok(segment) => {
                self.spare = Some(segment);
                Ok(Space::Enough)
            }
            Err(error) if is_full(&error) => Ok(Space::Full(error.to_string())),
            Err(error) => Err(self.fail("a new segment", &error)),
        }
    }

    /// Writes one batch, and gives the place of each entry. It is durable after [`Log::sync`].
    ///
    /// # Errors
    /// [`LogFailed`], also when the disk is full in spite of what [`Log::prepare`] said, and when
    /// one of these is no entry.
    pub fn write<'a>(
        &mut self,
        entries: impl IntoIterator<Item = &'a Entry>,
    ) -> Result<Vec<Place>, LogFailed> {
        self.check()?;
        self.batch.clear();
        for entry in entries {
            if let Err(error) = self.batch.push(entry) {
                return Err(self.fail("an entry", &error));
            }
        }
        let need = self.batch.len() as u64;
        if !self
            .current
            .as_ref()
            .is_some_and(|current| current.has(need))
        {
            self.switch(need)?;
        }
        let Some(current) = &mut self.current else {
            return Err(self.fail("the log", &"no segment is open"));
        };
        let bytes = self
            .batch
            .finish(current.name.salt, self.next, self.durable);
        if let Err(error) = disk::write_all(&current.file, bytes, current.at) {
            return Err(self.fail("a batch", &error));
        }
        let (number, at) = (current.name.number, current.at);
        current.at += need;
        let offsets = self.batch.offsets();
        self.next += offsets.len() as u64;
        Ok(offsets
            .iter()
            .map(|&offset| place(number, at + offset as u64))
            .collect())
    }

    /// Makes what was written durable; gives the sequence up to which everything is.
    ///
    /// # Errors
    /// [`LogFailed`].
    pub fn sync(&mut self) -> Result<u64, LogFailed> {
        self.check()?;
        if self.durable + 1 < self.next {
            let synced = self
                .current
                .as_ref()
                .map_or(Ok(()), |current| current.file.sync());
            if let Err(error) = synced {
                return Err(self.fail("fdatasync", &error));
            }
            self.durable = self.next - 1;
        }
        Ok(self.durable)
    }

    /// Goes on in a segment that has a place for `need` bytes.
    fn switch(&mut self, need: u64) -> Result<(), LogFailed> {
        // A later batch says that all before it is durable, also where acknowledgements do not wait.
        self.sync()?;
        self.prepare()?;
        let mut next = self.spare.take();
        if let Some(small) = next.take_if(|segment| !segment.has(need)) {
            // Only a segment size below that of one batch leads here.
            if let Err(error) = small
                .file
                .allocate(HEADER + need)
                .and_then(|()| small.file.sync())
            {
                return Err(self.fail("a larger segment", &error));
            }
            next = Some(Segment {
                size: HEADER + need,
                ..small
            });
        }
        let Some(next) = next else {
            return Err(self.fail("a new segment", &"the disk is full"));
        };
        if let Some(done) = self.current.replace(next) {
            // What was not used goes back, or a segment cut short by a long entry keeps its rest.
            if let Err(error) = done.file.cut(done.at) {
                return Err(self.fail("a full segment", &error));
            }
        }
        self.prepare().map(drop)
    }

    /// An offset in a segment has 32 bits in a [`Place`].
    fn segment_size(&self) -> u64 {
        self.options.segment.clamp(HEADER, 1 << 31)
    }

    fn make_segment(
        &mut self,
        size: u64,
        header: impl FnOnce(SegmentName) -> Header,
    ) -> io::Result<Segment<D::File>> {
        let name = SegmentName {
            number: self.next_number,
            salt: getrandom::u64().map_err(io::Error::other)?,
        };
        let spelled = name.to_string();
        let file = self.disk.create(&spelled)?;
        let made = file
            .allocate(size)
            .and_then(|()| disk::write_all(&file, &header(name).encode(), 0))
            .and_then(|()| file.sync());
        if let Err(error) = made {
            self.disk.remove(&spelled)?;
            return Err(error);
        }
        self.disk.sync_directory()?;
        self.next_number = self.next_number.saturating_add(1);
        self.add_name(name);
        Ok(Segment {
            file,
            name,
            at: HEADER,
            size,
        })
    }

    fn add_name(&self, name: SegmentName) {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        names.insert(name.number, name);
    }

    fn check(&self) -> Result<(), LogFailed> {
        match &self.failed {
            Some(why) => Err(LogFailed(why.clone())),
            None => Ok(()),
        }
    }

    fn fail(&mut self, what: &str, why: &dyn std::fmt::Display) -> LogFailed {
        let why = format!("{what}: {why}");
        self.failed = Some(why.clone());
        LogFailed(why)
    }
}

/// Nothing was written, and it may work later: no bytes, or no descriptors, are left.
fn is_full(error: &io::Error) -> bool {
    let no_bytes = matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    );
    no_bytes
        || matches!(
            Errno::from_io_error(error),
            Some(Errno::MFILE | Errno::NFILE)
        )
}

impl<F> Segment<F> {
    fn has(&self, need: u64) -> bool {
        self.size.saturating_sub(self.at) >= need
    }
}

#[cfg(test)]
mod tests;
