//! Metrics: gathered by the `metrics` macros all over, told in Prometheus' text.

use std::sync::Arc;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

use crate::host;
use crate::service::Service;

/// Buckets of every `*_seconds` histogram, from a quick answer to a slow death.
const SECONDS: [f64; 14] = [
    0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The buckets are wrong.
    #[error("metrics cannot be gathered: {0}")]
    Build(#[from] BuildError),
    /// A recorder is there already.
    #[error("metrics are gathered by somebody else already")]
    Taken,
}

/// What was gathered.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Begins to gather for the whole process.
    ///
    /// # Errors
    /// [`MetricsError::Taken`] the second time.
    pub fn install() -> Result<Self, MetricsError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&SECONDS)?
            .build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_taken| MetricsError::Taken)?;
        Ok(Self { handle })
    }

    /// For tests: gathers nothing from anybody.
    #[cfg(test)]
    pub(crate) fn apart() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        Self {
            handle: recorder.handle(),
        }
    }

    /// Puts recorded samples into their buckets. To be called now and then: until then each takes room.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// All of it, with the state of these services, as Prometheus reads it.
    #[must_use]
    pub fn render(&self, services: &[Arc<Service>]) -> String {
        for service in services {
            gauge_service(service);
        }
        let counts = host::counts();
        for (object, count) in host_counts(&counts) {
            metrics::gauge!("director_host_objects", "object" => object).set(count as f64);
        }
        self.handle.render()
    }
}

/// The host's objects, each by its name.
pub(crate) fn host_counts(counts: &host::HostCounts) -> [(&'static str, usize); 15] {
    let host::HostCounts {
        tasks,
        streams,
        timers,
        relays,
        chains,
        tickets,
        resting_links,
        spare_pipes,
        lingering,
        tended,
        connects,
        listeners,
        spools,
        spool_files,
        confirms,
    } = *counts;
    [
        ("tasks", tasks),
        ("streams", streams),
        ("timers", timers),
        ("relays", relays),
        ("chains", chains),
        ("tickets", tickets),
        ("resting_links", resting_links),
        ("spare_pipes", spare_pipes),
        ("lingering", lingering),
        ("tended", tended),
        ("connects", connects),
        ("listeners", listeners),
        ("spools", spools),
        ("spool_files", spool_files),
        ("confirms", confirms),
    ]
}

fn gauge_service(service: &Service) {
    let name = &service.settings.name;
    let left = service.cluster.budget().left(service.cluster.now());
    metrics::gauge!("director_budget_left", "service" => name.clone()).set(left);
    for node in service.cluster.nodes() {
        let labels = [("service", name.clone()), ("node", node.name.clone())];
        let up = node.standing() == crate::cluster::Standing::Up;
        metrics::gauge!("director_node_up", &labels).set(f64::from(u8::from(up)));
        metrics::gauge!("director_node_weight", &labels).set(node.weight_now());
        let draining = !node.closed_by().is_empty();
        metrics::gauge!("director_node_draining", &labels).set(f64::from(u8::from(draining)));
        metrics::gauge!("director_node_in_flight", &labels).set(node.in_flight() as f64);
        if let Some(load) = node.load() {
            metrics::gauge!("director_node_load", &labels).set(load);
        }
    }
    for node in &service.spawned {
        let labels = [("service", name.clone()), ("node", node.id.clone())];
        metrics::counter!("director_spawned_starts_total", &labels).absolute(node.starts());
    }
}
