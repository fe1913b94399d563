//! Who the server is, on its disk: the file `identity`, four lines of text and their checksum.
//!
//! It is written beside itself, synced and renamed, so that a crash leaves the old one or the new one.

use std::io;

use super::disk::{self, Disk, DiskFile};
use crate::letter::{Letter, ServerId, positive, shown};
use crate::server::Identity;

const NAME: &str = "identity";
const BESIDE: &str = "identity.new";
/// The first line: what it is, and the version of this and of all other files beside it.
const FIRST: &str = "webfs-data 1";
/// Longer than any.
const MAX: usize = 256;

/// Why the identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The system says no.
    #[error("the file `identity`: {0}")]
    Io(#[from] io::Error),
    /// It is another program's, or of a later version, or damaged.
    #[error("the file `identity` is not usable: {0}")]
    Bad(String),
    /// It belongs to another server.
    #[error("this data directory belongs to server `{found}`, not to `{wanted}`")]
    Other {
        /// Whose it is.
        found: ServerId,
        /// Who wants it.
        wanted: ServerId,
    },
}

/// Reads the identity; `None` on an empty disk.
///
/// # Errors
/// [`IdentityError::Other`] when it is not `wanted`'s; otherwise when it cannot be read or is damaged.
pub fn read(disk: &impl Disk, wanted: ServerId) -> Result<Option<Identity>, IdentityError> {
    let file = match disk.open(NAME) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let bytes = disk::read(&file, MAX, 0)?;
    let identity = parse(&bytes).map_err(IdentityError::Bad)?;
    let found = identity.letter.id;
    if found == wanted {
        Ok(Some(identity))
    } else {
        Err(IdentityError::Other { found, wanted })
    }
}

/// Writes the identity, durably.
///
/// # Errors
/// As the system says; the old one or the new one is there then.
pub fn write(disk: &impl Disk, identity: Identity) -> Result<(), IdentityError> {
    let file = disk.create(BESIDE)?;
    disk::write_all(&file, spell(identity).as_bytes(), 0)?;
    file.sync()?;
    disk.rename(BESIDE, NAME)?;
    disk.sync_directory()?;
    Ok(())
}

fn spell(identity: Identity) -> String {
    let Identity { letter, start } = identity;
    let text = format!(
        "{FIRST}\nid {}\nletter {letter}\nstart {start}\n",
        letter.id
    );
    let sum = crc32c::crc32c(text.as_bytes());
    format!("{text}crc32c {sum:08x}\n")
}

fn parse(bytes: &[u8]) -> Result<Identity, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no text".to_owned())?;
    let first = text.lines().next().unwrap_or_default();
    if first != FIRST {
        return Err(format!(
            "it begins with `{}`, not with `{FIRST}`",
            shown(first)
        ));
    }
    let value = |key: &str| {
        let found = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        found.ok_or_else(|| format!("it has no line `{key}`"))
    };
    let letter: Letter = value("letter")?.parse().map_err(|e| format!("{e}"))?;
    let start = positive(value("start")?).ok_or("its start is no number")?;
    let identity = Identity { letter, start };
    // One spelling, so comparing with it checks the sum, the id and that nothing else is there.
    if spell(identity) == text {
        Ok(identity)
    } else {
        Err("its checksum does not fit".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::memory::MemoryDisk;

    fn identity(letter: &str, start: u64) -> Identity {
        let letter = letter.parse().unwrap();
        Identity { letter, start }
    }

    #[test]
    fn what_is_written_is_read_again_by_its_own_server_only() {
        let disk = MemoryDisk::default();
        let id: ServerId = "a".parse().unwrap();
        assert!(read(&disk, id).unwrap().is_none());
        write(&disk, identity("a", 1)).unwrap();
        write(&disk, identity("a12", 7)).unwrap();
        disk.power_cut();
        assert_eq!(read(&disk, id).unwrap(), Some(identity("a12", 7)));
        let other = read(&disk, "b".parse().unwrap()).unwrap_err();
        assert!(matches!(other, IdentityError::Other { .. }));
    }

    #[test]
    fn a_power_cut_at_any_call_leaves_the_old_or_the_new_one() {
        for calls in 0.. {
            let disk = MemoryDisk::default();
            let id = "a".parse().unwrap();
            write(&disk, identity("a", 1)).unwrap();
            disk.fail_after(calls);
            let done = write(&disk, identity("a", 2)).is_ok();
            disk.power_cut();
            let found = read(&disk, id).unwrap().unwrap();
            assert!(found == identity("a", 2) || !done && found == identity("a", 1));
            if done {
                return assert!(calls > 4);
            }
        }
    }

    #[test]
    fn any_flipped_byte_is_noticed() {
        let good = spell(identity("a12", 7)).into_bytes();
        assert_eq!(parse(&good), Ok(identity("a12", 7)));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(parse(&bad).is_err(), "{at}");
            assert!(parse(&good[..at]).is_err(), "{at}");
        }
    }
}
