//! Keeps the standing of every node true: a watch while it is up, a probe when it is in doubt, trials
//! while it is down.
//!
//! The rules are in [`standing`]; this is the shell that acts on them. One task a node, all on worker 0,
//! because a plugin's futures stay on one thread.

pub mod standing;
pub(crate) mod suspicion;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use director_recovery::{Exception, Kind};

use crate::cluster::{Cluster, Node, NodeLoad};
use standing::Duty;

/// A future that stays on its thread.
pub type Local<T> = Pin<Box<dyn Future<Output = T>>>;

/// Talks to nodes about their health, in their own protocol.
pub trait Prober {
    /// Asks whether the node is there, and how much it has to do.
    ///
    /// # Cancel safety
    /// Dropping the future ends the probe and resets its connection.
    fn probe(&self, node: Arc<Node>) -> Local<Result<NodeLoad, Exception>>;

    /// Watches the node until a sign of failure, which it returns. Loads heard on the way come through
    /// [`Cluster::observe`].
    ///
    /// # Cancel safety
    /// Dropping the future ends the watch and resets its connection.
    fn watch(&self, node: Arc<Node>) -> Local<Exception>;
}

/// A watch that ends at once is begun again after this; it doubles up to [`WATCH_WAIT_MAX`].
const WATCH_WAIT: Duration = Duration::from_millis(50);
const WATCH_WAIT_MAX: Duration = Duration::from_secs(2);
/// A watch that lived this long was a good one.
const WATCH_GOOD: Duration = Duration::from_secs(5);

/// Keeps one node's standing true, for ever. `probe_timeout` bounds one probe.
///
/// # Cancel safety
/// Dropping the future ends the watch and the probe.
pub async fn keep<P: Prober>(
    cluster: Arc<Cluster>,
    node: Arc<Node>,
    prober: Arc<P>,
    probe_timeout: Duration,
) {
    let mut watch = Watch::new(Arc::clone(&cluster), Arc::clone(&node), prober.clone());
    loop {
        let duty = node.duty();
        match duty {
            Duty::Watch => {
                tokio::select! {
                    () = node.wake.notified() => {}
                    () = watch.run() => {}
                }
            }
            Duty::ProbeAt(at) => {
                let probing = async {
                    tokio::time::sleep(at.saturating_sub(cluster.now())).await;
                    let question = node.questions.asked();
                    let result = probe(&node, prober.as_ref(), probe_timeout).await;
                    (question, result)
                };
                tokio::pin!(probing);
                // The watch goes on meanwhile: the suspicion may be wrong.
                let result = loop {
                    tokio::select! {
                        result = &mut probing => break Some(result),
                        () = node.wake.notified() => {
                            if node.duty() != duty {
                                break None; // decided without us
                            }
                        }
                        () = watch.run_on() => {}
                    }
                };
                if let Some((question, result)) = result {
                    cluster.answered(&node, question, result);
                }
            }
            Duty::TrialAt(at) => {
                watch.stop();
                // It was declared down meanwhile: that is the answer.
                node.questions.close();
                tokio::time::sleep(at.saturating_sub(cluster.now())).await;
                let result = probe(&node, prober.as_ref(), probe_timeout).await;
                cluster.probed(&node, result);
            }
        }
    }
}

/// One probe, in time or failed.
async fn probe<P: Prober>(
    node: &Arc<Node>,
    prober: &P,
    within: Duration,
) -> Result<NodeLoad, Exception> {
    tokio::time::timeout(within, prober.probe(Arc::clone(node)))
        .await
        .unwrap_or_else(|_elapsed| {
            Err(Exception::new(
                Kind::Stalled,
                Some(node.id),
                format!("no answer to a probe within {within:?}"),
            ))
        })
}

/// The watch on one node, begun again when it ends.
struct Watch<P> {
    cluster: Arc<Cluster>,
    node: Arc<Node>,
    prober: Arc<P>,
    running: Option<(Duration, Local<Exception>)>,
    wait: Duration,
    not_before: Duration,
}

impl<P: Prober> Watch<P> {
    fn new(cluster: Arc<Cluster>, node: Arc<Node>, prober: Arc<P>) -> Self {
        Self {
            cluster,
            node,
            prober,
            running: None,
            wait: WATCH_WAIT,
            not_before: Duration::ZERO,
        }
    }

    /// Begins a watch if none runs, and returns when it has ended. Cancel safe: the watch stays.
    async fn run(&mut self) {
        if self.running.is_none() {
            let wait = self.not_before.saturating_sub(self.cluster.now());
            tokio::time::sleep(wait).await;
            let watch = self.prober.watch(Arc::clone(&self.node));
            self.running = Some((self.cluster.now(), watch));
        }
        self.run_on().await;
    }

    /// Returns when the watch that runs has ended; never, if none runs. Cancel safe: the watch stays.
    async fn run_on(&mut self) {
        let Some((since, watch)) = &mut self.running else {
            return std::future::pending().await;
        };
        let exception = watch.as_mut().await;
        let now = self.cluster.now();
        if now.saturating_sub(*since) >= WATCH_GOOD {
            self.wait = WATCH_WAIT;
        }
        self.not_before = now.saturating_add(self.wait);
        self.wait = self.wait.saturating_mul(2).min(WATCH_WAIT_MAX);
        self.running = None;
        self.cluster.watch_ended(&self.node, &exception);
    }

    fn stop(&mut self) {
        self.running = None;
        self.wait = WATCH_WAIT;
        self.not_before = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests;
