//! Counters of the HTTP side, and their text for Prometheus.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::{Method, StatusCode};

/// A number that anyone may change and read.
#[derive(Debug, Default)]
pub(crate) struct Number(AtomicU64);

impl Number {
    /// Adds.
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Takes off.
    pub(crate) fn sub(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

const METHODS: [&str; 7] = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "other"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The HTTP side's numbers.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Connections open now, peers' included.
    pub(crate) connections: Number,
    /// Connections closed at once because there were too many.
    pub(crate) refused: Number,
    /// Connections' tasks that panicked.
    pub(crate) panics: Number,
    live: Arc<Number>,
    answers: [[Number; CLASSES.len()]; METHODS.len()],
}

/// One event stream being served; dropped when it ends, however it ends.
pub(crate) struct LiveReader(Arc<Number>);

impl Drop for LiveReader {
    fn drop(&mut self) {
        self.0.sub(1);
    }
}

impl Metrics {
    /// Counts one event stream for as long as the value lives.
    pub(crate) fn live_reader(&self) -> LiveReader {
        self.live.add(1);
        LiveReader(self.live.clone())
    }

    /// Counts one answer.
    pub(crate) fn answered(&self, method: &Method, status: StatusCode) {
        let last = METHODS.len() - 1;
        let row = METHODS.iter().position(|name| name == method);
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        let row = self.answers.get(row.unwrap_or(last));
        if let Some(number) = row.and_then(|row| row.get(class)) {
            number.add(1);
        }
    }

    /// All numbers as Prometheus reads them, the server's `counters` behind them.
    pub(crate) fn text(&self, counters: &[(&'static str, u64)]) -> String {
        let mut out = String::new();
        let mut of = |name: &str, value: u64| {
            let kind = match name.ends_with("_total") {
                true => "counter",
                false => "gauge",
            };
            // Writing to a String cannot fail.
            let _infallible = writeln!(out, "# TYPE {name} {kind}\n{name} {value}");
        };
        of("webfs_http_connections", self.connections.get());
        of("webfs_http_connections_refused_total", self.refused.get());
        of("webfs_http_connection_panics_total", self.panics.get());
        of("webfs_http_event_streams", self.live.get());
        for (name, value) in counters {
            of(name, *value);
        }
        out.push_str("# TYPE webfs_http_answers_total counter\n");
        for (method, row) in METHODS.iter().zip(&self.answers) {
            for (class, number) in CLASSES.iter().zip(row) {
                let count = number.get();
                if count > 0 {
                    let _infallible = writeln!(
                        out,
                        "webfs_http_answers_total{{method=\"{method}\",status=\"{class}\"}} {count}"
                    );
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_method_and_class() {
        let metrics = Metrics::default();
        metrics.answered(&Method::GET, StatusCode::OK);
        metrics.answered(&Method::GET, StatusCode::NOT_FOUND);
        metrics.answered(&Method::PATCH, StatusCode::METHOD_NOT_ALLOWED);
        let live = metrics.live_reader();
        let text = metrics.text(&[("webfs_appends_total", 3)]);
        for line in [
            "webfs_http_answers_total{method=\"GET\",status=\"2xx\"} 1",
            "webfs_http_answers_total{method=\"GET\",status=\"4xx\"} 1",
            "webfs_http_answers_total{method=\"other\",status=\"4xx\"} 1",
            "# TYPE webfs_appends_total counter",
            "webfs_appends_total 3",
            "webfs_http_event_streams 1",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
        drop(live);
        assert!(metrics.text(&[]).contains("webfs_http_event_streams 0\n"));
    }
}
