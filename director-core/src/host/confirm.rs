//! A plugin's question whether a node answers, and what else befell its links.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::slab::Void;
use super::tables::{self, Counted, Live};
use super::task::Task;
use super::waker::{Lent, WakerSlot};
use crate::cluster::NodeId;

/// How far back ends count, from the question on.
const LATELY: Duration = Duration::from_secs(1);
/// The longest time to settle; a longer one is as good as this.
const LONGEST: Duration = Duration::from_secs(60);

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// The node answered a probe that began after the question.
    pub(super) answers: bool,
    /// Links of others to it that ended from its side about the time of the question.
    pub(super) ended: u32,
}

/// One question of a task.
pub(super) struct Confirm {
    asking: RefCell<Pin<Box<dyn Future<Output = Found>>>>,
    found: Cell<Option<Found>>,
    slot: WakerSlot,
    task: Rc<Task>,
    /// Its place among what the task owns.
    place: u32,
    _live: Counted,
}

impl std::fmt::Debug for Confirm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Confirm").finish_non_exhaustive()
    }
}

impl Confirm {
    /// Puts the question, to be answered after `settle` at the earliest; `None` when there is no such
    /// node, or no number left.
    pub(super) fn begin(task: &Rc<Task>, node: NodeId, settle: Duration) -> Option<u64> {
        let asking = asking(task, node, settle.min(LONGEST))?;
        task.keep(|place| {
            let mut named = 0;
            tables::insert(|number| {
                named = number;
                Self {
                    asking: RefCell::new(asking),
                    found: Cell::new(None),
                    slot: WakerSlot::default(),
                    task: Rc::clone(task),
                    place,
                    _live: Counted::new(Live::Confirm),
                }
            })?;
            Some(named)
        })
    }

    pub(super) fn poll(&self, waker: Lent<'_>) -> Poll<Found> {
        if let Some(found) = self.found.get() {
            return Poll::Ready(found);
        }
        let Ok(mut asking) = self.asking.try_borrow_mut() else {
            return Poll::Pending;
        };
        let polled = self.slot.poll_with(waker, |cx| asking.as_mut().poll(cx));
        if let Poll::Ready(found) = polled {
            self.found.set(Some(found));
        }
        polled
    }

    /// Ends the question of a number.
    ///
    /// # Errors
    ///
    /// [`Void`] when it names none.
    pub(super) fn end(number: u64) -> Result<(), Void> {
        let confirm = tables::remove::<Self>(number)?;
        confirm.task.forget(confirm.place);
        Ok(())
    }
}

fn asking(
    task: &Task,
    node: NodeId,
    settle: Duration,
) -> Option<Pin<Box<dyn Future<Output = Found>>>> {
    let cluster = Arc::clone(&task.inner.cluster);
    let node = cluster.node(node)?;
    let session = task.session;
    let since = cluster.now().saturating_sub(LATELY);
    // A probe may be under way already, and is no answer. Beyond two the health task is stuck.
    let within = task.inner.timeouts.probe.saturating_mul(3);
    Some(Box::pin(async move {
        let settled = tokio::time::Instant::now() + settle;
        let answered = tokio::time::timeout(within, cluster.confirm(&node)).await;
        let answers = answered.unwrap_or(false);
        if answers {
            // Not for a node that is dead: the step that asks is cut, and its grace runs.
            tokio::time::sleep_until(settled).await;
        }
        Found {
            answers,
            ended: node.ended_besides(session, since),
        }
    }))
}
