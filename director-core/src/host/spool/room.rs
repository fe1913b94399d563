//! What all spools of a service may hold together, in memory and on the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::Gauge;

/// Bytes that all spools of a service may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolBounds {
    /// In memory.
    pub memory: u64,
    /// On the disk.
    pub disk: u64,
}

impl Default for SpoolBounds {
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            disk: 1 << 30,
        }
    }
}

/// A service's room for spools.
#[derive(Debug)]
pub(in crate::host) struct Rooms {
    pub(super) memory: Arc<Room>,
    pub(super) disk: Arc<Room>,
}

/// Room of one sort.
pub(super) struct Room {
    most: u64,
    used: AtomicU64,
    shown: Gauge,
}

/// Bytes of a room, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Grant {
    room: Arc<Room>,
    bytes: u64,
}

impl Rooms {
    pub(in crate::host) fn new(service: &str, bounds: SpoolBounds) -> Self {
        let room = |name: &'static str, most: u64| {
            Arc::new(Room {
                most,
                used: AtomicU64::new(0),
                shown: metrics::gauge!(name, "service" => service.to_owned()),
            })
        };
        Self {
            memory: room("director_spool_memory_bytes", bounds.memory),
            disk: room("director_spool_disk_bytes", bounds.disk),
        }
    }
}

impl Room {
    pub(super) fn left(&self) -> u64 {
        self.most.saturating_sub(self.used.load(Ordering::Relaxed))
    }

    /// As much of `want` as is left; `None` for nothing.
    pub(super) fn grant(self: &Arc<Self>, want: u64) -> Option<Grant> {
        let mut granted = 0;
        let _before = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                granted = want.min(self.most.saturating_sub(used));
                (granted > 0).then(|| used + granted)
            });
        if granted == 0 {
            return None;
        }
        self.shown.increment(granted as f64);
        Some(Grant {
            room: Arc::clone(self),
            bytes: granted,
        })
    }
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room")
            .field("most", &self.most)
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

impl Grant {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.room.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.room.shown.decrement(self.bytes as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_granted_than_there_is_and_what_is_dropped_comes_back() {
        let bounds = SpoolBounds {
            memory: 100,
            disk: 0,
        };
        let rooms = Rooms::new("room", bounds);
        let first = rooms.memory.grant(60).unwrap();
        let second = rooms.memory.grant(60).unwrap();
        assert_eq!((first.bytes(), second.bytes()), (60, 40));
        assert!(rooms.memory.grant(1).is_none());
        drop(first);
        assert_eq!(rooms.memory.left(), 60);
        assert!(rooms.disk.grant(1).is_none());
    }
}
