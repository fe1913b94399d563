//! `metrics` to the host's recorder: a metric is a number of the host's, asked for once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

use crate::glue::host;
use crate::glue::panic::instance;

/// What a metric is, as at the boundary.
const COUNTER: u32 = 1;
const GAUGE: u32 = 2;
const HISTOGRAM: u32 = 3;

/// What is recorded, as at the boundary.
const ADD: u32 = 1;
const SET: u32 = 2;
const OBSERVE: u32 = 3;

/// Numbers kept here; a plugin with more metrics asks the host at each use, which has its own bound. So
/// does one to which the host gave none: it may have one later.
const KEPT: usize = 4096;

/// A recorder that hands everything to the host.
pub(crate) struct ToHost {
    known: Mutex<HashMap<(u64, u32, Key), u64>>,
}

impl ToHost {
    pub(crate) fn new() -> Self {
        Self {
            known: Mutex::new(HashMap::new()),
        }
    }

    fn meter(&self, what: u32, key: &Key) -> Arc<Meter> {
        let instance = instance();
        let kept = (instance, what, key.clone());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let number = match known.get(&kept) {
            Some(number) => *number,
            None => {
                let labels: Vec<(&str, &str)> = key
                    .labels()
                    .map(|label| (label.key(), label.value()))
                    .collect();
                let number = host::metric(instance, what, key.name(), &labels);
                if number != 0 && known.len() < KEPT {
                    known.insert(kept, number);
                }
                number
            }
        };
        Arc::new(Meter(number))
    }
}

impl Recorder for ToHost {
    fn describe_counter(&self, _key: KeyName, _unit: Option<Unit>, _text: SharedString) {}

    fn describe_gauge(&self, _key: KeyName, _unit: Option<Unit>, _text: SharedString) {}

    fn describe_histogram(&self, _key: KeyName, _unit: Option<Unit>, _text: SharedString) {}

    fn register_counter(&self, key: &Key, _metadata: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.meter(COUNTER, key))
    }

    fn register_gauge(&self, key: &Key, _metadata: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.meter(GAUGE, key))
    }

    fn register_histogram(&self, key: &Key, _metadata: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.meter(HISTOGRAM, key))
    }
}

/// One metric of the host's.
struct Meter(u64);

impl CounterFn for Meter {
    fn increment(&self, value: u64) {
        host::metric_record(self.0, ADD, value as f64);
    }

    fn absolute(&self, value: u64) {
        host::metric_record(self.0, SET, value as f64);
    }
}

impl GaugeFn for Meter {
    fn increment(&self, value: f64) {
        host::metric_record(self.0, ADD, value);
    }

    fn decrement(&self, value: f64) {
        host::metric_record(self.0, ADD, -value);
    }

    fn set(&self, value: f64) {
        host::metric_record(self.0, SET, value);
    }
}

impl HistogramFn for Meter {
    fn record(&self, value: f64) {
        host::metric_record(self.0, OBSERVE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_that_the_host_had_no_number_for_is_asked_for_again() {
        // There is no host in this crate's own tests, so there is no number.
        let recorder = ToHost::new();
        let meter = recorder.meter(COUNTER, &Key::from_name("early"));
        assert_eq!(meter.0, 0);
        let known = recorder.known.lock().unwrap();
        assert!(known.is_empty(), "{known:?}");
    }
}
