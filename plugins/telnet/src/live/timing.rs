//! The session's clock: what is to be done when nothing comes.

use std::time::Duration;

use crate::options::{KeepAlive, Options, Watch};

/// For how long after something was typed a host is held to owe a byte: long enough for its silence to have it
/// probed, too short for a program that has nothing to say to be cut.
pub(crate) const OWES: Duration = Duration::from_secs(2);
/// A host that has not answered a mark for so long does not answer any.
pub(crate) const NO_ANSWER: Duration = Duration::from_secs(5);
/// A host goes on for so long after its client has said that it says no more.
pub(crate) const HALF_OPEN: Duration = Duration::from_secs(30);

/// When what happened last. Times are the host's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Something came from the client, or from the host.
    pub(crate) from_client: Duration,
    pub(crate) from_host: Duration,
    /// Something went to them.
    pub(crate) to_client: Duration,
    pub(crate) to_host: Duration,
    /// The host owes a byte until then.
    pub(crate) owes_until: Option<Duration>,
    /// It was asked for a mark then.
    pub(crate) asked: Option<Duration>,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// A NOP to the client.
    NopToClient,
    /// A NOP to the host.
    NopToHost,
    /// To ask the host for a mark.
    Ask,
    /// To give up on marks.
    NoMarks,
    /// The host owes no byte any more.
    OwesNothing,
    /// To end the session: the user is idle.
    Idle,
    /// To end the session: the client has said its last, and so has the host, it seems.
    HalfOpen,
}

/// Of what can be due, what a session has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wants {
    /// To whom NOP may be said.
    pub(crate) client_is_telnet: bool,
    pub(crate) host_is_telnet: bool,
    /// The host may be asked for a mark.
    pub(crate) may_ask: bool,
    /// It has answered before: an answer is due, and the director's own bound on silence counts.
    pub(crate) answers: bool,
    /// The client has said that it says no more.
    pub(crate) client_has_ended: bool,
}

impl Timing {
    pub(crate) fn new(now: Duration) -> Self {
        Self {
            from_client: now,
            from_host: now,
            to_client: now,
            to_host: now,
            owes_until: None,
            asked: None,
        }
    }

    /// What is due first, and when.
    pub(crate) fn next(&self, options: &Options, wants: Wants) -> Option<(Duration, Due)> {
        let keep = Duration::from_secs(options.keep_alive_seconds);
        let nops = match options.keep_alive {
            KeepAlive::Nop => true,
            KeepAlive::Tcp | KeepAlive::None => false,
        };
        let watches = match options.watch {
            Watch::TimingMark => true,
            Watch::None => false,
        };
        let quiet = Duration::from_secs(options.watch_seconds);
        let idle = Duration::from_secs(options.idle_seconds);
        let asks = self.from_host.max(self.to_host) + quiet;
        [
            self.owes_until.map(|at| (at, Due::OwesNothing)),
            self.asked
                .filter(|_| !wants.answers)
                .map(|at| (at + NO_ANSWER, Due::NoMarks)),
            (watches && wants.may_ask && self.asked.is_none()).then_some((asks, Due::Ask)),
            (nops && wants.client_is_telnet).then_some((
                self.from_client.max(self.to_client) + keep,
                Due::NopToClient,
            )),
            (nops && wants.host_is_telnet)
                .then_some((self.from_host.max(self.to_host) + keep, Due::NopToHost)),
            (!idle.is_zero()).then_some((self.from_client + idle, Due::Idle)),
            wants.client_has_ended.then_some((
                self.from_host.max(self.from_client) + HALF_OPEN,
                Due::HalfOpen,
            )),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn wants() -> Wants {
        Wants {
            client_is_telnet: true,
            host_is_telnet: true,
            may_ask: true,
            answers: false,
            client_has_ended: false,
        }
    }

    #[test]
    fn a_quiet_session_is_asked_then_kept_alive() {
        let options = Options::default();
        let mut timing = Timing::new(SECOND);
        let next = timing.next(&options, wants());
        assert_eq!(next, Some((11 * SECOND, Due::Ask)));
        timing.asked = Some(11 * SECOND);
        let next = timing.next(&options, wants());
        assert_eq!(next, Some((16 * SECOND, Due::NoMarks)));
        timing.asked = None;
        let silent = Wants {
            may_ask: false,
            ..wants()
        };
        let (at, due) = timing.next(&options, silent).unwrap();
        assert_eq!((at, due), (61 * SECOND, Due::NopToClient));
    }

    #[test]
    fn whoever_does_not_talk_telnet_is_told_nothing() {
        let nobody = Wants {
            client_is_telnet: false,
            host_is_telnet: false,
            may_ask: false,
            answers: false,
            client_has_ended: false,
        };
        let mut options = Options::default();
        assert_eq!(Timing::new(SECOND).next(&options, nobody), None);
        options.idle_seconds = 5;
        let next = Timing::new(SECOND).next(&options, nobody);
        assert_eq!(next, Some((6 * SECOND, Due::Idle)));
    }
}
