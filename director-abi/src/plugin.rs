//! What a plugin offers the host.

use core::ffi::c_void;

use crate::{Bytes, Future, HostApi, Load, NodeInfo, Owned};

/// The data symbol [`crate::SYMBOL`]: read before any of the plugin's code runs.
#[repr(C)]
pub struct Descriptor {
    /// `size_of::<Descriptor>()` on the plugin's side.
    pub size: usize,
    /// [`crate::MAGIC`].
    pub magic: [u8; 8],
    /// [`crate::MAJOR`] of the plugin.
    pub abi_major: u16,
    /// [`crate::MINOR`] of the plugin.
    pub abi_minor: u16,
    /// The lowest host minor that the plugin can live with.
    pub min_host_minor: u16,
    #[doc(hidden)]
    pub _pad: u16,
    /// [`Descriptor::PANIC_UNWIND`], [`Descriptor::POOLED_LINKS`].
    pub flags: u32,
    #[doc(hidden)]
    pub _pad2: u32,
    /// The plugin's name, UTF-8.
    pub name: Bytes,
    /// Its version, UTF-8; for people.
    pub version: Bytes,
    /// The SDK it was built with, and its version; for people.
    pub sdk: Bytes,
    /// The target triple it was built for; refused when it is not the host's.
    pub target: Bytes,
    /// Called once per library, before anything else: adopts `host` and returns the plugin's
    /// functions, or null with `error` written.
    pub init:
        Option<unsafe extern "C" fn(host: *const HostApi, error: *mut Owned) -> *const PluginApi>,
    #[doc(hidden)]
    pub _reserved: [usize; 8],
}

impl Descriptor {
    /// Panics unwind, so they can be caught. A plugin without this is refused: its first panic
    /// would end the director.
    pub const PANIC_UNWIND: u32 = 1;
    /// A link may serve another client after a request that ended cleanly. Without this flag a
    /// link belongs to its session.
    pub const POOLED_LINKS: u32 = 2;
}

// SAFETY-free by construction: a `Descriptor` is a `static` of constants that nobody writes. The
// raw pointers in it keep it from being `Sync` by itself, and this crate holds no `unsafe`, so the
// SDK wraps it where it makes the static.

/// The plugin's functions; all are present in ABI 1.0.
#[repr(C)]
pub struct PluginApi {
    /// `size_of::<PluginApi>()` on the plugin's side.
    pub size: usize,
    /// Makes an instance for one service. `options` is the service's `options` as JSON. Returns
    /// null with `mistakes` written: a JSON array of `{"path": "a.b", "message": ".."}`.
    pub create: Option<
        unsafe extern "C" fn(
            options: Bytes,
            info: *const InstanceInfo,
            mistakes: *mut Owned,
        ) -> *mut c_void,
    >,
    /// Ends an instance; no task of it is alive. [`crate::READY`] or [`crate::PANICKED`].
    pub destroy: Option<unsafe extern "C" fn(instance: *mut c_void) -> u32>,
    /// The plugin's failure codes and what they mean; valid for ever.
    pub failures: Option<unsafe extern "C" fn() -> FailureTable>,
    /// Serves one client from its first byte to its last.
    pub serve: Option<
        unsafe extern "C" fn(instance: *mut c_void, task: u64, client: *const ClientInfo) -> Future,
    >,
    /// Asks a node how it is, over a fresh stream. `ended.load` holds the answer.
    pub probe: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            task: u64,
            stream: u64,
            node: *const NodeInfo,
        ) -> Future,
    >,
    /// Watches a node over a fresh stream for as long as it is well; its end is a sign of failure.
    pub watch: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            task: u64,
            stream: u64,
            node: *const NodeInfo,
        ) -> Future,
    >,
    /// The instance's own work, from `create` to `destroy`.
    pub run: Option<unsafe extern "C" fn(instance: *mut c_void, task: u64) -> Future>,
    /// For `save` and `restore` of an instance's state across a reload, and what comes.
    #[doc(hidden)]
    pub _reserved: [usize; 16],
}

/// What an instance is told at its making.
#[repr(C)]
pub struct InstanceInfo {
    /// `size_of::<InstanceInfo>()` on the host's side.
    pub size: usize,
    /// The instance's number, for [`HostApi::log`] and [`HostApi::metric`].
    pub instance: u64,
    /// The service's name, UTF-8.
    pub service: Bytes,
    /// A directory of the instance's own, made when it is first asked for; UTF-8.
    pub state_dir: Bytes,
    /// [`InstanceInfo::CERTIFICATE`], or 0. Since 1.1: there when `size` says so.
    pub flags: u64,
}

impl InstanceInfo {
    /// In `flags`: the service has a certificate for its clients.
    pub const CERTIFICATE: u64 = 1;
}

/// The client of a session.
#[repr(C)]
pub struct ClientInfo {
    /// `size_of::<ClientInfo>()` on the host's side.
    pub size: usize,
    /// Its stream.
    pub stream: u64,
    /// The session's number, as in the access log.
    pub session: u64,
    /// Its address, `ip:port`, UTF-8, valid for the call.
    pub peer: Bytes,
}

/// How a task ended.
#[repr(C)]
pub struct Ended {
    /// `size_of::<Ended>()` on the host's side.
    pub size: usize,
    /// [`crate::kind::NONE`] when all is well; a kind; or [`Ended::BY_CODE`].
    pub kind: u32,
    /// The protocol's own code (an FTP 421, an HTTP 503); 0 for none.
    pub code: u32,
    /// How long to wait before asking that node again, in milliseconds; 0 for no word of it.
    pub retry_after_ms: u32,
    #[doc(hidden)]
    pub _pad: u32,
    /// What a probe learnt.
    pub load: Load,
    /// The failure in words, UTF-8; the host keeps the first 4 KiB.
    pub detail: Owned,
    #[doc(hidden)]
    pub _reserved: [u64; 4],
}

impl Ended {
    /// As a kind: look the code up in [`PluginApi::failures`].
    pub const BY_CODE: u32 = u32::MAX;
}

/// A range of the protocol's codes and the exception that they mean unless an attempt says more.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FailureRow {
    /// First code of the range.
    pub first: u32,
    /// Last code of the range.
    pub last: u32,
    /// One of [`crate::kind`].
    pub kind: u32,
}

/// Rows; the first that holds a code decides.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FailureTable {
    /// First row.
    pub rows: *const FailureRow,
    /// How many.
    pub len: usize,
}
