//! Where the bodies of kept writes are: in memory, and beyond a bound in files.
//!
//! Usually the outbox holds under a second's worth. It grows while no second server is there to make
//! writes stable. Bodies beyond the bound go to files under the instance's state directory, one a write,
//! removed when the write is stable; what is left of an earlier process is removed at the start. Beyond the
//! bound of the files new writes are refused: nothing is accepted that could not be kept.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

/// How much may be kept.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of bodies in memory.
    pub memory: u64,
    /// Bytes of bodies in all.
    pub bytes: u64,
    /// Writes in all.
    pub writes: usize,
}

/// A kept body.
#[derive(Debug, Clone)]
pub enum Stored {
    /// In memory.
    Memory(Bytes),
    /// In a file, which goes when the last handle does.
    File(Arc<Spilled>),
}

/// A body in a file.
#[derive(Debug)]
pub struct Spilled {
    path: PathBuf,
    len: u64,
}

/// Counts what is kept, and writes files beyond the bound.
#[derive(Debug)]
pub struct Store {
    bounds: Bounds,
    directory: PathBuf,
    in_memory: u64,
    in_files: u64,
    writes: usize,
    swept: bool,
}

impl Stored {
    /// The body.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn read(&self) -> io::Result<Bytes> {
        match self {
            Self::Memory(body) => Ok(body.clone()),
            Self::File(file) => {
                let body = fs::read(&file.path)?;
                if body.len() as u64 != file.len {
                    return Err(io::Error::other(format!(
                        "{} has {} bytes instead of {}",
                        file.path.display(),
                        body.len(),
                        file.len
                    )));
                }
                Ok(body.into())
            }
        }
    }

    fn len(&self) -> u64 {
        match self {
            Self::Memory(body) => body.len() as u64,
            Self::File(file) => file.len,
        }
    }
}

impl Drop for Spilled {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!("{} could not be removed: {error}", self.path.display());
        }
    }
}

impl Store {
    /// A store with files in a directory of its own, which is made when it is first needed.
    #[must_use]
    pub fn new(bounds: Bounds, directory: PathBuf) -> Self {
        Self {
            bounds,
            directory,
            in_memory: 0,
            in_files: 0,
            writes: 0,
            swept: false,
        }
    }

    /// Whether one more write of that many bytes can be kept.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.writes < self.bounds.writes
            && self.in_memory + self.in_files + bytes as u64 <= self.bounds.bytes
    }

    /// Keeps a body. A file that cannot be written is told, and the body stays in memory: it was
    /// acknowledged.
    pub fn keep(&mut self, number: u64, body: &Bytes) -> Stored {
        self.writes += 1;
        let len = body.len() as u64;
        if self.in_memory + len > self.bounds.memory {
            match self.spill(number, body) {
                Ok(file) => {
                    self.in_files += len;
                    return Stored::File(Arc::new(file));
                }
                Err(error) => tracing::error!(
                    "the outbox cannot use {}: {error}; it stays in memory",
                    self.directory.display()
                ),
            }
        }
        self.in_memory += len;
        Stored::Memory(body.clone())
    }

    /// A kept body is no longer needed.
    pub fn forget(&mut self, stored: &Stored) {
        self.writes = self.writes.saturating_sub(1);
        let held = match stored {
            Stored::Memory(_) => &mut self.in_memory,
            Stored::File(_) => &mut self.in_files,
        };
        *held = held.saturating_sub(stored.len());
    }

    /// Bytes in memory, bytes in files, writes.
    #[must_use]
    pub fn counts(&self) -> (u64, u64, usize) {
        (self.in_memory, self.in_files, self.writes)
    }

    fn spill(&mut self, number: u64, body: &Bytes) -> io::Result<Spilled> {
        if !self.swept {
            sweep(&self.directory)?;
            self.swept = true;
        }
        let path = self.directory.join(format!("{number}.write"));
        let spilled = Spilled {
            path,
            len: body.len() as u64,
        };
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&spilled.path)?
            .write_all(body)?;
        Ok(spilled)
    }
}

/// Makes the directory, and removes the files of an earlier process.
fn sweep(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for file in fs::read_dir(directory)? {
        let path = file?.path();
        if path.extension().is_some_and(|ext| ext == "write") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_bound_bodies_go_to_files_and_come_back() {
        let directory = std::env::temp_dir().join(format!("director-chat-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("7.write"), "left over").unwrap();
        let bounds = Bounds {
            memory: 10,
            bytes: 30,
            writes: 4,
        };
        let mut store = Store::new(bounds, directory.clone());
        let small = store.keep(1, &Bytes::from_static(b"12345678"));
        let spilled = store.keep(2, &Bytes::from_static(b"abcdefgh"));
        assert!(matches!(small, Stored::Memory(_)) && matches!(spilled, Stored::File(_)));
        assert_eq!(spilled.read().unwrap(), &b"abcdefgh"[..]);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        assert_eq!(store.counts(), (8, 8, 2));
        assert!(store.has_room(14) && !store.has_room(15));
        store.forget(&spilled);
        drop(spilled);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
        store.forget(&small);
        assert_eq!(store.counts(), (0, 0, 0));
        for number in 3..7 {
            assert!(store.has_room(0));
            store.keep(number, &Bytes::new());
        }
        assert!(!store.has_room(0));
        fs::remove_dir_all(&directory).unwrap();
    }
}
