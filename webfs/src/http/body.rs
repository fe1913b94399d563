//! Bodies: of answers, which are whole or come out of one future; of requests, which are bounded.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time;

use super::failure::Failure;

/// How long a request's body may take.
const BODY_TIME: Duration = Duration::from_secs(30);
/// A body over the limit is read to its end up to here, so that the client hears why.
const MAX_DRAIN: usize = 32 << 20;

/// An answer's body.
pub(crate) enum ReplyBody {
    /// All of it is there; `None` once it is sent.
    Whole(Option<Bytes>),
    /// It comes as long as the client reads.
    Live(Live),
}

impl ReplyBody {
    /// A body that is there.
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()).filter(|bytes| !bytes.is_empty()))
    }

    /// A body that `make`'s future writes. It is polled by the connection that sends it: no task of
    /// its own, no queue, and no step further while the client does not read.
    pub(crate) fn live<F>(make: impl FnOnce(Out) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let slot = Slot::default();
        let future = make(Out { slot: slot.clone() });
        Self::Live(Live {
            slot,
            future: Some(Box::pin(future)),
        })
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take()),
            Self::Live(live) => live.poll_bytes(cx),
        };
        bytes.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Live(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Live(_) => SizeHint::default(),
        }
    }
}

/// The one frame under way between a body's future and its connection.
type Slot = Arc<Mutex<Option<Bytes>>>;

fn take(slot: &Slot) -> Option<Bytes> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// A body that a future writes.
pub(crate) struct Live {
    slot: Slot,
    future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Live {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let ended = match &mut self.future {
            Some(future) => future.as_mut().poll(cx).is_ready(),
            None => true,
        };
        if ended {
            self.future = None;
        }
        match take(&self.slot) {
            Some(bytes) => Poll::Ready(Some(bytes)),
            None if ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

/// Where a body's future writes to.
pub(crate) struct Out {
    slot: Slot,
}

impl Out {
    /// Hands one frame to the connection, and returns when it has been taken.
    ///
    /// Cancel safety: dropped midway, the frame may or may not have been sent.
    pub(crate) async fn send(&self, bytes: Bytes) {
        let mut bytes = Some(bytes);
        std::future::poll_fn(|_cx| {
            let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
            match bytes.take() {
                Some(bytes) => *slot = Some(bytes),
                None if slot.is_none() => return Poll::Ready(()),
                None => {}
            }
            // Whoever takes the frame polls this future again before it asks for the next.
            Poll::Pending
        })
        .await;
    }
}

/// Reads a request's body, `limit` bytes at most and no longer than 30 s.
///
/// # Errors
/// [`Failure::TooLarge`], [`Failure::BodyLate`], [`Failure::BodyBroken`].
pub(crate) async fn read(body: Incoming, limit: usize) -> Result<Bytes, Failure> {
    time::timeout(BODY_TIME, read_within(body, limit))
        .await
        .map_err(|_elapsed| Failure::BodyLate)?
}

async fn read_within(mut body: Incoming, limit: usize) -> Result<Bytes, Failure> {
    let announced = body.size_hint().lower();
    if announced > MAX_DRAIN as u64 {
        return Err(Failure::TooLarge { limit });
    }
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Failure::BodyBroken)?.into_data() else {
            continue; // trailers
        };
        size += data.len();
        if size > MAX_DRAIN {
            break;
        }
        if size > limit {
            continue;
        }
        match &first {
            // Most bodies are one chunk, which is kept as it is.
            None => first = Some(data),
            Some(_) => rest.extend_from_slice(&data),
        }
    }
    if size > limit {
        return Err(Failure::TooLarge { limit });
    }
    let first = first.unwrap_or_default();
    if rest.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(size);
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn next(body: &mut ReplyBody) -> Option<Bytes> {
        let frame = body.frame().await?;
        frame.unwrap().into_data().ok()
    }

    #[tokio::test]
    async fn a_live_body_comes_frame_by_frame_and_waits_for_its_reader() {
        let steps = Arc::new(Mutex::new(0));
        let counted = steps.clone();
        let mut body = ReplyBody::live(|out| async move {
            for step in 1..=3 {
                *counted.lock().unwrap() = step;
                out.send(Bytes::from(format!("{step}"))).await;
            }
        });
        assert!(!body.is_end_stream());
        for step in 1..=3 {
            assert_eq!(next(&mut body).await.unwrap(), format!("{step}"));
            assert_eq!(*steps.lock().unwrap(), step, "no step ahead of the reader");
        }
        assert_eq!(next(&mut body).await, None);
        assert_eq!(next(&mut body).await, None);
    }

    #[tokio::test]
    async fn a_whole_body_knows_its_size() {
        let mut body = ReplyBody::whole("abc");
        assert_eq!(body.size_hint().exact(), Some(3));
        assert_eq!(next(&mut body).await.unwrap(), "abc");
        assert!(body.is_end_stream());
        assert_eq!(ReplyBody::whole("").size_hint().exact(), Some(0));
    }
}
