//! The state directory: made, and taken by one director at a time.

use std::fs::{DirBuilder, File};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Somebody else uses it.
    #[error(
        "another director{} uses {path}; stop it, or give this one another --state-dir",
        pid_text(.pid)
    )]
    Taken {
        /// The directory.
        path: PathBuf,
        /// The other's process, if it has said so.
        pid: Option<u32>,
    },
    /// It cannot be made or written to.
    #[error("the state directory {path} cannot be used: {source}")]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

fn pid_text(pid: &Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

/// The directory is ours while this lives, and no longer than our process.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Makes the directory, for this user alone, and takes it.
pub(super) fn take(path: &Path) -> Result<Lock, StateError> {
    let unusable = |source| StateError::Unusable {
        path: path.to_owned(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(unusable)?;
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path.join("lock"))
        .map_err(unusable)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut pid = String::new();
            let read = file.read_to_string(&mut pid);
            return Err(StateError::Taken {
                path: path.to_owned(),
                pid: read.ok().and_then(|_| pid.trim().parse().ok()),
            });
        }
        Err(error) => return Err(unusable(error.into())),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(unusable)?;
    Ok(Lock { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_the_other_is_told_whose_it_is() {
        let name = format!(
            "director-state-{}-{:x}",
            std::process::id(),
            crate::chance::number()
        );
        let path = std::env::temp_dir().join(name).join("deep");
        let lock = take(&path).unwrap();
        let told = take(&path).unwrap_err().to_string();
        let wanted = format!(
            "another director (pid {}) uses {}; ",
            std::process::id(),
            path.display()
        );
        assert!(told.starts_with(&wanted), "{told}");
        drop(lock);
        let _again = take(&path).unwrap();
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}
