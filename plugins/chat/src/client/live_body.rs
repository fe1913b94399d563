//! The body of a live read's answer: it drives the read, and hands over what that passes on.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use director_sdk::{Director, Exception};
use futures_channel::{mpsc, oneshot};
use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use hyper::HeaderMap;
use hyper::body::{Body, Frame};

use crate::node::answer::Answer;
use crate::node::link::Plain;
use crate::requests::Call;
use crate::requests::live::{Ended, Live, can_go_on};
use crate::requests::query::Query;
use crate::shared::{Said, Shared};
use crate::sse;

/// A live read under way.
pub struct LiveBody {
    /// `None` once the read has ended.
    read: Option<BoxFuture<'static, End>>,
    units: mpsc::Receiver<Bytes>,
    head: oneshot::Receiver<HeaderMap>,
    /// Ready when nothing may have been passed on for long; `last` says whether.
    quiet: BoxFuture<'static, ()>,
    /// When something was last passed on.
    last: Duration,
    keep_alive: Duration,
    /// Ready when the director is stopping.
    stopping: BoxFuture<'static, ()>,
    director: Director,
    /// Counts it while it lasts.
    _counted: Counted,
}

/// How a live read ended.
enum End {
    Ended(Ended),
    GaveUp(Exception, Said),
}

/// How a live read began.
pub enum Begun {
    /// With this head.
    Events(HeaderMap),
    /// It did not; this is why.
    Refused(Answer),
    /// No node could be asked.
    GaveUp(Exception, Said),
}

impl LiveBody {
    /// A read that has not begun.
    #[must_use]
    pub fn new(call: Call, query: Query, director: Director) -> Self {
        // One unit beside the one that the sender may hold: a slow client makes the read wait.
        let (sender, units) = mpsc::channel(0);
        let (head_sender, head) = oneshot::channel();
        let keep_alive = Duration::from_secs(call.shared.options.keep_alive);
        let counted = Counted::new(&call.shared);
        let live = Live {
            call,
            query,
            head: Some(head_sender),
            units: sender,
            at: None,
            base64: None,
            said: Said::default(),
        };
        let owned = director.clone();
        let stop = director.clone();
        Self {
            read: Some(read(live, director.clone()).boxed()),
            units,
            head,
            quiet: async move { owned.sleep(keep_alive).await }.boxed(),
            last: director.now(),
            keep_alive,
            stopping: async move { stop.stopping().await }.boxed(),
            director,
            _counted: counted,
        }
    }

    /// Runs the read until it is known what the client's answer begins with.
    pub async fn begin(&mut self) -> Begun {
        poll_fn(|cx| {
            if let Some(read) = &mut self.read
                && let Poll::Ready(end) = read.poll_unpin(cx)
            {
                self.read = None;
                match end {
                    End::Ended(Ended::Refused(answer)) => {
                        return Poll::Ready(Begun::Refused(answer));
                    }
                    End::GaveUp(exception, said)
                        if !matches!(self.head.try_recv(), Ok(Some(_))) =>
                    {
                        return Poll::Ready(Begun::GaveUp(exception, said));
                    }
                    End::Ended(Ended::Closed) | End::GaveUp(..) => {}
                }
            }
            match self.head.poll_unpin(cx) {
                Poll::Ready(head) => Poll::Ready(Begun::Events(head.unwrap_or_default())),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Whether nothing was passed on for so long that a comment is due.
    fn poll_quiet(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            std::task::ready!(self.quiet.poll_unpin(cx));
            let now = self.director.now();
            let due = self.last.saturating_add(self.keep_alive);
            let over = now >= due;
            if over {
                self.last = now;
            }
            let left = match over {
                true => self.keep_alive,
                false => due - now,
            };
            let director = self.director.clone();
            self.quiet = async move { director.sleep(left).await }.boxed();
            if over {
                return Poll::Ready(());
            }
        }
    }
}

impl Body for LiveBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let body = self.get_mut();
        if let Some(read) = &mut body.read
            && let Poll::Ready(end) = read.poll_unpin(cx)
        {
            if let End::GaveUp(exception, _) = end {
                tracing::warn!("a live read ends, for no node can go on with it: {exception}");
            }
            body.read = None;
        }
        // After the read, which may just have passed something on.
        match body.units.poll_next_unpin(cx) {
            Poll::Ready(Some(unit)) => {
                body.last = body.director.now();
                return Poll::Ready(Some(Ok(Frame::data(unit))));
            }
            // The read has ended and all of it was handed over.
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {}
        }
        // Between two units: whatever asks again finds its place by the last control event.
        if body.stopping.poll_unpin(cx).is_ready() {
            body.read = None;
            return Poll::Ready(None);
        }
        body.poll_quiet(cx)
            .map(|()| Some(Ok(Frame::data(sse::comment()))))
    }
}

async fn read(mut live: Live, director: Director) -> End {
    loop {
        let mut chain = director.chain(Plain);
        match director.direct(&mut chain, &mut live).await {
            Ok(ended) => return End::Ended(ended),
            Err(exception) if live.at.is_some() && can_go_on(&exception) => {
                tracing::info!("a live read goes on after a step that was dropped: {exception}");
            }
            Err(exception) => return End::GaveUp(exception, std::mem::take(&mut live.said)),
        }
    }
}

/// One live read, in the count of them.
struct Counted {
    _shared: Arc<Shared>,
}

impl Counted {
    fn new(shared: &Arc<Shared>) -> Self {
        metrics::gauge!("director_chat_live_reads").increment(1.0);
        Self {
            _shared: Arc::clone(shared),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!("director_chat_live_reads").decrement(1.0);
    }
}
