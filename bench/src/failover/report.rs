//! What a run showed, as a table and as JSON, and whether it kept the promises.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::check::{self, Violation};
use super::gaps::{self, Gap, Gaps};
use super::history;
use super::plan::{End, Kind};
use super::run::{Outcome, Settings};

/// What the gaps are held against, at the 99th percentile.
#[derive(Debug, Clone, Copy)]
pub struct Bars {
    /// After a kill.
    pub kill: Duration,
    /// After a silent death.
    pub silent: Duration,
}

/// A judged run.
#[derive(Debug)]
pub struct Report {
    settings: Settings,
    outcome: Outcome,
    violations: Vec<Violation>,
    gaps: Gaps,
    rows: Vec<Row>,
    /// What was not kept; empty for a good run.
    pub failures: Vec<String>,
}

/// The gaps of one kind of death.
#[derive(Debug)]
struct Row {
    what: &'static str,
    bar: Duration,
    gaps: Vec<Gap>,
}

impl Report {
    /// Judges a run.
    #[must_use]
    pub fn new(settings: Settings, outcome: Outcome, bars: Bars) -> Self {
        let violations = check::check(&outcome.history);
        let gaps = gaps::measure(&outcome.history, &outcome.faults);
        let of = |silent: bool| {
            gaps.gaps
                .iter()
                .filter(|g| g.kind.is_silent() == silent)
                .copied()
                .collect()
        };
        let rows = vec![
            Row {
                what: "kill",
                bar: bars.kill,
                gaps: of(false),
            },
            Row {
                what: "silent death",
                bar: bars.silent,
                gaps: of(true),
            },
        ];
        let mut report = Self {
            settings,
            outcome,
            violations,
            gaps,
            rows,
            failures: Vec::new(),
        };
        report.failures = report.judge();
        report
    }

    /// What is taken off a gap: a message may wait for its propagation. Not at 20 ms and below.
    fn allowance(&self) -> Duration {
        let interval = self.settings.interval;
        if interval > Duration::from_millis(20) {
            interval
        } else {
            Duration::ZERO
        }
    }

    fn judge(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for kind in Violation::KINDS {
            let count = self.count(kind);
            if count > 0 {
                failures.push(format!("{kind}: {count}"));
            }
        }
        for row in &self.rows {
            let never = row.gaps.iter().filter(|gap| gap.new.is_none()).count();
            if never > 0 {
                failures.push(format!(
                    "{}: {never} readers were shown nothing new after it",
                    row.what
                ));
            }
            if let Some(p99) = self.percentile(row, 0.99).filter(|p99| *p99 > row.bar) {
                failures.push(format!(
                    "{}: gap p99 {} above {}",
                    row.what,
                    show(p99),
                    show(row.bar)
                ));
            }
        }
        let faults = self.outcome.faults.len();
        if self.gaps.hits < faults {
            failures.push(format!(
                "only {} of {faults} faults hit a reader",
                self.gaps.hits
            ));
        }
        if self.gaps.in_mid_answer * 2 < faults {
            let count = self.gaps.in_mid_answer;
            failures.push(format!(
                "only {count} of {faults} faults came in mid-answer, half are due"
            ));
        }
        for (number, (before, after)) in self.outcome.rest.iter().enumerate() {
            if before != after {
                failures.push(format!(
                    "director {number} at rest: {before:?} before, {after:?} after"
                ));
            }
        }
        failures
    }

    fn count(&self, kind: &str) -> usize {
        self.violations
            .iter()
            .filter(|violation| violation.kind() == kind)
            .count()
    }

    fn percentile(&self, row: &Row, share: f64) -> Option<Duration> {
        let new = row.gaps.iter().filter_map(|gap| gap.new);
        let mut gaps: Vec<Duration> = new
            .map(|gap| gap.saturating_sub(self.allowance()))
            .collect();
        gaps::percentile(&mut gaps, share)
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> String {
        let mut out = String::new();
        self.traffic_lines(&mut out);
        self.fault_lines(&mut out);
        for row in self.rows.iter().filter(|row| !row.gaps.is_empty()) {
            self.gap_lines(&mut out, row);
        }
        self.write_line(&mut out);
        self.promise_lines(&mut out);
        if !self.failures.is_empty() {
            line(&mut out, "logs", &self.outcome.logs.display().to_string());
        }
        out
    }

    /// What was asked for, and what the clients did.
    fn traffic_lines(&self, out: &mut String) {
        let history = &self.outcome.history;
        let acknowledged = history
            .posts
            .iter()
            .filter(|post| matches!(post.outcome, history::Outcome::Acknowledged(_)))
            .count();
        let shown: usize = history.readers.iter().map(|r| r.deliveries.len()).sum();
        let connections: usize = history.readers.iter().map(|r| r.opened.len()).sum();
        line(out, "seed", &self.settings.seed.to_string());
        line(out, "interval", &show(self.settings.interval));
        if !self.settings.without.is_empty() {
            line(out, "switched off", &self.settings.without.join(", "));
        }
        line(
            out,
            "took",
            &format!("{:.0} s", self.outcome.took.as_secs_f64()),
        );
        line(
            out,
            "messages sent / acknowledged",
            &format!("{} / {acknowledged}", history.posts.len()),
        );
        line(
            out,
            "deliveries / read connections",
            &format!("{shown} / {connections}"),
        );
    }

    /// What was done to the nodes, and whom it hit.
    fn fault_lines(&self, out: &mut String) {
        for kind in [Kind::Kill, Kind::RefusedRestart, Kind::Stop, Kind::Drop] {
            let count = self
                .outcome
                .faults
                .iter()
                .filter(|f| f.planned.kind == kind)
                .count();
            if count > 0 {
                line(out, kind.name(), &count.to_string());
            }
        }
        let wiped = self
            .outcome
            .faults
            .iter()
            .filter(|f| f.planned.end == End::RestartWithoutDisk)
            .count();
        let back = self
            .outcome
            .faults
            .iter()
            .filter(|f| f.deaths_before > 0 && !f.hit.is_empty())
            .count();
        line(out, "data directories removed", &wiped.to_string());
        line(out, "hit on a node that had come back", &back.to_string());
        line(
            out,
            "hit in mid-answer",
            &format!(
                "{} of {}",
                self.gaps.in_mid_answer,
                self.outcome.faults.len()
            ),
        );
    }

    /// How long a write waited for its acknowledgement.
    fn write_line(&self, out: &mut String) {
        let mut writes = self.acknowledged_after();
        let mut figure =
            |share| gaps::percentile(&mut writes, share).map_or_else(|| "-".to_owned(), show);
        let took = format!(
            "p50 {}  p99 {}  max {}",
            figure(0.5),
            figure(0.99),
            figure(1.0)
        );
        line(out, "write to acknowledgement", &took);
    }

    /// What became of each promise, and what may be let through.
    fn promise_lines(&self, out: &mut String) {
        let history = &self.outcome.history;
        line(out, "longest token", &history.longest_token.to_string());
        line(
            out,
            "releases after a second",
            &history.releases.to_string(),
        );
        line(
            out,
            "shown twice, as excepted",
            &check::excepted(history).to_string(),
        );
        for (number, (before, after)) in self.outcome.rest.iter().enumerate() {
            let what = format!("director {number}: descriptors, in flight");
            let counts = format!("{}, {}", before.descriptors, before.in_flight);
            line(
                out,
                &what,
                &format!("{counts} -> {}, {}", after.descriptors, after.in_flight),
            );
        }
        for kind in Violation::KINDS {
            line(out, kind, &self.count(kind).to_string());
        }
        for violation in self.violations.iter().take(20) {
            let _infallible = writeln!(out, "  {violation}");
        }
    }

    /// Writes down when the messages of the violations were sent, acknowledged and shown, beside the logs.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_details(&self) -> std::io::Result<()> {
        let mut out = String::new();
        for violation in self.violations.iter().take(1000) {
            let _infallible = writeln!(out, "{violation}");
            let post = violation.message().and_then(|message| {
                self.outcome
                    .history
                    .posts
                    .iter()
                    .find(|post| post.message == message)
            });
            if let Some(post) = post {
                let _infallible = writeln!(out, "  sent {:?}, {:?}", post.sent, post.outcome);
                for reader in &self.outcome.history.readers {
                    for shown in reader
                        .deliveries
                        .iter()
                        .filter(|d| d.message == post.message)
                    {
                        let _infallible =
                            writeln!(out, "  shown to {} {:?}", reader.name, shown.at);
                    }
                }
            }
        }
        for post in &self.outcome.history.posts {
            if let history::Outcome::Acknowledged(at) = post.outcome
                && at - post.sent > Duration::from_millis(200)
            {
                let took = at - post.sent;
                let _infallible = writeln!(
                    out,
                    "slow write {} sent {:?}, took {took:?}",
                    post.message, post.sent
                );
            }
        }
        for (number, fault) in self.outcome.faults.iter().enumerate() {
            let _infallible = writeln!(out, "fault {number}: {fault:?}");
            for gap in self.gaps.gaps.iter().filter(|gap| gap.fault == number) {
                let _infallible = writeln!(out, "  any {:?}, new {:?}", gap.any, gap.new);
            }
        }
        for reader in &self.outcome.history.readers {
            let _infallible = writeln!(out, "{}: {:?}", reader.name, reader.opened);
        }
        std::fs::write(self.outcome.logs.join("details.txt"), out)
    }

    fn acknowledged_after(&self) -> Vec<Duration> {
        let posts = self.outcome.history.posts.iter();
        posts
            .filter_map(|post| match post.outcome {
                history::Outcome::Acknowledged(at) => Some(at.saturating_sub(post.sent)),
                history::Outcome::Refused(_) | history::Outcome::Unanswered => None,
            })
            .collect()
    }

    fn gap_lines(&self, out: &mut String, row: &Row) {
        let figure = |share| {
            self.percentile(row, share)
                .map_or_else(|| "-".to_owned(), show)
        };
        let new = format!(
            "p50 {}  p99 {}  max {}",
            figure(0.5),
            figure(0.99),
            figure(1.0)
        );
        let count = row.gaps.len();
        line(
            out,
            &format!("gap after a {} ({count})", row.what),
            &format!("{new}  (bar: p99 {})", show(row.bar)),
        );
        let mut any: Vec<Duration> = row.gaps.iter().filter_map(|gap| gap.any).collect();
        let mut figure =
            |share| gaps::percentile(&mut any, share).map_or_else(|| "-".to_owned(), show);
        let any = format!(
            "p50 {}  p99 {}  max {}",
            figure(0.5),
            figure(0.99),
            figure(1.0)
        );
        line(out, "  to any message, nothing taken off", &any);
    }

    /// The same for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let history = &self.outcome.history;
        let ms = |d: Duration| d.as_secs_f64() * 1000.0;
        let rows = self.rows.iter().map(|row| {
            let any = |share| {
                let mut any: Vec<Duration> = row.gaps.iter().filter_map(|gap| gap.any).collect();
                gaps::percentile(&mut any, share).map(ms)
            };
            let new = |share| self.percentile(row, share).map(ms);
            json!({
                "death": row.what, "count": row.gaps.len(), "bar_ms": ms(row.bar),
                "new_ms": { "p50": new(0.5), "p99": new(0.99), "max": new(1.0) },
                "any_ms": { "p50": any(0.5), "p99": any(0.99), "max": any(1.0) },
            })
        });
        let violations: serde_json::Map<String, Value> = Violation::KINDS
            .iter()
            .map(|kind| ((*kind).to_owned(), json!(self.count(kind))))
            .collect();
        let examples: Vec<String> = self
            .violations
            .iter()
            .take(100)
            .map(ToString::to_string)
            .collect();
        json!({
            "seed": self.settings.seed,
            "interval_ms": ms(self.settings.interval),
            "without": self.settings.without,
            "took_s": self.outcome.took.as_secs_f64(),
            "sent": history.posts.len(),
            "faults": self.outcome.faults.len(),
            "hit_in_mid_answer": self.gaps.in_mid_answer,
            "gaps": rows.collect::<Vec<_>>(),
            "longest_token": history.longest_token,
            "releases": history.releases,
            "shown_twice_as_excepted": check::excepted(history),
            "violations": violations,
            "examples": examples,
            "failures": self.failures,
        })
    }
}

fn line(out: &mut String, what: &str, value: &str) {
    let _infallible = writeln!(out, "{what:<36} {value}");
}

fn show(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}
