//! A disk for tests: it forgets what was not synced, and fails, lies and writes short as it is told.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::disk::{Disk, DiskFile};

/// A directory in memory; clones are handles of the same one.
#[derive(Clone, Default)]
pub(crate) struct MemoryDisk(Arc<Mutex<State>>);

/// One file of it.
pub(crate) struct MemoryFile {
    disk: MemoryDisk,
    id: usize,
}

#[derive(Default)]
struct State {
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    /// Calls that may change something, before all of them fail.
    calls_left: Option<usize>,
    syncs_left: Option<usize>,
    lying: bool,
    short: bool,
    panics: bool,
    slow: Option<Duration>,
    capacity: Option<u64>,
}

#[derive(Default, Clone)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
    changes: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Size(usize),
    Write(usize, Vec<u8>),
}

impl MemoryDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets this many changing calls through, and fails all later ones.
    pub(crate) fn fail_after(&self, calls: usize) {
        self.state().calls_left = Some(calls);
    }

    /// Lets this many syncs through, and fails the next one; later ones say yes again, as Linux does,
    /// and what the failed one was for is never synced.
    pub(crate) fn fail_sync_after(&self, syncs: usize) {
        self.state().syncs_left = Some(syncs);
    }

    /// From now on syncs say yes and do nothing.
    pub(crate) fn lie(&self) {
        self.state().lying = true;
    }

    /// From now on each write takes half of what it is given.
    pub(crate) fn write_short(&self) {
        self.state().short = true;
    }

    /// From now on each read takes so long.
    pub(crate) fn read_slowly(&self, time: Duration) {
        self.state().slow = Some(time);
    }

    /// From now on every changing call panics.
    pub(crate) fn panic(&self) {
        self.state().panics = true;
    }

    /// Sets how many bytes all files together may have.
    pub(crate) fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Forgets everything that was not synced, and every fault.
    pub(crate) fn power_cut(&self) {
        self.power_cut_keeping(|_| 0);
    }

    /// As [`Self::power_cut`], but of each write that was not synced a beginning survives: as many
    /// bytes as `keep` says for its length.
    pub(crate) fn power_cut_keeping(&self, mut keep: impl FnMut(usize) -> usize) {
        let mut state = self.state();
        for file in &mut state.files {
            let mut after = file.synced.clone();
            for change in file.changes.drain(..) {
                match change {
                    Change::Size(size) => after.resize(size, 0),
                    Change::Write(at, bytes) => {
                        let kept = keep(bytes.len()).min(bytes.len());
                        apply(&mut after, Change::Write(at, bytes[..kept].to_vec()));
                    }
                }
            }
            file.now.clone_from(&after);
            file.synced = after;
        }
        state.names = state.synced_names.clone();
        let files = std::mem::take(&mut state.files);
        let (names, synced_names) = (state.names.clone(), state.synced_names.clone());
        *state = State {
            files,
            names,
            synced_names,
            ..State::default()
        };
    }

    /// A copy that shares nothing.
    pub(crate) fn copy(&self) -> Self {
        let state = self.state();
        Self(Arc::new(Mutex::new(State {
            files: state.files.clone(),
            names: state.names.clone(),
            synced_names: state.synced_names.clone(),
            ..State::default()
        })))
    }

    /// Changes a file's bytes behind everybody's back.
    pub(crate) fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let id = state.names[name];
        let file = &mut state.files[id];
        change(&mut file.now);
        file.synced.clone_from(&file.now);
        file.changes.clear();
    }

    /// Names of the log's segments.
    pub(crate) fn list_segments(&self) -> Vec<String> {
        let state = self.state();
        let segments = state.names.keys().filter(|name| name.starts_with("log-"));
        segments.cloned().collect()
    }

    /// A file's bytes.
    pub(crate) fn content(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.files[state.names[name]].now.clone()
    }
}

fn apply(to: &mut Vec<u8>, change: Change) {
    match change {
        Change::Size(size) => to.resize(size, 0),
        Change::Write(at, bytes) => {
            let end = at + bytes.len();
            if to.len() < end {
                to.resize(end, 0);
            }
            to[at..end].copy_from_slice(&bytes);
        }
    }
}

impl State {
    fn call(&mut self) -> io::Result<()> {
        assert!(!self.panics, "the disk was told to panic");
        match &mut self.calls_left {
            Some(0) => Err(io::Error::other("the disk was told to fail")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn sync(&mut self) -> io::Result<bool> {
        self.call()?;
        match self.syncs_left.take() {
            Some(0) => Err(io::Error::other("the sync was told to fail")),
            left => {
                self.syncs_left = left.map(|left| left - 1);
                Ok(!self.lying)
            }
        }
    }

    fn change(&mut self, id: usize, change: Change) {
        let file = &mut self.files[id];
        apply(&mut file.now, change.clone());
        file.changes.push(change);
    }
}

impl Disk for MemoryDisk {
    type File = MemoryFile;

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<MemoryFile> {
        let mut state = self.state();
        state.call()?;
        let id = state.files.len();
        state.files.push(Content::default());
        state.names.insert(name.to_owned(), id);
        Ok(MemoryFile {
            disk: self.clone(),
            id,
        })
    }

    fn open(&self, name: &str) -> io::Result<MemoryFile> {
        let id = self
            .state()
            .names
            .get(name)
            .copied()
            .ok_or(io::ErrorKind::NotFound)?;
        Ok(MemoryFile {
            disk: self.clone(),
            id,
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        let id = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), id);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        state
            .names
            .remove(name)
            .map(drop)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.sync()? {
            state.synced_names = state.names.clone();
        }
        Ok(())
    }
}

impl DiskFile for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[self.id].now.len() as u64)
    }

    fn allocate(&self, size: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.call()?;
        let named = state.names.values().filter(|&&id| id != self.id);
        let used: u64 = named.map(|&id| state.files[id].now.len() as u64).sum();
        if state
            .capacity
            .is_some_and(|capacity| used + size > capacity)
        {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.change(self.id, Change::Size(size as usize));
        Ok(())
    }

    fn cut(&self, size: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.call()?;
        state.change(self.id, Change::Size(size as usize));
        Ok(())
    }

    fn read_at(&self, to: &mut [u8], at: u64) -> io::Result<usize> {
        let slow = self.disk.state().slow;
        if let Some(time) = slow {
            std::thread::sleep(time);
        }
        let state = self.disk.state();
        let from = state.files[self.id]
            .now
            .get(at as usize..)
            .unwrap_or_default();
        let len = from.len().min(to.len());
        to[..len].copy_from_slice(&from[..len]);
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        state.call()?;
        let len = if state.short {
            bytes.len().div_ceil(2)
        } else {
            bytes.len()
        };
        state.change(self.id, Change::Write(at as usize, bytes[..len].to_vec()));
        Ok(len)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let honest = state.sync();
        let file = &mut state.files[self.id];
        let changes = std::mem::take(&mut file.changes);
        match honest {
            Ok(true) => changes
                .into_iter()
                .for_each(|change| apply(&mut file.synced, change)),
            Ok(false) => file.changes = changes,
            // What a failed sync was for counts as clean from now on, and never reaches the disk.
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn forget_cached(&self) {
        let mut state = self.disk.state();
        let file = &mut state.files[self.id];
        if file.changes.is_empty() {
            file.now.clone_from(&file.synced);
        }
    }
}
