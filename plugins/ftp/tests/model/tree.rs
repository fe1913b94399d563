//! The files of a server, or of several that share their storage. Pure.

use std::collections::BTreeMap;
use std::fmt;

/// The time that files have which a client has stored: the model's clock stands still, so that a
/// transcript does not depend on when a fault struck.
pub const STORED: &[u8] = b"20260203040506";
/// The time of files that were there from the beginning.
pub const BEGUN: &[u8] = b"20260105120000";

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Directory,
    File { bytes: Vec<u8>, modified: Vec<u8> },
}

/// Why an operation was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum No {
    Missing,
    Exists,
    NotEmpty,
    IsDirectory,
    NotDirectory,
}

impl No {
    /// As the C library says it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Missing => "No such file or directory",
            Self::Exists => "File exists",
            Self::NotEmpty => "Directory not empty",
            Self::IsDirectory => "Is a directory",
            Self::NotDirectory => "Not a directory",
        }
    }
}

/// A tree of files; keys are absolute paths without a slash at the end, but for the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree(BTreeMap<Vec<u8>, Entry>);

impl Default for Tree {
    fn default() -> Self {
        Self(BTreeMap::from([(b"/".to_vec(), Entry::Directory)]))
    }
}

/// `path` as it is meant in the directory `cwd`: absolute, without `.`, `..` and double slashes.
pub fn absolute(cwd: &[u8], path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    let base: &[u8] = if path.first() == Some(&b'/') {
        b""
    } else {
        cwd
    };
    for part in base.split(|b| *b == b'/').chain(path.split(|b| *b == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    let mut whole = b"/".to_vec();
    whole.extend(parts.join(&b'/'));
    whole
}

/// The directory that a path stands in.
pub fn parent(path: &[u8]) -> Vec<u8> {
    absolute(path, b"..")
}

/// A path's last part.
pub fn name(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or_default()
}

/// Every path with what stands there, a line each.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, entry) in &self.0 {
            let path = String::from_utf8_lossy(path);
            match entry {
                Entry::Directory => writeln!(f, "{path}/")?,
                Entry::File { bytes, .. } => {
                    writeln!(f, "{path} {} {:08x}", bytes.len(), crc32(bytes))?
                }
            }
        }
        Ok(())
    }
}

impl Tree {
    /// Puts a file there, with the directories above it.
    pub fn put(&mut self, path: &str, bytes: impl Into<Vec<u8>>, modified: &[u8]) {
        let path = absolute(b"/", path.as_bytes());
        let mut above = parent(&path);
        while !self.0.contains_key(&above) {
            self.0.insert(above.clone(), Entry::Directory);
            above = parent(&above);
        }
        let file = Entry::File {
            bytes: bytes.into(),
            modified: modified.to_vec(),
        };
        self.0.insert(path, file);
    }

    pub fn get(&self, path: &[u8]) -> Option<&Entry> {
        self.0.get(path)
    }

    /// A file's bytes and time.
    pub fn file(&self, path: &[u8]) -> Result<(&[u8], &[u8]), No> {
        match self.0.get(path) {
            Some(Entry::File { bytes, modified }) => Ok((bytes, modified)),
            Some(Entry::Directory) => Err(No::IsDirectory),
            None => Err(No::Missing),
        }
    }

    pub fn directory(&self, path: &[u8]) -> Result<(), No> {
        match self.0.get(path) {
            Some(Entry::Directory) => Ok(()),
            Some(Entry::File { .. }) => Err(No::NotDirectory),
            None => Err(No::Missing),
        }
    }

    /// What stands in a directory, by name.
    pub fn children(&self, directory: &[u8]) -> impl Iterator<Item = (&[u8], &Entry)> {
        self.0
            .iter()
            .filter(move |(path, _)| path.len() > 1 && parent(path) == directory)
            .map(|(path, entry)| (path.as_slice(), entry))
    }

    /// Every file with its bytes.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let files = self.0.iter().filter_map(|(path, entry)| match entry {
            Entry::File { bytes, .. } => {
                Some((String::from_utf8_lossy(path).into_owned(), bytes.clone()))
            }
            Entry::Directory => None,
        });
        files.collect()
    }

    pub fn make_directory(&mut self, path: &[u8]) -> Result<(), No> {
        self.free(path)?;
        self.0.insert(path.to_vec(), Entry::Directory);
        Ok(())
    }

    fn free(&self, path: &[u8]) -> Result<(), No> {
        if self.0.contains_key(path) {
            return Err(No::Exists);
        }
        self.directory(&parent(path))
    }

    pub fn remove_directory(&mut self, path: &[u8]) -> Result<(), No> {
        self.directory(path)?;
        if path == b"/" || self.children(path).next().is_some() {
            return Err(No::NotEmpty);
        }
        self.0.remove(path);
        Ok(())
    }

    pub fn delete(&mut self, path: &[u8]) -> Result<(), No> {
        self.file(path)?;
        self.0.remove(path);
        Ok(())
    }

    /// As rename(2): a file takes the place of a file.
    pub fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), No> {
        let moved = self.0.get(from).ok_or(No::Missing)?.clone();
        self.directory(&parent(to))?;
        if let Some(Entry::Directory) = self.0.get(to) {
            return Err(No::Exists);
        }
        let below = [from, b"/"].concat();
        let inside: Vec<Vec<u8>> = self
            .0
            .keys()
            .filter(|path| path.starts_with(&below))
            .cloned()
            .collect();
        self.0.remove(from);
        self.0.insert(to.to_vec(), moved);
        for path in inside {
            if let Some(entry) = self.0.remove(&path) {
                self.0
                    .insert([to, b"/", &path[below.len()..]].concat(), entry);
            }
        }
        Ok(())
    }

    /// Opens a file to be written from `at` on: made if it is not there, emptied when `at` is 0, and
    /// filled with zeros up to `at` when it is shorter, as vsftpd does it.
    pub fn open(&mut self, path: &[u8], at: usize) -> Result<(), No> {
        match self.0.get_mut(path) {
            Some(Entry::Directory) => return Err(No::IsDirectory),
            Some(Entry::File { bytes, .. }) => {
                if at == 0 {
                    bytes.clear();
                } else if bytes.len() < at {
                    bytes.resize(at, 0);
                }
            }
            None => {
                self.directory(&parent(path))?;
                let file = Entry::File {
                    bytes: vec![0; at],
                    modified: STORED.to_vec(),
                };
                self.0.insert(path.to_vec(), file);
            }
        }
        Ok(())
    }

    /// Writes into an open file, over what is there. A file that is gone takes nothing.
    pub fn write(&mut self, path: &[u8], at: usize, piece: &[u8]) {
        if let Some(Entry::File { bytes, modified }) = self.0.get_mut(path) {
            let over = bytes.len().min(at + piece.len());
            if at < over {
                bytes.splice(at..over, piece.iter().copied());
            } else {
                bytes.extend_from_slice(piece);
            }
            *modified = STORED.to_vec();
        }
    }

    pub fn set_modified(&mut self, path: &[u8], time: &[u8]) -> Result<(), No> {
        match self.0.get_mut(path) {
            Some(Entry::File { modified, .. }) => {
                *modified = time.to_vec();
                Ok(())
            }
            Some(Entry::Directory) => Err(No::IsDirectory),
            None => Err(No::Missing),
        }
    }
}

/// A file's CRC-32 (IEEE 802.3), bit by bit: the model's files are small.
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

/// A file's SHA-256, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that do not repeat, different for each `seed`.
pub fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Lines of text with `\n` at their ends, as a Unix server keeps them; at least `length` bytes.
pub fn lines(seed: u64, length: usize) -> Vec<u8> {
    let mut text = Vec::new();
    for (n, byte) in content(seed, length).into_iter().enumerate() {
        if text.len() >= length {
            break;
        }
        text.extend(format!("line {n} says {byte}\n").into_bytes());
    }
    text
}
