//! What the host offers a plugin.

use core::ffi::c_void;

use crate::{
    Address, Bytes, ConnectSpec, IoPoll, ListenSpec, ListenerInfo, Load, NodeInfo, Owned,
    SpoolInfo, SpoolSpec, TlsSpec, Waker,
};

/// The host's functions. `task`, `stream`, `timer`, `relay`, `chain`, `ticket`, `connect`, `listener`,
/// `spool` and `confirm` are the host's numbers; 0 is never one, and a function that makes one returns 0 when
/// it cannot. A function that an older host has not is `None`.
#[repr(C)]
pub struct HostApi {
    /// `size_of::<HostApi>()` on the host's side.
    pub size: usize,
    /// [`crate::MAJOR`] of the host.
    pub abi_major: u16,
    /// [`crate::MINOR`] of the host.
    pub abi_minor: u16,
    #[doc(hidden)]
    pub _pad: u32,

    // --- clock, chance, seeing ---
    /// Nanoseconds of a clock that never goes back.
    pub now_ns: Option<unsafe extern "C" fn() -> u64>,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub unix_ns: Option<unsafe extern "C" fn() -> u64>,
    /// Fills with random bytes (seeded in the test kit). [`crate::READY`] or [`crate::FAILED`].
    pub random: Option<unsafe extern "C" fn(into: *mut u8, len: usize) -> u32>,
    /// The least severe level that is kept: 1 error, 2 warn, 3 info, 4 debug, 5 trace; 0 none.
    pub log_level: Option<unsafe extern "C" fn() -> u32>,
    /// Writes a line to the host's log.
    pub log: Option<unsafe extern "C" fn(record: *const LogRecord)>,
    /// A metric's number. `what`: 1 counter, 2 gauge, 3 histogram. The same name and labels give
    /// the same number. 0 when the host's bound on metrics is reached.
    pub metric: Option<
        unsafe extern "C" fn(
            instance: u64,
            what: u32,
            name: Bytes,
            labels: *const MetricLabel,
            n_labels: usize,
        ) -> u64,
    >,
    /// Records: `how` 1 add (counters and gauges), 2 set, 3 observe (histograms).
    pub metric_record: Option<unsafe extern "C" fn(metric: u64, how: u32, value: f64)>,

    // --- streams ---
    /// Lends the host's read buffer: at least one unread byte, 0 at the end of the stream. The bytes
    /// stay valid until the next call with this stream. Unread bytes stay with the host, so a
    /// plugin that does not consume makes the peer wait.
    pub stream_poll_fill:
        Option<unsafe extern "C" fn(stream: u64, waker: *const Waker, lent: *mut Bytes) -> IoPoll>,
    /// Takes `n` of the lent bytes off; more than are there takes all.
    pub stream_consume: Option<unsafe extern "C" fn(stream: u64, n: usize)>,
    /// Writes from the pieces in order; `n` is how many bytes the kernel has taken.
    pub stream_poll_write: Option<
        unsafe extern "C" fn(
            stream: u64,
            waker: *const Waker,
            pieces: *const Bytes,
            n_pieces: usize,
        ) -> IoPoll,
    >,
    /// Ready when everything written has been taken by the peer's side of the stream.
    pub stream_poll_flush: Option<unsafe extern "C" fn(stream: u64, waker: *const Waker) -> IoPoll>,
    /// Says the end of what is written (a FIN). Nothing else ever does: a stream given up is reset.
    pub stream_poll_close: Option<unsafe extern "C" fn(stream: u64, waker: *const Waker) -> IoPoll>,
    /// Gives the stream up: reset, unless the plugin has closed it. Its number is void.
    pub stream_give_up: Option<unsafe extern "C" fn(stream: u64)>,
    /// Tells about a stream. [`crate::READY`] or [`crate::FAILED`].
    pub stream_info: Option<unsafe extern "C" fn(stream: u64, info: *mut StreamInfo) -> u32>,
    /// Whether the node owes bytes on this stream now (1, the state at the start of a step) or may
    /// be silent for as long as it likes (0): a live read between two messages.
    pub stream_due: Option<unsafe extern "C" fn(stream: u64, due: u32)>,

    // --- time ---
    /// A timer that is ready `after_ns` from now.
    pub timer: Option<unsafe extern "C" fn(task: u64, after_ns: u64) -> u64>,
    /// [`crate::PENDING`], [`crate::READY`] or [`crate::FAILED`].
    pub timer_poll: Option<unsafe extern "C" fn(timer: u64, waker: *const Waker) -> u32>,
    /// Ends a timer; its number is void.
    pub timer_end: Option<unsafe extern "C" fn(timer: u64)>,
    /// Ready once the director is stopping: sessions should end at the next good moment.
    pub poll_stopping: Option<unsafe extern "C" fn(task: u64, waker: *const Waker) -> u32>,

    // --- bulk ---
    /// Moves bytes inside the host, from one stream to another.
    pub relay: Option<unsafe extern "C" fn(task: u64, spec: *const RelaySpec) -> u64>,
    /// [`crate::READY`] with `end` written, or [`crate::PENDING`]. `end.moved` is written always.
    pub relay_poll:
        Option<unsafe extern "C" fn(relay: u64, waker: *const Waker, end: *mut RelayEnd) -> u32>,
    /// Ends a relay, finished or not; returns how many bytes the destination accepted.
    pub relay_end: Option<unsafe extern "C" fn(relay: u64) -> u64>,

    // --- requests ---
    /// A chain of requests that share a link. `link_type` is a number of the plugin's own: pooled
    /// links are handed on only to chains of the same type.
    pub chain: Option<unsafe extern "C" fn(task: u64, link_type: u64) -> u64>,
    /// Ends a chain: its link is given up, or goes back to the pool when it is fit.
    pub chain_end: Option<unsafe extern "C" fn(chain: u64)>,
    /// Opens one request in a chain, which has at most one open.
    pub ticket: Option<unsafe extern "C" fn(chain: u64, spec: *const TicketSpec) -> u64>,
    /// The recovery engine: takes what became of its last action and says what is next. `event` is
    /// given once and null while the answer is pending. An event that does not answer the last
    /// action is refused: [`crate::FAILED`], the ticket is at its end.
    pub poll_step: Option<
        unsafe extern "C" fn(
            ticket: u64,
            event: *const Event,
            waker: *const Waker,
            action: *mut Action,
        ) -> u32,
    >,
    /// Ready when the present step was cut and its grace is over: what it runs is to be dropped,
    /// and [`Event::TORN`] is the answer. Before that the step's operations fail by themselves.
    pub poll_cut: Option<unsafe extern "C" fn(ticket: u64, waker: *const Waker) -> u32>,
    /// Ends a ticket, finished or not.
    pub ticket_end: Option<unsafe extern "C" fn(ticket: u64)>,
    /// What a node said of its load, in a watch or in passing. `node` is [`NodeInfo::id`].
    pub report: Option<unsafe extern "C" fn(task: u64, node: u32, load: *const Load)>,

    // --- since 1.1: further connections ---
    /// Begins a further connection to the peer of a stream. It belongs to what that stream belongs
    /// to: the client's session, or the link, with which it is cut and ends. 0 when it cannot be
    /// begun: the number in `spec` names no such stream, or the task has too many.
    pub connect: Option<unsafe extern "C" fn(task: u64, spec: *const ConnectSpec) -> u64>,
    /// [`crate::READY`] with the connection's number written to `stream`; the number of the connect is
    /// void then, as it is after [`crate::FAILED`].
    pub connect_poll:
        Option<unsafe extern "C" fn(connect: u64, waker: *const Waker, stream: *mut u64) -> IoPoll>,
    /// Ends a connect that is under way; its number is void.
    pub connect_end: Option<unsafe extern "C" fn(connect: u64)>,
    /// Listens for further connections of a stream's peer, on a free port of a range. Bound
    /// when it returns, which it does at once: [`crate::READY`] with the number written to `listener`,
    /// or [`crate::FAILED`]. Others than the peer's IP address are reset, unless
    /// [`ListenSpec::ANYONE`]. A listener belongs to what the stream belongs to.
    pub listen: Option<
        unsafe extern "C" fn(task: u64, spec: *const ListenSpec, listener: *mut u64) -> IoPoll,
    >,
    /// Tells about a listener. [`crate::READY`] or [`crate::FAILED`].
    pub listener_info: Option<unsafe extern "C" fn(listener: u64, info: *mut ListenerInfo) -> u32>,
    /// [`crate::READY`] with the number of the next connection written to `stream`. The listener goes
    /// on. With neither `waker` nor `stream` nothing is accepted: whoever waited does not any more, so
    /// that no connection is due.
    pub listener_poll_accept: Option<
        unsafe extern "C" fn(listener: u64, waker: *const Waker, stream: *mut u64) -> IoPoll,
    >,
    /// Ends a listener; its number is void. Connections that were not accepted are reset.
    pub listener_end: Option<unsafe extern "C" fn(listener: u64)>,

    // --- since 1.1: more of streams ---
    /// Writes bytes, the last of them as TCP urgent data (RFC 9293, section 3.8.5). With
    /// [`crate::READY`], `n` bytes were taken, and the last of them is urgent only when all were. On a
    /// stream with TLS it is a plain write. Urgent bytes of a peer come in line with the others.
    pub stream_poll_urgent:
        Option<unsafe extern "C" fn(stream: u64, waker: *const Waker, bytes: Bytes) -> IoPoll>,
    /// Upgrades a stream to TLS in place, as a server towards a client and as a client towards a node,
    /// by the service's own settings. To be polled until it is ready; `spec` is read by the first call
    /// and may be null in the others. [`crate::CODE_UNREAD`] when bytes were read ahead and not
    /// consumed, [`crate::CODE_TLS`] when the handshake failed or there are no settings.
    pub stream_poll_start_tls: Option<
        unsafe extern "C" fn(stream: u64, waker: *const Waker, spec: *const TlsSpec) -> IoPoll,
    >,
    /// The first failure of a stream in words, UTF-8; no bytes when it has not failed. [`crate::READY`]
    /// or [`crate::FAILED`].
    pub stream_error: Option<unsafe extern "C" fn(stream: u64, text: *mut Owned) -> u32>,

    // --- since 1.1: the spool ---
    /// A store of bytes by their offset, in memory first, then on the disk, within the service's
    /// totals. 0 when there is no room at all.
    pub spool: Option<unsafe extern "C" fn(task: u64, spec: *const SpoolSpec) -> u64>,
    /// Appends. With [`crate::READY`], `n` bytes were taken: 0 when it is full.
    pub spool_poll_append:
        Option<unsafe extern "C" fn(spool: u64, waker: *const Waker, bytes: Bytes) -> IoPoll>,
    /// Reads from `offset` on, up to `len` bytes: with [`crate::READY`], `n` of them, 0 at the end of
    /// what was appended. [`crate::CODE_GONE`] for an offset that was forgotten. The bytes are
    /// written to `into` by the call that is ready, and by no other.
    pub spool_poll_read: Option<
        unsafe extern "C" fn(
            spool: u64,
            waker: *const Waker,
            offset: u64,
            into: *mut u8,
            len: usize,
        ) -> IoPoll,
    >,
    /// The bytes before an offset are not needed any more: there is room again.
    pub spool_forget: Option<unsafe extern "C" fn(spool: u64, before: u64)>,
    /// Tells about a spool. [`crate::READY`] or [`crate::FAILED`].
    pub spool_info: Option<unsafe extern "C" fn(spool: u64, info: *mut SpoolInfo) -> u32>,
    /// Ends a spool; its number is void.
    pub spool_end: Option<unsafe extern "C" fn(spool: u64)>,

    // --- since 1.2: how a node stands, and the choice of it ---
    /// Has a node probed at once, beside its usual probes. That it answers is said no earlier than
    /// `settle_ns` from now, so that what befalls its other links at this time is in it. `node`
    /// is [`NodeInfo::id`]. 0 when it cannot be asked: the service has no such node, or the task has
    /// ended.
    pub confirm: Option<unsafe extern "C" fn(task: u64, node: u32, settle_ns: u64) -> u64>,
    /// [`crate::PENDING`], [`crate::READY`] with `standing` written, or [`crate::FAILED`].
    pub confirm_poll: Option<
        unsafe extern "C" fn(confirm: u64, waker: *const Waker, standing: *mut NodeStanding) -> u32,
    >,
    /// Ends a question, answered or not; its number is void.
    pub confirm_end: Option<unsafe extern "C" fn(confirm: u64)>,
    /// The key by which a task's requests are sent to a node from now on, where the service chooses by
    /// key; otherwise it is the client's IP address. Links that stand are kept. [`crate::READY`], or
    /// [`crate::FAILED`] for a task that has ended.
    pub session_key: Option<unsafe extern "C" fn(task: u64, key: Bytes) -> u32>,
}

/// How a node was found to stand. Since 1.2.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct NodeStanding {
    /// `size_of::<NodeStanding>()` on the plugin's side.
    pub size: usize,
    /// [`NodeStanding::ANSWERS`].
    pub flags: u32,
    /// How many links of other sessions to this node ended from the node's side (its end of the
    /// stream, or a reset) between one second before the question and the answer; no more than
    /// some hundreds are counted.
    pub ended: u32,
}

impl NodeStanding {
    /// In `flags`: a probe that began after the question was answered.
    pub const ANSWERS: u32 = 1;
}

/// A line for the log.
#[repr(C)]
pub struct LogRecord {
    /// `size_of::<LogRecord>()` on the plugin's side.
    pub size: usize,
    /// 1 error, 2 warn, 3 info, 4 debug, 5 trace.
    pub level: u32,
    /// Line in `file`; 0 when not known.
    pub line: u32,
    /// The instance; 0 when it is the library that speaks.
    pub instance: u64,
    /// The module that speaks, UTF-8.
    pub target: Bytes,
    /// The source file, UTF-8.
    pub file: Bytes,
    /// What it says, UTF-8, fields included.
    pub message: Bytes,
}

/// One label of a metric.
#[repr(C)]
pub struct MetricLabel {
    /// Its name, UTF-8.
    pub name: Bytes,
    /// Its value, UTF-8.
    pub value: Bytes,
}

/// What the host knows of a stream.
#[repr(C)]
pub struct StreamInfo {
    /// `size_of::<StreamInfo>()` on the plugin's side.
    pub size: usize,
    /// Bytes that the plugin or a relay has taken from the stream.
    pub received: u64,
    /// Bytes that the peer's socket has taken from us. With TLS, those of the plugin.
    pub accepted: u64,
    /// Our end. Since 1.1.
    pub local: Address,
    /// The peer's end. Since 1.1.
    pub peer: Address,
    /// [`StreamInfo::TLS_ON`], [`StreamInfo::TLS_RESUMED`], [`StreamInfo::TLS_PEER_CLOSED`]. Since 1.1.
    pub tls_flags: u32,
    /// The protocol's version as TLS writes it, 0x0303 or 0x0304; 0 without TLS. Since 1.1.
    pub tls_version: u32,
}

impl StreamInfo {
    /// In `tls_flags`: the stream has TLS.
    pub const TLS_ON: u32 = 1;
    /// In `tls_flags`: its handshake resumed a session.
    pub const TLS_RESUMED: u32 = 2;
    /// In `tls_flags`: the peer has said the end of what it writes (`close_notify`, RFC 8446, section
    /// 6.1).
    pub const TLS_PEER_CLOSED: u32 = 4;
}

/// What a relay is to move.
#[repr(C)]
pub struct RelaySpec {
    /// `size_of::<RelaySpec>()` on the plugin's side.
    pub size: usize,
    /// The stream to read.
    pub from: u64,
    /// The stream to write.
    pub to: u64,
    /// How many bytes at most; `u64::MAX` for all until the end.
    pub limit: u64,
}

/// How a relay stands or ended.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct RelayEnd {
    /// Bytes that the destination has accepted; none is in between when the relay has ended.
    pub moved: u64,
    /// [`RelayEnd::LIMIT`], [`RelayEnd::END`], [`RelayEnd::FROM_FAILED`], [`RelayEnd::TO_FAILED`].
    pub why: u32,
    /// The error's code, as in [`IoPoll::code`].
    pub code: i32,
}

impl RelayEnd {
    /// The limit was reached.
    pub const LIMIT: u32 = 1;
    /// The source ended.
    pub const END: u32 = 2;
    /// Reading failed.
    pub const FROM_FAILED: u32 = 3;
    /// Writing failed.
    pub const TO_FAILED: u32 = 4;
}

/// How a request is to be performed.
#[repr(C)]
pub struct TicketSpec {
    /// `size_of::<TicketSpec>()` on the plugin's side.
    pub size: usize,
    /// Nanoseconds from now until the request is given up whatever its progress; 0 for the service's own bound.
    pub within_ns: u64,
}

/// What became of the last [`Action`].
#[repr(C)]
pub struct Event {
    /// `size_of::<Event>()` on the plugin's side.
    pub size: usize,
    /// One of the tags below.
    pub tag: u32,
    /// With [`Event::FAILED`]: one of [`crate::kind`], or [`crate::Ended::BY_CODE`].
    pub kind: u32,
    /// With [`Event::FAILED`]: the protocol's own code.
    pub code: u32,
    /// With [`Event::FAILED`]: [`Event::LINK_FIT`], [`Event::CLIENT_SIDE`].
    pub flags: u32,
    /// With [`Event::CLEANED`]: one of [`resend`]; with [`Event::ASKED`]: one of [`outcome`].
    pub answer: u32,
    /// With [`Event::FAILED`]: milliseconds to wait before that node is asked again; 0 for none.
    pub retry_after_ms: u32,
    /// With [`Event::ESTABLISHED`]: the plugin's state on the link. The host keeps it, hands it
    /// back with every step on that link, and frees it with `link_drop` when the link ends.
    pub link: *mut c_void,
    /// With [`Event::ESTABLISHED`]: frees `link`; [`crate::READY`] or [`crate::PANICKED`].
    pub link_drop: Option<unsafe extern "C" fn(link: *mut c_void) -> u32>,
    /// With [`Event::FAILED`]: the failure in words, UTF-8.
    pub detail: Bytes,
    #[doc(hidden)]
    pub _reserved: [u64; 4],
}

impl Event {
    /// The request begins. Answers no action; the first event of every ticket.
    pub const BEGIN: u32 = 1;
    /// Answers [`Action::ESTABLISH`]: the link stands.
    pub const ESTABLISHED: u32 = 2;
    /// Answers [`Action::ESTABLISH`], [`Action::ATTEMPT`] and [`Action::ASK`].
    pub const FAILED: u32 = 3;
    /// Answers [`Action::ATTEMPT`]: there is a reply.
    pub const REPLIED: u32 = 4;
    /// Answers [`Action::CLEAN_UP`].
    pub const CLEANED: u32 = 5;
    /// Answers [`Action::ASK`].
    pub const ASKED: u32 = 6;
    /// Answers any action of which `poll_cut` said that its grace is over.
    pub const TORN: u32 = 7;

    /// In `flags`: the protocol's dialogue on the link is whole, so the link may be kept.
    pub const LINK_FIT: u32 = 1;
    /// In `flags`: the failure is the client's, as its protocol shows (the host's own knowledge of
    /// which stream failed counts besides).
    pub const CLIENT_SIDE: u32 = 2;
}

/// Where a request may go again; the answer to [`Action::CLEAN_UP`].
pub mod resend {
    /// To any node.
    pub const ANYWHERE: u32 = 1;
    /// To the node that failed, and no other.
    pub const SAME_NODE: u32 = 2;
    /// Nowhere before a node was asked whether it happened.
    pub const ASK: u32 = 3;
    /// Nowhere.
    pub const NEVER: u32 = 4;
}

/// Whether a request happened; the answer to [`Action::ASK`].
pub mod outcome {
    /// It happened, and the plugin has the reply.
    pub const HAPPENED: u32 = 1;
    /// It did not happen.
    pub const NOT_DONE: u32 = 2;
    /// That cannot be known.
    pub const UNKNOWN: u32 = 3;
}

/// What is to be done next.
#[repr(C)]
pub struct Action {
    /// `size_of::<Action>()` on the plugin's side; written by the plugin, read by the host.
    pub size: usize,
    /// One of the tags below.
    pub tag: u32,
    /// With [`Action::CLEAN_UP`] and [`Action::GIVE_UP`]: one of [`crate::kind`].
    pub kind: u32,
    /// The protocol's own code behind it; 0 for none.
    pub code: u32,
    /// How many attempts were begun, this one included.
    pub attempt: u32,
    /// Milliseconds that the node asked to wait; 0 for none.
    pub retry_after_ms: u32,
    #[doc(hidden)]
    pub _pad: u32,
    /// The node's stream; with [`Action::ESTABLISH`] a fresh one.
    pub stream: u64,
    /// The plugin's state on the link; null when the link is gone (in [`Action::CLEAN_UP`]).
    pub link: *mut c_void,
    /// With [`Action::CLEAN_UP`]: bytes that the failed attempt sent to the node.
    pub sent: u64,
    /// With [`Action::CLEAN_UP`]: bytes that the client accepted during the failed attempt.
    pub answered: u64,
    /// When the step will be cut, by [`HostApi::now_ns`]; `u64::MAX` for never.
    pub deadline_ns: u64,
    /// The node; with [`Action::REPLY`] and [`Action::GIVE_UP`] the last one.
    pub node: NodeInfo,
    /// With [`Action::CLEAN_UP`] and [`Action::GIVE_UP`]: the exception in words, UTF-8, valid
    /// until the next call with this ticket. Of [`crate::kind::EXHAUSTED`]: what each node said.
    pub detail: Bytes,
    #[doc(hidden)]
    pub _reserved: [u64; 4],
}

impl Action {
    /// Greet, log in, restore the session's state on a fresh stream.
    pub const ESTABLISH: u32 = 1;
    /// Perform the request on the link.
    pub const ATTEMPT: u32 = 2;
    /// Undo what the failed attempt left behind, and say where the request may go again.
    pub const CLEAN_UP: u32 = 3;
    /// Find out whether the request happened.
    pub const ASK: u32 = 4;
    /// Over: the reply stands.
    pub const REPLY: u32 = 5;
    /// Over: an exception that no node could spare the client.
    pub const GIVE_UP: u32 = 6;
}
