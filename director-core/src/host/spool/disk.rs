//! A spool's file: without a name, so that nothing of it outlives the process, however it ends.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::BLOCK;
use crate::host::tables::{Counted, Live};

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A spool's file, made with the first write. Its functions block.
#[derive(Debug)]
pub(super) struct Disk {
    dir: PathBuf,
    file: OnceLock<(File, Counted)>,
}

impl Disk {
    pub(super) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            file: OnceLock::new(),
        }
    }

    /// # Errors
    ///
    /// That of making the file or of writing.
    pub(super) fn write(&self, slot: u32, bytes: &[u8]) -> io::Result<()> {
        let file = match self.file.get() {
            Some((file, _live)) => file,
            None => {
                let file = open(&self.dir)?;
                let counted = Counted::new(Live::SpoolFile);
                // One write at a time: nobody else has made one meanwhile.
                &self.file.get_or_init(|| (file, counted)).0
            }
        };
        file.write_all_at(bytes, place_of(slot))
    }

    /// # Errors
    ///
    /// That of reading; `UnexpectedEof` when nothing was written there.
    pub(super) fn read(&self, slot: u32, len: usize) -> io::Result<Vec<u8>> {
        let Some((file, _live)) = self.file.get() else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, place_of(slot))?;
        Ok(bytes)
    }
}

impl Drop for Disk {
    /// Freeing the blocks of a large file takes its time, and no session waits for another's disk.
    fn drop(&mut self) {
        let Some(file) = self.file.take() else {
            return;
        };
        match tokio::runtime::Handle::try_current() {
            // Nothing comes of it, so nobody joins it; the runtime's end waits for it.
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(file))),
            Err(_no_runtime) => drop(file),
        }
    }
}

fn place_of(slot: u32) -> u64 {
    u64::from(slot) * BLOCK
}

/// A file without a name in `dir`, which is made when it is not there.
fn open(dir: &Path) -> io::Result<File> {
    fs::create_dir_all(dir)?;
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(dir, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(File::from(file)),
        // Not on every file system (open(2)).
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => open_and_unlink(dir),
        Err(error) => Err(error.into()),
    }
}

fn open_and_unlink(dir: &Path) -> io::Result<File> {
    let nth = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = dir.join(format!("spool.{}.{nth}", std::process::id()));
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_no_name_is_left() {
        let dir = std::env::temp_dir().join(format!("director-spool-{}", std::process::id()));
        for open in [open, open_and_unlink] {
            fs::create_dir_all(&dir).unwrap();
            let file = open(&dir).unwrap();
            file.write_all_at(b"bytes", 7).unwrap();
            let mut read = [0; 5];
            file.read_exact_at(&mut read, 7).unwrap();
            assert_eq!(&read, b"bytes");
            assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        }
        let disk = Disk::new(&dir.join("in/it"));
        assert!(disk.read(0, 1).is_err());
        disk.write(1, b"later").unwrap();
        assert_eq!(disk.read(1, 5).unwrap(), b"later");
        fs::remove_dir_all(&dir).unwrap();
    }
}
