//! Tasks: a plugin's futures, polled on their own thread, and all that they own.
//!
//! Whatever a plugin forgot is freed when its task ends; what the host ends is reset. A panic, in a
//! poll or in a destructor, is caught on the plugin's side and ends this one task.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use director_abi as abi;

use super::chain::Chain;
use super::confirm::Confirm;
use super::instance::Inner;
use super::keeper::Local;
use super::layout::{adopt, take_text};
use super::library::LONGEST_MESSAGE;
use super::relay::Relay;
use super::sessions::Shown;
use super::slab::{self, Kind};
use super::spool::Spool;
use super::stop::Stop;
use super::stream::{Ending, Side, Stream};
use super::tables::{self, Counted, Live};
use super::timer::Timer;
use super::waker::{Lent, ManyWakers, lend};

/// A poll that takes longer is counted and told for who debugs: it keeps every other session of its
/// thread waiting. On a busy machine it may have waited itself.
const SLOW: Duration = Duration::from_millis(20);
/// One that takes longer still is told to everybody.
const VERY_SLOW: Duration = Duration::from_millis(100);

/// What a task is for, as logs name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Serve,
    Probe,
    Watch,
    Run,
}

impl Work {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Probe => "probe",
            Self::Watch => "watch",
            Self::Run => "run",
        }
    }
}

/// One future of a plugin, and what it owns.
pub(super) struct Task {
    pub(super) number: u64,
    pub(super) inner: Arc<Inner>,
    pub(super) local: Rc<Local>,
    pub(super) work: Work,
    /// The session's number; 0 for a task that serves none.
    pub(super) session: u64,
    /// By what the session is sent to a node, where that is how nodes are chosen.
    pub(super) key: Cell<Option<u64>>,
    /// The session as the status shows it.
    pub(super) shown: Option<Arc<Shown>>,
    /// The stream that it was given: the client's, or that of the node it is about.
    given: RefCell<Option<Rc<Stream>>>,
    pub(super) requests: Cell<u64>,
    pub(super) switches: Cell<u64>,
    /// How many spools it has.
    pub(super) spools: Cell<usize>,
    owned: RefCell<Owned>,
    stop: Stop,
    stopping: RefCell<Option<Pin<Box<dyn Future<Output = ()>>>>>,
    stop_wakers: Arc<ManyWakers>,
    _live: Counted,
}

/// Numbers, each in a place of its own that is used again.
#[derive(Debug, Default)]
pub(super) struct Owned {
    places: Vec<u64>,
    free: Vec<u32>,
}

impl Owned {
    pub(super) fn reserve(&mut self) -> Option<u32> {
        if let Some(place) = self.free.pop() {
            return Some(place);
        }
        let place = u32::try_from(self.places.len()).ok()?;
        self.places.push(0);
        Some(place)
    }

    pub(super) fn set(&mut self, place: u32, number: u64) {
        if let Some(at) = self.places.get_mut(place as usize) {
            *at = number;
        }
    }

    pub(super) fn free(&mut self, place: u32) {
        self.set(place, 0);
        self.free.push(place);
    }

    /// Every number, and none is left.
    fn take(&mut self) -> Vec<u64> {
        self.free.clear();
        let mut all = std::mem::take(&mut self.places);
        all.retain(|number| *number != 0);
        all
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.places.iter().copied().filter(|number| *number != 0)
    }
}

impl Task {
    /// A task that owns nothing yet; `None` when there is no number left.
    pub(super) fn begin(
        local: &Rc<Local>,
        work: Work,
        stop: Stop,
        session: u64,
        shown: Option<Arc<Shown>>,
    ) -> Option<Rc<Self>> {
        tables::insert(|number| Self {
            number,
            inner: Arc::clone(&local.inner),
            local: Rc::clone(local),
            work,
            session,
            key: Cell::new(None),
            shown,
            given: RefCell::default(),
            requests: Cell::new(0),
            switches: Cell::new(0),
            spools: Cell::new(0),
            owned: RefCell::default(),
            stop,
            stopping: RefCell::default(),
            stop_wakers: Arc::default(),
            _live: Counted::new(Live::Task),
        })
    }

    /// Gives it its stream.
    pub(super) fn give(&self, stream: Rc<Stream>) {
        self.given.replace(Some(stream));
    }

    /// The client's stream, if there is a client.
    pub(super) fn client(&self) -> Option<Rc<Stream>> {
        let given = self.given.borrow();
        given
            .as_ref()
            .filter(|stream| matches!(stream.side, Side::Client { .. }))
            .map(Rc::clone)
    }

    /// Owns what `make` makes for its place.
    pub(super) fn keep(&self, make: impl FnOnce(u32) -> Option<u64>) -> Option<u64> {
        let place = self.owned.borrow_mut().reserve()?;
        let number = make(place);
        let mut owned = self.owned.borrow_mut();
        match number {
            Some(number) => owned.set(place, number),
            None => owned.free(place),
        }
        number
    }

    /// What stood in that place has ended.
    pub(super) fn forget(&self, place: u32) {
        self.owned.borrow_mut().free(place);
    }

    pub(super) fn poll_stopping(&self, waker: Lent<'_>) -> Poll<()> {
        // Before the question, so that a stop in between is not missed.
        self.stop_wakers.add(waker);
        if self.stop.is_stopping() {
            // Those too that a stop during `add` did not find.
            Wake::wake_by_ref(&self.stop_wakers);
            return Poll::Ready(());
        }
        let Ok(mut stopping) = self.stopping.try_borrow_mut() else {
            return Poll::Pending;
        };
        let stopping = stopping.get_or_insert_with(|| {
            let stop = self.stop.clone();
            Box::pin(async move { stop.stopping().await })
        });
        let waker = Waker::from(Arc::clone(&self.stop_wakers));
        stopping.as_mut().poll(&mut Context::from_waker(&waker))
    }

    /// Has the plugin make its future.
    pub(super) fn make(self: &Rc<Self>, make: impl FnOnce() -> abi::Future) -> Driven {
        let future = {
            let _inside = Inside::enter(self);
            make()
        };
        Driven::new(Rc::clone(self), &future)
    }

    /// Frees everything. A stream that the plugin closed and forgot is closed if the task ended by
    /// itself; all else is reset.
    pub(super) fn end(&self, ending: Ending) {
        let owned = self.owned.borrow_mut().take();
        // Relays and chains before the streams that they use.
        for number in owned {
            let _void = match slab::kind_of(number) {
                Some(Kind::Timer) => Timer::end(number),
                Some(Kind::Relay) => Relay::end(number).map(|_moved| ()),
                Some(Kind::Chain) => Chain::end(number),
                Some(Kind::Spool) => Spool::end(number),
                Some(Kind::Confirm) => Confirm::end(number),
                // Others end with their chain or their bundle.
                Some(Kind::Task | Kind::Stream | Kind::Ticket | Kind::Connect | Kind::Listener)
                | None => Ok(()),
            };
        }
        if let Some(given) = self.given.take() {
            given.bundle.end(ending);
            given.end(ending);
        }
        self.stopping.take();
        // Its number is void from here on, and with it the task.
        drop(tables::remove::<Self>(self.number));
    }
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task")
            .field("number", &self.number)
            .field("work", &self.work)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// How a plugin's future ended.
#[derive(Debug)]
pub(super) enum TaskEnd {
    /// By itself.
    Ended(Said),
    /// With a panic, or it could not be made.
    Panicked,
}

/// What it said.
#[derive(Debug)]
pub(super) struct Said {
    /// As [`abi::Ended::kind`] has it.
    pub(super) kind: u32,
    pub(super) code: u32,
    pub(super) retry_after_ms: u32,
    pub(super) load: abi::Load,
    pub(super) detail: String,
}

/// Drives a plugin's future to its end. Dropped, it drops the future and frees what the task owns.
pub(super) struct Driven {
    task: Rc<Task>,
    future: Option<Foreign>,
    ending: Ending,
}

struct Foreign {
    data: *mut c_void,
    vtable: abi::FutureVtable,
}

impl Driven {
    /// Takes over the future that a plugin made for `task`: it is as [`abi::Future`] says, as
    /// [`Task::make`] got it from the plugin itself.
    fn new(task: Rc<Task>, future: &abi::Future) -> Self {
        let future = if future.data.is_null() {
            None
        } else {
            // SAFETY: the functions of a future begin with their size and are static.
            unsafe { adopt(future.vtable) }.map(|vtable| Foreign {
                data: future.data,
                vtable,
            })
        };
        Self {
            task,
            future,
            ending: Ending::Host,
        }
    }

    fn poll_future(&mut self, cx: &mut Context<'_>) -> Poll<TaskEnd> {
        let Some(Foreign { data, vtable }) = &self.future else {
            self.panicked("it made no future");
            return Poll::Ready(TaskEnd::Panicked);
        };
        let Some(poll) = vtable.poll else {
            self.panicked("its future cannot be polled");
            return Poll::Ready(TaskEnd::Panicked);
        };
        let mut ended = abi::Ended {
            size: size_of::<abi::Ended>(),
            kind: 0,
            code: 0,
            retry_after_ms: 0,
            _pad: 0,
            load: abi::Load {
                size: size_of::<abi::Load>(),
                load: f64::NAN,
                flags: 0,
                _pad: 0,
            },
            detail: abi::Owned::EMPTY,
            _reserved: [0; 4],
        };
        let waker = lend(cx.waker());
        let begun = Instant::now();
        // SAFETY: the future is alive (it is dropped below, once), on its own thread, not polled
        // twice at once (`&mut self`); the waker is lent for the call.
        let status = unsafe { poll(*data, &raw const waker, &raw mut ended) };
        self.note_time(begun.elapsed());
        match status {
            abi::PENDING => return Poll::Pending,
            abi::READY => {}
            _panicked => {
                self.panicked("in a poll");
                return Poll::Ready(TaskEnd::Panicked);
            }
        }
        // SAFETY: what the plugin wrote with READY.
        let detail = unsafe { take_text(&mut ended.detail, LONGEST_MESSAGE) };
        Poll::Ready(TaskEnd::Ended(Said {
            kind: ended.kind,
            code: ended.code,
            retry_after_ms: ended.retry_after_ms,
            load: ended.load,
            detail,
        }))
    }

    fn note_time(&self, took: Duration) {
        let inner = &self.task.inner;
        if took <= SLOW {
            return;
        }
        inner.meters.slow_polls.increment(1);
        let service = inner.service.as_str();
        let session = self.task.session;
        let work = self.task.work.as_str();
        let milliseconds = took.as_millis() as u64;
        let words = "a poll of the plugin was slow: every session of its thread waited";
        if took > VERY_SLOW {
            tracing::warn!(service, session, work, milliseconds, "{words}");
        } else {
            tracing::debug!(service, session, work, milliseconds, "{words}");
        }
    }

    fn panicked(&self, when: &str) {
        let what = format!("{} {when}", self.task.work.as_str());
        self.task.inner.fault(&what, self.task.session);
    }

    /// Drops the future and frees what the task owns.
    fn finish(&mut self) {
        let Some(Foreign { data, vtable }) = self.future.take() else {
            return;
        };
        let _inside = Inside::enter(&self.task);
        // SAFETY: taken out, so this is the only time; on its own thread, and not being polled.
        let status = vtable.drop.map(|drop| unsafe { drop(data) });
        if status != Some(abi::READY) {
            self.panicked("while it was dropped");
        }
    }
}

/// The plugin's code runs for a task.
struct Inside(u64);

impl Inside {
    fn enter(task: &Task) -> Self {
        let session = task.session;
        Self(tables::with(|tables| tables.session.replace(session)).unwrap_or(0))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        tables::with(|tables| tables.session.set(self.0));
    }
}

impl Future for Driven {
    type Output = TaskEnd;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TaskEnd> {
        let polled = {
            let _inside = Inside::enter(&self.task);
            self.poll_future(cx)
        };
        if let Poll::Ready(end) = &polled {
            if matches!(end, TaskEnd::Ended(_)) {
                self.ending = Ending::Plugin;
            }
            self.finish();
        }
        tables::free_ended();
        polled
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.finish();
        self.task.end(self.ending);
        tables::free_ended();
    }
}
