//! The function by which a plugin upgrades a stream to TLS.
#![allow(unsafe_code)]

use director_abi as abi;

use super::api::on_stream;
use super::layout::adopt;
use super::stream_tls::Upgrade;
use super::waker::Lent;

pub(super) unsafe extern "C" fn stream_poll_start_tls(
    stream: u64,
    waker: *const abi::Waker,
    spec: *const abi::TlsSpec,
) -> abi::IoPoll {
    on_stream("stream_poll_start_tls", stream, |stream| {
        // SAFETY: null, or lent for the call.
        let upgrade = unsafe { adopt(spec) }.map(|spec| Upgrade {
            session_of: spec.session_of,
            required: spec.flags & abi::TlsSpec::REQUIRE_RESUMED != 0,
            renew: spec.flags & abi::TlsSpec::RENEW != 0,
        });
        // SAFETY: lent for the call.
        stream.poll_start_tls(unsafe { Lent::read(waker) }, upgrade)
    })
}
