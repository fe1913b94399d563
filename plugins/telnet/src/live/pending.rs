//! Input that no host has confirmed.
//!
//! An answer to DO TIMING-MARK (RFC 860) tells that the host has consumed what was sent before it: a commit point.
//! What was sent after the last one may be lost with the host, or may have been done by it.

use zeroize::Zeroizing;

/// Most bytes that are kept.
pub(crate) const MOST: usize = 4096;

/// What was sent since the last commit point. Positions count all bytes that were ever sent.
#[derive(Default)]
pub(crate) struct Pending {
    /// The last of what was sent.
    bytes: Zeroizing<Vec<u8>>,
    sent: u64,
    confirmed: u64,
    /// Of what was sent before it, not all is kept.
    lost: u64,
    /// What was sent before it is before the mark that is asked for.
    marked: Option<u64>,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Pending");
        shown.field("bytes", &self.bytes.len());
        shown.field("marked", &self.marked).finish_non_exhaustive()
    }
}

impl Pending {
    /// Data goes to the host, as the user typed it.
    pub(crate) fn send(&mut self, data: &[u8]) {
        self.sent += data.len() as u64;
        if self.bytes.len() + data.len() > MOST {
            self.lost = self.sent;
            self.bytes = Zeroizing::default();
            return;
        }
        if self.bytes.capacity() < self.bytes.len() + data.len() {
            // By hand, for a vector that grows leaves what it held where it stood.
            let room = (self.bytes.len() + data.len()).next_power_of_two().max(64);
            let mut grown = Zeroizing::new(Vec::with_capacity(room));
            grown.extend_from_slice(&self.bytes);
            self.bytes = grown;
        }
        self.bytes.extend_from_slice(data);
    }

    /// Whether a mark is to be asked for now: there is something to confirm, and none is under way.
    pub(crate) fn wants_mark(&self) -> bool {
        self.marked.is_none() && !self.is_empty()
    }

    /// A mark was asked for.
    pub(crate) fn mark(&mut self) {
        self.marked = Some(self.sent);
    }

    /// The mark was answered: what was sent before it was consumed.
    pub(crate) fn commit(&mut self) {
        if let Some(marked) = self.marked.take() {
            self.confirmed = marked;
            let rest = (self.sent - marked) as usize;
            let from = self.bytes.len().saturating_sub(rest);
            self.bytes = Zeroizing::new(self.bytes[from..].to_vec());
        }
    }

    /// Whether all is confirmed.
    pub(crate) fn is_empty(&self) -> bool {
        self.confirmed == self.sent
    }

    /// Takes what is unconfirmed out; `None` when it was more than is kept.
    pub(crate) fn take(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let taken = std::mem::take(self);
        (taken.lost <= taken.confirmed).then_some(taken.bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_mark_confirms_what_was_before_it() {
        let mut pending = Pending::default();
        assert!(!pending.wants_mark());
        pending.send(b"ls\r");
        assert!(pending.wants_mark());
        pending.mark();
        pending.send(b"rm");
        assert!(!pending.wants_mark());
        pending.commit();
        assert!(pending.wants_mark());
        assert_eq!(pending.take().unwrap().as_slice(), b"rm");
        assert!(pending.is_empty());
    }

    #[test]
    fn what_is_too_much_is_not_replayed_in_part() {
        let mut pending = Pending::default();
        pending.send(&[b'x'; MOST]);
        pending.send(b"y");
        assert!(!pending.is_empty() && pending.bytes.is_empty());
        assert!(pending.take().is_none());
    }

    proptest! {
        #[test]
        fn what_is_replayed_is_a_suffix_of_what_was_sent(
            steps in prop::collection::vec((0_u8..3, prop::collection::vec(any::<u8>(), 0..1500)), 0..40)
        ) {
            let (mut pending, mut sent, mut asked) = (Pending::default(), Vec::new(), None);
            let mut confirmed = 0;
            for (step, data) in steps {
                match step {
                    0 => { pending.send(&data); sent.extend_from_slice(&data); }
                    1 => if pending.wants_mark() { pending.mark(); asked = Some(sent.len()); },
                    _ => { pending.commit(); if let Some(at) = asked.take() { confirmed = at; } }
                }
                prop_assert!(pending.bytes.capacity() <= 2 * MOST);
            }
            if let Some(rest) = pending.take() {
                prop_assert_eq!(rest.as_slice(), &sent[confirmed..]);
            }
        }
    }
}
