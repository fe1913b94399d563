//! What a node's agent has said so far, as a pure state machine.

use std::time::Duration;

use super::line::Said;

/// What holds of a node by its agent's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentState {
    /// The weight of now, in hundredths of the configured one.
    pub percent: u32,
    /// Sessions that it takes; `None`: it does not say.
    pub most: Option<u32>,
    /// It takes new sessions.
    pub takes: bool,
    /// It works.
    pub works: bool,
    /// Why, in its last words.
    pub reason: Option<String>,
    /// When it was last heard.
    pub heard_at: Option<Duration>,
    /// It was not heard when it was last asked.
    pub silent: bool,
}

impl Default for AgentState {
    fn default() -> Self {
        Self {
            percent: 100,
            most: None,
            takes: true,
            works: true,
            reason: None,
            heard_at: None,
            silent: false,
        }
    }
}

/// What a silence means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lapse {
    /// It has begun: what was said last holds for a while.
    Begun,
    /// It goes on.
    GoesOn,
    /// It has lasted so long that nothing holds any more.
    Forgotten,
}

impl AgentState {
    /// A line was heard. Returns whether a silence has ended by it.
    pub fn hear(&mut self, said: Said, now: Duration) -> bool {
        self.percent = said.percent.unwrap_or(self.percent);
        self.most = said.most.or(self.most);
        self.takes = said.takes.unwrap_or(self.takes);
        self.works = said.works.unwrap_or(self.works);
        self.reason = said.reason;
        self.heard_at = Some(now);
        std::mem::replace(&mut self.silent, false)
    }

    /// It was asked, and nothing useful came. Its last words hold for `keep`.
    pub fn miss(&mut self, now: Duration, keep: Duration) -> Lapse {
        let before = std::mem::replace(&mut self.silent, true);
        match self.heard_at {
            Some(at) if now.saturating_sub(at) >= keep => {
                *self = Self {
                    silent: true,
                    ..Self::default()
                };
                Lapse::Forgotten
            }
            Some(_) | None if before => Lapse::GoesOn,
            Some(_) | None => Lapse::Begun,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn said(line: &str) -> Said {
        super::super::line::parse(line.as_bytes()).unwrap()
    }

    #[test]
    fn what_a_line_does_not_mention_stays() {
        let mut state = AgentState::default();
        state.hear(said("50% drain maxconn:9"), at(1));
        state.hear(said("up"), at(2));
        assert_eq!(
            (state.percent, state.most, state.takes),
            (50, Some(9), false)
        );
        state.hear(said("ready 100%"), at(3));
        assert_eq!(
            (state.percent, state.most, state.takes),
            (100, Some(9), true)
        );
    }

    #[test]
    fn a_silent_agents_last_words_hold_for_a_while() {
        let mut state = AgentState::default();
        state.hear(said("50% drain"), at(10));
        assert_eq!(state.miss(at(12), KEEP), Lapse::Begun);
        assert_eq!(state.miss(at(39), KEEP), Lapse::GoesOn);
        assert_eq!(
            (state.percent, state.takes, state.silent),
            (50, false, true)
        );
        assert_eq!(state.miss(at(40), KEEP), Lapse::Forgotten);
        assert_eq!(
            (state.percent, state.takes, state.silent),
            (100, true, true)
        );
        assert_eq!(state.miss(at(42), KEEP), Lapse::GoesOn, "told once");
        assert!(state.hear(said("50%"), at(44)), "it is back");
        assert_eq!(state.percent, 50);
        assert!(!state.hear(said("50%"), at(46)));
    }

    #[test]
    fn an_agent_that_was_never_heard_changes_nothing() {
        let mut state = AgentState::default();
        assert_eq!(state.miss(at(1), KEEP), Lapse::Begun);
        assert_eq!(state.miss(at(100), KEEP), Lapse::GoesOn);
        let expected = AgentState {
            silent: true,
            ..AgentState::default()
        };
        assert_eq!(state, expected);
    }
}
