//! Further connections, to where a stream leads and from there: the data connections of a protocol
//! that has them apart.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use director_abi as abi;

use crate::glue::further as host;
use crate::glue::host::stream_told;
use crate::stream::{ClientStream, NodeId, NodeStream, Stream};
use crate::stream_error::{Side, StreamError};

/// A stream that others can be opened beside. Sealed: [`ClientStream`] and [`NodeStream`] are all
/// there are.
pub trait Further: kin::Kin {}

impl Further for ClientStream {}
impl Further for NodeStream {}

mod kin {
    /// What another stream to the same peer is made of.
    pub trait Kin: crate::stream::sealed::Sealed + Sized + Send + Unpin + 'static {
        type Of: fmt::Debug + Send + Sync + Unpin + 'static;
        const SIDE: Side;
        fn of(&self) -> Self::Of;
        fn beside(of: &Self::Of, number: u64) -> Self;
        fn stream_number(&self) -> u64;
    }

    use std::fmt;

    use crate::stream_error::Side;
}

impl kin::Kin for ClientStream {
    type Of = ();
    const SIDE: Side = Side::Client;

    fn of(&self) {}

    fn beside((): &(), number: u64) -> Self {
        Self::new(number)
    }

    fn stream_number(&self) -> u64 {
        Stream::number(self)
    }
}

impl kin::Kin for NodeStream {
    type Of = (NodeId, Arc<str>);
    const SIDE: Side = Side::Node;

    fn of(&self) -> (NodeId, Arc<str>) {
        (self.node(), self.shared_name())
    }

    fn beside((id, name): &(NodeId, Arc<str>), number: u64) -> Self {
        Self::beside(*id, name, number)
    }

    fn stream_number(&self) -> u64 {
        Stream::number(self)
    }
}

/// A connection under way; given up when it is dropped.
struct Connecting<S: Further> {
    of: S::Of,
    /// 0 when there is none, or none any more.
    number: u64,
    /// Why there is none.
    refused: i32,
}

pub(crate) fn connect<S: Further>(
    task: u64,
    of: &S,
    port: u16,
) -> impl Future<Output = io::Result<S>> + Send + use<S> {
    // The host says 0 for whatever reason: a stream that has ended, or else no room for one more.
    let begun = host::connect(task, of.stream_number(), port);
    let refused = if stream_told(of.stream_number()).is_none() {
        abi::CODE_GONE
    } else {
        abi::CODE_NONE
    };
    Connecting::<S> {
        of: of.of(),
        number: begun,
        refused,
    }
}

impl<S: Further> Future for Connecting<S> {
    type Output = io::Result<S>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<S>> {
        if self.number == 0 {
            return Poll::Ready(Err(StreamError::io(S::SIDE, self.refused)));
        }
        let answer = ready!(host::connect_poll(self.number, cx));
        // Void either way.
        self.number = 0;
        Poll::Ready(match answer {
            Ok(stream) => Ok(S::beside(&self.of, stream)),
            Err(code) => Err(StreamError::io(S::SIDE, code)),
        })
    }
}

impl<S: Further> Drop for Connecting<S> {
    fn drop(&mut self) {
        if self.number != 0 {
            host::connect_end(self.number);
        }
    }
}

/// Whose connections a [`Listener`] accepts. Others are reset, counted and logged by the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Those of the IP address to which the stream leads that it was made beside.
    Peer,
    /// Those of any address.
    Anyone,
}

/// Accepts further connections of a client or of a node; see
/// [`Director::listen`](crate::Director::listen). Dropping it ends it, and resets what was not accepted.
pub struct Listener<S: Further> {
    of: S::Of,
    number: u64,
    address: SocketAddr,
}

pub(crate) fn listen<S: Further>(
    task: u64,
    of: &S,
    ports: RangeInclusive<u16>,
    who: Who,
) -> io::Result<Listener<S>> {
    let error = |code| StreamError::io(S::SIDE, code);
    let range = (*ports.start(), *ports.end());
    let number =
        host::listen(task, of.stream_number(), range, who == Who::Anyone).map_err(error)?;
    let Some(address) = host::listener_address(number) else {
        host::listener_end(number);
        return Err(error(abi::CODE_GONE));
    };
    Ok(Listener {
        of: of.of(),
        number,
        address,
    })
}

impl<S: Further> Listener<S> {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection.
    ///
    /// # Errors
    ///
    /// What it belongs to was cut or has ended, or the system failed.
    ///
    /// # Cancel safety
    ///
    /// No connection is lost when it is dropped, and none is due any more.
    pub async fn accept(&mut self) -> io::Result<S> {
        Accepting {
            listener: self,
            waits: false,
        }
        .await
    }

    /// As [`accept`](Self::accept), for those who wait for more than one thing. While it was polled
    /// last without an answer, a connection is due: a node that makes none is silent.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<S>> {
        host::listener_accept(self.number, cx)
            .map_ok(|stream| S::beside(&self.of, stream))
            .map_err(|code| StreamError::io(S::SIDE, code))
    }
}

/// A connection is waited for.
struct Accepting<'a, S: Further> {
    listener: &'a mut Listener<S>,
    waits: bool,
}

impl<S: Further> Future for Accepting<'_, S> {
    type Output = io::Result<S>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<S>> {
        let accepted = self.listener.poll_accept(cx);
        self.waits = accepted.is_pending();
        accepted
    }
}

impl<S: Further> Drop for Accepting<'_, S> {
    fn drop(&mut self) {
        if self.waits {
            host::listener_leave(self.listener.number);
        }
    }
}

impl<S: Further> fmt::Debug for Listener<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("address", &self.address)
            .field("of", &self.of)
            .finish_non_exhaustive()
    }
}

impl<S: Further> Drop for Listener<S> {
    fn drop(&mut self) {
        host::listener_end(self.number);
    }
}
