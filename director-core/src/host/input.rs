//! What a stream has read and the plugin has not consumed.

use super::buffers::BUFFER;
use super::tables;

/// What was read and not yet consumed.
#[derive(Debug, Default)]
pub(super) struct Input {
    buffer: Option<Box<[u8]>>,
    start: usize,
    end: usize,
    /// The last read filled its buffer: there is probably more than one of them holds.
    filled: bool,
}

impl Input {
    /// A buffer for the next read; `None` while the thread ends.
    pub(super) fn room(&self) -> Option<Box<[u8]>> {
        tables::with(|tables| {
            if self.filled {
                tables.buffers.take_large()
            } else {
                tables.buffers.take()
            }
        })
    }

    /// Holds the first `n` bytes of a buffer. Only while nothing is unread.
    pub(super) fn fill(&mut self, buffer: Box<[u8]>, n: usize) {
        // A large buffer that is half full is still the better one.
        self.filled = n >= buffer.len().min(BUFFER);
        (self.start, self.end) = (0, n);
        self.buffer = Some(buffer);
    }

    /// What is unread.
    pub(super) fn unread(&self) -> &[u8] {
        self.buffer
            .as_ref()
            .and_then(|buffer| buffer.get(self.start..self.end))
            .unwrap_or_default()
    }

    /// Takes `n` bytes off, all when there are fewer, and says how many. An empty buffer goes back.
    pub(super) fn consume(&mut self, n: usize) -> usize {
        let taken = n.min(self.end - self.start);
        self.start += taken;
        if self.start == self.end
            && let Some(buffer) = self.buffer.take()
        {
            (self.start, self.end) = (0, 0);
            tables::with(|tables| tables.buffers.give(buffer));
        }
        taken
    }
}
