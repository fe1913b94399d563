//! The instance's own work, from its begin to its end.

use std::sync::Arc;
use std::time::Duration;

use super::instance::Inner;
use super::keeper::Local;
use super::node_task::begin_run;
use super::stop::Stop;
use super::task::{Task, TaskEnd, Work};

/// Work that panicked is begun again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs the plugin's own work until it ends it.
pub(super) async fn run(inner: Arc<Inner>, stop: Stop) {
    loop {
        let local = Local::of(&inner);
        let task = local.and_then(|local| Task::begin(&local, Work::Run, stop.clone(), 0, None));
        let Some(task) = task else {
            tracing::error!(
                service = inner.service,
                "the plugin's own work has no number left"
            );
            return;
        };
        match begin_run(&task).await {
            TaskEnd::Ended(said) => {
                if let Some(exception) = said.exception(&inner.plugin, None) {
                    tracing::warn!(service = inner.service, %exception, "the plugin's own work ended");
                }
                return;
            }
            TaskEnd::Panicked => {
                tracing::warn!(
                    service = inner.service,
                    "the plugin's own work is begun again"
                );
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => {}
                    () = stop.stopping() => return,
                }
            }
        }
    }
}
