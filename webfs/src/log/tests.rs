//! What the log promises, on a disk that breaks what it may.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::format::Framed;
use super::memory::MemoryDisk;
use super::*;
use crate::entry::Kind;

fn entry(index: u64) -> Entry {
    Entry {
        path: "rooms/lobby".parse().unwrap(),
        generation: 0,
        name: "a".parse::<Letter>().unwrap().name(index),
        before: index - 1,
        accepted_at: 0,
        request: None,
        producer: None,
        stream_seq: None,
        was: Vec::new(),
        count: 1,
        kind: Kind::Append,
        content_type: None,
        payload: Bytes::from(format!("{{\"n\":{index}}}")),
    }
}

fn options() -> Options {
    Options {
        segment: HEADER + 400,
        letter: Some("a".parse().unwrap()),
    }
}

/// An open log, what the start found, and what it handed over.
struct Opened {
    log: Log<MemoryDisk>,
    report: Report,
    recalled: Vec<Recalled>,
}

fn try_open(disk: &MemoryDisk, options: Options) -> Result<Opened, OpenError> {
    let mut recalled = Vec::new();
    let (log, report) = Log::open(Arc::new(disk.clone()), options, &mut |one| {
        recalled.push(one);
        Ok(())
    })?;
    Ok(Opened {
        log,
        report,
        recalled,
    })
}

fn open(disk: &MemoryDisk) -> Opened {
    try_open(disk, options()).unwrap()
}

impl Opened {
    fn indices(&self) -> Vec<u64> {
        self.recalled
            .iter()
            .map(|one| one.entry.name.index)
            .collect()
    }

    /// Writes these entries, one batch each, and syncs each.
    fn write(&mut self, indices: impl IntoIterator<Item = u64>) -> Vec<Place> {
        let write = |index| {
            let places = self.log.write([&entry(index)]).unwrap();
            self.log.sync().unwrap();
            places[0]
        };
        indices.into_iter().map(write).collect()
    }
}

fn range(indices: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    indices.collect()
}

/// A disk on which a first start wrote 1 to `last`, over several segments.
fn written(last: u64) -> MemoryDisk {
    let disk = MemoryDisk::default();
    let mut first = try_open(
        &disk,
        Options {
            letter: None,
            ..options()
        },
    )
    .unwrap();
    assert_eq!(first.report, Report::default());
    first.write(1..=last);
    disk
}

#[test]
fn what_was_synced_outlives_power_cuts_over_many_starts() {
    let disk = written(20);
    assert!(disk.list_segments().len() > 4, "{:?}", disk.list_segments());
    for start in 1..5 {
        disk.power_cut();
        let mut again = open(&disk);
        assert_eq!(again.indices(), range(1..=start * 20));
        assert!(!again.report.damaged && again.report.torn.is_empty());
        let sequences: Vec<u64> = again.recalled.iter().map(|one| one.sequence).collect();
        assert_eq!(sequences, range(1..=start * 20));
        again.write(start * 20 + 1..=start * 20 + 20);
    }
}

#[test]
fn starts_that_write_nothing_leave_nothing_behind() {
    let disk = written(5);
    drop(open(&disk));
    let before = disk.list_segments().len();
    for _ in 0..5 {
        assert_eq!(open(&disk).indices(), range(1..=5));
        assert_eq!(disk.list_segments().len(), before);
    }
}

#[test]
fn what_was_not_synced_may_go_and_the_log_goes_on() {
    let disk = written(3);
    let mut again = open(&disk);
    again.log.write([&entry(4), &entry(5)]).unwrap();
    disk.power_cut();
    let mut last = open(&disk);
    assert_eq!(last.indices(), range(1..=3));
    last.write(4..=9);
    disk.power_cut();
    assert_eq!(open(&disk).indices(), range(1..=9));
}

#[test]
fn a_batch_is_there_whole_or_not_at_all() {
    for kept in 0..200 {
        let disk = written(2);
        let mut again = open(&disk);
        again.log.write([&entry(3), &entry(4)]).unwrap();
        let size = again.log.batch.len();
        disk.power_cut_keeping(|_| kept);
        let last = open(&disk);
        let whole = kept >= size;
        assert_eq!(
            last.indices(),
            range(1..=if whole { 4 } else { 2 }),
            "{kept}"
        );
        assert_eq!(
            last.report.torn.len(),
            usize::from(kept > 0 && !whole),
            "{kept}"
        );
        assert!(!last.report.damaged);
        assert!(open(&disk).report.torn.is_empty(), "a tail is cut once");
    }
}

/// Every file cut at every length: what remains is a beginning, or the loss is told.
#[test]
fn a_cut_anywhere_leaves_a_beginning_or_is_told() {
    let good = written(8);
    let last = open(&good.copy()).report.segments;
    for (number, name) in good.list_segments().iter().enumerate() {
        // Between the header's fields and its end there are only zeros.
        for size in (0..60).chain(HEADER as usize - 1..good.content(name).len()) {
            let disk = good.copy();
            disk.damage(name, |bytes| bytes.truncate(size));
            check_damaged(&disk, number + 2 < last, &format!("{name} cut to {size}"));
        }
    }
}

#[test]
fn a_flipped_byte_anywhere_is_harmless_or_told() {
    let good = written(8);
    for (number, name) in good.list_segments().iter().enumerate() {
        let content = good.content(name);
        let used = content.iter().rposition(|&byte| byte != 0).unwrap_or(0);
        // The header's padding means nothing; one of its bytes is as good as all.
        let places = (0..60).chain([4000]).chain(HEADER as usize..used + 8);
        for at in places.filter(|&at| at < content.len()) {
            for bits in [0x01, 0xff] {
                let disk = good.copy();
                disk.damage(name, |bytes| bytes[at] ^= bits);
                check_damaged(
                    &disk,
                    false,
                    &format!("{name}, byte {at} (segment {number})"),
                );
            }
        }
    }
}

/// What may be found after one damage to a disk with the entries 1 to 8 on it: no entry that was not
/// written, none twice, none but the last missing without being told, and all of what is written after.
fn check_damaged(disk: &MemoryDisk, must_tell: bool, what: &str) {
    let mut first = open(disk);
    let found = first.indices();
    let missing = range(1..=8)
        .iter()
        .filter(|index| !found.contains(index))
        .count();
    let mut sorted = found.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), found.len(), "{what}: {found:?}");
    let tail = found == range(1..=found.len() as u64);
    assert!(
        tail || first.report.damaged,
        "{what}: {found:?}, {:?}",
        first.report
    );
    let lost: u64 = first
        .report
        .damage
        .iter()
        .map(|damage| damage.to - damage.from)
        .sum();
    if first.report.damaged {
        assert_eq!(lost, missing as u64, "{what}: {:?}", first.report);
    }
    assert!(
        !must_tell || missing == 0 || first.report.damaged,
        "{what}: {found:?}"
    );
    first.write(101..=105);
    disk.power_cut();

    // The new letter comes with the next start: the damage stays known and is told as fenced.
    let letter = Some("a1".parse().unwrap());
    let later = try_open(
        disk,
        Options {
            letter,
            ..options()
        },
    )
    .unwrap();
    assert!(!later.report.damaged, "{what}: {:?}", later.report);
    assert!(
        later.report.damage.iter().all(|damage| damage.fenced),
        "{what}"
    );
    let aside = first.report.set_aside as usize;
    let (order, behind) = found.split_at(found.len() - aside);
    let expected = [order, &range(101..=105), behind].concat();
    assert_eq!(later.indices(), expected, "{what}");
}

#[test]
fn damage_is_told_until_there_is_another_letter() {
    let disk = written(8);
    let second = &disk.list_segments()[1];
    disk.damage(second, |bytes| bytes[HEADER as usize + 50] ^= 1);
    for _ in 0..3 {
        let again = open(&disk);
        assert!(again.report.damaged);
        assert!(again.report.set_aside > 0);
    }
    let letter = Some("a1".parse().unwrap());
    assert!(
        !try_open(
            &disk,
            Options {
                letter,
                ..options()
            }
        )
        .unwrap()
        .report
        .damaged
    );
}

#[test]
fn a_log_that_is_gone_is_told() {
    assert!(open(&MemoryDisk::default()).report.damaged);
    let disk = written(8);
    for name in disk.list_segments() {
        disk.remove(&name).unwrap();
    }
    assert!(open(&disk).report.damaged);
}

#[test]
fn a_segment_that_is_gone_is_told() {
    let disk = written(20);
    disk.remove(&disk.list_segments()[1]).unwrap();
    let again = open(&disk);
    assert!(again.report.damaged);
    assert!(again.indices().starts_with(&[1]) && again.indices().ends_with(&[20]));
}

#[test]
fn another_version_is_refused() {
    let disk = written(2);
    let name = &disk.list_segments()[0];
    disk.damage(name, |bytes| {
        bytes[8] = 2;
        let sum = crc32c::crc32c(&bytes[..48]);
        bytes[48..52].copy_from_slice(&sum.to_le_bytes());
    });
    let refused = try_open(&disk, options()).err().unwrap();
    assert!(
        matches!(refused, OpenError::Version { found: 2, .. }),
        "{refused}"
    );
}

#[test]
fn an_entry_that_nobody_takes_stops_the_start() {
    let disk = Arc::new(written(2));
    let refused = Log::open(disk, options(), &mut |_| Err("no".to_owned()))
        .err()
        .unwrap();
    assert_eq!(refused.to_string(), "entry 1 of the log: no");
}

#[test]
fn a_failed_sync_ends_the_log_and_what_it_was_for_is_not_seen_again() {
    let disk = written(3);
    let mut again = open(&disk);
    again.log.prepare().unwrap();
    disk.fail_sync_after(0);
    again.log.write([&entry(4)]).unwrap();
    let failed = again.log.sync().unwrap_err();
    assert_eq!(again.log.sync().unwrap_err(), failed, "no second try");
    assert_eq!(again.log.write([&entry(5)]).unwrap_err(), failed);
    drop(again);
    // Without a power cut: the page cache still shows what the disk has not.
    assert_eq!(open(&disk).indices(), range(1..=3));
}

/// The disk fails from the k-th call on, for every k; then the power is cut.
#[test]
fn whatever_fails_nothing_acknowledged_is_lost() {
    for calls in 0.. {
        let disk = written(3);
        disk.fail_after(calls);
        let mut acknowledged = 3;
        let mut done = false;
        if let Ok(mut again) = try_open(&disk, options()) {
            for index in 4..=9 {
                let written = again.log.write([&entry(index)]).map(drop);
                if written.and_then(|()| again.log.sync()).is_err() {
                    break;
                }
                acknowledged = index;
            }
            done = acknowledged == 9;
        }
        disk.power_cut_keeping(|len| calls % (len + 1));
        let last = open(&disk);
        assert!(
            last.indices().starts_with(&range(1..=acknowledged)),
            "{calls}"
        );
        assert!(last.indices().len() as u64 <= acknowledged + 1, "{calls}");
        assert!(!last.report.damaged, "{calls}: {:?}", last.report);
        if done {
            return assert!(calls > 20);
        }
    }
}

#[test]
fn short_writes_are_gone_on_with() {
    let disk = MemoryDisk::default();
    disk.write_short();
    let mut first = open(&disk);
    first.write(1..=5);
    disk.power_cut();
    assert_eq!(open(&disk).indices(), range(1..=5));
}

#[test]
fn a_lying_disk_loses_its_end_and_the_log_goes_on() {
    let disk = written(3);
    let mut again = open(&disk);
    disk.lie();
    again.write(4..=20);
    disk.power_cut();
    let mut last = open(&disk);
    assert!(last.indices().len() >= 3 && last.indices().len() < 20);
    let kept = last.indices().len() as u64;
    last.write(kept + 1..=kept + 3);
    disk.power_cut();
    assert!(open(&disk).indices().starts_with(&range(1..=kept + 3)));
}

#[test]
fn a_full_disk_is_told_one_segment_ahead_and_reads_go_on() {
    let disk = MemoryDisk::default();
    let mut first = open(&disk);
    let size = options().segment;
    disk.set_capacity(Some(3 * size + HEADER));
    let mut places = Vec::new();
    let mut index = 0;
    while first.log.prepare() == Ok(Space::Enough) {
        index += 1;
        places.extend(first.write([index]));
    }
    // The rest of the last segment has a place still: three entries, of which it has one.
    for more in 1..=2 {
        places.extend(first.write([index + more]));
    }
    let reader = first.log.reader();
    for (at, &place) in (1..).zip(&places) {
        assert_eq!(reader.read(&[place]).unwrap(), [entry(at)]);
    }
    drop(first);
    let mut again = open(&disk);
    assert_eq!(again.indices(), range(1..=index + 2));
    assert!(matches!(again.log.prepare(), Ok(Space::Full(_))));
    disk.set_capacity(None);
    assert_eq!(again.log.prepare().unwrap(), Space::Enough);
    again.write([index + 3]);
}

#[test]
fn entries_are_read_back_by_place_and_damage_is_noticed() {
    let disk = written(8);
    let mut again = open(&disk);
    let mut all = again.recalled.clone();
    for (index, len) in [
        (9, 10_000),
        (10, 4096 - 80),
        (11, crate::entry::MAX_PAYLOAD),
    ] {
        let mut long = entry(index);
        long.payload = vec![b'x'; len].into();
        let place = again.log.write([&long]).unwrap()[0];
        all.push(Recalled {
            sequence: index,
            place,
            entry: long,
            aside: false,
        });
    }
    let reader = again.log.reader();
    let places: Vec<Place> = all.iter().map(|one| one.place).collect();
    let entries: Vec<Entry> = all.into_iter().map(|one| one.entry).collect();
    assert!(reader.read(&places).unwrap() == entries);
    let nowhere = reader.read(&[Place(77 << 32)]).unwrap_err();
    assert!(nowhere.contains("no such segment"), "{nowhere}");
    for name in disk.list_segments() {
        disk.damage(&name, |bytes| {
            bytes
                .iter_mut()
                .skip(HEADER as usize)
                .for_each(|byte| *byte ^= 1);
        });
    }
    for place in places {
        assert!(reader.read(&[place]).is_err());
    }
}

#[test]
fn a_batch_in_a_payload_is_no_batch() {
    let mut writer = BatchWriter::default();
    writer.clear();
    writer.push(&entry(7)).unwrap();
    let mut carrier = entry(1);
    carrier.payload = writer.finish(0, 2, 1).to_vec().into();
    let disk = MemoryDisk::default();
    let mut first = open(&disk);
    first.log.write([&carrier]).unwrap();
    first.log.sync().unwrap();
    let name = disk.list_segments()[0].clone();
    disk.damage(&name, |bytes| bytes[HEADER as usize] ^= 1);
    assert!(open(&disk).indices().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Batches of any sizes, synced or not, then any beginning of each unsynced write survives.
    #[test]
    fn any_power_cut_leaves_all_that_was_synced(
        batches in proptest::collection::vec((1u64..5, any::<bool>()), 1..20),
        keeps in proptest::collection::vec(0usize..400, 40),
    ) {
        let disk = MemoryDisk::default();
        let mut first = open(&disk);
        let (mut written, mut synced) = (0, 0);
        for (size, sync) in batches {
            let entries: Vec<Entry> = (written + 1..=written + size).map(entry).collect();
            first.log.write(&entries).unwrap();
            written += size;
            if sync {
                synced = first.log.sync().unwrap();
            }
        }
        let mut keeps = keeps.into_iter().cycle();
        disk.power_cut_keeping(|_| keeps.next().unwrap());
        let again = open(&disk);
        let found = again.indices();
        prop_assert!(found.len() as u64 >= synced);
        prop_assert_eq!(&found, &range(1..=found.len() as u64));
    }

    #[test]
    fn any_bytes_are_a_segment_without_batches(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(format::Batch::find(&bytes, 0, 7).is_none());
        let name = SegmentName { number: 1, salt: 7 };
        prop_assert!(Header::decode(&bytes, name).is_err());
        if let Some(framed) = Framed::at(&bytes) {
            prop_assert!(framed.bytes.len() < bytes.len());
        }
    }
}
