//! The disk in production: a data directory, locked while it is in use.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, FallocateFlags, FlockOperation, fadvise, fallocate, flock};
use rustix::io::Errno;

use super::disk::{Disk, DiskFile};

/// The file whose lock keeps a second server out. It stays empty.
const LOCK: &str = "LOCK";

/// A server's data directory. It is unlocked when this is dropped.
#[derive(Debug)]
pub struct Files {
    directory: PathBuf,
    handle: File,
    _lock: File,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// Another process has it.
    #[error("`{0}` is in use by another server")]
    Locked(PathBuf),
    /// The system says no.
    #[error("`{directory}`: {source}")]
    Io {
        /// The directory.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Files {
    /// Opens a data directory, made when it is not there, and locks it.
    ///
    /// # Errors
    /// [`FilesError::Locked`] when another process (or another server of this one) has it.
    pub fn open(directory: &Path) -> Result<Self, FilesError> {
        let told = |source| FilesError::Io {
            directory: directory.to_owned(),
            source,
        };
        make_directory(directory).map_err(told)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(directory.join(LOCK))
            .map_err(told)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(FilesError::Locked(directory.to_owned())),
            Err(errno) => return Err(told(errno.into())),
        }
        Ok(Self {
            directory: directory.to_owned(),
            handle: File::open(directory).map_err(told)?,
            _lock: lock,
        })
    }
}

/// Makes a directory and those above it; each is durable in its parent, or a power cut could take the
/// whole log away.
fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let parent = match directory.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    };
    make_directory(parent)?;
    match fs::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => File::open(parent)?.sync_all(),
    }
}

impl Disk for Files {
    type File = File;

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            // A name that is no text is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).read(true).write(true);
        options.open(self.directory.join(name))
    }

    fn open(&self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        options.open(self.directory.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.directory.join(from), self.directory.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.directory.join(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

impl DiskFile for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn allocate(&self, size: u64) -> io::Result<()> {
        match fallocate(self, FallocateFlags::empty(), 0, size) {
            // Then a full disk shows only when the bytes are written, and ends the server.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.set_len(size),
            other => Ok(other?),
        }
    }

    fn cut(&self, size: u64) -> io::Result<()> {
        self.set_len(size)
    }

    fn read_at(&self, to: &mut [u8], at: u64) -> io::Result<usize> {
        FileExt::read_at(self, to, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn forget_cached(&self) {
        // Advice only: without it, a page that the disk refused before a crash could read as written.
        if let Err(errno) = fadvise(self, 0, None, Advice::DontNeed) {
            tracing::debug!(%errno, "the page cache of the log could not be dropped");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_locked_while_it_is_in_use() {
        let root = std::env::temp_dir().join(format!("webfs-files-{}", std::process::id()));
        let directory = root.join("deep/er");
        let first = Files::open(&directory).unwrap();
        assert!(matches!(
            Files::open(&directory),
            Err(FilesError::Locked(_))
        ));
        drop(first);
        let again = Files::open(&directory).unwrap();
        assert_eq!(again.list().unwrap(), [LOCK]);
        drop(again);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_file_in_the_place_of_the_directory_is_told() {
        let path = std::env::temp_dir().join(format!("webfs-file-{}", std::process::id()));
        fs::write(&path, "").unwrap();
        assert!(matches!(Files::open(&path), Err(FilesError::Io { .. })));
        fs::remove_file(path).unwrap();
    }
}
