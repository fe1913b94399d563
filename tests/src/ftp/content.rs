//! Files to serve: bytes that no two places of a file share, and folders that servers may write to.

use std::fs::File;
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::ftp::config::OWNER;

/// `size` bytes that depend on `seed` alone (xorshift64*), without a period that a splice could hit.
#[must_use]
pub fn bytes(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Makes a folder that the account may write to.
///
/// # Errors
/// When it cannot be made, or given away (which takes root).
pub fn folder(path: &Path) -> io::Result<PathBuf> {
    std::fs::create_dir_all(path)?;
    chown(path, Some(OWNER), Some(OWNER))?;
    Ok(path.to_path_buf())
}

/// Writes a file of the account's, with a time of last change that mirrors share.
///
/// # Errors
/// When it cannot be written or given away.
pub fn file(path: &Path, content: &[u8]) -> io::Result<()> {
    std::fs::write(path, content)?;
    aged(path, 1_700_000_000)
}

/// Gives the file to the account and sets its time of last change, in seconds since 1970.
///
/// # Errors
/// When either cannot be done.
pub fn aged(path: &Path, seconds: u64) -> io::Result<()> {
    chown(path, Some(OWNER), Some(OWNER))?;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    File::options().write(true).open(path)?.set_modified(time)
}

#[cfg(test)]
mod tests {
    #[test]
    fn seeds_give_different_bytes_and_the_same_each_time() {
        let one = super::bytes(1, 100_003);
        assert_eq!(one.len(), 100_003);
        assert_eq!(one, super::bytes(1, 100_003));
        assert_ne!(one[..1000], super::bytes(2, 1000));
        assert_ne!(one[..1000], one[64_000..65_000]);
    }
}
