//! What a plugin says of itself: log lines and metrics, which become the host's own.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError, RwLock};

use director_abi as abi;
use metrics::{Counter, Gauge, Histogram, Label};
use tracing::Level;
use tracing::level_filters::LevelFilter;

use super::instance;
use super::layout::{adopt, text};
use super::library::LONGEST_MESSAGE;
use super::tables;

/// Metrics (names with labels) that all plugins together may have.
const MOST_METRICS: usize = 10_000;
const MOST_LABELS: usize = 16;
/// The longest name or value of a metric's label that is kept, in bytes.
const LONGEST_NAME: usize = 128;

/// The least severe level that is kept, as the boundary counts.
pub(super) fn log_level() -> u32 {
    match LevelFilter::current().into_level() {
        None => 0,
        Some(Level::ERROR) => 1,
        Some(Level::WARN) => 2,
        Some(Level::INFO) => 3,
        Some(Level::DEBUG) => 4,
        Some(_trace) => 5,
    }
}

macro_rules! line {
    ($level:expr, $($fields:tt)*) => {
        tracing::event!(target: "director::plugin", $level, $($fields)*)
    };
}

/// Writes a plugin's line to the log.
///
/// # Safety
///
/// `record` is null or as [`abi::LogRecord`] says, for the call.
pub(super) unsafe fn log(record: *const abi::LogRecord) {
    // SAFETY: handed on.
    let Some(record) = (unsafe { adopt(record) }) else {
        return;
    };
    if record.level > log_level() {
        return;
    }
    // SAFETY: lent for the call.
    let [module, file, message] = unsafe {
        [
            text(record.target, LONGEST_NAME),
            text(record.file, LONGEST_MESSAGE),
            text(record.message, LONGEST_MESSAGE),
        ]
    };
    let names = instance::names(record.instance);
    let service = names.as_ref().map_or("", |names| names.service.as_str());
    let session = tables::with(|tables| tables.session.get()).unwrap_or(0);
    let line = record.line;
    match record.level {
        1 => line!(
            Level::ERROR,
            service,
            session,
            module,
            file,
            line,
            "{message}"
        ),
        2 => line!(
            Level::WARN,
            service,
            session,
            module,
            file,
            line,
            "{message}"
        ),
        3 => line!(Level::INFO, service, session, module, "{message}"),
        4 => line!(Level::DEBUG, service, session, module, "{message}"),
        _trace => line!(Level::TRACE, service, session, module, "{message}"),
    }
}

enum Metric {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

type Key = (u64, u32, String, Vec<(String, String)>);

/// Every plugin's metrics; a number is a place in here and one more.
static METRICS: RwLock<Vec<Metric>> = RwLock::new(Vec::new());
static KNOWN: Mutex<Option<HashMap<Key, u64>>> = Mutex::new(None);

/// A metric's number; 0 when there is none to give.
///
/// # Safety
///
/// `name` and the `n_labels` labels are as the boundary says, for the call.
pub(super) unsafe fn metric(
    instance: u64,
    what: u32,
    name: abi::Bytes,
    labels: *const abi::MetricLabel,
    n_labels: usize,
) -> u64 {
    let Some(names) = instance::names(instance) else {
        return 0;
    };
    if n_labels > MOST_LABELS || (labels.is_null() && n_labels > 0) {
        return 0;
    }
    let labels = if n_labels == 0 {
        &[]
    } else {
        // SAFETY: not null, and that many by the contract.
        unsafe { std::slice::from_raw_parts(labels, n_labels) }
    };
    // SAFETY: lent for the call.
    let read = |bytes| unsafe { text(bytes, LONGEST_NAME) };
    let labels: Vec<_> = labels
        .iter()
        .map(|label| (read(label.name), read(label.value)))
        .collect();
    let key = (instance, what, read(name), labels);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(number) = known.get(&key) {
        return *number;
    }
    let mut all = METRICS.write().unwrap_or_else(PoisonError::into_inner);
    if all.len() >= MOST_METRICS {
        if !names.said_too_many.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                service = names.service,
                metric = key.2,
                most = MOST_METRICS,
                "too many metrics: this and further ones are not kept"
            );
        }
        return 0;
    }
    let Some(metric) = Metric::of(&names.service, &names.plugin, &key) else {
        return 0;
    };
    all.push(metric);
    let number = all.len() as u64;
    known.insert(key, number);
    number
}

impl Metric {
    fn of(service: &str, plugin: &str, (_, what, name, labels): &Key) -> Option<Self> {
        let name = name_of(plugin, name);
        let mut all = vec![Label::new("service", service.to_owned())];
        all.extend(
            labels
                .iter()
                .map(|(name, value)| Label::new(name.clone(), value.clone())),
        );
        Some(match what {
            1 => Self::Counter(metrics::counter!(name, all)),
            2 => Self::Gauge(metrics::gauge!(name, all)),
            3 => Self::Histogram(metrics::histogram!(name, all)),
            _unknown => return None,
        })
    }
}

/// A plugin's metric bears its name: `director_chat_reads_total`.
fn name_of(plugin: &str, name: &str) -> String {
    let name = name.strip_prefix("director_").unwrap_or(name);
    let name = name
        .strip_prefix(plugin)
        .and_then(|rest| rest.strip_prefix('_'))
        .unwrap_or(name);
    format!("director_{plugin}_{name}")
}

/// Records a value: `how` 1 adds, 2 sets, 3 observes.
pub(super) fn record(metric: u64, how: u32, value: f64) {
    let all = METRICS.read().unwrap_or_else(PoisonError::into_inner);
    let at = usize::try_from(metric)
        .ok()
        .and_then(|number| number.checked_sub(1));
    let Some(metric) = at.and_then(|at| all.get(at)) else {
        return;
    };
    match (metric, how) {
        (Metric::Counter(counter), 1) if value > 0.0 => counter.increment(value as u64),
        (Metric::Counter(counter), 2) if value >= 0.0 => counter.absolute(value as u64),
        (Metric::Gauge(gauge), 1) => gauge.increment(value),
        (Metric::Gauge(gauge), 2) => gauge.set(value),
        (Metric::Histogram(histogram), 3) => histogram.record(value),
        // What does not fit the metric is not recorded.
        (Metric::Counter(_) | Metric::Gauge(_) | Metric::Histogram(_), _) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugins_metric_bears_its_name_once() {
        for said in [
            "reads_total",
            "chat_reads_total",
            "director_chat_reads_total",
        ] {
            assert_eq!(name_of("chat", said), "director_chat_reads_total");
        }
    }
}
