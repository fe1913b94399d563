//! What the host counts and logs of a service: sessions, requests, switches, cuts, panics.

use std::time::Duration;

use director_recovery::{Exception, Kind};
use metrics::{Counter, Histogram};

use super::step::Why;
use crate::cluster::Node;

/// One service's meters, found once.
pub(super) struct Meters {
    service: String,
    pub(super) attempts: Counter,
    pub(super) panics: Counter,
    pub(super) slow_polls: Counter,
    pub(super) torn: Counter,
    pub(super) relayed: Counter,
    pub(super) strangers: Counter,
    pub(super) spool_full: Counter,
    replied: Counter,
    sessions: metrics::Gauge,
    session_seconds: Histogram,
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meters")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

/// A switch from one node to another.
#[derive(Debug)]
pub(super) struct Switch<'a> {
    pub(super) session: u64,
    pub(super) from: &'a Node,
    pub(super) to: &'a Node,
    pub(super) why: &'a Exception,
    /// From the first sign of failure to the first good byte.
    pub(super) took: Duration,
}

impl Meters {
    pub(super) fn new(service: &str) -> Self {
        let counter = |name: &'static str| metrics::counter!(name, "service" => service.to_owned());
        Self {
            service: service.to_owned(),
            attempts: counter("director_attempts_total"),
            panics: counter("director_plugin_panics_total"),
            slow_polls: counter("director_plugin_slow_polls_total"),
            torn: counter("director_torn_total"),
            relayed: counter("director_relayed_bytes_total"),
            strangers: counter("director_strangers_total"),
            spool_full: counter("director_spool_full_total"),
            replied: metrics::counter!(
                "director_requests_total", "service" => service.to_owned(), "end" => "reply"
            ),
            sessions: metrics::gauge!("director_sessions", "service" => service.to_owned()),
            session_seconds: metrics::histogram!(
                "director_session_seconds", "service" => service.to_owned()
            ),
        }
    }

    pub(super) fn request_replied(&self) {
        self.replied.increment(1);
    }

    pub(super) fn request_failed(&self, kind: Kind) {
        metrics::counter!(
            "director_requests_total", "service" => self.service.clone(), "end" => kind.as_str()
        )
        .increment(1);
    }

    pub(super) fn session_begun(&self) {
        self.sessions.increment(1.0);
    }

    /// `refused` sessions were never begun.
    pub(super) fn session_ended(&self, end: &'static str, lasted: Option<Duration>) {
        if let Some(lasted) = lasted {
            self.sessions.decrement(1.0);
            self.session_seconds.record(lasted.as_secs_f64());
        }
        metrics::counter!(
            "director_sessions_total", "service" => self.service.clone(), "end" => end
        )
        .increment(1);
    }

    pub(super) fn cut(&self, why: Why) {
        metrics::counter!(
            "director_cuts_total", "service" => self.service.clone(), "why" => why.as_str()
        )
        .increment(1);
    }

    pub(super) fn switched(&self, switch: &Switch<'_>) {
        let Switch {
            session,
            from,
            to,
            why,
            took,
        } = switch;
        let kind = why.kind.as_str();
        tracing::info!(
            target: "director::switch",
            service = self.service,
            session,
            from = from.name,
            to = to.name,
            kind,
            milliseconds = (took.as_secs_f64() * 1e5).round() / 1e2,
            exception = %why,
            "switched"
        );
        metrics::counter!(
            "director_switches_total", "service" => self.service.clone(), "kind" => kind
        )
        .increment(1);
        metrics::histogram!(
            "director_switch_seconds", "service" => self.service.clone(), "kind" => kind
        )
        .record(took.as_secs_f64());
    }
}
