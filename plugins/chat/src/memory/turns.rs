//! Writes of one producer to one stream go one after another, in the order in which they came.
//!
//! A producer may have several requests under way, on several connections. At one server they would meet in
//! order; at two, the second could be judged before the first is known there, and refused as a gap.

use std::collections::{HashMap, VecDeque};

use futures_channel::oneshot;

/// Who is at work, and who waits.
#[derive(Debug, Default)]
pub struct Turns {
    /// A producer that is here has a write under way; the others wait in line.
    lines: HashMap<Box<str>, VecDeque<oneshot::Sender<()>>>,
}

impl Turns {
    /// Whether it is this producer's turn at once; otherwise the promise of it.
    pub fn take(&mut self, producer: &str) -> Option<oneshot::Receiver<()>> {
        match self.lines.get_mut(producer) {
            None => {
                self.lines.insert(producer.into(), VecDeque::new());
                None
            }
            Some(line) => {
                let (sender, receiver) = oneshot::channel();
                line.push_back(sender);
                Some(receiver)
            }
        }
    }

    /// A turn is over; the next one that still waits has it now.
    pub fn pass(&mut self, producer: &str) {
        let Some(line) = self.lines.get_mut(producer) else {
            return;
        };
        while let Some(next) = line.pop_front() {
            if next.send(()).is_ok() {
                return;
            }
        }
        self.lines.remove(producer);
    }

    /// Whether nobody is at work.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_go_in_order_and_pass_over_whoever_left() {
        let mut turns = Turns::default();
        assert!(turns.take("p").is_none());
        assert!(turns.take("q").is_none(), "another producer does not wait");
        let mut second = turns.take("p").unwrap();
        let third = turns.take("p").unwrap();
        let mut fourth = turns.take("p").unwrap();
        drop(third);
        assert_eq!(second.try_recv(), Ok(None));
        turns.pass("p");
        assert_eq!(second.try_recv(), Ok(Some(())));
        assert_eq!(fourth.try_recv(), Ok(None));
        turns.pass("p");
        assert_eq!(fourth.try_recv(), Ok(Some(())));
        turns.pass("p");
        turns.pass("q");
        assert!(turns.is_empty());
    }
}
