//! What a plugin's library says of itself, and whether this director can live with it.
//!
//! The descriptor is data. [`inspect`] reads it from the file without mapping it, so that a library
//! is judged before any of its code runs (loading one already runs its constructors).

use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use director_abi as abi;
use object::read::ReadCache;
use object::{
    Architecture, Object, ObjectKind, ObjectSegment, ObjectSymbol, RelocationFlags,
    RelocationTarget, elf,
};

/// The longest text in a descriptor that is read.
pub(super) const LONGEST_TEXT: usize = 256;

/// What a plugin says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its file.
    pub path: PathBuf,
    /// Its name.
    pub name: String,
    /// Its version, for people.
    pub version: String,
    /// The SDK that it was built with, for people.
    pub sdk: String,
    /// The target triple that it was built for.
    pub target: String,
    /// The ABI's major version it was built against.
    pub abi_major: u16,
    /// Likewise the minor.
    pub abi_minor: u16,
    /// The lowest minor of a host that it can live with.
    pub min_host_minor: u16,
    /// Its panics unwind, so they can be caught.
    pub panics_unwind: bool,
    /// Its links may serve one client after another.
    pub pooled_links: bool,
}

/// Why a library cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no such file, or it cannot be read.
    #[error("plugin library {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory, a device, ...
    #[error("plugin library {}: not a regular file", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Anyone could change what the director runs.
    #[error(
        "plugin library {}: anyone may write to it (mode {mode:04o}); take that right away with `chmod o-w`",
        path.display()
    )]
    WritableByAll {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Another user could change what the director runs.
    #[error(
        "plugin library {}: owned by user {owner}; it has to be owned by root or by user {user}, who runs the director",
        path.display()
    )]
    ForeignOwner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who runs the director.
        user: u32,
    },
    /// No ELF file, or none of a shared library.
    #[error("{}: not a shared library: {found}", path.display())]
    NotALibrary {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// Built for other hardware.
    #[error("{}: built for {found}, but this director runs on {}", path.display(), std::env::consts::ARCH)]
    OtherMachine {
        /// The file.
        path: PathBuf,
        /// For which.
        found: String,
    },
    /// It exports no descriptor.
    #[error("{}: a shared library, but no director plugin: it does not export `{}`", path.display(), abi::SYMBOL)]
    NoPlugin {
        /// The file.
        path: PathBuf,
    },
    /// A plugin, for another director.
    #[error(
        "{}: a plugin for ABI {found}, but this director speaks ABI {}.{}; build it with a director-sdk of the same major version",
        path.display(), abi::MAJOR, abi::MINOR
    )]
    OtherMajor {
        /// The file.
        path: PathBuf,
        /// Its major version.
        found: u16,
    },
    /// It needs a newer director.
    #[error(
        "{}: it needs a host of ABI {}.{needed} or newer, but this director speaks {}.{}",
        path.display(), abi::MAJOR, abi::MAJOR, abi::MINOR
    )]
    NeedsNewerHost {
        /// The file.
        path: PathBuf,
        /// The lowest minor it can live with.
        needed: u16,
    },
    /// Built for another target.
    #[error("{}: built for `{found}`, but this director for `{}`", path.display(), abi::TARGET)]
    OtherTarget {
        /// The file.
        path: PathBuf,
        /// The triple.
        found: String,
    },
    /// Its first panic would end the director.
    #[error(
        "{}: built with panic=\"abort\", so its first panic would end the director; build it with panic=\"unwind\"",
        path.display()
    )]
    PanicAborts {
        /// The file.
        path: PathBuf,
    },
    /// The descriptor is not one.
    #[error("{}: its descriptor is broken: {found}", path.display())]
    Garbled {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        found: String,
    },
    /// The dynamic linker refused it.
    #[error("{}: the dynamic linker refused it: {found}", path.display())]
    Unlinkable {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// The plugin refused to begin.
    #[error("{}: the plugin refused to begin: {found}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// A function that every plugin has is missing.
    #[error("{}: the plugin lacks the function `{function}`", path.display())]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// Its name.
        function: &'static str,
    },
}

impl Description {
    /// Whether this director can live with it.
    ///
    /// # Errors
    ///
    /// The first thing that it cannot live with.
    pub fn check(&self) -> Result<(), LoadError> {
        let path = || self.path.clone();
        if self.abi_major != abi::MAJOR {
            let found = self.abi_major;
            return Err(LoadError::OtherMajor {
                path: path(),
                found,
            });
        }
        if self.min_host_minor > abi::MINOR {
            let needed = self.min_host_minor;
            return Err(LoadError::NeedsNewerHost {
                path: path(),
                needed,
            });
        }
        if self.target != abi::TARGET {
            let found = self.target.clone();
            return Err(LoadError::OtherTarget {
                path: path(),
                found,
            });
        }
        if !self.panics_unwind {
            return Err(LoadError::PanicAborts { path: path() });
        }
        if self.name.is_empty() {
            let found = "it has no name".to_owned();
            return Err(LoadError::Garbled {
                path: path(),
                found,
            });
        }
        Ok(())
    }
}

/// Judges a library's file: whoever may write to it runs code in the director.
///
/// # Errors
///
/// [`LoadError`] when it is missing, no regular file, or another's to change.
pub(super) fn check_file(path: &Path) -> Result<File, LoadError> {
    let unreadable = |source| LoadError::Unreadable {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let told = file.metadata().map_err(unreadable)?;
    if !told.is_file() {
        return Err(LoadError::NotAFile { path: path.into() });
    }
    let mode = told.mode() & 0o7777;
    if mode & 0o002 != 0 {
        return Err(LoadError::WritableByAll {
            path: path.into(),
            mode,
        });
    }
    let (owner, user) = (told.uid(), rustix::process::geteuid().as_raw());
    if owner != 0 && owner != user {
        return Err(LoadError::ForeignOwner {
            path: path.into(),
            owner,
            user,
        });
    }
    if mode & 0o020 != 0 {
        tracing::warn!(
            path = %path.display(),
            group = told.gid(),
            "the plugin library's group may write to it, and so change what the director runs"
        );
    }
    Ok(file)
}

/// Reads what a plugin says of itself, running none of its code. What it says may well be that this
/// director cannot live with it: [`Description::check`].
///
/// # Errors
///
/// [`LoadError`] when the file is not to be trusted, no library, no plugin, or one of another major
/// version.
pub fn inspect(path: &Path) -> Result<Description, LoadError> {
    let file = check_file(path)?;
    let cache = ReadCache::new(file);
    let not_a_library = |found: String| LoadError::NotALibrary {
        path: path.into(),
        found,
    };
    let elf = object::File::parse(&cache).map_err(|error| not_a_library(error.to_string()))?;
    if elf.kind() != ObjectKind::Dynamic {
        return Err(not_a_library(format!(
            "an ELF file of kind {:?}",
            elf.kind()
        )));
    }
    let ours = match std::env::consts::ARCH {
        "x86_64" => Architecture::X86_64,
        "aarch64" => Architecture::Aarch64,
        _riscv64 => Architecture::Riscv64,
    };
    if elf.architecture() != ours || !elf.is_64() {
        return Err(LoadError::OtherMachine {
            path: path.into(),
            found: format!("{:?}", elf.architecture()),
        });
    }
    let image = Image { path, elf: &elf };
    let at = image.symbol()?;
    image.describe(at)
}

struct Image<'a, 'data> {
    path: &'a Path,
    elf: &'a object::File<'data, &'data ReadCache<File>>,
}

impl Image<'_, '_> {
    /// Where the descriptor is, as the library counts addresses.
    fn symbol(&self) -> Result<u64, LoadError> {
        let mut other = None;
        for symbol in self.elf.dynamic_symbols() {
            let (true, Ok(name)) = (symbol.is_definition(), symbol.name()) else {
                continue;
            };
            if name == abi::SYMBOL {
                return Ok(symbol.address());
            }
            let major = name.strip_prefix("director_plugin_v");
            other = other.or(major.and_then(|major| major.parse().ok()));
        }
        let path = self.path.into();
        Err(match other {
            Some(found) => LoadError::OtherMajor { path, found },
            None => LoadError::NoPlugin { path },
        })
    }

    fn describe(&self, at: u64) -> Result<Description, LoadError> {
        let size = self.number::<8>(at, offset_of!(abi::Descriptor, size))?;
        // No version of the descriptor is shorter than the first, nor will one be this long.
        if size < size_of::<abi::Descriptor>() as u64 || size > 64 * 1024 {
            return Err(self.garbled(format!("{size} bytes long")));
        }
        let magic = self.read(self.plus(at, offset_of!(abi::Descriptor, magic))?, 8)?;
        if magic != abi::MAGIC {
            return Err(self.garbled(format!("it begins with {}", magic.escape_ascii())));
        }
        let flags = self.number::<4>(at, offset_of!(abi::Descriptor, flags))? as u32;
        Ok(Description {
            path: self.path.into(),
            name: self.text(at, offset_of!(abi::Descriptor, name))?,
            version: self.text(at, offset_of!(abi::Descriptor, version))?,
            sdk: self.text(at, offset_of!(abi::Descriptor, sdk))?,
            target: self.text(at, offset_of!(abi::Descriptor, target))?,
            abi_major: self.number::<2>(at, offset_of!(abi::Descriptor, abi_major))? as u16,
            abi_minor: self.number::<2>(at, offset_of!(abi::Descriptor, abi_minor))? as u16,
            min_host_minor: self.number::<2>(at, offset_of!(abi::Descriptor, min_host_minor))?
                as u16,
            panics_unwind: flags & abi::Descriptor::PANIC_UNWIND != 0,
            pooled_links: flags & abi::Descriptor::POOLED_LINKS != 0,
        })
    }

    fn garbled(&self, found: String) -> LoadError {
        LoadError::Garbled {
            path: self.path.into(),
            found,
        }
    }

    /// An address in the file is what the file says it is: it may lie anywhere.
    fn plus(&self, at: u64, offset: usize) -> Result<u64, LoadError> {
        at.checked_add(offset as u64)
            .ok_or_else(|| self.garbled(format!("it is at {at:#x}")))
    }

    fn read(&self, at: u64, len: u64) -> Result<&[u8], LoadError> {
        self.elf
            .segments()
            .find_map(|segment| segment.data_range(at, len).ok().flatten())
            .ok_or_else(|| self.garbled(format!("{len} bytes at {at:#x} are not in the file")))
    }

    /// A little-endian number of `N` bytes.
    fn number<const N: usize>(&self, at: u64, offset: usize) -> Result<u64, LoadError> {
        let mut wide = [0; 8];
        let read = self.read(self.plus(at, offset)?, N as u64)?;
        for (to, from) in wide.iter_mut().zip(read) {
            *to = *from;
        }
        Ok(u64::from_le_bytes(wide))
    }

    fn text(&self, at: u64, offset: usize) -> Result<String, LoadError> {
        let len = self.number::<8>(at, offset + offset_of!(abi::Bytes, len))?;
        if len == 0 {
            return Ok(String::new());
        }
        let ptr = self.pointer(self.plus(at, offset + offset_of!(abi::Bytes, ptr))?)?;
        let read = self.read(ptr, len.min(LONGEST_TEXT as u64))?;
        Ok(String::from_utf8_lossy(read).into_owned())
    }

    /// What a pointer in the file's data will point to, as the library counts addresses: the dynamic
    /// linker has not been there yet.
    fn pointer(&self, at: u64) -> Result<u64, LoadError> {
        let relocation = self
            .elf
            .dynamic_relocations()
            .and_then(|mut all| all.find(|(place, _)| *place == at));
        let Some((_, relocation)) = relocation else {
            // Packed relative relocations keep the address in place.
            return self.number::<8>(at, 0);
        };
        let addend = relocation.addend();
        let base = match (relocation.target(), relocation.flags()) {
            (RelocationTarget::Symbol(index), _) => self
                .elf
                .dynamic_symbol_table()
                .and_then(|table| object::ObjectSymbolTable::symbol_by_index(&table, index).ok())
                .map(|symbol| symbol.address()),
            (
                _,
                RelocationFlags::Elf {
                    r_type: elf::R_X86_64_RELATIVE | elf::R_AARCH64_RELATIVE | elf::R_RISCV_RELATIVE,
                },
            ) => Some(0),
            _ => None,
        };
        base.map(|base| base.wrapping_add_signed(addend))
            .ok_or_else(|| self.garbled(format!("a pointer at {at:#x} that cannot be followed")))
    }
}
