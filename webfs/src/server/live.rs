//! Live reads, and directors' watches.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::engine::{Engine, Moved};
use super::peers::until;
use super::{NotReady, ReadLimits, Refusal, Slice, WatchEvent};
use crate::core::{Answer, Follow};
use crate::cursor::{Cursor, Position};
use crate::path::StreamPath;
use crate::stream::DirectorId;

/// How often a watch says that the server is alive.
const BEAT: Duration = Duration::from_millis(100);

/// One live read: its cursor, and what comes next.
pub struct Follower {
    engine: Arc<Engine>,
    follow: Follow,
    /// `None` only while it is being dropped.
    wakes: Option<watch::Receiver<()>>,
    filling: Option<Filling>,
}

/// What comes next, while its payloads are read from the log. It outlives a call that was given up:
/// whoever waits for less time than the disk takes would never get it otherwise.
struct Filling {
    limits: ReadLimits,
    slice: Pin<Box<dyn Future<Output = Result<Slice, Refusal>> + Send + Sync>>,
    follow: Follow,
}

/// Where a live read stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Following {
    /// `Stream-Next-Offset`.
    pub next: Cursor,
    /// `Stream-Stable-Offset`.
    pub stable: Cursor,
    /// `Stream-Up-To-Date`.
    pub up_to_date: bool,
}

impl Follower {
    pub(super) async fn begin(
        engine: Arc<Engine>,
        path: &StreamPath,
        from: &Position,
        min: Option<&Cursor>,
    ) -> Result<Self, Refusal> {
        let (from, min) = (from.clone(), min.cloned());
        let asked = engine.ask(|core, now, ticket| core.follow(now, ticket, path, from, min));
        let Answer::Following(follow) = asked.await? else {
            return Err(engine.mistaken());
        };
        Ok(Self {
            wakes: Some(engine.subscribe(path)),
            filling: None,
            follow,
            engine,
        })
    }

    /// What follows the cursor, at once when there is something, else as soon as there is; then moves
    /// the cursor. The slice is never empty.
    ///
    /// # Errors
    /// [`Refusal::UnknownStream`] or [`Refusal::Gone`] once the stream is deleted; `NotReady(Stopping)`.
    ///
    /// # Cancel safety
    /// Dropped midway, the cursor has not moved over anything that was to be delivered.
    pub async fn next(&mut self, limits: ReadLimits) -> Result<Slice, Refusal> {
        loop {
            if let Some(filling) = &mut self.filling
                && filling.limits == limits
            {
                let slice = filling.slice.as_mut().await;
                if let Some(filling) = self.filling.take()
                    && slice.is_ok()
                {
                    self.follow = filling.follow;
                }
                return slice;
            }
            let Some(wakes) = &mut self.wakes else {
                return Err(NotReady::Stopping.into());
            };
            wakes.borrow_and_update();
            let follow = &self.follow;
            let step = self
                .engine
                .with(|state, now| state.core.step(now, follow, limits))?;
            match step.reading {
                Some(reading) => {
                    self.filling = Some(Filling {
                        limits,
                        slice: Box::pin(Arc::clone(&self.engine).fill(reading)),
                        follow: step.follow,
                    });
                }
                None => {
                    self.filling = None;
                    self.follow = step.follow;
                    if wakes.changed().await.is_err() {
                        return Err(NotReady::Stopping.into());
                    }
                }
            }
        }
    }

    /// Where it stands: also moved by what is not delivered (control entries, second names).
    #[must_use]
    pub fn state(&self) -> Following {
        Following {
            next: self.follow.next().clone(),
            stable: self.follow.stable().clone(),
            up_to_date: self.follow.up_to_date(),
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.wakes = None;
        self.engine.unsubscribe(self.follow.path());
    }
}

/// One director's watch.
pub struct Watch {
    engine: Arc<Engine>,
    director: DirectorId,
    beats: Interval,
    moved: Arc<Moved>,
}

impl Watch {
    pub(super) fn begin(engine: Arc<Engine>, director: DirectorId) -> Self {
        let moved = Arc::new(Moved::default());
        engine.with(|state, _| {
            for (path, cursor) in state.core.watched(&director) {
                moved.put(path, cursor);
            }
            let watches = state.watches.entry(director.clone()).or_default();
            watches.push(Arc::downgrade(&moved));
        });
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            engine,
            director,
            beats,
            moved,
        }
    }

    /// The next event; `None` when the server stops. Cancel safe.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        tokio::select! {
            biased;
            () = until(self.engine.stopped()) => None,
            _ = self.beats.tick() => Some(WatchEvent::Beat),
            (path, cursor) = self.moved.take() => Some(WatchEvent::Stable { path, cursor }),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let this = Arc::downgrade(&self.moved);
        self.engine.with(|state, _| {
            if let Some(watches) = state.watches.get_mut(&self.director) {
                watches.retain(|other| !Weak::ptr_eq(other, &this));
                if watches.is_empty() {
                    state.watches.remove(&self.director);
                }
            }
        });
    }
}
