//! The host's functions of ABI 1.1, as safe ones: further connections, listeners, TLS, the spool.
//!
//! As in [`host`](super::host), any argument is allowed. A host that is too old has none of them, and
//! says [`abi::CODE_NONE`].

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};

use director_abi as abi;
use director_abi::{Address, Bytes, IoPoll, Owned};

use super::host::{HOST, call, read, stream_told};
use super::layout::take;
use super::waker::lend;

/// What the host answers that has no such function.
const NONE: IoPoll = IoPoll {
    tag: abi::FAILED,
    code: abi::CODE_NONE,
    n: 0,
};

fn address(of: &Address) -> Option<SocketAddr> {
    let ip = Ipv6Addr::from(of.ip);
    match of.family {
        Address::V4 => ip
            .to_ipv4_mapped()
            .map(|ip| SocketAddr::new(IpAddr::V4(ip), of.port)),
        Address::V6 => Some(SocketAddr::new(IpAddr::V6(ip), of.port)),
        _ => None,
    }
}

/// Our end of a stream, and the peer's, as far as the host knows them.
pub(crate) fn stream_ends(stream: u64) -> (Option<SocketAddr>, Option<SocketAddr>) {
    match stream_told(stream) {
        Some(told) => (address(&told.local), address(&told.peer)),
        None => (None, None),
    }
}

/// What the host knows of a stream's TLS.
pub(crate) struct TlsTold {
    pub(crate) resumed: bool,
    pub(crate) version: u16,
    pub(crate) peer_closed: bool,
}

/// `None` for a stream without TLS.
pub(crate) fn stream_tls(stream: u64) -> Option<TlsTold> {
    let told = stream_told(stream)?;
    let has = |flag| told.tls_flags & flag != 0;
    has(abi::StreamInfo::TLS_ON).then(|| TlsTold {
        resumed: has(abi::StreamInfo::TLS_RESUMED),
        version: u16::try_from(told.tls_version).unwrap_or(0),
        peer_closed: has(abi::StreamInfo::TLS_PEER_CLOSED),
    })
}

/// The first failure of a stream, in words.
pub(crate) fn stream_error(stream: u64) -> Option<String> {
    let mut text = Owned::EMPTY;
    let into = &raw mut text;
    if call!(stream_error(stream, into)) != Some(abi::READY) {
        return None;
    }
    // SAFETY: written by the host, and taken once.
    let text = unsafe { take(text) };
    (!text.is_empty()).then_some(text)
}

pub(crate) fn stream_urgent(
    stream: u64,
    cx: &Context<'_>,
    bytes: &[u8],
) -> Poll<Result<usize, i32>> {
    let bytes = Bytes::lend(bytes);
    read(lend(cx, |waker| call!(stream_poll_urgent(stream, waker, bytes))).or(Some(NONE)))
}

pub(crate) fn stream_start_tls(
    stream: u64,
    cx: &Context<'_>,
    session_of: u64,
    flags: u32,
) -> Poll<Result<(), i32>> {
    let spec = abi::TlsSpec {
        size: size_of::<abi::TlsSpec>(),
        session_of,
        flags,
        _pad: 0,
    };
    let spec = &raw const spec;
    let answer = lend(cx, |waker| {
        call!(stream_poll_start_tls(stream, waker, spec))
    });
    read(answer.or(Some(NONE))).map_ok(|_| ())
}

/// A connect's number; 0 when it cannot be.
pub(crate) fn connect(task: u64, of: u64, port: u16) -> u64 {
    let spec = abi::ConnectSpec {
        size: size_of::<abi::ConnectSpec>(),
        of,
        port,
        _pad: 0,
        _pad2: 0,
    };
    call!(connect(task, &spec)).unwrap_or(0)
}

/// The number of the stream, once it is connected; the connect's own is void then.
pub(crate) fn connect_poll(connect: u64, cx: &Context<'_>) -> Poll<Result<u64, i32>> {
    let mut stream = 0;
    let into = &raw mut stream;
    let answer = lend(cx, |waker| call!(connect_poll(connect, waker, into)));
    read(answer.or(Some(NONE))).map_ok(|_| stream)
}

pub(crate) fn connect_end(connect: u64) {
    call!(connect_end(connect));
}

/// A listener's number.
pub(crate) fn listen(
    task: u64,
    of: u64,
    (first, last): (u16, u16),
    anyone: bool,
) -> Result<u64, i32> {
    let spec = abi::ListenSpec {
        size: size_of::<abi::ListenSpec>(),
        of,
        first,
        last,
        flags: if anyone { abi::ListenSpec::ANYONE } else { 0 },
    };
    let mut listener = 0;
    let into = &raw mut listener;
    match read(call!(listen(task, &spec, into)).or(Some(NONE))) {
        Poll::Ready(Ok(_)) => Ok(listener),
        Poll::Ready(Err(code)) => Err(code),
        // It answers at once; one that does not has not bound anything.
        Poll::Pending => Err(abi::CODE_NONE),
    }
}

/// Where a listener listens.
pub(crate) fn listener_address(listener: u64) -> Option<SocketAddr> {
    let mut info = abi::ListenerInfo {
        size: size_of::<abi::ListenerInfo>(),
        local: Address::NONE,
    };
    let into = &raw mut info;
    (call!(listener_info(listener, into)) == Some(abi::READY))
        .then(|| address(&info.local))
        .flatten()
}

/// The number of the next stream.
pub(crate) fn listener_accept(listener: u64, cx: &Context<'_>) -> Poll<Result<u64, i32>> {
    let mut stream = 0;
    let into = &raw mut stream;
    let answer = lend(cx, |waker| {
        call!(listener_poll_accept(listener, waker, into))
    });
    read(answer.or(Some(NONE))).map_ok(|_| stream)
}

/// Nobody waits for the next stream any more.
pub(crate) fn listener_leave(listener: u64) {
    let (nobody, nowhere) = (std::ptr::null(), std::ptr::null_mut());
    call!(listener_poll_accept(listener, nobody, nowhere));
}

pub(crate) fn listener_end(listener: u64) {
    call!(listener_end(listener));
}

/// A spool's number; 0 when there is no room.
pub(crate) fn spool(task: u64, memory: u64, disk: u64) -> u64 {
    let spec = abi::SpoolSpec {
        size: size_of::<abi::SpoolSpec>(),
        memory,
        disk,
    };
    call!(spool(task, &spec)).unwrap_or(0)
}

pub(crate) fn spool_append(spool: u64, cx: &Context<'_>, bytes: &[u8]) -> Poll<Result<usize, i32>> {
    let bytes = Bytes::lend(bytes);
    read(lend(cx, |waker| call!(spool_poll_append(spool, waker, bytes))).or(Some(NONE)))
}

pub(crate) fn spool_read(
    spool: u64,
    cx: &Context<'_>,
    offset: u64,
    into: &mut [u8],
) -> Poll<Result<usize, i32>> {
    let (into, len) = (into.as_mut_ptr(), into.len());
    // The host writes during this call and in none other, so the borrow is long enough.
    let answer = lend(cx, |waker| {
        call!(spool_poll_read(spool, waker, offset, into, len))
    });
    read(answer.or(Some(NONE))).map_ok(|n| n.min(len))
}

pub(crate) fn spool_forget(spool: u64, before: u64) {
    call!(spool_forget(spool, before));
}

/// How a spool stands; `None` once it is gone.
pub(crate) fn spool_info(spool: u64) -> Option<abi::SpoolInfo> {
    let mut info = abi::SpoolInfo {
        size: size_of::<abi::SpoolInfo>(),
        first: 0,
        end: 0,
        in_memory: 0,
        on_disk: 0,
    };
    let into = &raw mut info;
    (call!(spool_info(spool, into)) == Some(abi::READY)).then_some(info)
}

pub(crate) fn spool_end(spool: u64) {
    call!(spool_end(spool));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_in_its_own_family() {
        let mapped = Ipv6Addr::from([0, 0, 0, 0, 0, 0xffff, 0x7f00, 1]);
        let with = |ip: Ipv6Addr, family| Address {
            ip: ip.octets(),
            port: 21,
            family,
            _pad: 0,
        };
        let read = |ip, family| address(&with(ip, family)).map(|read| read.to_string());
        assert_eq!(read(mapped, Address::V4).as_deref(), Some("127.0.0.1:21"));
        assert_eq!(
            read(Ipv6Addr::LOCALHOST, Address::V6).as_deref(),
            Some("[::1]:21")
        );
        assert_eq!(read(Ipv6Addr::LOCALHOST, Address::V4), None);
        assert_eq!(address(&Address::NONE), None);
    }
}
