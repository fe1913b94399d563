//! What a task asks of the director: perform a request at a node, move bytes, wait.

use std::fmt;
use std::future::Future;
use std::io;
use std::ops::{Deref, DerefMut, RangeInclusive};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::failure::Exception;
use crate::further::{self, Further, Listener, Who};
use crate::glue::host;
use crate::glue::link::Held;
use crate::glue::step::{Answer, Step, Ticket};
use crate::protocol::{Outcome, Request, Session};
use crate::relay::{Relay, RelayEnd};
use crate::spool::Spool;
use crate::stream::AsStream;

/// One task's handle to the director. Cheap to clone; of use on the task's own thread, while the
/// task lives.
#[derive(Debug, Clone)]
pub struct Director {
    task: u64,
}

/// A chain of requests: a session, and at most one link to a node. Requests that run at once have
/// each their own chain. Dropping it gives the link up, or back to the pool when it is fit.
#[derive(Debug)]
pub struct Chain<S: Session> {
    number: ChainNumber,
    session: S,
}

/// A chain of the host's; ended when it is dropped.
#[derive(Debug)]
struct ChainNumber(u64);

impl Drop for ChainNumber {
    fn drop(&mut self) {
        host::chain_end(self.0);
    }
}

/// The time of a [`Director::timeout`] is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time is over")
    }
}

impl std::error::Error for Elapsed {}

impl Director {
    pub(crate) fn new(task: u64) -> Self {
        Self { task }
    }

    /// The task's number.
    pub(crate) fn task(&self) -> u64 {
        self.task
    }

    /// A chain that owns `session` and its link.
    pub fn chain<S: Session>(&self, session: S) -> Chain<S> {
        Chain {
            number: ChainNumber(host::chain::<S>(self.task)),
            session,
        }
    }

    /// Performs `request` at a node: picks one, makes the link, attempts, and after a failure
    /// cleans up and goes on elsewhere, within the service's bounds.
    ///
    /// # Errors
    ///
    /// The exception that no node could spare the client.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the step under way, without cleanup, and its link with it. A panic of a
    /// step is a panic here: it ends the session.
    pub async fn direct<S: Session, R: Request<S>>(
        &self,
        chain: &mut Chain<S>,
        request: &mut R,
    ) -> Result<R::Reply, Exception> {
        let ticket = Ticket::open(chain.number.0)?;
        let session = &mut chain.session;
        let mut reply = None;
        let mut answer = Answer::Begin;
        loop {
            answer = match ticket.step(answer).await? {
                Step::Establish(node) => {
                    let step = session.establish(node, self);
                    Answer::of(ticket.unless_cut(step).await, Answer::established)
                }
                Step::Attempt(mut held) => {
                    let link = held.get::<S::Link>()?;
                    let step = request.attempt(session, link, self);
                    Answer::of(ticket.unless_cut(step).await, |made| {
                        reply = Some(made);
                        Answer::Replied
                    })
                }
                Step::CleanUp(mut held, why) => {
                    let link = held.as_mut().map(Held::get).transpose()?;
                    let step = request.cleanup(session, link, &why);
                    let resend = ticket.unless_cut(step).await;
                    Answer::of(resend.map(Ok), Answer::Cleaned)
                }
                Step::Ask(mut held) => {
                    let link = held.get::<S::Link>()?;
                    let step = request.ask(session, link);
                    Answer::of(ticket.unless_cut(step).await, |outcome| match outcome {
                        Outcome::Happened(made) => {
                            reply = Some(made);
                            Answer::Happened
                        }
                        Outcome::NotDone => Answer::NotDone,
                        Outcome::Unknown => Answer::Unknown,
                    })
                }
                Step::Reply => return reply.ok_or_else(no_reply),
                Step::GiveUp(exception) => return Err(exception),
            };
        }
    }

    /// Moves bytes inside the host, at most `limit` of them, and adds to `moved`, as it goes, what
    /// `to` has accepted. No byte is in between when it has ended: what was not moved is still to
    /// be read from `from`.
    ///
    /// # Cancel safety
    ///
    /// `moved` is right also when this is dropped, or torn down with its step.
    pub async fn relay(
        &self,
        from: &mut impl AsStream,
        to: &mut impl AsStream,
        limit: Option<u64>,
        moved: &mut u64,
    ) -> RelayEnd {
        let (from, to) = (from.as_stream(), to.as_stream());
        from.forget_seen();
        let number = host::relay(self.task, from.number(), to.number(), limit);
        Relay::new(number, from.side(), to.side(), moved)
            .end()
            .await
    }

    /// A further connection to the peer of `of`: from its local IP address, to its peer's IP address and
    /// `port`. It belongs to what `of` belongs to, the client's session or the link, and is cut and
    /// ended with it. It is under way when this returns; `of` is not borrowed.
    ///
    /// # Errors
    ///
    /// It cannot be made (`Unsupported`: too many of them, or the host is too old; `NotConnected`: what
    /// `of` belongs to has ended), was refused, or was cut.
    ///
    /// # Cancel safety
    ///
    /// A connection that was not awaited to its end is given up.
    pub fn connect<S: Further>(
        &self,
        of: &S,
        port: u16,
    ) -> impl Future<Output = io::Result<S>> + Send + use<S> {
        further::connect(self.task, of, port)
    }

    /// Listens at the local IP address of `of`, on a free port of `ports` (`0..=0`: any), for
    /// connections of `who`. It is bound when this returns; `of` is not borrowed, but the listener
    /// belongs to what it belongs to, as for [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// No port is free (`AddrInUse`), or the host has no room for another listener (`Unsupported`).
    pub fn listen<S: Further>(
        &self,
        of: &S,
        ports: RangeInclusive<u16>,
        who: Who,
    ) -> io::Result<Listener<S>> {
        further::listen(self.task, of, ports, who)
    }

    /// A bounded store of bytes: at most `memory` of them in memory, and `disk` more on the disk.
    /// The host may grant less: an [`append`](Spool::append) says when it is full.
    ///
    /// # Errors
    ///
    /// There is no room at all (`StorageFull`).
    pub fn spool(&self, memory: u64, disk: u64) -> io::Result<Spool> {
        Spool::new(self.task, memory, disk)
    }

    /// Waits.
    ///
    /// # Panics
    ///
    /// When the host gives no timer: the task is over, it is polled on another thread, or it has
    /// more timers than the host allows. Waiting for ever, or not at all, would hide that.
    pub async fn sleep(&self, time: Duration) {
        sleep(self.task, time).await;
    }

    /// `future`, if it ends in time. It is dropped when it does not.
    ///
    /// # Errors
    ///
    /// [`Elapsed`]: the time was over first.
    ///
    /// # Panics
    ///
    /// As [`sleep`](Self::sleep).
    pub async fn timeout<F: Future>(
        &self,
        time: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        let mut sleeping = self.sleeping(time);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            Pin::new(&mut sleeping).poll(cx).map(|()| Err(Elapsed))
        })
        .await
    }

    pub(crate) fn sleeping(&self, time: Duration) -> Sleeping {
        Sleeping::new(self.task, time)
    }

    /// Waits until the director is stopping: the session should end at its next good moment.
    pub async fn stopping(&self) {
        std::future::poll_fn(|cx| host::poll_stopping(self.task, cx)).await;
    }

    /// `future`, or `None` when the director is stopping before it ends: for waits that may last as
    /// long as the client likes.
    pub async fn unless_stopping<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => host::poll_stopping(self.task, cx).map(|()| None),
        })
        .await
    }

    /// Whether the director is stopping.
    pub fn is_stopping(&self) -> bool {
        host::is_stopping(self.task)
    }

    /// Time since a fixed start, by a clock that never goes back; virtual in the test kit.
    pub fn now(&self) -> Duration {
        host::now()
    }

    /// Time since 1970-01-01T00:00:00Z.
    pub fn unix_time(&self) -> Duration {
        host::unix_time()
    }

    /// Fills with random bytes; seeded in the test kit.
    ///
    /// # Panics
    ///
    /// When the system has no randomness: bytes that only look random would end up in ids.
    pub fn random(&self, into: &mut [u8]) {
        random(into);
    }
}

fn no_reply() -> Exception {
    Exception::fault("the host says that there is a reply, and there is none")
}

impl<S: Session> Chain<S> {
    /// Ends the chain, and yields its session.
    pub fn into_session(self) -> S {
        self.session
    }
}

impl<S: Session> Deref for Chain<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.session
    }
}

impl<S: Session> DerefMut for Chain<S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.session
    }
}

pub(crate) fn random(into: &mut [u8]) {
    assert!(host::random(into), "the host has no random bytes");
}

pub(crate) async fn sleep(task: u64, time: Duration) {
    Sleeping::new(task, time).await;
}

/// A timer of the host's, made when it is first polled.
pub(crate) struct Sleeping {
    task: u64,
    /// When it is over, by the host's clock.
    until: Duration,
    /// 0 before the first poll, and after the last.
    number: u64,
}

impl Sleeping {
    fn new(task: u64, time: Duration) -> Self {
        Self {
            task,
            until: host::now().saturating_add(time),
            number: 0,
        }
    }
}

impl Future for Sleeping {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.number == 0 {
            let left = self.until.saturating_sub(host::now());
            if left.is_zero() {
                return Poll::Ready(());
            }
            self.number = host::timer(self.task, left);
            assert!(
                self.number != 0,
                "the host gave no timer: the task is over, or has too many"
            );
        }
        match host::timer_poll(self.number, cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => Poll::Ready(()),
            Poll::Ready(Err(())) => panic!("the host lost a timer: the task is over"),
        }
    }
}

impl Drop for Sleeping {
    fn drop(&mut self) {
        if self.number != 0 {
            host::timer_end(self.number);
        }
    }
}
