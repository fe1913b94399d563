//! How long the readers that hung on a node waited when it died.
//!
//! Two figures for each of them. *Any*: from the fault to the first message shown after it. *New*: to the
//! first message shown whose sending began after the fault; what was under way when the node died cannot
//! flatter it, so the bars are held against it.

use std::collections::HashMap;
use std::time::Duration;

use super::history::{History, Message, Reader};
use super::plan::{Kind, Planned};

/// A reader that leaves of itself within this time after a fault has no gap when nothing came until then:
/// nothing was overdue yet (the bars of docs/failover.md).
const fn patience(kind: Kind) -> Duration {
    Duration::from_millis(if kind.is_silent() { 1_000 } else { 250 })
}

/// A fault as it was done.
#[derive(Debug, Clone)]
pub struct Fault {
    /// What was planned.
    pub planned: Planned,
    /// When: taken just before it.
    pub at: Duration,
    /// The node's id.
    pub node: String,
    /// The clients' addresses of the sessions that hung on it, with the director that they went through.
    pub hit: Vec<(usize, String)>,
    /// How often the node had died before, and served again.
    pub deaths_before: usize,
}

/// How long one reader waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Which fault, from 0.
    pub fault: usize,
    /// The fault's kind.
    pub kind: Kind,
    /// To the first message.
    pub any: Option<Duration>,
    /// To the first message that was sent after the fault.
    pub new: Option<Duration>,
}

/// All gaps, and how many faults hit in mid-answer.
#[derive(Debug, Clone, Default)]
pub struct Gaps {
    /// One a reader and fault that hit it.
    pub gaps: Vec<Gap>,
    /// Faults that hit at least one live read.
    pub hits: usize,
    /// Faults that hit a live read of which bytes had reached the client over that very link.
    pub in_mid_answer: usize,
}

/// Measures.
#[must_use]
pub fn measure(history: &History, faults: &[Fault]) -> Gaps {
    let sent: HashMap<Message, Duration> =
        history.posts.iter().map(|p| (p.message, p.sent)).collect();
    let mut gaps = Gaps::default();
    for (number, fault) in faults.iter().enumerate() {
        let hit = history
            .readers
            .iter()
            .filter(|reader| was_hit(reader, fault));
        let (mut any_hit, mut any_bytes) = (false, false);
        for reader in hit {
            any_hit = true;
            any_bytes |= had_bytes(reader, fault, &faults[..number]);
            let after = || reader.deliveries.iter().filter(|d| d.at > fault.at);
            let any = after().next().map(|d| d.at - fault.at);
            let new = after().find(|d| sent.get(&d.message).is_some_and(|sent| *sent > fault.at));
            let left = reader.left.map(|left| left.saturating_sub(fault.at));
            if new.is_none() && left.is_some_and(|left| left < patience(fault.planned.kind)) {
                continue; // it left of itself before anything was overdue
            }
            gaps.gaps.push(Gap {
                fault: number,
                kind: fault.planned.kind,
                any,
                new: new.map(|d| d.at - fault.at),
            });
        }
        gaps.hits += usize::from(any_hit);
        gaps.in_mid_answer += usize::from(any_bytes);
    }
    gaps
}

/// The reader's connection at the time of the fault was one of those that hung on the node.
fn was_hit(reader: &Reader, fault: &Fault) -> bool {
    let at_the_time = reader
        .opened
        .iter()
        .rev()
        .find(|opened| opened.at <= fault.at);
    at_the_time.is_some_and(|opened| {
        fault
            .hit
            .iter()
            .any(|(director, local)| *director == opened.director && *local == opened.local)
    })
}

/// Something was shown on the connection since it was opened, or since the last fault that may have moved
/// it to this node.
fn had_bytes(reader: &Reader, fault: &Fault, before: &[Fault]) -> bool {
    let opened = reader
        .opened
        .iter()
        .rev()
        .find(|opened| opened.at <= fault.at);
    let opened = opened.map_or(Duration::ZERO, |opened| opened.at);
    let moved = before.iter().rev().find(|earlier| was_hit(reader, earlier));
    let since = moved.map_or(opened, |earlier| {
        (earlier.at + earlier.planned.down).max(opened)
    });
    reader
        .deliveries
        .iter()
        .any(|d| d.at > since && d.at <= fault.at)
}

/// The value that `share` of the values do not exceed (nearest rank); `None` of none.
#[must_use]
pub fn percentile(values: &mut [Duration], share: f64) -> Option<Duration> {
    values.sort_unstable();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )]
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failover::history::{Delivery, Opened, Outcome, Post};
    use crate::failover::plan::End;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn fault(at: u64, hit: &[&str]) -> Fault {
        let planned = Planned {
            kind: Kind::Kill,
            pause: ms(0),
            down: ms(10),
            end: End::Restart,
            director: 0,
        };
        let hit = hit.iter().map(|local| (0, (*local).to_owned())).collect();
        Fault {
            planned,
            at: ms(at),
            node: "a".to_owned(),
            hit,
            deaths_before: 0,
        }
    }

    /// Messages 1.. of writer 0, each sent at a time and shown at a later one.
    fn history(times: &[(u64, u64)]) -> History {
        let message = |number: usize| Message {
            writer: 0,
            number: u32::try_from(number).unwrap() + 1,
        };
        let posts = times.iter().enumerate().map(|(number, (sent, _))| Post {
            message: message(number),
            answers: None,
            sent: ms(*sent),
            outcome: Outcome::Unanswered,
        });
        let deliveries = times
            .iter()
            .enumerate()
            .map(|(number, (_, shown))| Delivery {
                at: ms(*shown),
                message: message(number),
            });
        let opened = vec![Opened {
            at: ms(5),
            director: 0,
            local: "c1".to_owned(),
        }];
        let reader = Reader {
            deliveries: deliveries.collect(),
            opened,
            ..Reader::default()
        };
        History {
            posts: posts.collect(),
            readers: vec![reader],
            ..History::default()
        }
    }

    #[test]
    fn what_was_under_way_does_not_flatter_the_gap() {
        let gaps = measure(
            &history(&[(10, 20), (90, 103), (110, 340)]),
            &[fault(100, &["c1"])],
        );
        assert_eq!(
            gaps.gaps,
            [Gap {
                fault: 0,
                kind: Kind::Kill,
                any: Some(ms(3)),
                new: Some(ms(240))
            }]
        );
        assert_eq!((gaps.hits, gaps.in_mid_answer), (1, 1));
    }

    #[test]
    fn only_readers_that_hung_on_the_node_count() {
        let gaps = measure(&history(&[(10, 20), (110, 120)]), &[fault(100, &["c2"])]);
        assert_eq!((gaps.gaps.len(), gaps.hits), (0, 0));
    }

    #[test]
    fn a_fault_before_the_first_byte_is_not_in_mid_answer() {
        let gaps = measure(&history(&[(110, 120)]), &[fault(100, &["c1"])]);
        assert_eq!((gaps.hits, gaps.in_mid_answer), (1, 0));
    }

    #[test]
    fn bytes_of_the_link_before_do_not_count() {
        let faults = [fault(100, &["c1"]), fault(200, &["c1"])];
        let gaps = measure(&history(&[(10, 20), (210, 220)]), &faults);
        assert_eq!((gaps.hits, gaps.in_mid_answer), (2, 1));
    }

    #[test]
    fn a_reader_that_never_saw_anything_again_has_no_gap() {
        let gaps = measure(&history(&[(10, 20)]), &[fault(100, &["c1"])]);
        assert_eq!(
            gaps.gaps,
            [Gap {
                fault: 0,
                kind: Kind::Kill,
                any: None,
                new: None
            }]
        );
    }

    #[test]
    fn a_reader_that_left_of_itself_before_anything_was_due_does_not_count() {
        let mut history = history(&[(10, 20)]);
        history.readers[0].left = Some(ms(300));
        assert!(measure(&history, &[fault(100, &["c1"])]).gaps.is_empty());
        history.readers[0].left = Some(ms(400));
        assert_eq!(measure(&history, &[fault(100, &["c1"])]).gaps.len(), 1);
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let mut values: Vec<Duration> = (1..=100).rev().map(ms).collect();
        assert_eq!(percentile(&mut values, 0.5), Some(ms(50)));
        assert_eq!(percentile(&mut values, 0.99), Some(ms(99)));
        assert_eq!(percentile(&mut values, 1.0), Some(ms(100)));
        assert_eq!(percentile(&mut [], 0.5), None);
    }
}
