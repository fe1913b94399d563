//! What the log holds, found by reading all of it at each start.
//!
//! Where a segment stops making sense, two things can be the cause. A **torn tail**: the server died while
//! it wrote a batch; nobody was told that it was stored, so it is cut, and told. **Damage**: what had been
//! durable can no longer be read. A later batch tells them apart, because each carries the sequence that
//! was durable when it was written. Damage is never cut: the new segment that every start makes *fences*
//! it, and all that was found behind it is handed over last, outside of the order. (A flipped bit in the
//! very last batch looks like a torn tail; only the peers can tell that.)

use std::io;

use super::disk::{self, Disk, DiskFile};
use super::format::{BadHeader, Batch, HEADER, Header, SegmentName, is_zero};
use super::{Damage, OpenError, Recalled, Report, Torn, place};
use crate::entry::Entry;
use crate::letter::Letter;

/// What a scan found, and where writing goes on.
pub(super) struct Scan {
    pub(super) report: Report,
    /// All segments, oldest first.
    pub(super) segments: Vec<SegmentName>,
    /// Where each of them ends.
    ends: Vec<Ended>,
    /// All before this one stay as they are: the last one with entries in it is the first that may be cut.
    last_used: Option<usize>,
    /// For the header of the next segment.
    pub(super) fence: u64,
    /// As `fence`.
    pub(super) first: u64,
    pub(super) next_number: u32,
}

struct Scanner<'a> {
    each: &'a mut dyn FnMut(Recalled) -> Result<(), String>,
    /// The sequence that has to come next.
    expected: u64,
    /// From here on entries are outside of the order, because nobody fenced this damage yet.
    unfenced: Option<u64>,
    aside: Vec<Recalled>,
    report: Report,
}

/// Where the batches of one segment end.
struct Ended {
    /// After the last good batch.
    at: u64,
    /// Bytes behind it that are not zero.
    rest: bool,
    size: u64,
    batches: bool,
    /// It tells of damage, and stays.
    repaired: bool,
}

/// Reads all segments, and hands over every entry.
pub(super) fn scan(
    disk: &impl Disk,
    letter: Option<Letter>,
    each: &mut dyn FnMut(Recalled) -> Result<(), String>,
) -> Result<Scan, OpenError> {
    let mut segments: Vec<SegmentName> = disk
        .list()?
        .iter()
        .filter_map(|name| SegmentName::parse(name))
        .collect();
    segments.sort_unstable();
    let mut headers = Vec::new();
    for &name in &segments {
        headers.push(header(disk, name)?);
    }
    let mut scanner = Scanner {
        each,
        expected: 1,
        unfenced: None,
        aside: Vec::new(),
        report: Report::default(),
    };
    let mut ends = Vec::new();
    for (at, &name) in segments.iter().enumerate() {
        let later = headers.iter().skip(at + 1).flatten();
        let limit = later
            .map(|header| header.fence)
            .filter(|&fence| fence > 0)
            .min();
        ends.push(scanner.segment(disk, name, headers.get(at).copied().flatten(), limit)?);
    }
    for recalled in std::mem::take(&mut scanner.aside) {
        scanner.report.set_aside += 1;
        scanner.hand_over(recalled)?;
    }
    let mut report = scanner.report;
    let last_used = ends.iter().rposition(|ended| ended.batches);
    for (at, (name, ended)) in segments.iter().zip(&ends).enumerate() {
        if ended.rest && last_used.is_none_or(|last| at >= last) {
            report.torn.push(Torn {
                segment: name.number,
                at: ended.at,
                bytes: ended.size.saturating_sub(ended.at),
            });
        }
    }
    let mut headers = headers.iter().flatten();
    report.damaged = scanner.unfenced.is_some()
        || headers.any(|header| header.repaired && header.letter == letter)
        || letter.is_some() && segments.is_empty();
    report.segments = segments.len();
    Ok(Scan {
        report,
        next_number: segments
            .last()
            .map_or(1, |last| last.number.saturating_add(1)),
        segments,
        ends,
        last_used,
        fence: scanner.unfenced.unwrap_or(scanner.expected),
        first: scanner.expected,
    })
}

/// `None` for a damaged one: then only what it says of fences is missing.
fn header(disk: &impl Disk, name: SegmentName) -> Result<Option<Header>, OpenError> {
    let file = disk.open(&name.to_string())?;
    // What a crash of the process left in the system's memory becomes durable here or is not seen at
    // all; what the disk refused before is forgotten, so that what is read is what the disk has.
    file.sync()?;
    file.forget_cached();
    match Header::decode(&disk::read(&file, HEADER as usize, 0)?, name) {
        Ok(header) => Ok(Some(header)),
        Err(BadHeader::Damaged) => Ok(None),
        Err(BadHeader::Version(found)) => Err(OpenError::Version {
            segment: name.number,
            found,
        }),
    }
}

impl Scanner<'_> {
    fn segment(
        &mut self,
        disk: &impl Disk,
        name: SegmentName,
        header: Option<Header>,
        limit: Option<u64>,
    ) -> Result<Ended, OpenError> {
        let file = disk.open(&name.to_string())?;
        let size = file.size()?;
        let bytes = disk::read(&file, usize::try_from(size).unwrap_or(usize::MAX), 0)?;
        if let Some(first) = header.map(|header| header.first).filter(|&first| first > 0) {
            if self.expected < first {
                self.damage(name, self.expected, first, limit);
            }
            self.expected = first;
        }
        let mut at = HEADER as usize;
        let mut batches = false;
        while let Some(batch) = self.next_batch(&bytes, at, name, limit) {
            self.batch(name, &batch, limit)?;
            self.expected = batch.next();
            at = batch.end();
            batches = true;
        }
        Ok(Ended {
            at: at as u64,
            rest: bytes.get(at..).is_some_and(|rest| !is_zero(rest)),
            size,
            batches,
            repaired: header.is_some_and(|header| header.repaired),
        })
    }

    /// The batch at `at`, or the next one if it proves that something durable is missing before it.
    fn next_batch<'a>(
        &mut self,
        bytes: &'a [u8],
        at: usize,
        name: SegmentName,
        limit: Option<u64>,
    ) -> Option<Batch<'a>> {
        let mut from = at;
        loop {
            let batch = Batch::find(bytes, from, name.salt)?;
            let in_place = batch.start == at + super::format::BATCH_HEADER;
            if in_place && batch.sequence == self.expected {
                return Some(batch);
            }
            if batch.sequence < self.expected {
                from = batch.end();
            } else if batch.durable >= self.expected || batch.sequence == self.expected {
                if batch.sequence > self.expected {
                    self.damage(name, self.expected, batch.sequence, limit);
                }
                return Some(batch);
            } else {
                return None;
            }
        }
    }

    fn damage(&mut self, name: SegmentName, from: u64, to: u64, limit: Option<u64>) {
        let fenced = limit.is_some_and(|limit| from >= limit);
        self.report.damage.push(Damage {
            segment: name.number,
            from,
            to,
            fenced,
        });
        if !fenced {
            self.unfenced = Some(self.unfenced.map_or(from, |before| before.min(from)));
        }
    }

    fn batch(
        &mut self,
        name: SegmentName,
        batch: &Batch<'_>,
        limit: Option<u64>,
    ) -> Result<(), OpenError> {
        let bad = |sequence, why| OpenError::Entry {
            segment: name.number,
            sequence,
            why,
        };
        let mut sequence = batch.sequence;
        for (offset, framed) in batch.entries() {
            let entry = Entry::decode(framed.bytes).map_err(|e| bad(sequence, e.to_string()))?;
            let fences = [limit, self.unfenced];
            let recalled = Recalled {
                sequence,
                place: place(name.number, offset as u64),
                entry,
                aside: fences.into_iter().flatten().any(|fence| sequence >= fence),
            };
            if recalled.aside {
                self.aside.push(recalled);
            } else {
                self.hand_over(recalled)?;
            }
            sequence += 1;
        }
        if sequence == batch.next() {
            Ok(())
        } else {
            Err(bad(sequence, "the batch ends early".to_owned()))
        }
    }

    fn hand_over(&mut self, recalled: Recalled) -> Result<(), OpenError> {
        let sequence = recalled.sequence;
        self.report.entries += 1;
        (self.each)(recalled).map_err(|why| OpenError::Refused { sequence, why })
    }
}

/// Cuts the torn tail off, and gives back what was set aside and not used.
pub(super) fn cut(disk: &impl Disk, scan: &Scan) -> io::Result<()> {
    for (name, ended) in scan.after_last_used() {
        if ended.size > ended.at {
            let file = disk.open(&name.to_string())?;
            file.cut(ended.at)?;
            file.sync()?;
        }
    }
    Ok(())
}

/// Removes segments that were never used; tells which. The next segment has to be there already, so that
/// the log never looks as if it were gone.
pub(super) fn remove(disk: &impl Disk, scan: &Scan) -> io::Result<Vec<SegmentName>> {
    let mut unused = Vec::new();
    for (name, ended) in scan.after_last_used() {
        if !ended.batches && !ended.repaired {
            disk.remove(&name.to_string())?;
            unused.push(name);
        }
    }
    if !unused.is_empty() {
        disk.sync_directory()?;
    }
    Ok(unused)
}

impl Scan {
    /// The last segment with entries, and those after it.
    fn after_last_used(&self) -> impl Iterator<Item = (SegmentName, &Ended)> {
        let all = self.segments.iter().copied().zip(&self.ends);
        all.skip(self.last_used.unwrap_or(0))
    }
}
