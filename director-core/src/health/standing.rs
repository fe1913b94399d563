//! How one node stands, as a pure state machine.
//!
//! ```text
//!             suspicion                 probe fails
//!      Up --------------> Suspect ----------------------> Down
//!       ^   probe answers    |      refused once more       |
//!       +--------------------+                              |
//!       +---------------------------------------------------+
//!                        a trial probe answers (slow start)
//! ```
//!
//! A suspicion is raised by traffic or by the end of the node's watch, and decided by a probe alone: one
//! crashed child of a server must not move everybody. A node begins as a suspect, so the first probe says
//! whether it is there at all.
//!
//! Beside that stand three marks: *leaving* (it said so), *busy* (its weight is lowered for a while) and
//! *ejected* (real traffic kept failing while its probes were answered; it is picked last for a while, but
//! its sessions stay). Time, from any fixed start, is handed in; nothing here does I/O.

use std::time::Duration;

use director_recovery::Kind;

pub use super::suspicion::Suspicion;
use super::suspicion::is_a_failure;
use crate::cluster::{ConnectFailure, NodeLoad, Seen};

/// How a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It takes sessions.
    Up,
    /// In doubt, or ejected by its failures: picked only when none is up.
    Suspect,
    /// Dead. Its links are cut; trial probes go on.
    Down,
    /// Up, but it takes no new sessions while another is up.
    Leaving,
    /// Up, but it takes no new sessions at all: its operator or its agent says so.
    Draining,
}

impl Standing {
    /// Its name in logs, `/status` and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Suspect => "suspect",
            Self::Down => "down",
            Self::Leaving => "leaving",
            Self::Draining => "draining",
        }
    }
}

/// Numbers that the machine goes by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HealthSettings {
    /// First wait between trial probes of a node that is down; it doubles.
    pub trial_wait: Duration,
    /// Longest such wait.
    pub trial_wait_max: Duration,
    /// How long a node that came back works up to its full share.
    pub slow_start: Duration,
    /// Failed attempts in a row that eject a node whose probes are answered.
    pub breaker_failures: u32,
    /// How long it is ejected the first time; twice, three times as long the next times.
    pub breaker_wait: Duration,
    /// Longest ejection.
    pub breaker_wait_max: Duration,
    /// How long the weight of a node that was too busy stays lowered.
    pub busy_wait: Duration,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            trial_wait: Duration::from_millis(200),
            trial_wait_max: Duration::from_secs(2),
            slow_start: Duration::from_secs(10),
            breaker_failures: 5,
            breaker_wait: Duration::from_secs(5),
            breaker_wait_max: Duration::from_secs(60),
            busy_wait: Duration::from_secs(10),
        }
    }
}

/// What is to be done about a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Nothing but to watch it.
    Watch,
    /// To probe it at this time, most often now, and to watch it until then.
    ProbeAt(Duration),
    /// To probe it at this time, and no longer to watch it.
    TrialAt(Duration),
}

/// What an event changed, for whoever has to act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing that anyone has to know.
    Nothing,
    /// A suspicion: probe it now.
    Suspected(Suspicion),
    /// The suspicion was wrong.
    Cleared,
    /// Declared down: cut its links. It had been in doubt for this reason.
    Died(Suspicion),
    /// It is up for the first time.
    Appeared,
    /// It came back.
    Returned,
    /// Ejected until then, and suspected besides.
    Ejected(Duration),
    /// It has begun (`true`) or ceased to say that it is leaving.
    Leaving(bool),
}

/// One node's health.
#[derive(Debug)]
pub struct Health {
    settings: HealthSettings,
    state: State,
    /// It has been up before.
    known: bool,
    /// When it last came back; `None` for one that never was away.
    returned: Option<Duration>,
    load: Option<f64>,
    /// Its agent says that it does not work: no probe brings it back.
    told_down: bool,
    leaving: bool,
    busy_at: Option<Duration>,
    /// Failed attempts since the last reply.
    failures: u32,
    /// Ejections since it last was all right.
    ejections: u32,
    ejected_until: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Up,
    Suspect { why: Suspicion, next: Duration },
    Down { trials: u32, next: Duration },
}

impl Health {
    /// A node of which nothing is known: a suspect.
    #[must_use]
    pub fn new(settings: HealthSettings) -> Self {
        Self {
            settings,
            state: State::Suspect {
                why: Suspicion::New,
                next: Duration::ZERO,
            },
            known: false,
            returned: None,
            load: None,
            told_down: false,
            leaving: false,
            busy_at: None,
            failures: 0,
            ejections: 0,
            ejected_until: None,
        }
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self, now: Duration) -> Standing {
        match self.state {
            State::Down { .. } => Standing::Down,
            State::Suspect { .. } => Standing::Suspect,
            State::Up if self.ejected_until.is_some_and(|until| now < until) => Standing::Suspect,
            State::Up if self.leaving => Standing::Leaving,
            State::Up => Standing::Up,
        }
    }

    /// What is to be done about it.
    #[must_use]
    pub fn duty(&self) -> Duty {
        match self.state {
            State::Up => Duty::Watch,
            State::Suspect { next, .. } => Duty::ProbeAt(next),
            State::Down { next, .. } => Duty::TrialAt(next),
        }
    }

    /// Its last known load.
    #[must_use]
    pub fn load(&self) -> Option<f64> {
        self.load
    }

    /// Its share of new sessions, over 0 and at most 1: lowered after it came back and after it was too
    /// busy.
    #[must_use]
    pub fn weight(&self, now: Duration) -> f64 {
        let ramp = |since: Option<Duration>, over: Duration| {
            let Some(since) = since else { return 1.0 };
            let passed = now.saturating_sub(since);
            if passed >= over {
                return 1.0;
            }
            (passed.as_secs_f64() / over.as_secs_f64()).max(0.1)
        };
        ramp(self.returned, self.settings.slow_start) * ramp(self.busy_at, self.settings.busy_wait)
    }

    /// Takes what traffic has seen. `may_eject`: enough other nodes are up to do without this one.
    pub fn seen(&mut self, seen: Seen, now: Duration, may_eject: bool) -> Change {
        match seen {
            // The kernel of a stopped process accepts too, so this decides nothing.
            Seen::Connected { .. } => Change::Nothing,
            Seen::ConnectFailed { kind } => self.unconnected(kind, now),
            Seen::Replied { .. } => {
                self.failures = 0;
                if self.ejected_until.is_some_and(|until| now >= until) {
                    self.ejected_until = None;
                    self.ejections = 0;
                }
                Change::Nothing
            }
            Seen::Failed(kind) => self.failed(kind, now, may_eject),
            Seen::Silent => self.suspect(Suspicion::Silent, now),
            Seen::Load(load) => self.told(load),
        }
    }

    fn unconnected(&mut self, kind: ConnectFailure, now: Duration) -> Change {
        match (kind, self.state) {
            // Refused although it was in doubt already: two signs, and no probe is needed any more.
            (ConnectFailure::Refused, State::Suspect { why, .. }) if why != Suspicion::New => {
                self.die(why, now)
            }
            (ConnectFailure::Refused, _) => self.suspect(Suspicion::Refused, now),
            (ConnectFailure::TimedOut | ConnectFailure::Other, _) => {
                self.suspect(Suspicion::Unconnected, now)
            }
            // Whoever has no descriptor left cannot tell one node from another.
            (ConnectFailure::Ours, _) => Change::Nothing,
        }
    }

    fn failed(&mut self, kind: Kind, now: Duration, may_eject: bool) -> Change {
        match kind {
            Kind::Unreachable | Kind::Lost | Kind::Stalled | Kind::Garbled => {
                let ejected = self.count_failure(now, may_eject);
                let suspected = self.suspect(Suspicion::Failed(kind), now);
                ejected.map_or(suspected, Change::Ejected)
            }
            // It says so to one session; its probe is asked whether it says so to all.
            Kind::Leaving => self.suspect(Suspicion::Failed(kind), now),
            Kind::Busy => {
                self.busy_at = Some(now);
                Change::Nothing
            }
            Kind::Missing
            | Kind::Diverged
            | Kind::Denied
            | Kind::Invalid
            | Kind::Unknown
            | Kind::ClientGone
            | Kind::Fault
            | Kind::Exhausted => Change::Nothing,
        }
    }

    /// Failures in a row of real traffic eject a node whatever its probes say: an error page is answered
    /// quickly, and would attract everything. It works for two nodes as for twenty: no statistics.
    ///
    /// While it is in doubt nothing counts: the resets of one crash are one failure.
    fn count_failure(&mut self, now: Duration, may_eject: bool) -> Option<Duration> {
        if self.state != State::Up {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        let under = self.ejected_until.is_some_and(|until| now < until);
        if under || !may_eject || self.failures < self.settings.breaker_failures {
            return None;
        }
        self.ejections = self.ejections.saturating_add(1);
        let wait = self
            .settings
            .breaker_wait
            .saturating_mul(self.ejections)
            .min(self.settings.breaker_wait_max);
        let until = now.saturating_add(wait);
        self.ejected_until = Some(until);
        // Back by one trial: the next failure ejects it again, the next reply makes it whole.
        self.failures = self.settings.breaker_failures.saturating_sub(1);
        Some(until)
    }

    /// Whether one more failed attempt may eject it.
    #[must_use]
    pub fn is_on_the_edge(&self) -> bool {
        self.failures.saturating_add(1) >= self.settings.breaker_failures
    }

    fn suspect(&mut self, why: Suspicion, now: Duration) -> Change {
        match self.state {
            State::Up => {
                self.state = State::Suspect { why, next: now };
                Change::Suspected(why)
            }
            // The first reason stays, but "new" was none.
            State::Suspect {
                why: Suspicion::New,
                next,
            } => {
                self.state = State::Suspect { why, next };
                Change::Nothing
            }
            State::Suspect { .. } | State::Down { .. } => Change::Nothing,
        }
    }

    fn told(&mut self, load: NodeLoad) -> Change {
        self.load = load
            .load
            .filter(|load| load.is_finite())
            .map(|load| load.max(0.0));
        let was = std::mem::replace(&mut self.leaving, load.leaving);
        if was == load.leaving {
            Change::Nothing
        } else {
            Change::Leaving(load.leaving)
        }
    }

    fn die(&mut self, why: Suspicion, now: Duration) -> Change {
        self.state = State::Down {
            trials: 0,
            next: now.saturating_add(self.settings.trial_wait),
        };
        Change::Died(why)
    }

    /// The watch ended.
    pub fn watch_ended(&mut self, now: Duration) -> Change {
        self.suspect(Suspicion::WatchEnded, now)
    }

    /// Its agent says whether it works. Down it is at once by that; up it comes by a trial, which is made
    /// soon.
    pub fn agent_says(&mut self, works: bool, now: Duration) -> Change {
        let was_down = std::mem::replace(&mut self.told_down, !works);
        match (works, self.state) {
            (false, State::Up | State::Suspect { .. }) => self.die(Suspicion::Agent, now),
            (true, State::Down { .. }) if was_down => {
                self.state = State::Down {
                    trials: 0,
                    next: now,
                };
                Change::Nothing
            }
            (true | false, _) => Change::Nothing,
        }
    }

    /// A probe was answered.
    pub fn probe_answered(&mut self, load: NodeLoad, now: Duration) -> Change {
        let told = self.told(load);
        if self.told_down {
            // Tried again, as long as it says so.
            return self.probe_failed(now, 1.0);
        }
        let was = std::mem::replace(&mut self.state, State::Up);
        if !std::mem::replace(&mut self.known, true) {
            return Change::Appeared;
        }
        match was {
            State::Up => told,
            State::Suspect { .. } => Change::Cleared,
            State::Down { .. } => {
                self.returned = Some(now);
                self.failures = 0;
                self.ejections = 0;
                self.ejected_until = None;
                self.busy_at = None;
                Change::Returned
            }
        }
    }

    /// A probe that somebody asked for raised an exception. Nobody was in doubt before, so that the doubt
    /// begins here; [`Health::probe_raised`] decides it.
    pub fn unanswered(&mut self, kind: Kind, now: Duration) -> Change {
        if is_a_failure(kind) {
            self.suspect(Suspicion::Asked, now)
        } else {
            Change::Nothing
        }
    }

    /// A probe raised an exception. `chance` is from 0 to 1.
    pub fn probe_raised(&mut self, kind: Kind, now: Duration, chance: f64) -> Change {
        match kind {
            Kind::Unreachable | Kind::Lost | Kind::Stalled | Kind::Garbled | Kind::Unknown => {
                self.probe_failed(now, chance)
            }
            Kind::Busy => {
                self.busy_at = Some(now);
                self.probe_half_answered(now, chance)
            }
            Kind::Leaving => self.probe_answered(
                NodeLoad {
                    load: self.load,
                    leaving: true,
                },
                now,
            ),
            Kind::Missing | Kind::Diverged | Kind::Denied | Kind::Invalid => {
                self.probe_half_answered(now, chance)
            }
            Kind::ClientGone | Kind::Fault | Kind::Exhausted => {
                self.probe_told_nothing(now, chance)
            }
        }
    }

    /// It answered, so it lives, and nobody who is on it has to leave. But it did not say that it is well,
    /// so it does not come up by it.
    fn probe_half_answered(&mut self, now: Duration, chance: f64) -> Change {
        match self.state {
            State::Up => Change::Nothing,
            State::Suspect { .. } if self.known => {
                self.state = State::Up;
                Change::Cleared
            }
            State::Suspect { .. } | State::Down { .. } => self.probe_failed(now, chance),
        }
    }

    /// The fault was ours: the question is put again.
    fn probe_told_nothing(&mut self, now: Duration, chance: f64) -> Change {
        match self.state {
            State::Up => Change::Nothing,
            State::Suspect { why, .. } => {
                let next = now.saturating_add(self.settings.trial_wait);
                self.state = State::Suspect { why, next };
                Change::Nothing
            }
            State::Down { .. } => self.probe_failed(now, chance),
        }
    }

    fn probe_failed(&mut self, now: Duration, chance: f64) -> Change {
        match self.state {
            // Nobody was in doubt any more: a late answer to an old question.
            State::Up => Change::Nothing,
            State::Suspect { why, .. } => self.die(why, now),
            State::Down { trials, .. } => {
                let trials = trials.saturating_add(1);
                let wait = self
                    .settings
                    .trial_wait
                    .saturating_mul(1 << trials.min(16))
                    .min(self.settings.trial_wait_max);
                let wait = wait.mul_f64(0.75 + 0.25 * chance.clamp(0.0, 1.0));
                self.state = State::Down {
                    trials,
                    next: now.saturating_add(wait),
                };
                Change::Nothing
            }
        }
    }
}

#[cfg(test)]
mod tests;
