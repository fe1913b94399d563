//! The word that the director is stopping, for as many as want to hear it.

use tokio::sync::watch;

/// Says it. Dropping it says it too: who may still stop nobody has stopped.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Hears it.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stopper {
    /// Both ends.
    #[must_use]
    pub fn new() -> (Self, Stop) {
        let (says, hears) = watch::channel(false);
        (Self(says), Stop(hears))
    }

    /// Says it; a second time changes nothing.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// One more to hear it.
    #[must_use]
    pub fn hearer(&self) -> Stop {
        Stop(self.0.subscribe())
    }
}

impl Stop {
    /// Whether it was said.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Returns when it was said.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn stopping(&self) {
        let mut hears = self.0.clone();
        // An error says that the stopper is gone, which says the same.
        let _said = hears.wait_for(|said| *said).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_heard_by_those_who_listen_and_by_those_who_come_late() {
        let (stopper, stop) = Stopper::new();
        assert!(!stop.is_stopping());
        let early = stop.clone();
        let waiting = tokio::spawn(async move { early.stopping().await });
        stopper.stop();
        waiting.await.unwrap();
        stop.stopping().await;
        assert!(stop.is_stopping());
    }

    #[tokio::test]
    async fn a_dropped_stopper_has_stopped() {
        let (stopper, stop) = Stopper::new();
        drop(stopper);
        assert!(stop.is_stopping());
        stop.stopping().await;
    }
}
