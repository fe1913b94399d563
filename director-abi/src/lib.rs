//! The C layout of the boundary between the director and its plugins.
//!
//! Only plain C data crosses: fixed-width integers, `usize`, `f64`, raw pointers, nullable
//! `extern "C"` functions, and structs of those. No Rust enum, `bool`, trait object, allocation,
//! panic or runtime handle does, so host and plugin may come from different compilers, with
//! different allocators and other versions of every library. This crate's version *is* the ABI's.
//!
//! Rules that hold on every line below:
//!
//! - **The maker frees.** [`Bytes`] are borrowed until the call returns, except where a function
//!   says otherwise. [`Owned`] brings the function that frees it.
//! - **Streams, timers, relays, chains, tickets, connects, listeners, spools and confirms are the
//!   host's.** A plugin holds a number. It is
//!   owned by the task that made it and freed with that task, whatever the plugin forgot; a
//!   number used too late, twice, or on a thread other than its task's is answered with an error,
//!   never with another's stream.
//! - **The host calls a plugin's functions from any thread; one task's future on one thread only**,
//!   never twice at once. Host functions never call back into the plugin, wakers excepted.
//! - **Nothing unwinds across.** Each side catches its own panics and says [`PANICKED`].
//! - **Structs that may grow begin with their size.** A reader copies the smaller of both sizes into
//!   a zeroed struct of its own ([`Table`]); what is absent is `None` or 0. Fields are only ever
//!   appended.

#![no_std]
#![forbid(unsafe_code)]

mod further;
mod host;
mod plugin;

pub use further::{Address, ConnectSpec, ListenSpec, ListenerInfo, SpoolInfo, SpoolSpec, TlsSpec};
pub use host::{
    Action, Event, HostApi, LogRecord, MetricLabel, NodeStanding, RelayEnd, RelaySpec, StreamInfo,
    TicketSpec, outcome, resend,
};
pub use plugin::{
    ClientInfo, Descriptor, Ended, FailureRow, FailureTable, InstanceInfo, PluginApi,
};

use core::ffi::c_void;

/// The ABI's major version: another one is another symbol, and another crate.
pub const MAJOR: u16 = 1;
/// The ABI's minor version: grows when a field or a function is appended.
pub const MINOR: u16 = 2;
/// The data symbol that a plugin exports: one [`Descriptor`].
pub const SYMBOL: &str = "director_plugin_v1";
/// The first eight bytes of a [`Descriptor`].
pub const MAGIC: [u8; 8] = *b"DIRECTOR";

macro_rules! targets {
    ($($arch:literal, $env:literal => $triple:literal;)*) => {
        $(
            /// The target triple this was built for, as [`Descriptor::target`] has it.
            #[cfg(all(target_os = "linux", target_arch = $arch, target_env = $env))]
            pub const TARGET: &str = $triple;
        )*
        #[cfg(not(any($(all(target_os = "linux", target_arch = $arch, target_env = $env)),*)))]
        compile_error!("the director runs on Linux, on x86_64, aarch64 or riscv64");
    };
}
targets!(
    "x86_64", "gnu" => "x86_64-unknown-linux-gnu";
    "x86_64", "musl" => "x86_64-unknown-linux-musl";
    "aarch64", "gnu" => "aarch64-unknown-linux-gnu";
    "aarch64", "musl" => "aarch64-unknown-linux-musl";
    "riscv64", "gnu" => "riscv64gc-unknown-linux-gnu";
    "riscv64", "musl" => "riscv64gc-unknown-linux-musl";
);

/// Not ready; the waker that was handed in will be woken.
pub const PENDING: u32 = 0;
/// Ready; whatever the function writes has been written.
pub const READY: u32 = 1;
/// The callee panicked. What was asked for must be dropped and not asked for again.
pub const PANICKED: u32 = 2;
/// The callee failed; a code says why. Any status not listed here is read as [`PANICKED`].
pub const FAILED: u32 = 3;

/// Bytes lent by the caller until the call returns. A null pointer goes with length 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    /// First byte.
    pub ptr: *const u8,
    /// How many.
    pub len: usize,
}

impl Bytes {
    /// No bytes.
    pub const EMPTY: Self = Self {
        ptr: core::ptr::null(),
        len: 0,
    };

    /// Lends `bytes`; the borrow is the caller's to keep.
    pub const fn lend(bytes: &[u8]) -> Self {
        Self {
            ptr: bytes.as_ptr(),
            len: bytes.len(),
        }
    }
}

/// Bytes handed over; the receiver calls `free(ptr, len, cap)` once.
#[repr(C)]
pub struct Owned {
    /// First byte; null when there is nothing to free.
    pub ptr: *mut u8,
    /// How many bytes are meant.
    pub len: usize,
    /// How many were allocated.
    pub cap: usize,
    /// Frees them, in the maker's allocator.
    pub free: Option<unsafe extern "C" fn(ptr: *mut u8, len: usize, cap: usize)>,
}

impl Owned {
    /// Nothing, and nothing to free.
    pub const EMPTY: Self = Self {
        ptr: core::ptr::null_mut(),
        len: 0,
        cap: 0,
        free: None,
    };
}

/// How a stream operation ended.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct IoPoll {
    /// [`PENDING`], [`READY`], [`PANICKED`] or [`FAILED`].
    pub tag: u32,
    /// With [`FAILED`], the `errno`, or one of the codes [`CODE_CUT`], [`CODE_GONE`], [`CODE_THREAD`],
    /// [`CODE_UNREAD`], [`CODE_TLS`], [`CODE_NONE`].
    pub code: i32,
    /// With [`READY`], a number of bytes; 0 bytes filled is the end of the stream.
    pub n: usize,
}

/// The operation's step was cut by the core: its node is down, or its time is over.
pub const CODE_CUT: i32 = -1;
/// The number names nothing (any more).
pub const CODE_GONE: i32 = -2;
/// Called on another thread than the one that polls the task.
pub const CODE_THREAD: i32 = -3;
/// There are bytes that were read ahead and not consumed: a stream with such bytes is not upgraded.
pub const CODE_UNREAD: i32 = -4;
/// TLS failed, or was broken off without a `close_notify`.
pub const CODE_TLS: i32 = -5;
/// The host has no such service, or no room for another.
pub const CODE_NONE: i32 = -6;

/// What wakes a task; passed by pointer and lent for the call, cloned by whoever keeps it.
#[repr(C)]
pub struct Waker {
    /// The maker's data.
    pub data: *const c_void,
    /// The maker's functions. Its address tells a maker its own wakers, which it then unwraps.
    pub vtable: *const WakerVtable,
}

/// What a [`Waker`] can do. All functions may be called on any thread, at any time.
#[repr(C)]
pub struct WakerVtable {
    /// `size_of::<WakerVtable>()` on the maker's side.
    pub size: usize,
    /// A waker that the caller owns.
    pub clone: Option<unsafe extern "C" fn(data: *const c_void) -> Waker>,
    /// Wakes and drops an owned waker.
    pub wake: Option<unsafe extern "C" fn(data: *const c_void)>,
    /// Wakes.
    pub wake_by_ref: Option<unsafe extern "C" fn(data: *const c_void)>,
    /// Drops an owned waker.
    pub drop: Option<unsafe extern "C" fn(data: *const c_void)>,
}

/// A plugin's task: polled by the host until it has ended, then dropped, exactly once.
#[repr(C)]
pub struct Future {
    /// The plugin's data; null means that the future could not be made.
    pub data: *mut c_void,
    /// The plugin's functions.
    pub vtable: *const FutureVtable,
}

/// What the host does with a [`Future`].
#[repr(C)]
pub struct FutureVtable {
    /// `size_of::<FutureVtable>()` on the plugin's side.
    pub size: usize,
    /// [`PENDING`]; [`READY`] with `ended` written; [`PANICKED`].
    pub poll: Option<
        unsafe extern "C" fn(data: *mut c_void, waker: *const Waker, ended: *mut Ended) -> u32,
    >,
    /// [`READY`], or [`PANICKED`] when a destructor panicked. Frees `data` either way.
    pub drop: Option<unsafe extern "C" fn(data: *mut c_void) -> u32>,
}

/// What a node says of itself.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// `size_of::<Load>()` on the maker's side.
    pub size: usize,
    /// Work under way, in units of one busy session; 0 is idle. Not finite or negative: unknown.
    pub load: f64,
    /// [`LOAD_LEAVING`].
    pub flags: u32,
    #[doc(hidden)]
    pub _pad: u32,
}

/// In [`Load::flags`]: the node says that it is leaving the cluster.
pub const LOAD_LEAVING: u32 = 1;

/// Which node a stream leads to.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NodeInfo {
    /// `size_of::<NodeInfo>()` on the host's side.
    pub size: usize,
    /// The node's number, kept for as long as the service has it.
    pub id: u32,
    #[doc(hidden)]
    pub _pad: u32,
    /// The node's name: its address as configured, UTF-8, valid until the task ends.
    pub name: Bytes,
}

/// Structs that cross with their size in front and may be shorter or longer on the other side.
///
/// # Safety of implementations
///
/// The type is `repr(C)`, begins with `size: usize` (or is read with its length known), has only
/// fields for which all-zero bytes are a value, and only ever grows at its end. So the trait is sealed
/// to this crate; the code that copies stands in host and SDK.
pub trait Table: sealed::Sealed + Sized {
    /// The size in ABI 1.0; a peer that is shorter is refused.
    const SIZE_1_0: usize;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! tables {
    ($($table:ty),* $(,)?) => { $(
        impl sealed::Sealed for $table {}
        impl Table for $table {
            // None of these has grown since it is there; for one that does, this becomes the old number.
            const SIZE_1_0: usize = core::mem::size_of::<Self>();
        }
    )* };
}
tables!(
    PluginApi,
    Descriptor,
    WakerVtable,
    FutureVtable,
    Load,
    Ended,
    Event,
    Action,
    NodeInfo,
    ConnectSpec,
    ListenSpec,
    ListenerInfo,
    TlsSpec,
    SpoolSpec,
    SpoolInfo,
    NodeStanding,
);

impl sealed::Sealed for HostApi {}
impl Table for HostApi {
    const SIZE_1_0: usize = core::mem::offset_of!(Self, confirm);
}

impl sealed::Sealed for StreamInfo {}
impl Table for StreamInfo {
    const SIZE_1_0: usize = core::mem::offset_of!(Self, local);
}

/// Exception kinds, as they cross. See the `director-sdk` documentation for what each means.
pub mod kind {
    /// No exception.
    pub const NONE: u32 = 0;
    /// Refused, no route, connect timeout.
    pub const UNREACHABLE: u32 = 1;
    /// Reset, unexpected end, or cut because the node was declared down.
    pub const LOST: u32 = 2;
    /// No progress in time.
    pub const STALLED: u32 = 3;
    /// The node has too much to do.
    pub const BUSY: u32 = 4;
    /// The node says that it is draining.
    pub const LEAVING: u32 = 5;
    /// This node lacks what its peers may have.
    pub const MISSING: u32 = 6;
    /// Another copy than the one begun.
    pub const DIVERGED: u32 = 7;
    /// The answer is no: credentials, permission.
    pub const DENIED: u32 = 8;
    /// The answer is no: a bad request.
    pub const INVALID: u32 = 9;
    /// The node breaks the protocol.
    pub const GARBLED: u32 = 10;
    /// It may have happened.
    pub const UNKNOWN: u32 = 11;
    /// The client left, or broke its protocol.
    pub const CLIENT_GONE: u32 = 12;
    /// The plugin panicked or overran.
    pub const FAULT: u32 = 13;
    /// All nodes were tried.
    pub const EXHAUSTED: u32 = 14;
}
