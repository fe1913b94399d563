//! Whose turn it is: a queue of tasks that were woken, first come, first served.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// A task of the kit's executor.
pub(super) type TaskId = u64;

/// Tasks that were woken.
#[derive(Default)]
pub(super) struct Ready {
    queue: Mutex<VecDeque<TaskId>>,
}

impl Ready {
    fn push(&self, id: TaskId) {
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(id);
    }

    pub(super) fn pop(&self) -> Option<TaskId> {
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }
}

/// Wakes one task.
pub(super) struct Turn {
    id: TaskId,
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Turn {
    /// A task that is woken once, to begin.
    pub(super) fn first(id: TaskId, ready: &Arc<Ready>) -> Arc<Self> {
        let turn = Arc::new(Self {
            id,
            queued: AtomicBool::new(false),
            ready: Arc::clone(ready),
        });
        turn.wake_by_ref();
        turn
    }

    /// The task's waker, at the start of its turn.
    pub(super) fn begin(self: &Arc<Self>) -> Waker {
        self.queued.store(false, Ordering::Relaxed);
        Waker::from(Arc::clone(self))
    }
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.ready.push(self.id);
        }
    }
}

/// Chance by a seed (splitmix64), the same on every machine.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    pub(super) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From 0 to `below`, without it.
    pub(super) fn below(&mut self, below: usize) -> usize {
        (self.next() % below.max(1) as u64) as usize
    }
}
