//! What is measured of one node. Kept beside it, because looking a metric up costs more than counting it.

use director_recovery::Kind;
use metrics::{Counter, Histogram, counter, histogram};

use super::Seen;

/// One node's metrics.
pub(super) struct Meters {
    service: String,
    node: String,
    connect: Histogram,
    first_byte: Histogram,
    connect_failures: Counter,
    silences: Counter,
    deaths: Counter,
    ejections: Counter,
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}

impl Meters {
    pub(super) fn new(service: &str, node: &str) -> Self {
        let labels = [("service", service.to_owned()), ("node", node.to_owned())];
        Self {
            service: service.to_owned(),
            node: node.to_owned(),
            connect: histogram!("director_node_connect_seconds", &labels),
            first_byte: histogram!("director_node_first_byte_seconds", &labels),
            connect_failures: counter!("director_node_connect_failures_total", &labels),
            silences: counter!("director_node_silences_total", &labels),
            deaths: counter!("director_node_deaths_total", &labels),
            ejections: counter!("director_node_ejections_total", &labels),
        }
    }

    pub(super) fn seen(&self, seen: Seen) {
        match seen {
            Seen::Connected { took } => self.connect.record(took.as_secs_f64()),
            Seen::ConnectFailed { .. } => self.connect_failures.increment(1),
            Seen::Replied { first_byte } => self.first_byte.record(first_byte.as_secs_f64()),
            Seen::Failed(kind) => self.failed(kind),
            Seen::Silent => self.silences.increment(1),
            Seen::Load(_) => {}
        }
    }

    /// Rare, and of fourteen kinds: looked up each time.
    fn failed(&self, kind: Kind) {
        let labels = [
            ("service", self.service.clone()),
            ("node", self.node.clone()),
            ("kind", kind.as_str().to_owned()),
        ];
        counter!("director_node_exceptions_total", &labels).increment(1);
    }

    pub(super) fn died(&self) {
        self.deaths.increment(1);
    }

    pub(super) fn ejected(&self) {
        self.ejections.increment(1);
    }
}
