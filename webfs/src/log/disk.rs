//! What the log needs of a disk: one directory of files.
//!
//! In production it is [`super::files::Files`]; tests put one in its place that fails, lies, writes short
//! and forgets. Calls block, and are made from the disk's own thread only (reading back apart).

use std::io;

/// One directory.
pub trait Disk: Send + Sync + 'static {
    /// An open file of it.
    type File: DiskFile;

    /// Names of the files in it, in any order.
    ///
    /// # Errors
    /// As the system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes a file, or empties the one that is there. It is in the directory for good only after
    /// [`Disk::sync_directory`].
    ///
    /// # Errors
    /// As the system says.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file to read and write.
    ///
    /// # Errors
    /// `NotFound` when it is not there; otherwise as the system says.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Gives a file another name, in the place of whatever had it.
    ///
    /// # Errors
    /// As the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Returns once what was created, renamed and removed outlives a power cut.
    ///
    /// # Errors
    /// As the system says; then nothing is known about the directory.
    fn sync_directory(&self) -> io::Result<()>;
}

/// One open file.
pub trait DiskFile: Send + Sync + 'static {
    /// Its length in bytes.
    ///
    /// # Errors
    /// As the system says.
    fn size(&self) -> io::Result<u64>;

    /// Makes it this long and sets the bytes aside on the disk, as zeros. Shorter files only.
    ///
    /// # Errors
    /// `StorageFull` when they are not to be had; then the file may have any length.
    fn allocate(&self, size: u64) -> io::Result<()>;

    /// Cuts it to this length.
    ///
    /// # Errors
    /// As the system says.
    fn cut(&self, size: u64) -> io::Result<()>;

    /// Reads at an offset; fewer bytes than asked for come at the end of the file, or at any time.
    ///
    /// # Errors
    /// As the system says.
    fn read_at(&self, to: &mut [u8], at: u64) -> io::Result<usize>;

    /// Writes at an offset, perhaps fewer bytes than asked for.
    ///
    /// # Errors
    /// As the system says; then the file may hold any mixture of old and new bytes.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize>;

    /// Returns once what was written, and the length, outlive a power cut.
    ///
    /// # Errors
    /// As the system says. What was written since the last success is then lost or not, and a second
    /// call would succeed all the same: never try again.
    fn sync(&self) -> io::Result<()>;

    /// Asks the system to forget what it has in memory of this file, so that reads show the disk.
    fn forget_cached(&self);
}

/// Writes all of it, however short the single writes are.
pub(super) fn write_all(file: &impl DiskFile, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = bytes.get(written..).unwrap_or_default();
                at += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads up to `len` bytes; fewer only at the end of the file.
pub(super) fn read(file: &impl DiskFile, len: usize, at: u64) -> io::Result<Vec<u8>> {
    let left = file.size()?.saturating_sub(at);
    let mut bytes = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(len)];
    let mut done = 0;
    while done < bytes.len() {
        let rest = bytes.get_mut(done..).unwrap_or_default();
        match file.read_at(rest, at + done as u64) {
            Ok(0) => break,
            Ok(more) => done += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}
