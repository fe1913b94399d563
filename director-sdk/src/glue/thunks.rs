//! What the host calls: the descriptor, `init`, and one thunk for each of a plugin's functions.
//!
//! Every thunk catches panics: nothing unwinds across the boundary.

use std::ffi::c_void;
use std::mem::offset_of;
use std::path::PathBuf;
use std::ptr;
use std::sync::Arc;

use director_abi as abi;
use director_abi::{
    Bytes, ClientInfo, Descriptor, FailureTable, HostApi, InstanceInfo, NodeInfo, Owned, PluginApi,
};

use super::host;
use super::layout::{lent, own, text};
use super::panic::{caught, install_hook};
use super::task::{End, NO_TASK, export};
use crate::director::Director;
use crate::options;
use crate::protocol::{Client, ConfigMistake, Host, Links, Protocol, Report};
use crate::stream::{ClientStream, NodeId, NodeStream};

/// A descriptor as a static: constants that nobody writes.
#[repr(transparent)]
pub struct Exported(Descriptor);

// SAFETY: the pointers in it are to constants, and nothing in it changes.
unsafe impl Sync for Exported {}

impl Exported {
    /// The descriptor of a plugin.
    pub const fn new<P: Protocol>(version: &'static str) -> Self {
        let pooled = match P::LINKS {
            Links::Pooled => Descriptor::POOLED_LINKS,
            Links::Exclusive => 0,
        };
        let unwinds = if cfg!(panic = "unwind") {
            Descriptor::PANIC_UNWIND
        } else {
            0
        };
        Self(Descriptor {
            size: size_of::<Descriptor>(),
            magic: abi::MAGIC,
            abi_major: abi::MAJOR,
            abi_minor: abi::MINOR,
            min_host_minor: 0,
            _pad: 0,
            flags: pooled | unwinds,
            _pad2: 0,
            name: Bytes::lend(P::NAME.as_bytes()),
            version: Bytes::lend(version.as_bytes()),
            sdk: Bytes::lend(concat!("director-sdk ", env!("CARGO_PKG_VERSION")).as_bytes()),
            target: Bytes::lend(abi::TARGET.as_bytes()),
            init: Some(init::<P>),
            _reserved: [0; 8],
        })
    }

    /// What the host reads.
    pub fn descriptor(&self) -> &Descriptor {
        &self.0
    }
}

/// A plugin's functions, one set for each protocol.
struct Functions<P>(std::marker::PhantomData<P>);

impl<P: Protocol> Functions<P> {
    const API: &'static PluginApi = &PluginApi {
        size: size_of::<PluginApi>(),
        create: Some(create::<P>),
        destroy: Some(destroy::<P>),
        failures: Some(failures::<P>),
        serve: Some(serve::<P>),
        probe: Some(probe::<P>),
        watch: Some(watch::<P>),
        run: Some(run::<P>),
        _reserved: [0; 16],
    };
}

unsafe extern "C" fn init<P: Protocol>(
    host: *const HostApi,
    error: *mut Owned,
) -> *const PluginApi {
    // SAFETY: the host hands in its functions, which are there for ever.
    let installed = caught(0, || unsafe { host::install(host) }.map(|()| prepare()));
    match installed {
        Some(Ok(())) => Functions::<P>::API,
        // SAFETY: the host lends a place for the error.
        Some(Err(why)) => unsafe { say(error, why) },
        // SAFETY: as above.
        None => unsafe { say(error, "the plugin panicked in its init".into()) },
    }
}

fn prepare() {
    install_hook();
    crate::bridge::install();
}

/// Writes why something could not be made, and returns the null that says so.
///
/// # Safety
///
/// `into` is null or may be written.
unsafe fn say<T>(into: *mut Owned, why: String) -> *mut T {
    if !into.is_null() {
        // SAFETY: not null, and the caller's to write. What was there is plain data.
        unsafe { into.write(own(why)) };
    }
    ptr::null_mut()
}

/// An instance and its number.
struct Instance<P> {
    number: u64,
    protocol: P,
}

unsafe extern "C" fn create<P: Protocol>(
    json: Bytes,
    info: *const InstanceInfo,
    mistakes: *mut Owned,
) -> *mut c_void {
    // SAFETY: the host lends both for the call.
    let (json, host) = unsafe { (lent(json), read_info(info)) };
    let number = host.instance;
    let made = caught(number, || {
        let config = options::read::<P::Config>(json).map_err(|mistake| vec![mistake])?;
        P::create(config, host)
    });
    let found = match made {
        Some(Ok(protocol)) => {
            let instance = Arc::new(Instance { number, protocol });
            return Arc::into_raw(instance).cast_mut().cast();
        }
        Some(Err(found)) => found,
        None => vec![ConfigMistake::new("", "the plugin panicked; see its log")],
    };
    // SAFETY: the host lends a place for the mistakes.
    unsafe { say(mistakes, mistakes_json(&found)) }
}

/// # Safety
///
/// `info` is null or as [`InstanceInfo`] says, for the call.
unsafe fn read_info(info: *const InstanceInfo) -> Host {
    if info.is_null() {
        return Host {
            instance: 0,
            service: "".into(),
            state_dir: PathBuf::new().into(),
            certificate: None,
        };
    }
    // SAFETY: the fields of 1.0 are there; those that came later are read only where `size` covers
    // them, and no reference is made to the whole.
    let (size, instance) = unsafe { ((*info).size, (*info).instance) };
    // SAFETY: as above; the texts are lent for the call.
    let (service, state_dir) = unsafe { (text((*info).service), text((*info).state_dir)) };
    let certificate = (size >= offset_of!(InstanceInfo, flags) + size_of::<u64>()).then(|| {
        // SAFETY: `size` covers it.
        let flags = unsafe { (*info).flags };
        flags & InstanceInfo::CERTIFICATE != 0
    });
    Host {
        instance,
        service: service.into(),
        state_dir: PathBuf::from(state_dir).into(),
        certificate,
    }
}

fn mistakes_json(found: &[ConfigMistake]) -> String {
    let rows: Vec<serde_json::Value> = found
        .iter()
        .map(|mistake| serde_json::json!({ "path": mistake.path, "message": mistake.message }))
        .collect();
    serde_json::Value::from(rows).to_string()
}

unsafe extern "C" fn destroy<P: Protocol>(instance: *mut c_void) -> u32 {
    if instance.is_null() {
        return abi::READY;
    }
    // SAFETY: `create` made it, and the host ends it once.
    let instance = unsafe { Arc::from_raw(instance.cast::<Instance<P>>().cast_const()) };
    match caught(instance.number, || drop(instance)) {
        Some(()) => abi::READY,
        None => abi::PANICKED,
    }
}

unsafe extern "C" fn failures<P: Protocol>() -> FailureTable {
    let rows = caught(0, P::failures).unwrap_or(&[]);
    FailureTable {
        // A `FailureRow` of ours is one of the boundary's, transparently.
        rows: rows.as_ptr().cast(),
        len: rows.len(),
    }
}

/// Makes a task of an instance; none when the instance is null or `make` panics.
///
/// # Safety
///
/// `instance` is null, or one that `create::<P>` made and `destroy` has not ended.
unsafe fn task_of<P: Protocol>(
    instance: *mut c_void,
    make: impl FnOnce(Arc<Instance<P>>) -> abi::Future,
) -> abi::Future {
    if instance.is_null() {
        return NO_TASK;
    }
    let instance = instance.cast::<Instance<P>>().cast_const();
    // SAFETY: the host's reference is alive during the call, so there is a count to add to; the
    // second line takes the one that was added.
    let instance = unsafe {
        Arc::increment_strong_count(instance);
        Arc::from_raw(instance)
    };
    caught(instance.number, || make(instance)).unwrap_or(NO_TASK)
}

unsafe extern "C" fn serve<P: Protocol>(
    instance: *mut c_void,
    task: u64,
    client: *const ClientInfo,
) -> abi::Future {
    // SAFETY: the host lends the client's data for the call.
    let Some(client) = (unsafe { client.as_ref() }) else {
        return NO_TASK;
    };
    // SAFETY: as above.
    let peer = unsafe { text(client.peer) };
    let client = Client {
        stream: ClientStream::new(client.stream),
        peer,
        session: client.session,
    };
    // SAFETY: the host hands in an instance of ours.
    unsafe {
        task_of::<P>(instance, move |instance| {
            export(instance.number, async move {
                match instance.protocol.serve(client, Director::new(task)).await {
                    Ok(()) => End::WELL,
                    Err(failure) => End::of(failure),
                }
            })
        })
    }
}

/// # Safety
///
/// `node` is null or as [`NodeInfo`] says, for the call.
unsafe fn node_stream(stream: u64, node: *const NodeInfo) -> NodeStream {
    // SAFETY: handed on.
    match unsafe { super::layout::adopt(node) } {
        None => NodeStream::new(stream, NodeId(0), "".into()),
        // SAFETY: handed on.
        Some(node) => NodeStream::new(stream, NodeId(node.id), unsafe { text(node.name) }.into()),
    }
}

unsafe extern "C" fn probe<P: Protocol>(
    instance: *mut c_void,
    _task: u64,
    stream: u64,
    node: *const NodeInfo,
) -> abi::Future {
    // SAFETY: the host lends the node's data for the call, and hands in an instance of ours.
    unsafe {
        let mut node = node_stream(stream, node);
        task_of::<P>(instance, move |instance| {
            export(instance.number, async move {
                match instance.protocol.probe(&mut node).await {
                    Ok(load) => End {
                        failure: None,
                        load,
                    },
                    Err(failure) => End::of(failure),
                }
            })
        })
    }
}

unsafe extern "C" fn watch<P: Protocol>(
    instance: *mut c_void,
    task: u64,
    stream: u64,
    node: *const NodeInfo,
) -> abi::Future {
    // SAFETY: as in `probe`.
    unsafe {
        let mut node = node_stream(stream, node);
        task_of::<P>(instance, move |instance| {
            export(instance.number, async move {
                let report = Report {
                    task,
                    node: node.node(),
                };
                End::of(instance.protocol.watch(&mut node, report).await)
            })
        })
    }
}

unsafe extern "C" fn run<P: Protocol>(instance: *mut c_void, task: u64) -> abi::Future {
    // SAFETY: the host hands in an instance of ours.
    unsafe {
        task_of::<P>(instance, move |instance| {
            export(instance.number, async move {
                instance.protocol.run(Director::new(task)).await;
                End::WELL
            })
        })
    }
}
