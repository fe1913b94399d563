//! Read buffers and pipes, kept for the next use: a session at rest holds none.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, pipe_with};

use super::tables::{Counted, Live};

/// One read buffer, in bytes.
pub(super) const BUFFER: usize = 16 * 1024;
/// One for a stream that fills those, in bytes: so many more for one turn of a plugin.
const LARGE: usize = 64 * 1024;
/// Read buffers that a thread keeps unused.
const BUFFERS: usize = 64;
/// Large ones that it keeps.
const LARGES: usize = 16;
/// Pipes that a thread keeps unused.
const PIPES: usize = 16;

/// A thread's unused read buffers.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    plain: RefCell<Vec<Box<[u8]>>>,
    large: RefCell<Vec<Box<[u8]>>>,
}

impl Buffers {
    pub(super) fn take(&self) -> Box<[u8]> {
        pop(&self.plain, BUFFER)
    }

    /// For a stream whose last read filled its buffer.
    pub(super) fn take_large(&self) -> Box<[u8]> {
        pop(&self.large, LARGE)
    }

    /// Takes a buffer back. One of another size, or too many, is freed.
    pub(super) fn give(&self, buffer: Box<[u8]>) {
        let (unused, most) = match buffer.len() {
            BUFFER => (&self.plain, BUFFERS),
            LARGE => (&self.large, LARGES),
            _other => return,
        };
        let mut unused = unused.borrow_mut();
        if unused.len() < most {
            unused.push(buffer);
        }
    }
}

fn pop(unused: &RefCell<Vec<Box<[u8]>>>, size: usize) -> Box<[u8]> {
    let kept = unused.borrow_mut().pop();
    kept.unwrap_or_else(|| vec![0; size].into_boxed_slice())
}

/// A pipe, through which bytes are spliced from one socket to another.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) out: OwnedFd,
    pub(super) into: OwnedFd,
}

/// A thread's unused pipes, all of them empty.
#[derive(Debug, Default)]
pub(super) struct Pipes(RefCell<Vec<(Pipe, Counted)>>);

impl Pipes {
    /// # Errors
    ///
    /// That of `pipe2`: no descriptors left.
    pub(super) fn take(&self) -> io::Result<Pipe> {
        #[cfg(test)]
        if NO_PIPES.get() {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        if let Some((pipe, _spare)) = self.0.borrow_mut().pop() {
            return Ok(pipe);
        }
        let (out, into) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Pipe { out, into })
    }

    /// Takes an empty pipe back.
    pub(super) fn give(&self, pipe: Pipe) {
        let mut unused = self.0.borrow_mut();
        if unused.len() < PIPES {
            unused.push((pipe, Counted::new(Live::SparePipe)));
        }
    }
}

#[cfg(test)]
thread_local! {
    static NO_PIPES: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs a test as if there were no descriptors left for pipes.
#[cfg(test)]
pub(super) fn without_pipes(test: impl FnOnce()) {
    NO_PIPES.set(true);
    test();
    NO_PIPES.set(false);
}
