//! What is asked of one node beside its usual probes, and which links to it have ended lately.
//!
//! A question is answered by a probe that began after it, so that what the node said before does not
//! count. Questions that come together share a probe.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// Ends that are kept; a node that loses more in a second loses all.
const MOST: usize = 512;
/// How long an end is kept: a question looks back for a second, and is answered within a few.
const KEPT: Duration = Duration::from_secs(10);

/// The links to a node that ended from the node's side.
#[derive(Debug, Default)]
pub(super) struct Ends(VecDeque<(Duration, u64)>);

impl Ends {
    /// A link of `session` has ended.
    pub(super) fn note(&mut self, session: u64, now: Duration) {
        let old = now.saturating_sub(KEPT);
        while self.0.len() >= MOST || self.0.front().is_some_and(|(at, _)| *at < old) {
            self.0.pop_front();
        }
        self.0.push_back((now, session));
    }

    /// How many have ended since, those of `session` apart.
    pub(super) fn besides(&self, session: u64, since: Duration) -> u32 {
        let lately = self.0.iter().filter(|(at, _)| *at >= since);
        let others = lately.filter(|(_, of)| *of != session).count();
        u32::try_from(others).unwrap_or(u32::MAX)
    }
}

/// The questions to one node.
#[derive(Debug)]
pub(crate) struct Questions {
    asked: AtomicU64,
    answered: watch::Sender<Answered>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Answered {
    /// The last question with an answer.
    last: u64,
    /// Whether the node answered.
    answers: bool,
}

impl Questions {
    pub(super) fn new() -> Self {
        Self {
            asked: AtomicU64::new(0),
            answered: watch::Sender::new(Answered::default()),
        }
    }

    /// The last question that was put. A probe that begins now is the answer to all up to it.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Acquire)
    }

    /// Whether this question has no answer yet.
    pub(super) fn is_open(&self, question: u64) -> bool {
        self.answered.borrow().last < question
    }

    /// Whether any question has no answer yet.
    pub(super) fn any_open(&self) -> bool {
        self.is_open(self.asked())
    }

    /// Answers all questions up to this one.
    pub(super) fn answer(&self, question: u64, answers: bool) {
        self.answered.send_if_modified(|answered| {
            let news = answered.last < question;
            if news {
                *answered = Answered {
                    last: question,
                    answers,
                };
            }
            news
        });
    }

    /// The node is down: that answers every question.
    pub(crate) fn close(&self) {
        self.answer(self.asked(), false);
    }

    /// Puts a question; `wake` is called once it is put. Returns whether the node answered.
    ///
    /// # Cancel safety
    /// May be dropped; the question stays.
    pub(super) async fn ask(&self, wake: impl FnOnce()) -> bool {
        let mut answered = self.answered.subscribe();
        let question = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        wake();
        // It fails only when the node is gone, which is an answer too.
        answered
            .wait_for(|answered| answered.last >= question)
            .await
            .is_ok_and(|answered| answered.answers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn ends_of_others_count_for_as_long_as_they_are_new() {
        let mut ends = Ends::default();
        ends.note(1, SECOND);
        ends.note(2, SECOND * 2);
        ends.note(2, SECOND * 2);
        ends.note(3, SECOND * 3);
        assert_eq!(ends.besides(3, SECOND * 2), 2);
        assert_eq!(ends.besides(2, SECOND * 2), 1);
        assert_eq!(ends.besides(9, SECOND), 4);
        assert_eq!(ends.besides(9, SECOND * 4), 0);
        ends.note(4, SECOND * 20);
        assert_eq!(ends.besides(9, Duration::ZERO), 1, "the old are forgotten");
    }

    #[test]
    fn a_flood_of_ends_is_bounded() {
        let mut ends = Ends::default();
        for session in 0..10_000 {
            ends.note(session, SECOND);
        }
        assert_eq!(ends.besides(1, SECOND), MOST as u32);
    }

    #[tokio::test]
    async fn a_probe_that_began_before_is_no_answer() {
        let questions = Questions::new();
        let before = questions.asked();
        let asking = questions.ask(|| ());
        tokio::pin!(asking);
        assert!(is_pending(asking.as_mut()).await);
        questions.answer(before, true);
        assert!(is_pending(asking.as_mut()).await);
        assert!(questions.any_open());
        questions.answer(questions.asked(), true);
        assert!(asking.await);
        assert!(!questions.any_open());
    }

    async fn is_pending(mut asking: std::pin::Pin<&mut impl Future<Output = bool>>) -> bool {
        std::future::poll_fn(|cx| std::task::Poll::Ready(asking.as_mut().poll(cx).is_pending()))
            .await
    }

    #[tokio::test]
    async fn one_answer_is_for_all_who_asked() {
        let questions = Questions::new();
        let answer = || questions.answer(2, false);
        let (one, two) = tokio::join!(questions.ask(|| ()), questions.ask(answer));
        assert_eq!((one, two), (false, false));
    }
}
