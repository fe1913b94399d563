//! The host's functions, as safe ones.
//!
//! Each hands on numbers and lent bytes, which the host checks, so any argument is allowed. Before
//! a host was adopted, and where it lacks a function, every answer is the one of a dead number.

use std::any::TypeId;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::IoSlice;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::Duration;

use director_abi as abi;
use director_abi::{Bytes, HostApi, IoPoll, RelayEnd, Table};

use super::layout::{adopt, lent};
use super::waker::lend;
use crate::protocol::{Load, Session};
use crate::stream::{NodeId, StreamInfo};

pub(super) static HOST: OnceLock<HostApi> = OnceLock::new();

/// Adopts the host's functions; the first host that a library meets is the one it keeps.
///
/// # Errors
///
/// Why the host cannot be lived with.
///
/// # Safety
///
/// `host` is null, or the functions of a host as [`HostApi`] says, which are there for ever.
pub(crate) unsafe fn install(host: *const HostApi) -> Result<(), String> {
    // SAFETY: handed on.
    let api = unsafe { check(host) }?;
    // A second `init` of one library is the same host again.
    HOST.get_or_init(|| api);
    Ok(())
}

/// # Safety
///
/// As for [`install`].
unsafe fn check(host: *const HostApi) -> Result<HostApi, String> {
    // SAFETY: handed on.
    let Some(api) = (unsafe { adopt(host) }) else {
        return Err("the host brought no functions".into());
    };
    if api.size < HostApi::SIZE_1_0 {
        return Err(format!(
            "the host's functions take {} bytes, those of ABI 1.0 take {}",
            api.size,
            HostApi::SIZE_1_0
        ));
    }
    if api.abi_major != abi::MAJOR {
        return Err(format!(
            "the host speaks ABI {}.{}, this plugin ABI {}.{}",
            api.abi_major,
            api.abi_minor,
            abi::MAJOR,
            abi::MINOR
        ));
    }
    Ok(api)
}

/// Calls a host function: `None` when there is no host, or it lacks the function.
macro_rules! call {
    ($name:ident($($argument:expr),* $(,)?)) => {
        HOST.get().and_then(|host| host.$name).map(|function| {
            // SAFETY: the function is the host's, adopted by `install`. Numbers are the host's to
            // check; every pointer handed in is to data that lives until the call returns.
            unsafe { function($($argument),*) }
        })
    };
}
pub(super) use call;

/// What a stream operation answers when there is nobody to ask.
const NOBODY: IoPoll = IoPoll {
    tag: abi::FAILED,
    code: abi::CODE_GONE,
    n: 0,
};
/// The code of a host function that panicked, or answered what it must not: `EIO`.
const CODE_BROKEN: i32 = 5;

pub(super) fn read(answer: Option<IoPoll>) -> Poll<Result<usize, i32>> {
    let answer = answer.unwrap_or(NOBODY);
    match answer.tag {
        abi::PENDING => Poll::Pending,
        abi::READY => Poll::Ready(Ok(answer.n)),
        abi::FAILED => Poll::Ready(Err(answer.code)),
        _ => Poll::Ready(Err(CODE_BROKEN)),
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Time since a fixed start.
pub(crate) fn now() -> Duration {
    Duration::from_nanos(call!(now_ns()).unwrap_or(0))
}

/// Time since 1970.
pub(crate) fn unix_time() -> Duration {
    Duration::from_nanos(call!(unix_ns()).unwrap_or(0))
}

/// Whether all of `into` is random now.
pub(crate) fn random(into: &mut [u8]) -> bool {
    call!(random(into.as_mut_ptr(), into.len())) == Some(abi::READY)
}

/// The least severe level that the host keeps.
pub(crate) fn log_level() -> u32 {
    call!(log_level()).unwrap_or(0)
}

/// A line for the log.
pub(crate) struct Record<'a> {
    pub(crate) level: u32,
    pub(crate) instance: u64,
    pub(crate) target: &'a str,
    pub(crate) file: &'a str,
    pub(crate) line: u32,
    pub(crate) message: &'a str,
}

pub(crate) fn log(record: &Record<'_>) {
    let record = abi::LogRecord {
        size: size_of::<abi::LogRecord>(),
        level: record.level,
        line: record.line,
        instance: record.instance,
        target: Bytes::lend(record.target.as_bytes()),
        file: Bytes::lend(record.file.as_bytes()),
        message: Bytes::lend(record.message.as_bytes()),
    };
    call!(log(&record));
}

/// A metric's number; 0 when the host has none left.
pub(crate) fn metric(instance: u64, what: u32, name: &str, labels: &[(&str, &str)]) -> u64 {
    let labels: Vec<abi::MetricLabel> = labels
        .iter()
        .map(|(name, value)| abi::MetricLabel {
            name: Bytes::lend(name.as_bytes()),
            value: Bytes::lend(value.as_bytes()),
        })
        .collect();
    let name = Bytes::lend(name.as_bytes());
    call!(metric(instance, what, name, labels.as_ptr(), labels.len())).unwrap_or(0)
}

pub(crate) fn metric_record(metric: u64, how: u32, value: f64) {
    call!(metric_record(metric, how, value));
}

/// Shows the stream's unread bytes to `take`, and takes off as many as it says. At the end of the
/// stream it is shown none.
pub(crate) fn stream_lent(
    stream: u64,
    cx: &Context<'_>,
    take: impl FnOnce(&[u8]) -> usize,
) -> Poll<Result<usize, i32>> {
    let mut bytes = Bytes::EMPTY;
    let into = &raw mut bytes;
    let answer = read(lend(cx, |waker| {
        call!(stream_poll_fill(stream, waker, into))
    }));
    answer.map_ok(|_| {
        // SAFETY: the host lends the bytes until the next call with this stream, which is the
        // `consume` below: nothing that `take` can do outlives it.
        let taken = take(unsafe { lent(bytes) });
        if taken > 0 {
            stream_consume(stream, taken);
        }
        taken
    })
}

pub(crate) fn stream_consume(stream: u64, n: usize) {
    call!(stream_consume(stream, n));
}

/// Pieces that one call hands on; more are left for the next.
const PIECES: usize = 16;

pub(crate) fn stream_write(
    stream: u64,
    cx: &Context<'_>,
    pieces: &[IoSlice<'_>],
) -> Poll<Result<usize, i32>> {
    let mut lent = [Bytes::EMPTY; PIECES];
    let mut n = 0;
    for (place, piece) in lent
        .iter_mut()
        .zip(pieces.iter().filter(|piece| !piece.is_empty()))
    {
        *place = Bytes::lend(piece);
        n += 1;
    }
    if n == 0 {
        return Poll::Ready(Ok(0));
    }
    let pieces = lent.as_ptr();
    read(lend(cx, |waker| {
        call!(stream_poll_write(stream, waker, pieces, n))
    }))
}

pub(crate) fn stream_flush(stream: u64, cx: &Context<'_>) -> Poll<Result<(), i32>> {
    read(lend(cx, |waker| call!(stream_poll_flush(stream, waker)))).map_ok(|_| ())
}

pub(crate) fn stream_close(stream: u64, cx: &Context<'_>) -> Poll<Result<(), i32>> {
    read(lend(cx, |waker| call!(stream_poll_close(stream, waker)))).map_ok(|_| ())
}

pub(crate) fn stream_give_up(stream: u64) {
    call!(stream_give_up(stream));
}

pub(crate) fn stream_info(stream: u64) -> Option<StreamInfo> {
    stream_told(stream).map(|told| StreamInfo {
        received: told.received,
        accepted: told.accepted,
    })
}

/// All that the host tells of a stream; what it does not know is zero.
pub(crate) fn stream_told(stream: u64) -> Option<abi::StreamInfo> {
    let mut info = abi::StreamInfo {
        size: size_of::<abi::StreamInfo>(),
        received: 0,
        accepted: 0,
        local: abi::Address::NONE,
        peer: abi::Address::NONE,
        tls_flags: 0,
        tls_version: 0,
    };
    let into = &raw mut info;
    (call!(stream_info(stream, into)) == Some(abi::READY)).then_some(info)
}

pub(crate) fn stream_due(stream: u64, due: bool) {
    call!(stream_due(stream, u32::from(due)));
}

/// A timer's number; 0 when there is none to be had.
pub(crate) fn timer(task: u64, after: Duration) -> u64 {
    call!(timer(task, nanoseconds(after))).unwrap_or(0)
}

pub(crate) fn timer_poll(timer: u64, cx: &Context<'_>) -> Poll<Result<(), ()>> {
    match lend(cx, |waker| call!(timer_poll(timer, waker))) {
        Some(abi::PENDING) => Poll::Pending,
        Some(abi::READY) => Poll::Ready(Ok(())),
        _ => Poll::Ready(Err(())),
    }
}

pub(crate) fn timer_end(timer: u64) {
    call!(timer_end(timer));
}

/// Ready once the director is stopping, and when there is none.
pub(crate) fn poll_stopping(task: u64, cx: &Context<'_>) -> Poll<()> {
    match lend(cx, |waker| call!(poll_stopping(task, waker))) {
        Some(abi::PENDING) => Poll::Pending,
        _ => Poll::Ready(()),
    }
}

/// The same, asked without waiting: no waker, so nobody is woken.
pub(crate) fn is_stopping(task: u64) -> bool {
    call!(poll_stopping(task, std::ptr::null())) != Some(abi::PENDING)
}

/// A relay's number; 0 when it cannot be.
pub(crate) fn relay(task: u64, from: u64, to: u64, limit: Option<u64>) -> u64 {
    let spec = abi::RelaySpec {
        size: size_of::<abi::RelaySpec>(),
        from,
        to,
        limit: limit.unwrap_or(u64::MAX),
    };
    call!(relay(task, &spec)).unwrap_or(0)
}

/// Why a relay ended, with the codes of failures.
pub(crate) enum RelayWhy {
    Limit,
    End,
    FromFailed(i32),
    ToFailed(i32),
}

/// How a relay stands: whether it has ended, and what the destination has accepted.
pub(crate) fn relay_poll(relay: u64, cx: &Context<'_>) -> (Poll<RelayWhy>, u64) {
    let mut end = RelayEnd {
        moved: 0,
        why: 0,
        code: 0,
    };
    let into = &raw mut end;
    let status = lend(cx, |waker| call!(relay_poll(relay, waker, into)));
    let why = match (status, end.why) {
        (Some(abi::PENDING), _) => Poll::Pending,
        (Some(abi::READY), RelayEnd::LIMIT) => Poll::Ready(RelayWhy::Limit),
        (Some(abi::READY), RelayEnd::END) => Poll::Ready(RelayWhy::End),
        (Some(abi::READY), RelayEnd::FROM_FAILED) => Poll::Ready(RelayWhy::FromFailed(end.code)),
        (Some(abi::READY), RelayEnd::TO_FAILED) => Poll::Ready(RelayWhy::ToFailed(end.code)),
        _ => Poll::Ready(RelayWhy::FromFailed(abi::CODE_GONE)),
    };
    (why, end.moved)
}

/// Ends a relay; returns what the destination accepted.
pub(crate) fn relay_end(relay: u64) -> u64 {
    call!(relay_end(relay)).unwrap_or(0)
}

/// A chain's number; 0 when it cannot be. Pooled links pass only between chains of one session type
/// with one link type.
pub(crate) fn chain<S: Session>(task: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    TypeId::of::<S::Link>().hash(&mut hasher);
    std::any::type_name::<S>().hash(&mut hasher);
    call!(chain(task, hasher.finish())).unwrap_or(0)
}

pub(crate) fn chain_end(chain: u64) {
    call!(chain_end(chain));
}

/// A ticket's number; 0 when it cannot be.
pub(crate) fn ticket(chain: u64) -> u64 {
    let spec = abi::TicketSpec {
        size: size_of::<abi::TicketSpec>(),
        within_ns: 0,
    };
    call!(ticket(chain, &spec)).unwrap_or(0)
}

/// [`abi::READY`] with `action` written, [`abi::PENDING`], or anything else: refused.
pub(crate) fn poll_step(
    ticket: u64,
    event: Option<&abi::Event>,
    cx: &Context<'_>,
    action: &mut abi::Action,
) -> u32 {
    let event = event.map_or(std::ptr::null(), std::ptr::from_ref);
    lend(cx, |waker| call!(poll_step(ticket, event, waker, action))).unwrap_or(abi::FAILED)
}

/// Ready when what the step runs is to be dropped.
pub(crate) fn poll_cut(ticket: u64, cx: &Context<'_>) -> Poll<()> {
    match lend(cx, |waker| call!(poll_cut(ticket, waker))) {
        Some(abi::READY) => Poll::Ready(()),
        _ => Poll::Pending,
    }
}

pub(crate) fn ticket_end(ticket: u64) {
    call!(ticket_end(ticket));
}

pub(crate) fn report(task: u64, node: NodeId, load: Load) {
    call!(report(task, node.0, &load_out(load)));
}

/// A load as it crosses.
pub(crate) fn load_out(load: Load) -> abi::Load {
    abi::Load {
        size: size_of::<abi::Load>(),
        load: load.load,
        flags: if load.leaving { abi::LOAD_LEAVING } else { 0 },
        _pad: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host's functions in as many bytes as it says, and no more.
    fn host(size: usize, major: u16) -> Vec<u64> {
        let mut memory = vec![0_u64; size.max(16).div_ceil(8)];
        memory[0] = size as u64;
        memory[1] = u64::from(major);
        memory
    }

    fn installed(memory: &[u64]) -> Result<(), String> {
        // SAFETY: the memory is as long as its first word says, or longer, and has no functions.
        unsafe { check(memory.as_ptr().cast()) }.map(|_| ())
    }

    #[test]
    fn a_host_that_cannot_be_lived_with_is_refused_by_what_it_says() {
        let full = HostApi::SIZE_1_0;
        let short = installed(&host(full - 8, abi::MAJOR)).unwrap_err();
        assert!(
            short.contains(&format!("take {} bytes", full - 8)),
            "{short}"
        );
        let tiny = installed(&host(8, abi::MAJOR)).unwrap_err();
        assert!(tiny.contains("take 8 bytes"), "{tiny}");
        let other = installed(&host(full, 2)).unwrap_err();
        assert!(other.contains("speaks ABI 2.0"), "{other}");
        // SAFETY: a null pointer is allowed.
        assert!(unsafe { check(std::ptr::null()) }.is_err());
    }

    #[test]
    fn a_later_host_that_has_more_is_taken_as_far_as_it_is_known() {
        let full = size_of::<HostApi>();
        assert_eq!(installed(&host(full, abi::MAJOR)), Ok(()));
        assert_eq!(installed(&host(full + 800, abi::MAJOR)), Ok(()));
    }
}
