//! A plugin's functions, as a host calls them.

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ptr;
use std::task::Waker;

use director_abi as abi;
use director_abi::{Bytes, NodeInfo, Owned, PluginApi};

use super::functions::API;
use super::wakers::OURS;
use crate::glue::Exported;
use crate::glue::layout::{adopt, take};
use crate::protocol::{ConfigMistake, Protocol};

/// A plugin's state on a link, which the kit keeps.
pub(in crate::testing) struct LinkState {
    pointer: *mut c_void,
    free: Option<unsafe extern "C" fn(link: *mut c_void) -> u32>,
}

impl LinkState {
    pub(super) fn new(
        pointer: *mut c_void,
        free: Option<unsafe extern "C" fn(link: *mut c_void) -> u32>,
    ) -> Self {
        Self { pointer, free }
    }

    pub(in crate::testing) fn pointer(&self) -> *mut c_void {
        self.pointer
    }

    /// Frees it in the plugin; whether that went without a panic.
    pub(in crate::testing) fn release(self) -> bool {
        match self.free {
            // SAFETY: the plugin's own function for its own pointer, called once: `self` is gone.
            Some(free) => unsafe { free(self.pointer) == abi::READY },
            None => true,
        }
    }
}

/// A plugin's functions, and an instance of it.
pub(in crate::testing) struct Plugin {
    api: &'static PluginApi,
    instance: *mut c_void,
}

/// How a poll of a plugin's task went.
pub(in crate::testing) enum Polled {
    Pending,
    Ended {
        kind: u32,
        code: u32,
        detail: String,
        load: f64,
    },
    Panicked,
}

impl Plugin {
    /// Makes an instance of a protocol, through the same functions as a loaded library's.
    ///
    /// # Errors
    ///
    /// The mistakes in its options.
    ///
    /// # Panics
    ///
    /// When the plugin refuses the kit as a host, or says its mistakes in no known form.
    pub(in crate::testing) fn create<P: Protocol>(
        options: &str,
        state_dir: &str,
        certificate: Option<bool>,
    ) -> Result<(Self, bool), Vec<ConfigMistake>> {
        let exported = Exported::new::<P>("0.0.0");
        // SAFETY: the descriptor is the SDK's own.
        unsafe { Self::load(exported.descriptor(), options, state_dir, certificate) }
    }

    /// Makes an instance of whatever plugin has this descriptor.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    ///
    /// # Panics
    ///
    /// As [`create`](Self::create).
    ///
    /// # Safety
    ///
    /// The descriptor is one of ABI 1.0, and its functions do what [`director_abi`] says.
    pub(in crate::testing) unsafe fn load(
        descriptor: &abi::Descriptor,
        options: &str,
        state_dir: &str,
        certificate: Option<bool>,
    ) -> Result<(Self, bool), Vec<ConfigMistake>> {
        let pooled = descriptor.flags & abi::Descriptor::POOLED_LINKS != 0;
        let mut error = Owned::EMPTY;
        let init = descriptor.init.map(|init| {
            // SAFETY: the functions of the kit are there for ever.
            unsafe { init(&API, &mut error) }
        });
        // SAFETY: `init` returns functions that are there for ever, or null.
        let api = init.and_then(|api| unsafe { api.as_ref() });
        let Some(api) = api else {
            // SAFETY: written by `init`.
            panic!("the plugin refuses the kit: {}", unsafe { take(error) });
        };
        let info = abi::InstanceInfo {
            // A host that does not say is one whose struct ends before the flags.
            size: match certificate {
                Some(_) => size_of::<abi::InstanceInfo>(),
                None => std::mem::offset_of!(abi::InstanceInfo, flags),
            },
            instance: 1,
            service: Bytes::lend(b"test"),
            state_dir: Bytes::lend(state_dir.as_bytes()),
            flags: match certificate {
                Some(true) | None => abi::InstanceInfo::CERTIFICATE,
                Some(false) => 0,
            },
        };
        let mut mistakes = Owned::EMPTY;
        let instance = api.create.map_or(ptr::null_mut(), |create| {
            // SAFETY: everything lent lives until the call returns.
            unsafe { create(Bytes::lend(options.as_bytes()), &info, &mut mistakes) }
        });
        if instance.is_null() {
            // SAFETY: written by `create`.
            return Err(read_mistakes(&unsafe { take(mistakes) }));
        }
        Ok((Self { api, instance }, pooled))
    }

    /// The rows of the plugin's failures.
    pub(in crate::testing) fn failures(&self) -> Vec<(u32, u32, u32)> {
        let Some(failures) = self.api.failures else {
            return Vec::new();
        };
        // SAFETY: the table is there for ever, with as many rows as it says.
        unsafe {
            let table = failures();
            (0..table.len)
                .map(|at| *table.rows.add(at))
                .map(|row| (row.first, row.last, row.kind))
                .collect()
        }
    }

    pub(in crate::testing) fn serve(
        &self,
        task: u64,
        stream: u64,
        session: u64,
        peer: &str,
    ) -> Foreign {
        let info = abi::ClientInfo {
            size: size_of::<abi::ClientInfo>(),
            stream,
            session,
            peer: Bytes::lend(peer.as_bytes()),
        };
        Foreign::made(self.api.serve.map(|serve| {
            // SAFETY: the instance is alive, and what is lent lives until the call returns.
            unsafe { serve(self.instance, task, &info) }
        }))
    }

    pub(in crate::testing) fn probe(
        &self,
        task: u64,
        stream: u64,
        node: u32,
        name: &str,
    ) -> Foreign {
        let info = node_info(node, name);
        Foreign::made(self.api.probe.map(|probe| {
            // SAFETY: as in `serve`.
            unsafe { probe(self.instance, task, stream, &info) }
        }))
    }

    pub(in crate::testing) fn watch(
        &self,
        task: u64,
        stream: u64,
        node: u32,
        name: &str,
    ) -> Foreign {
        let info = node_info(node, name);
        Foreign::made(self.api.watch.map(|watch| {
            // SAFETY: as in `serve`.
            unsafe { watch(self.instance, task, stream, &info) }
        }))
    }

    pub(in crate::testing) fn run(&self, task: u64) -> Foreign {
        Foreign::made(self.api.run.map(|run| {
            // SAFETY: as in `serve`.
            unsafe { run(self.instance, task) }
        }))
    }

    /// Ends the instance; whether that went without a panic.
    pub(in crate::testing) fn destroy(self) -> bool {
        self.api.destroy.is_some_and(|destroy| {
            // SAFETY: made by `create`, ended once: `self` is gone.
            unsafe { destroy(self.instance) == abi::READY }
        })
    }
}

fn node_info(id: u32, name: &str) -> NodeInfo {
    NodeInfo {
        size: size_of::<NodeInfo>(),
        id,
        _pad: 0,
        name: Bytes::lend(name.as_bytes()),
    }
}

fn read_mistakes(json: &str) -> Vec<ConfigMistake> {
    let rows: Vec<serde_json::Value> = match serde_json::from_str(json) {
        Ok(rows) => rows,
        Err(error) => panic!("mistakes in no known form: {error}: {json}"),
    };
    rows.iter()
        .map(|row| {
            let field = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            ConfigMistake::new(field("path"), field("message"))
        })
        .collect()
}

/// A plugin's future, which the kit polls.
pub(in crate::testing) struct Foreign {
    data: *mut c_void,
    functions: Option<abi::FutureVtable>,
}

impl Foreign {
    fn made(future: Option<abi::Future>) -> Self {
        let (data, functions) = match future {
            Some(future) => (future.data, future.vtable),
            None => (ptr::null_mut(), ptr::null()),
        };
        Self {
            data,
            // SAFETY: null, or a future's functions, which begin with their size and stay.
            functions: unsafe { adopt(functions) },
        }
    }

    /// Whether there is one at all.
    pub(in crate::testing) fn is_made(&self) -> bool {
        !self.data.is_null()
    }

    pub(in crate::testing) fn poll(&mut self, waker: &Waker) -> Polled {
        let poll = self.functions.as_ref().and_then(|functions| functions.poll);
        let Some(poll) = poll.filter(|_| self.is_made()) else {
            return Polled::Panicked;
        };
        let mut ended = ManuallyDrop::new(empty_end());
        let lent = abi::Waker {
            data: ptr::from_ref(waker).cast(),
            vtable: &OURS,
        };
        // SAFETY: polled on the world's thread, never twice at once, and not after its drop.
        match unsafe { poll(self.data, &lent, &mut *ended) } {
            abi::PENDING => Polled::Pending,
            abi::READY => Polled::Ended {
                kind: ended.kind,
                code: ended.code,
                load: ended.load.load,
                // SAFETY: written by the plugin, taken once.
                detail: unsafe { take(ManuallyDrop::into_inner(ended).detail) },
            },
            _ => Polled::Panicked,
        }
    }

    /// Drops the future; whether that went without a panic.
    pub(in crate::testing) fn end(self) -> bool {
        let end = self.functions.as_ref().and_then(|functions| functions.drop);
        end.is_none_or(|end| {
            // SAFETY: dropped once: `self` is gone.
            unsafe { end(self.data) == abi::READY }
        })
    }
}

fn empty_end() -> abi::Ended {
    abi::Ended {
        size: size_of::<abi::Ended>(),
        kind: abi::kind::NONE,
        code: 0,
        retry_after_ms: 0,
        _pad: 0,
        load: abi::Load {
            size: size_of::<abi::Load>(),
            load: f64::NAN,
            flags: 0,
            _pad: 0,
        },
        detail: Owned::EMPTY,
        _reserved: [0; 4],
    }
}
