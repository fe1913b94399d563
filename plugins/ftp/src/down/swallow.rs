//! What a client has got of a transfer, and how the same bytes of another node are told. Pure.
//!
//! [`Delivered`] counts the bytes that the client's stream has taken and remembers of them what a
//! later node may have to be held to: nothing (its facts prove the file), the last [`TAIL`] bytes,
//! or a digest of all. [`Swallow`] takes the bytes that a node sends again, which the client must not
//! see twice, and says whether they are the same.

use sha2::{Digest as _, Sha256};

/// How many of the last bytes are compared at a new node, at most.
pub(crate) const TAIL: usize = 64 * 1024;

/// What the client has got.
#[derive(Debug, Clone)]
pub(crate) struct Delivered {
    count: u64,
    memory: Memory,
}

#[derive(Debug, Clone)]
enum Memory {
    Nothing,
    Tail(Tail),
    Digest(Box<Sha256>),
}

impl Delivered {
    /// Nothing yet, and nothing will be remembered but how many.
    pub(crate) fn counted() -> Self {
        Self {
            count: 0,
            memory: Memory::Nothing,
        }
    }

    /// Nothing yet; the last bytes will be remembered.
    pub(crate) fn with_tail() -> Self {
        Self {
            count: 0,
            memory: Memory::Tail(Tail::default()),
        }
    }

    /// Nothing yet; a digest of all will be kept.
    pub(crate) fn with_digest() -> Self {
        Self {
            count: 0,
            memory: Memory::Digest(Box::default()),
        }
    }

    /// How many bytes.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The counter, for a relay that moves the bytes itself: only where nothing else is remembered.
    pub(crate) fn counter(&mut self) -> Option<&mut u64> {
        match self.memory {
            Memory::Nothing => Some(&mut self.count),
            Memory::Tail(_) | Memory::Digest(_) => None,
        }
    }

    /// The client's stream took these.
    pub(crate) fn note(&mut self, bytes: &[u8]) {
        self.count = self.count.saturating_add(bytes.len() as u64);
        match &mut self.memory {
            Memory::Nothing => {}
            Memory::Tail(tail) => tail.note(bytes),
            Memory::Digest(digest) => digest.update(bytes),
        }
    }

    /// What a node that sends the last bytes again, or all of them, is held to. `None` when nothing
    /// was remembered of them.
    pub(crate) fn again(&self) -> Option<Swallow> {
        let check = match &self.memory {
            Memory::Nothing => return None,
            Memory::Tail(tail) => Check::Bytes(tail.in_order()),
            Memory::Digest(digest) => Check::Digest {
                of: Box::default(),
                expected: digest.clone().finalize().into(),
            },
        };
        let left = match &check {
            Check::Bytes(bytes) => bytes.len() as u64,
            Check::Digest { .. } => self.count,
        };
        Some(Swallow {
            whole: left,
            left,
            check,
        })
    }
}

/// Bytes that are swallowed differ from those that the client has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {0} bytes that the client has got are others at this node")]
pub(crate) struct Differs(u64);

/// Bytes that a node sends again.
#[derive(Debug)]
pub(crate) struct Swallow {
    whole: u64,
    left: u64,
    check: Check,
}

#[derive(Debug)]
enum Check {
    Bytes(Vec<u8>),
    Digest { of: Box<Sha256>, expected: [u8; 32] },
}

impl Swallow {
    /// How many bytes are still to come.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// Takes the first of `bytes`; says how many. Those behind are news.
    ///
    /// # Errors
    ///
    /// They are not those that the client has got.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<usize, Differs> {
        let n = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let again = bytes.get(..n).unwrap_or_default();
        let differs = Differs(self.whole);
        self.left = self.left.saturating_sub(n as u64);
        match &mut self.check {
            Check::Bytes(expected) => {
                // As many as are left stand at the end.
                let at = expected.len().saturating_sub(n + self.left as usize);
                if expected.get(at..at + n) != Some(again) {
                    return Err(differs);
                }
            }
            Check::Digest { of, expected } => {
                of.update(again);
                if self.left == 0 && n > 0 && <[u8; 32]>::from(of.clone().finalize()) != *expected {
                    return Err(differs);
                }
            }
        }
        Ok(n)
    }
}

/// The last [`TAIL`] bytes, as a ring.
#[derive(Debug, Clone, Default)]
struct Tail {
    ring: Vec<u8>,
    /// Where the oldest byte is, once the ring is full.
    oldest: usize,
}

impl Tail {
    fn note(&mut self, bytes: &[u8]) {
        let last = &bytes[bytes.len().saturating_sub(TAIL)..];
        let room = TAIL - self.ring.len();
        let (first, rest) = last.split_at(last.len().min(room));
        self.ring.extend_from_slice(first);
        // From here on the ring is full, or nothing is left.
        let to_end = rest.len().min(self.ring.len() - self.oldest);
        let (first, rest) = rest.split_at(to_end);
        self.ring[self.oldest..self.oldest + to_end].copy_from_slice(first);
        self.oldest = (self.oldest + to_end) % TAIL;
        self.ring[self.oldest..self.oldest + rest.len()].copy_from_slice(rest);
        self.oldest += rest.len();
    }

    fn in_order(&self) -> Vec<u8> {
        let (new, old) = self.ring.split_at(self.oldest);
        [old, new].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn swallowed(mut swallow: Swallow, bytes: &[u8], piece: usize) -> Result<usize, Differs> {
        let mut at = 0;
        while swallow.left() > 0 && at < bytes.len() {
            at += swallow.take(&bytes[at..bytes.len().min(at + piece)])?;
        }
        Ok(at)
    }

    #[test]
    fn a_counted_transfer_remembers_nothing() {
        let mut delivered = Delivered::counted();
        delivered.note(b"abc");
        *delivered.counter().unwrap() += 4;
        assert_eq!(delivered.count(), 7);
        assert!(delivered.again().is_none());
        assert!(Delivered::with_tail().counter().is_none());
    }

    #[test]
    fn nothing_delivered_is_swallowed_at_once() {
        for delivered in [Delivered::with_tail(), Delivered::with_digest()] {
            let mut swallow = delivered.again().unwrap();
            assert_eq!((swallow.left(), swallow.take(b"news")), (0, Ok(0)));
        }
    }

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_tail_is_the_last_bytes(
            pieces in prop::collection::vec(0_usize..100_000, 0..6),
            piece in 1_usize..70_000,
        ) {
            let all = bytes(pieces.iter().sum());
            let (mut delivered, mut at) = (Delivered::with_tail(), 0);
            for length in pieces {
                delivered.note(&all[at..at + length]);
                at += length;
            }
            let tail = &all[all.len().saturating_sub(TAIL)..];
            let swallow = delivered.again().unwrap();
            prop_assert_eq!(swallow.left(), tail.len() as u64);
            let more = [tail, b"news"].concat();
            prop_assert_eq!(swallowed(swallow, &more, piece), Ok(tail.len()));
        }

        #[test]
        fn one_other_byte_is_found(
            length in 1_usize..5_000, at: prop::sample::Index, piece in 1_usize..700, digest: bool,
        ) {
            let all = bytes(length);
            let mut delivered = if digest { Delivered::with_digest() } else { Delivered::with_tail() };
            for part in all.chunks(999) {
                delivered.note(part);
            }
            let mut other = all.clone();
            other[at.index(length)] ^= 1;
            prop_assert_eq!(swallowed(delivered.again().unwrap(), &all, piece), Ok(length));
            let found = swallowed(delivered.again().unwrap(), &other, piece);
            prop_assert_eq!(found, Err(Differs(length as u64)));
        }
    }
}
