//! A plugin on the raw boundary: what its tasks do is a closure of the test's.
//!
//! It keeps the boundary's rules as a plugin by another hand would: its own wakers, its panics
//! caught on its own side, its link states counted.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use director_abi as abi;

use crate::host::Library;

pub(super) type Work = Pin<Box<dyn Future<Output = Result<(), String>>>>;
type Does = Arc<dyn Fn(Task) -> Work + Send + Sync>;

static SCRIPTS: Mutex<Option<HashMap<u64, Does>>> = Mutex::new(None);
static NEXT_SCRIPT: AtomicU64 = AtomicU64::new(1);
/// Link states that are alive.
pub(super) static LINK_STATES: AtomicUsize = AtomicUsize::new(0);
static HOST: OnceLock<&'static abi::HostApi> = OnceLock::new();

/// The options of an instance whose sessions do this.
pub(super) fn options<F>(does: impl Fn(Task) -> F + Send + Sync + 'static) -> String
where
    F: Future<Output = Result<(), String>> + 'static,
{
    let script = NEXT_SCRIPT.fetch_add(1, Ordering::Relaxed);
    let does: Does = Arc::new(move |task| Box::pin(does(task)));
    SCRIPTS
        .lock()
        .unwrap()
        .get_or_insert_default()
        .insert(script, does);
    script.to_string()
}

struct Shared(abi::Descriptor);
// SAFETY: a table of constants.
unsafe impl Sync for Shared {}

const fn descriptor(flags: u32) -> Shared {
    Shared(abi::Descriptor {
        size: size_of::<abi::Descriptor>(),
        magic: abi::MAGIC,
        abi_major: abi::MAJOR,
        abi_minor: abi::MINOR,
        min_host_minor: 0,
        _pad: 0,
        flags,
        _pad2: 0,
        name: abi::Bytes::lend(b"stage"),
        version: abi::Bytes::lend(b"1"),
        sdk: abi::Bytes::lend(b"none"),
        target: abi::Bytes::lend(abi::TARGET.as_bytes()),
        init: Some(init),
        _reserved: [0; 8],
    })
}
static EXCLUSIVE: Shared = descriptor(abi::Descriptor::PANIC_UNWIND);
static POOLED: Shared = descriptor(abi::Descriptor::PANIC_UNWIND | abi::Descriptor::POOLED_LINKS);

/// The plugin, with pooled or with exclusive links.
pub(super) fn library(pooled: bool) -> Library {
    let descriptor = if pooled { &POOLED } else { &EXCLUSIVE };
    // SAFETY: static, and all that it points to.
    unsafe { Library::begin(&raw const descriptor.0, Path::new("stage")) }.unwrap()
}

static API: abi::PluginApi = abi::PluginApi {
    size: size_of::<abi::PluginApi>(),
    create: Some(create),
    destroy: Some(destroy),
    failures: Some(failures),
    serve: Some(serve),
    probe: Some(ask),
    watch: Some(ask),
    run: Some(run),
    _reserved: [0; 16],
};

static FAILURES: [abi::FailureRow; 2] = [
    abi::FailureRow {
        first: 404,
        last: 404,
        kind: abi::kind::MISSING,
    },
    abi::FailureRow {
        first: 500,
        last: 599,
        kind: abi::kind::BUSY,
    },
];

unsafe extern "C" fn init(
    host: *const abi::HostApi,
    _error: *mut abi::Owned,
) -> *const abi::PluginApi {
    // SAFETY: the host's table is static.
    HOST.get_or_init(|| unsafe { &*host });
    &raw const API
}

unsafe extern "C" fn create(
    options: abi::Bytes,
    _info: *const abi::InstanceInfo,
    mistakes: *mut abi::Owned,
) -> *mut c_void {
    // SAFETY: lent for the call.
    let options = unsafe { std::slice::from_raw_parts(options.ptr, options.len) };
    let script = std::str::from_utf8(options)
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    match script {
        Some(script) => Box::into_raw(Box::new(script)).cast(),
        None => {
            let told = br#"[{"path": "", "message": "no script"}]"#;
            // SAFETY: to be written; the text is static, so there is nothing to free.
            unsafe {
                (*mistakes).ptr = told.as_ptr().cast_mut();
                (*mistakes).len = told.len();
            }
            std::ptr::null_mut()
        }
    }
}

unsafe extern "C" fn destroy(instance: *mut c_void) -> u32 {
    // SAFETY: of `create`, ended once.
    drop(unsafe { Box::from_raw(instance.cast::<u64>()) });
    abi::READY
}

unsafe extern "C" fn failures() -> abi::FailureTable {
    abi::FailureTable {
        rows: FAILURES.as_ptr(),
        len: FAILURES.len(),
    }
}

unsafe extern "C" fn serve(
    instance: *mut c_void,
    task: u64,
    client: *const abi::ClientInfo,
) -> abi::Future {
    // SAFETY: of `create`, and alive; lent for the call.
    let (script, client) = unsafe { (*instance.cast::<u64>(), (*client).stream) };
    make(
        script,
        Task {
            number: task,
            stream: Stream(client),
        },
    )
}

unsafe extern "C" fn ask(
    instance: *mut c_void,
    task: u64,
    stream: u64,
    _node: *const abi::NodeInfo,
) -> abi::Future {
    // SAFETY: of `create`, and alive.
    let script = unsafe { *instance.cast::<u64>() };
    make(
        script,
        Task {
            number: task,
            stream: Stream(stream),
        },
    )
}

unsafe extern "C" fn run(instance: *mut c_void, task: u64) -> abi::Future {
    // SAFETY: of `create`, and alive.
    let script = unsafe { *instance.cast::<u64>() };
    make(
        script,
        Task {
            number: task,
            stream: Stream(0),
        },
    )
}

fn make(script: u64, task: Task) -> abi::Future {
    let does = SCRIPTS.lock().unwrap().as_ref().unwrap()[&script].clone();
    abi::Future {
        data: Box::into_raw(Box::new(does(task))).cast(),
        vtable: &FUTURE,
    }
}

static FUTURE: abi::FutureVtable = abi::FutureVtable {
    size: size_of::<abi::FutureVtable>(),
    poll: Some(poll_work),
    drop: Some(drop_work),
};

unsafe extern "C" fn poll_work(
    data: *mut c_void,
    waker: *const abi::Waker,
    ended: *mut abi::Ended,
) -> u32 {
    // SAFETY: of `make`, polled by one at a time; the waker is lent for the call.
    let (work, waker) = unsafe { (&mut *data.cast::<Work>(), foreign(&*waker)) };
    let polled = catch_unwind(AssertUnwindSafe(|| {
        work.as_mut().poll(&mut Context::from_waker(&waker))
    }));
    match polled {
        Ok(Poll::Pending) => abi::PENDING,
        Ok(Poll::Ready(Ok(()))) => abi::READY,
        Ok(Poll::Ready(Err(detail))) => {
            let detail: &'static str = Box::leak(detail.into_boxed_str());
            // SAFETY: to be written.
            unsafe {
                (*ended).kind = abi::kind::LOST;
                (*ended).detail.ptr = detail.as_ptr().cast_mut();
                (*ended).detail.len = detail.len();
            }
            abi::READY
        }
        Err(_panic) => abi::PANICKED,
    }
}

unsafe extern "C" fn drop_work(data: *mut c_void) -> u32 {
    // SAFETY: of `make`, dropped once.
    let work = unsafe { Box::from_raw(data.cast::<Work>()) };
    match catch_unwind(AssertUnwindSafe(|| drop(work))) {
        Ok(()) => abi::READY,
        Err(_panic) => abi::PANICKED,
    }
}

/// A host's waker as this plugin holds it: a clone in a box.
struct HostWaker(abi::Waker);

fn foreign(waker: &abi::Waker) -> Waker {
    // SAFETY: lent, so it may be cloned.
    let cloned = unsafe { ((*waker.vtable).clone.unwrap())(waker.data) };
    let data = Box::into_raw(Box::new(HostWaker(cloned)));
    // SAFETY: the data is what `WAKER` works on.
    unsafe { Waker::from_raw(RawWaker::new(data.cast(), &WAKER)) }
}

impl Drop for HostWaker {
    fn drop(&mut self) {
        // SAFETY: owned, and dropped once.
        unsafe { ((*self.0.vtable).drop.unwrap())(self.0.data) };
    }
}

static WAKER: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: a boxed `HostWaker` that is alive.
        let waker = unsafe { &*data.cast::<HostWaker>() };
        // SAFETY: alive, so it may be cloned.
        let cloned = unsafe { ((*waker.0.vtable).clone.unwrap())(waker.0.data) };
        RawWaker::new(Box::into_raw(Box::new(HostWaker(cloned))).cast(), &WAKER)
    },
    |data| {
        // SAFETY: owned.
        let waker = unsafe { Box::from_raw(data.cast_mut().cast::<HostWaker>()) };
        // SAFETY: alive.
        unsafe { ((*waker.0.vtable).wake_by_ref.unwrap())(waker.0.data) };
    },
    |data| {
        // SAFETY: alive.
        let waker = unsafe { &*data.cast::<HostWaker>() };
        // SAFETY: alive.
        unsafe { ((*waker.0.vtable).wake_by_ref.unwrap())(waker.0.data) };
    },
    |data| {
        // SAFETY: owned.
        drop(unsafe { Box::from_raw(data.cast_mut().cast::<HostWaker>()) });
    },
);

/// This plugin's wakers as the host sees them.
static LENT: abi::WakerVtable = abi::WakerVtable {
    size: size_of::<abi::WakerVtable>(),
    clone: Some(lent_clone),
    wake: None,
    wake_by_ref: Some(lent_wake),
    drop: Some(lent_drop),
};

unsafe extern "C" fn lent_clone(data: *const c_void) -> abi::Waker {
    // SAFETY: a `Waker` that is alive.
    let waker = unsafe { &*data.cast::<Waker>() };
    abi::Waker {
        data: Box::into_raw(Box::new(waker.clone())).cast(),
        vtable: &LENT,
    }
}

unsafe extern "C" fn lent_wake(data: *const c_void) {
    // SAFETY: a `Waker` that is alive.
    unsafe { &*data.cast::<Waker>() }.wake_by_ref();
}

unsafe extern "C" fn lent_drop(data: *const c_void) {
    // SAFETY: of `lent_clone`, dropped once.
    drop(unsafe { Box::from_raw(data.cast_mut().cast::<Waker>()) });
}

pub(super) fn host() -> &'static abi::HostApi {
    HOST.get().unwrap()
}

/// Calls a function of the host's with this plugin's waker.
fn with_waker<R>(cx: &Context<'_>, call: impl FnOnce(*const abi::Waker) -> R) -> R {
    let lent = abi::Waker {
        data: std::ptr::from_ref(cx.waker()).cast(),
        vtable: &LENT,
    };
    call(&raw const lent)
}

/// A task of the plugin's.
#[derive(Clone, Copy)]
pub(super) struct Task {
    pub(super) number: u64,
    /// The client's stream, or the node's that is asked.
    pub(super) stream: Stream,
}

/// A stream of the host's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream(pub(super) u64);

fn to_result(polled: abi::IoPoll) -> Poll<Result<usize, i32>> {
    match polled.tag {
        abi::PENDING => Poll::Pending,
        abi::READY => Poll::Ready(Ok(polled.n)),
        abi::FAILED => Poll::Ready(Err(polled.code)),
        other => panic!("the host panicked: {other}"),
    }
}

impl Stream {
    /// Reads what is there, at most `most` bytes; nothing at the end.
    pub(super) async fn read(self, most: usize) -> Result<Vec<u8>, i32> {
        poll_fn(|cx| {
            let mut lent = abi::Bytes::EMPTY;
            let polled = with_waker(cx, |waker| {
                // SAFETY: as the boundary has it.
                unsafe { (host().stream_poll_fill.unwrap())(self.0, waker, &raw mut lent) }
            });
            to_result(polled).map_ok(|n| {
                assert_eq!(n, lent.len);
                if n == 0 {
                    return Vec::new();
                }
                // SAFETY: lent until the next call.
                let bytes = unsafe { std::slice::from_raw_parts(lent.ptr, n.min(most)) }.to_vec();
                // SAFETY: as the boundary has it.
                unsafe { (host().stream_consume.unwrap())(self.0, bytes.len()) };
                bytes
            })
        })
        .await
    }

    /// Reads until the end of a line, with it; what came before the end of the stream otherwise.
    pub(super) async fn line(self) -> Result<String, i32> {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            let byte = self.read(1).await?;
            if byte.is_empty() {
                break;
            }
            line.extend(byte);
        }
        Ok(String::from_utf8(line).unwrap())
    }

    pub(super) async fn write(self, bytes: &[u8]) -> Result<(), i32> {
        let mut left = bytes;
        while !left.is_empty() {
            let n = poll_fn(|cx| self.poll_write(cx, &[left])).await?;
            left = &left[n..];
        }
        Ok(())
    }

    pub(super) fn poll_write(self, cx: &Context<'_>, pieces: &[&[u8]]) -> Poll<Result<usize, i32>> {
        let pieces: Vec<abi::Bytes> = pieces.iter().map(|piece| abi::Bytes::lend(piece)).collect();
        to_result(with_waker(cx, |waker| {
            // SAFETY: as the boundary has it.
            unsafe {
                (host().stream_poll_write.unwrap())(self.0, waker, pieces.as_ptr(), pieces.len())
            }
        }))
    }

    pub(super) async fn flush(self) -> Result<usize, i32> {
        poll_fn(|cx| {
            to_result(with_waker(cx, |waker| {
                // SAFETY: as the boundary has it.
                unsafe { (host().stream_poll_flush.unwrap())(self.0, waker) }
            }))
        })
        .await
    }

    pub(super) async fn close(self) -> Result<usize, i32> {
        poll_fn(|cx| {
            to_result(with_waker(cx, |waker| {
                // SAFETY: as the boundary has it.
                unsafe { (host().stream_poll_close.unwrap())(self.0, waker) }
            }))
        })
        .await
    }

    pub(super) fn give_up(self) {
        // SAFETY: as the boundary has it.
        unsafe { (host().stream_give_up.unwrap())(self.0) };
    }

    pub(super) fn due(self, due: bool) {
        // SAFETY: as the boundary has it.
        unsafe { (host().stream_due.unwrap())(self.0, u32::from(due)) };
    }

    /// Received and accepted; `None` when the number is void.
    pub(super) fn counts(self) -> Option<(u64, u64)> {
        self.info().map(|info| (info.received, info.accepted))
    }

    /// What the host knows of it; `None` when the number is void.
    pub(super) fn info(self) -> Option<abi::StreamInfo> {
        let mut info = abi::StreamInfo {
            size: size_of::<abi::StreamInfo>(),
            received: 0,
            accepted: 0,
            local: abi::Address::NONE,
            peer: abi::Address::NONE,
            tls_flags: 0,
            tls_version: 0,
        };
        // SAFETY: as the boundary has it.
        let status = unsafe { (host().stream_info.unwrap())(self.0, &raw mut info) };
        (status == abi::READY).then_some(info)
    }
}

impl Stream {
    /// Writes, the last byte urgent.
    pub(super) async fn urgent(self, bytes: &[u8]) -> Result<usize, i32> {
        poll_fn(|cx| {
            to_result(with_waker(cx, |waker| {
                // SAFETY: as the boundary has it.
                unsafe {
                    (host().stream_poll_urgent.unwrap())(self.0, waker, abi::Bytes::lend(bytes))
                }
            }))
        })
        .await
    }

    /// Upgrades it to TLS, to resume the session of `of`, and no other if it is required.
    pub(super) async fn start_tls(self, of: Option<Stream>, required: bool) -> Result<(), i32> {
        let required = if required {
            abi::TlsSpec::REQUIRE_RESUMED
        } else {
            0
        };
        self.start_tls_with(of, required).await
    }

    /// The same, with these flags.
    pub(super) async fn start_tls_with(self, of: Option<Stream>, flags: u32) -> Result<(), i32> {
        let spec = abi::TlsSpec {
            size: size_of::<abi::TlsSpec>(),
            session_of: of.map_or(0, |of| of.0),
            flags,
            _pad: 0,
        };
        let mut first = &raw const spec;
        poll_fn(|cx| {
            let spec = std::mem::replace(&mut first, std::ptr::null());
            to_result(with_waker(cx, |waker| {
                // SAFETY: as the boundary has it.
                unsafe { (host().stream_poll_start_tls.unwrap())(self.0, waker, spec) }
            }))
        })
        .await
        .map(|_| ())
    }

    /// What it tells of its TLS: flags and version.
    pub(super) fn tls(self) -> (u32, u32) {
        let info = self.info().unwrap();
        (info.tls_flags, info.tls_version)
    }

    /// Its first failure in words, empty for none; `None` when the number is void.
    pub(super) fn trouble(self) -> Option<String> {
        let mut text = abi::Owned::EMPTY;
        // SAFETY: as the boundary has it.
        let status = unsafe { (host().stream_error.unwrap())(self.0, &raw mut text) };
        if status != abi::READY {
            return None;
        }
        let Some(free) = text.free else {
            return Some(String::new());
        };
        // SAFETY: handed over, and freed once.
        unsafe {
            let words = std::slice::from_raw_parts(text.ptr, text.len).to_vec();
            free(text.ptr, text.len, text.cap);
            Some(String::from_utf8(words).unwrap())
        }
    }
}

/// A spool of the host's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spool(pub(super) u64);

impl Spool {
    /// 0 when it is full.
    pub(super) async fn append(self, bytes: &[u8]) -> Result<usize, i32> {
        poll_fn(|cx| {
            to_result(with_waker(cx, |waker| {
                // SAFETY: as the boundary has it.
                unsafe {
                    (host().spool_poll_append.unwrap())(self.0, waker, abi::Bytes::lend(bytes))
                }
            }))
        })
        .await
    }

    /// At most `most` bytes from an offset on; none at the end.
    pub(super) async fn read(self, offset: u64, most: usize) -> Result<Vec<u8>, i32> {
        let mut bytes = vec![0; most];
        let n = poll_fn(|cx| {
            to_result(with_waker(cx, |waker| {
                // SAFETY: as the boundary has it.
                unsafe {
                    let read = host().spool_poll_read.unwrap();
                    read(self.0, waker, offset, bytes.as_mut_ptr(), most)
                }
            }))
        })
        .await?;
        bytes.truncate(n);
        Ok(bytes)
    }

    pub(super) fn forget(self, before: u64) {
        // SAFETY: as the boundary has it.
        unsafe { (host().spool_forget.unwrap())(self.0, before) };
    }

    /// `None` when the number is void.
    pub(super) fn info(self) -> Option<abi::SpoolInfo> {
        let mut info = abi::SpoolInfo {
            size: size_of::<abi::SpoolInfo>(),
            first: 0,
            end: 0,
            in_memory: 0,
            on_disk: 0,
        };
        // SAFETY: as the boundary has it.
        let status = unsafe { (host().spool_info.unwrap())(self.0, &raw mut info) };
        (status == abi::READY).then_some(info)
    }

    pub(super) fn end(self) {
        // SAFETY: as the boundary has it.
        unsafe { (host().spool_end.unwrap())(self.0) };
    }
}

/// A listener of the host's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listener(u64);

impl Listener {
    pub(super) fn local(self) -> abi::Address {
        self.info().unwrap().local
    }

    /// What the host knows of it; `None` when the number is void.
    pub(super) fn info(self) -> Option<abi::ListenerInfo> {
        let mut info = abi::ListenerInfo {
            size: size_of::<abi::ListenerInfo>(),
            local: abi::Address::NONE,
        };
        // SAFETY: as the boundary has it.
        let status = unsafe { (host().listener_info.unwrap())(self.0, &raw mut info) };
        (status == abi::READY).then_some(info)
    }

    pub(super) async fn accept(self) -> Result<Stream, i32> {
        poll_fn(|cx| {
            let mut stream = 0;
            let polled = with_waker(cx, |waker| {
                // SAFETY: as the boundary has it.
                unsafe { (host().listener_poll_accept.unwrap())(self.0, waker, &raw mut stream) }
            });
            to_result(polled).map_ok(|_| Stream(stream))
        })
        .await
    }

    /// Nobody waits for a connection any more.
    pub(super) fn leave(self) {
        let (nobody, nowhere) = (std::ptr::null(), std::ptr::null_mut());
        // SAFETY: as the boundary has it.
        let polled = unsafe { (host().listener_poll_accept.unwrap())(self.0, nobody, nowhere) };
        assert_eq!(polled.tag, abi::PENDING);
    }

    pub(super) fn end(self) {
        // SAFETY: as the boundary has it.
        unsafe { (host().listener_end.unwrap())(self.0) };
    }
}

impl Task {
    pub(super) fn listen(
        self,
        of: Stream,
        first: u16,
        last: u16,
        flags: u32,
    ) -> Result<Listener, i32> {
        let spec = abi::ListenSpec {
            size: size_of::<abi::ListenSpec>(),
            of: of.0,
            first,
            last,
            flags,
        };
        let mut listener = 0;
        // SAFETY: as the boundary has it.
        let polled =
            unsafe { (host().listen.unwrap())(self.number, &raw const spec, &raw mut listener) };
        match to_result(polled) {
            Poll::Ready(made) => made.map(|_| Listener(listener)),
            Poll::Pending => panic!("listening waits"),
        }
    }

    /// Asks how a node stands; `None` when that cannot be asked.
    pub(super) async fn confirm(
        self,
        node: u32,
        settle: std::time::Duration,
    ) -> Option<abi::NodeStanding> {
        let settle = settle.as_nanos() as u64;
        // SAFETY: as the boundary has it.
        let confirm = unsafe { (host().confirm.unwrap())(self.number, node, settle) };
        if confirm == 0 {
            return None;
        }
        let mut standing = abi::NodeStanding {
            size: size_of::<abi::NodeStanding>(),
            flags: 0,
            ended: 0,
        };
        let told = poll_fn(|cx| {
            let status = with_waker(cx, |waker| {
                // SAFETY: as the boundary has it.
                unsafe { (host().confirm_poll.unwrap())(confirm, waker, &raw mut standing) }
            });
            match status {
                abi::PENDING => Poll::Pending,
                abi::READY => Poll::Ready(Some(standing)),
                other => panic!("the host says {other}"),
            }
        })
        .await;
        // SAFETY: as the boundary has it.
        unsafe { (host().confirm_end.unwrap())(confirm) };
        told
    }

    /// A spool; its number is 0 when there is none to be had.
    pub(super) fn spool(self, memory: u64, disk: u64) -> Spool {
        let spec = abi::SpoolSpec {
            size: size_of::<abi::SpoolSpec>(),
            memory,
            disk,
        };
        // SAFETY: as the boundary has it.
        Spool(unsafe { (host().spool.unwrap())(self.number, &raw const spec) })
    }

    /// A connect's number.
    pub(super) fn begin_connect(self, of: Stream, port: u16) -> u64 {
        let spec = abi::ConnectSpec {
            size: size_of::<abi::ConnectSpec>(),
            of: of.0,
            port,
            _pad: 0,
            _pad2: 0,
        };
        // SAFETY: as the boundary has it.
        unsafe { (host().connect.unwrap())(self.number, &raw const spec) }
    }

    pub(super) async fn connect(self, of: Stream, port: u16) -> Result<Stream, i32> {
        let connect = self.begin_connect(of, port);
        assert_ne!(connect, 0);
        let made = poll_fn(|cx| {
            let mut stream = 0;
            let polled = with_waker(cx, |waker| {
                // SAFETY: as the boundary has it.
                unsafe { (host().connect_poll.unwrap())(connect, waker, &raw mut stream) }
            });
            to_result(polled).map_ok(|_| Stream(stream))
        })
        .await;
        // SAFETY: as the boundary has it; void by now, which does no harm.
        unsafe { (host().connect_end.unwrap())(connect) };
        made
    }
}

impl Task {
    /// A timer's number.
    pub(super) fn timer(self, milliseconds: u64) -> u64 {
        // SAFETY: as the boundary has it.
        unsafe { (host().timer.unwrap())(self.number, milliseconds * 1_000_000) }
    }

    pub(super) async fn sleep(self, milliseconds: u64) {
        let timer = self.timer(milliseconds);
        poll_fn(|cx| {
            // SAFETY: as the boundary has it.
            let status = with_waker(cx, |waker| unsafe {
                (host().timer_poll.unwrap())(timer, waker)
            });
            if status == abi::PENDING {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
        // SAFETY: as the boundary has it.
        unsafe { (host().timer_end.unwrap())(timer) };
    }

    pub(super) async fn stopping(self) {
        poll_fn(|cx| {
            // SAFETY: as the boundary has it.
            let status = with_waker(cx, |waker| unsafe {
                (host().poll_stopping.unwrap())(self.number, waker)
            });
            if status == abi::PENDING {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }

    /// A relay's number.
    pub(super) fn begin_relay(self, from: Stream, to: Stream, limit: u64) -> u64 {
        let spec = abi::RelaySpec {
            size: size_of::<abi::RelaySpec>(),
            from: from.0,
            to: to.0,
            limit,
        };
        // SAFETY: as the boundary has it.
        unsafe { (host().relay.unwrap())(self.number, &raw const spec) }
    }

    pub(super) async fn relay(self, from: Stream, to: Stream, limit: u64) -> abi::RelayEnd {
        let relay = self.begin_relay(from, to, limit);
        let end = poll_fn(|cx| poll_relay(relay, cx)).await;
        assert_eq!(end_relay(relay), end.moved);
        end
    }

    pub(super) fn chain(self) -> u64 {
        // SAFETY: as the boundary has it.
        unsafe { (host().chain.unwrap())(self.number, 7) }
    }
}

pub(super) fn poll_relay(relay: u64, cx: &Context<'_>) -> Poll<abi::RelayEnd> {
    let mut end = abi::RelayEnd {
        moved: 0,
        why: 0,
        code: 0,
    };
    // SAFETY: as the boundary has it.
    let status = with_waker(cx, |waker| unsafe {
        (host().relay_poll.unwrap())(relay, waker, &raw mut end)
    });
    match status {
        abi::PENDING => Poll::Pending,
        abi::READY => Poll::Ready(end),
        other => panic!("a relay answers {other}"),
    }
}

pub(super) fn end_relay(relay: u64) -> u64 {
    // SAFETY: as the boundary has it.
    unsafe { (host().relay_end.unwrap())(relay) }
}

/// An open request. Forgotten or dropped, its number is not ended here.
#[derive(Clone, Copy)]
pub(super) struct Ticket(pub(super) u64);

/// What the host asks for.
#[derive(Debug, Clone)]
pub(super) struct Action {
    pub(super) tag: u32,
    pub(super) kind: u32,
    pub(super) attempt: u32,
    pub(super) stream: Stream,
    pub(super) link: *mut c_void,
    pub(super) sent: u64,
    pub(super) answered: u64,
    pub(super) node: u32,
    pub(super) detail: String,
}

pub(super) fn event(tag: u32) -> abi::Event {
    abi::Event {
        size: size_of::<abi::Event>(),
        tag,
        kind: 0,
        code: 0,
        flags: 0,
        answer: 0,
        retry_after_ms: 0,
        link: std::ptr::null_mut(),
        link_drop: None,
        detail: abi::Bytes::EMPTY,
        _reserved: [0; 4],
    }
}

/// A link stands, with a state of this plugin's that is counted.
pub(super) fn established(stream: Stream) -> abi::Event {
    LINK_STATES.fetch_add(1, Ordering::Relaxed);
    let mut event = event(abi::Event::ESTABLISHED);
    event.link = Box::into_raw(Box::new(stream)).cast();
    event.link_drop = Some(drop_link);
    event
}

unsafe extern "C" fn drop_link(link: *mut c_void) -> u32 {
    LINK_STATES.fetch_sub(1, Ordering::Relaxed);
    // SAFETY: of `established`, dropped once.
    let stream = unsafe { Box::from_raw(link.cast::<Stream>()) };
    stream.give_up();
    abi::READY
}

pub(super) fn failed(kind: u32, code: u32, flags: u32) -> abi::Event {
    abi::Event {
        kind,
        code,
        flags,
        ..event(abi::Event::FAILED)
    }
}

pub(super) fn answer(tag: u32, answer: u32) -> abi::Event {
    abi::Event {
        answer,
        ..event(tag)
    }
}

impl Ticket {
    /// Opens a request in a chain.
    pub(super) fn open(chain: u64) -> Self {
        Self::open_within(chain, 0)
    }

    pub(super) fn open_within(chain: u64, milliseconds: u64) -> Self {
        let spec = abi::TicketSpec {
            size: size_of::<abi::TicketSpec>(),
            within_ns: milliseconds * 1_000_000,
        };
        // SAFETY: as the boundary has it.
        Self(unsafe { (host().ticket.unwrap())(chain, &raw const spec) })
    }

    /// Tells what became of the last action, and waits for the next; `None` when it was refused.
    pub(super) async fn step(self, event: abi::Event) -> Option<Action> {
        let told = Cell::new(Some(event));
        poll_fn(|cx| {
            let event = told.take();
            let event = event.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
            let mut action = abi::Action {
                size: size_of::<abi::Action>(),
                tag: 0,
                kind: 0,
                code: 0,
                attempt: 0,
                retry_after_ms: 0,
                _pad: 0,
                stream: 0,
                link: std::ptr::null_mut(),
                sent: 0,
                answered: 0,
                deadline_ns: 0,
                node: abi::NodeInfo {
                    size: 0,
                    id: 0,
                    _pad: 0,
                    name: abi::Bytes::EMPTY,
                },
                detail: abi::Bytes::EMPTY,
                _reserved: [0; 4],
            };
            // SAFETY: as the boundary has it.
            let status = with_waker(cx, |waker| unsafe {
                (host().poll_step.unwrap())(self.0, event, waker, &raw mut action)
            });
            match status {
                abi::PENDING => Poll::Pending,
                abi::READY => Poll::Ready(Some(Action::read(&action))),
                _refused => Poll::Ready(None),
            }
        })
        .await
    }

    /// Waits until the present step is to be dropped.
    pub(super) async fn cut(self) {
        poll_fn(|cx| {
            // SAFETY: as the boundary has it.
            let status = with_waker(cx, |waker| unsafe {
                (host().poll_cut.unwrap())(self.0, waker)
            });
            if status == abi::PENDING {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }

    pub(super) fn end(self) {
        // SAFETY: as the boundary has it.
        unsafe { (host().ticket_end.unwrap())(self.0) };
    }
}

impl Action {
    fn read(action: &abi::Action) -> Self {
        let detail = if action.detail.len == 0 {
            String::new()
        } else {
            // SAFETY: lent until the next call with this ticket.
            let text = unsafe { std::slice::from_raw_parts(action.detail.ptr, action.detail.len) };
            String::from_utf8(text.to_vec()).unwrap()
        };
        Self {
            tag: action.tag,
            kind: action.kind,
            attempt: action.attempt,
            stream: Stream(action.stream),
            link: action.link,
            sent: action.sent,
            answered: action.answered,
            node: action.node.id,
            detail,
        }
    }
}

pub(super) fn end_chain(chain: u64) {
    // SAFETY: as the boundary has it.
    unsafe { (host().chain_end.unwrap())(chain) };
}
