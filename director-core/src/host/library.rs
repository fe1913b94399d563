//! A plugin's library, mapped: its functions, and what its codes mean.
//!
//! Loaded with `RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE` and never unloaded: a Rust library leaves
//! destructors and thread-locals behind that would run in unmapped code.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::error::Error;
use std::ffi::c_void;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use director_abi as abi;
use director_recovery::Kind;
use libloading::os::unix::{Library as Mapped, RTLD_LOCAL, RTLD_NOW};

use super::api;
use super::description::{Description, LONGEST_TEXT, LoadError, inspect};
use super::layout::{adopt, take_text, text};

/// As glibc and musl have it; libloading does not name it.
const RTLD_NODELETE: std::ffi::c_int = 0x1000;
/// Rows of a failure table that are read.
const MOST_FAILURES: usize = 4096;
/// The longest message of a plugin that is kept, in bytes.
pub(super) const LONGEST_MESSAGE: usize = 4096;

/// Descriptors whose plugin has begun, by address: `init` is called once for each.
static BEGUN: Mutex<Option<HashMap<usize, Arc<Plugin>>>> = Mutex::new(None);

/// A plugin's library, loaded and begun. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Library {
    pub(super) plugin: Arc<Plugin>,
}

/// What the host keeps of a plugin.
#[derive(Debug)]
pub(super) struct Plugin {
    pub(super) description: Description,
    pub(super) functions: Functions,
    failures: Vec<Meaning>,
}

/// A plugin's functions, all there.
#[derive(Debug)]
pub(super) struct Functions {
    pub(super) create:
        unsafe extern "C" fn(abi::Bytes, *const abi::InstanceInfo, *mut abi::Owned) -> *mut c_void,
    pub(super) destroy: unsafe extern "C" fn(*mut c_void) -> u32,
    pub(super) serve: unsafe extern "C" fn(*mut c_void, u64, *const abi::ClientInfo) -> abi::Future,
    pub(super) probe: NodeTask,
    pub(super) watch: NodeTask,
    pub(super) run: unsafe extern "C" fn(*mut c_void, u64) -> abi::Future,
}

pub(super) type NodeTask =
    unsafe extern "C" fn(*mut c_void, u64, u64, *const abi::NodeInfo) -> abi::Future;

#[derive(Debug, Clone, Copy)]
struct Meaning {
    first: u32,
    last: u32,
    kind: Kind,
}

impl Library {
    /// Loads the library at `path` and begins its plugin. A library that was loaded before is not
    /// begun again.
    ///
    /// # Errors
    ///
    /// [`LoadError`]; until the dynamic linker has its turn, none of the library's code has run.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        inspect(path)?.check()?;
        let unlinkable = |found: String| LoadError::Unlinkable {
            path: path.into(),
            found,
        };
        // SAFETY: loading runs the library's constructors. It was judged to be a plugin that only
        // root or the user may change, and plugins are trusted as the director is.
        let mapped = unsafe { Mapped::open(Some(path), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) }
            .map_err(|error| unlinkable(said(&error)))?;
        // SAFETY: the symbol is data of at least the descriptor's size, as `inspect` has seen.
        let descriptor = unsafe { mapped.get::<*const abi::Descriptor>(abi::SYMBOL.as_bytes()) }
            .map(|symbol| symbol.into_raw().cast_const().cast::<abi::Descriptor>())
            .map_err(|error| unlinkable(said(&error)));
        // Never unmapped, also when it turns out to be of no use.
        std::mem::forget(mapped);
        // SAFETY: the descriptor stays where it is for ever.
        unsafe { Self::begin(descriptor?, path) }
    }

    /// What the plugin says of itself.
    #[must_use]
    pub fn describe(&self) -> &Description {
        &self.plugin.description
    }

    /// Begins the plugin of a descriptor in memory.
    ///
    /// # Safety
    ///
    /// `descriptor` and all that it points to are as the ABI says, for ever.
    pub(super) unsafe fn begin(
        descriptor: *const abi::Descriptor,
        path: &Path,
    ) -> Result<Self, LoadError> {
        let mut begun = BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = begun.get_or_insert_default();
        if let Some(plugin) = begun.get(&descriptor.addr()) {
            return Ok(Self {
                plugin: Arc::clone(plugin),
            });
        }
        // SAFETY: handed on.
        let plugin = Arc::new(unsafe { Plugin::begin(descriptor, path) }?);
        begun.insert(descriptor.addr(), Arc::clone(&plugin));
        Ok(Self { plugin })
    }
}

/// libloading says only that `dlopen` failed; why is in its source.
fn said(error: &libloading::Error) -> String {
    error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

impl Plugin {
    unsafe fn begin(descriptor: *const abi::Descriptor, path: &Path) -> Result<Self, LoadError> {
        let garbled = |found: &str| LoadError::Garbled {
            path: path.into(),
            found: found.to_owned(),
        };
        // SAFETY: by the contract it is as long as it says.
        let descriptor = unsafe { adopt(descriptor) }.ok_or_else(|| garbled("it is null"))?;
        if descriptor.size < <abi::Descriptor as abi::Table>::SIZE_1_0 {
            return Err(garbled("it is too short"));
        }
        if descriptor.magic != abi::MAGIC {
            return Err(garbled("it does not begin with its magic"));
        }
        // SAFETY: by the contract.
        let description = unsafe { describe(&descriptor, path) };
        description.check()?;
        let init = descriptor.init.ok_or(LoadError::Incomplete {
            path: path.into(),
            function: "init",
        })?;
        let mut error = abi::Owned::EMPTY;
        // SAFETY: the plugin's own function, called once for this descriptor, with the host's table,
        // which is static.
        let functions = unsafe { init(&raw const api::HOST, &raw mut error) };
        // SAFETY: what `init` wrote, or nothing.
        let found = unsafe { take_text(&mut error, LONGEST_MESSAGE) };
        // SAFETY: null, or the plugin's table.
        let Some(table) = (unsafe { adopt(functions) }) else {
            return Err(LoadError::Refused {
                path: path.into(),
                found: if found.is_empty() {
                    "it does not say why".to_owned()
                } else {
                    found
                },
            });
        };
        let (functions, failures) = Functions::check(&table, path)?;
        // SAFETY: the plugin's own function; its table is valid for ever.
        let failures = unsafe { meanings(failures()) }.map_err(|found| garbled(&found))?;
        Ok(Self {
            description,
            functions,
            failures,
        })
    }

    /// What a protocol's code means, as the plugin's table has it.
    pub(super) fn meaning(&self, code: u32) -> Option<Kind> {
        self.failures
            .iter()
            .find(|row| (row.first..=row.last).contains(&code))
            .map(|row| row.kind)
    }
}

unsafe fn describe(descriptor: &abi::Descriptor, path: &Path) -> Description {
    // SAFETY: the descriptor's texts are valid for ever.
    let text = |bytes| unsafe { text(bytes, LONGEST_TEXT) };
    Description {
        path: path.into(),
        name: text(descriptor.name),
        version: text(descriptor.version),
        sdk: text(descriptor.sdk),
        target: text(descriptor.target),
        abi_major: descriptor.abi_major,
        abi_minor: descriptor.abi_minor,
        min_host_minor: descriptor.min_host_minor,
        panics_unwind: descriptor.flags & abi::Descriptor::PANIC_UNWIND != 0,
        pooled_links: descriptor.flags & abi::Descriptor::POOLED_LINKS != 0,
    }
}

type Failures = unsafe extern "C" fn() -> abi::FailureTable;

impl Functions {
    fn check(table: &abi::PluginApi, path: &Path) -> Result<(Self, Failures), LoadError> {
        let lacks = |function| LoadError::Incomplete {
            path: path.into(),
            function,
        };
        let functions = Self {
            create: table.create.ok_or_else(|| lacks("create"))?,
            destroy: table.destroy.ok_or_else(|| lacks("destroy"))?,
            serve: table.serve.ok_or_else(|| lacks("serve"))?,
            probe: table.probe.ok_or_else(|| lacks("probe"))?,
            watch: table.watch.ok_or_else(|| lacks("watch"))?,
            run: table.run.ok_or_else(|| lacks("run"))?,
        };
        Ok((functions, table.failures.ok_or_else(|| lacks("failures"))?))
    }
}

unsafe fn meanings(table: abi::FailureTable) -> Result<Vec<Meaning>, String> {
    if table.len > MOST_FAILURES {
        return Err(format!("its failure table has {} rows", table.len));
    }
    if table.rows.is_null() || table.len == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the table is valid for ever, and no longer than was checked.
    let rows = unsafe { std::slice::from_raw_parts(table.rows, table.len) };
    rows.iter()
        .map(|row| {
            let kind = Kind::from_code(row.kind).ok_or_else(|| {
                let abi::FailureRow { first, last, kind } = *row;
                format!("its failure codes {first} to {last} mean {kind}, which is no kind")
            })?;
            Ok(Meaning {
                first: row.first,
                last: row.last,
                kind,
            })
        })
        .collect()
}
