//! Timers for plugins.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use super::slab::Void;
use super::tables::{self, Counted, Live};
use super::task::Task;
use super::waker::{Lent, WakerSlot};

/// The longest timer; a longer one is as good as this.
const LONGEST: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// One timer of a task.
#[derive(Debug)]
pub(super) struct Timer {
    sleep: RefCell<Pin<Box<Sleep>>>,
    slot: WakerSlot,
    task: Rc<Task>,
    /// Its place among what the task owns.
    place: u32,
    _live: Counted,
}

impl Timer {
    /// A timer that is ready `after` from now; `None` when there is no number left.
    pub(super) fn begin(task: &Rc<Task>, after: Duration) -> Option<u64> {
        task.keep(|place| {
            let mut named = 0;
            tables::insert(|number| {
                named = number;
                Self {
                    sleep: RefCell::new(Box::pin(sleep(after.min(LONGEST)))),
                    slot: WakerSlot::default(),
                    task: Rc::clone(task),
                    place,
                    _live: Counted::new(Live::Timer),
                }
            })?;
            Some(named)
        })
    }

    pub(super) fn poll(&self, waker: Lent<'_>) -> Poll<()> {
        let Ok(mut sleep) = self.sleep.try_borrow_mut() else {
            return Poll::Pending;
        };
        self.slot.poll_with(waker, |cx| sleep.as_mut().poll(cx))
    }

    /// Ends the timer of a number.
    ///
    /// # Errors
    ///
    /// [`Void`] when it names none.
    pub(super) fn end(number: u64) -> Result<(), Void> {
        let timer = tables::remove::<Self>(number)?;
        timer.task.forget(timer.place);
        Ok(())
    }
}
