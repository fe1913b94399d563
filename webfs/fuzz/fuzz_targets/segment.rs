//! A log of some entries, damaged anywhere: what is found was written, is in order but for what is told,
//! and a second start finds the same.

#![no_main]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use libfuzzer_sys::fuzz_target;
use webfs::entry::{Entry, Kind};
use webfs::log::disk::{Disk, DiskFile};
use webfs::log::{Log, Options, Report};

type Content = Arc<Mutex<Vec<u8>>>;

/// A disk that keeps everything.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<BTreeMap<String, Content>>>);

struct File(Content);

impl Disk for Memory {
    type File = File;

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().unwrap().keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<File> {
        let content = Content::default();
        self.0
            .lock()
            .unwrap()
            .insert(name.to_owned(), content.clone());
        Ok(File(content))
    }

    fn open(&self, name: &str) -> io::Result<File> {
        let content = self.0.lock().unwrap().get(name).cloned();
        content
            .map(File)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.0.lock().unwrap();
        let content = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let removed = self.0.lock().unwrap().remove(name);
        removed
            .map(drop)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }

    fn allocate(&self, size: u64) -> io::Result<()> {
        self.0.lock().unwrap().resize(size as usize, 0);
        Ok(())
    }

    fn cut(&self, size: u64) -> io::Result<()> {
        self.0.lock().unwrap().resize(size as usize, 0);
        Ok(())
    }

    fn read_at(&self, to: &mut [u8], at: u64) -> io::Result<usize> {
        let content = self.0.lock().unwrap();
        let from = content.get(at as usize..).unwrap_or_default();
        let len = from.len().min(to.len());
        to[..len].copy_from_slice(&from[..len]);
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        let mut content = self.0.lock().unwrap();
        let end = at as usize + bytes.len();
        if content.len() < end {
            content.resize(end, 0);
        }
        content[at as usize..end].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn forget_cached(&self) {}
}

fn entry(index: u64) -> Entry {
    Entry {
        path: "r".parse().unwrap(),
        generation: 0,
        name: format!("a.{index}").parse().unwrap(),
        before: index - 1,
        accepted_at: 0,
        request: None,
        producer: None,
        stream_seq: None,
        was: Vec::new(),
        count: 1,
        kind: Kind::Append,
        content_type: None,
        payload: index.to_le_bytes().to_vec().into(),
    }
}

fn open(disk: &Memory, each: &mut Vec<u64>) -> Option<(Log<Memory>, Report)> {
    let options = Options {
        segment: 4096 + 300,
        letter: Some("a".parse().unwrap()),
    };
    let opened = Log::open(Arc::new(disk.clone()), options, &mut |recalled| {
        assert_eq!(recalled.entry, entry(recalled.entry.name.index));
        each.push(recalled.entry.name.index);
        Ok(())
    });
    opened.ok()
}

fuzz_target!(|changes: &[u8]| {
    const LAST: u64 = 8;
    let disk = Memory::default();
    let (mut log, _) = open(&disk, &mut Vec::new()).expect("a new log opens");
    for index in 1..=LAST {
        log.write([&entry(index)]).unwrap();
        log.sync().unwrap();
    }
    drop(log);
    let names = disk.list().unwrap();
    for change in changes.chunks_exact(5) {
        let [file, high, low, length, value] = change else {
            return;
        };
        let name = &names[usize::from(*file) % names.len()];
        let content = disk.open(name).unwrap().0;
        let mut content = content.lock().unwrap();
        let at = usize::from(u16::from_le_bytes([*low, *high])) % (content.len() + 1);
        if *length == 255 {
            content.truncate(at);
        } else {
            content
                .iter_mut()
                .skip(at)
                .take(usize::from(*length))
                .for_each(|byte| *byte ^= value);
        }
    }
    let mut found = Vec::new();
    let Some((mut log, report)) = open(&disk, &mut found) else {
        return;
    };
    assert!(found.is_sorted() || report.damaged || report.set_aside > 0);
    let beginning: Vec<u64> = (1..=found.len() as u64).collect();
    assert!(found == beginning || report.damaged, "{found:?} {report:?}");
    log.write([&entry(LAST + 1)]).unwrap();
    log.sync().unwrap();
    drop(log);
    let mut again = Vec::new();
    open(&disk, &mut again).expect("what opened once opens again");
    let mut expected = [found, vec![LAST + 1]].concat();
    expected.sort_unstable();
    again.sort_unstable();
    assert_eq!(again, expected);
});
