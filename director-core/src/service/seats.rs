//! How many sessions a service has, and may have.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Between two warnings about refused clients.
const WARNING: Duration = Duration::from_secs(60);

/// The seats of one service, over all workers.
#[derive(Debug)]
pub struct Seats {
    most: usize,
    taken: AtomicUsize,
    refused: AtomicU64,
    next: AtomicU64,
    /// When the last warning about refused clients was given.
    warned: Mutex<Option<Instant>>,
}

/// A seat, taken for as long as this lives.
#[derive(Debug)]
pub(super) struct Seat {
    /// The session's number, from 1.
    pub(super) number: u64,
    seats: Arc<Seats>,
}

impl Seats {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            taken: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            next: AtomicU64::new(1),
            warned: Mutex::new(None),
        }
    }

    /// Sessions now.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Clients turned away since the start, because all seats were taken.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Whether a warning about refused clients is due; it is given once a minute at most.
    pub(super) fn warning_is_due(&self) -> bool {
        let now = Instant::now();
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_some_and(|last| now.duration_since(last) < WARNING) {
            return false;
        }
        *warned = Some(now);
        true
    }

    /// Takes a seat, if one is free.
    pub(super) fn take(self: &Arc<Self>) -> Option<Seat> {
        let room = self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                (taken < self.most).then_some(taken + 1)
            });
        if room.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(Seat {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            seats: Arc::clone(self),
        })
    }
}

impl Seat {
    /// Does a session's work in this seat. A function, because an `async` block that reads only the
    /// number would keep only the number.
    pub(super) async fn hold<F: Future>(self, work: F) -> F::Output {
        work.await
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_seat_is_taken_while_its_work_lasts() {
        let seats = Arc::new(Seats::new(2));
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let first = seats.take().unwrap();
        assert_eq!(first.number, 1);
        let work = tokio::spawn(first.hold(ended));
        tokio::task::yield_now().await;
        assert_eq!(seats.taken(), 1);
        let second = seats.take().unwrap();
        assert_eq!(second.number, 2);
        assert!(seats.take().is_none());
        assert_eq!((seats.taken(), seats.refused()), (2, 1));
        end.send(()).unwrap();
        work.await.unwrap().unwrap();
        assert_eq!(seats.taken(), 1);
        drop(second.hold(async {}));
        assert_eq!(seats.taken(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn refused_clients_are_told_of_once_a_minute() {
        let seats = Seats::new(0);
        assert!(seats.warning_is_due());
        assert!(!seats.warning_is_due());
        tokio::time::advance(WARNING).await;
        assert!(seats.warning_is_due());
    }
}
