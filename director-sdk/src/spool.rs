//! A bounded store of bytes by their offset: what was sent and may have to be sent again.

use std::error::Error;
use std::fmt;
use std::io;
use std::task::{Context, Poll};

use director_abi as abi;

use crate::glue::further as host;

/// A bounded store of bytes by their offset, in memory first and then on the disk, in a file that has
/// no name and goes with the process. See [`Director::spool`](crate::Director::spool). Dropping it
/// ends it.
#[derive(Debug)]
pub struct Spool {
    number: u64,
}

/// How a [`Spool`] stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpoolInfo {
    /// The offset of the first byte that is kept.
    pub first: u64,
    /// The offset behind the last byte: how many were ever appended.
    pub end: u64,
    /// Bytes that are kept in memory.
    pub in_memory: u64,
    /// Bytes that are kept on the disk.
    pub on_disk: u64,
}

/// Why an operation on a [`Spool`] failed. Neither client nor node is to blame for it, so a
/// [`Failure`](crate::Failure) of it is a [`Kind::Fault`](crate::Kind::Fault).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolError {
    code: i32,
}

impl SpoolError {
    fn io(code: i32) -> io::Error {
        let kind = match code {
            abi::CODE_NONE => io::ErrorKind::StorageFull,
            abi::CODE_GONE => io::ErrorKind::NotFound,
            errno if errno > 0 => io::Error::from_raw_os_error(errno).kind(),
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, Self { code })
    }

    /// The spool's error that `error` carries, if it is one.
    pub fn in_io(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            abi::CODE_NONE => f.write_str("the host has no spool, or no room for another"),
            abi::CODE_GONE => f.write_str("the spool is gone, or the offset was forgotten"),
            abi::CODE_THREAD => f.write_str("the spool was used on another thread"),
            errno => write!(f, "spool: {}", io::Error::from_raw_os_error(errno)),
        }
    }
}

impl Error for SpoolError {}

impl Spool {
    pub(crate) fn new(task: u64, memory: u64, disk: u64) -> io::Result<Self> {
        match host::spool(task, memory, disk) {
            0 => Err(SpoolError::io(abi::CODE_NONE)),
            number => Ok(Self { number }),
        }
    }

    /// Appends from the start of `bytes`; returns how many were taken. 0 when it is full, until
    /// something is [forgotten](Self::forget).
    ///
    /// # Errors
    ///
    /// The disk failed, or the spool is gone with its task.
    ///
    /// # Cancel safety
    ///
    /// Nothing was appended when it is dropped before its end.
    pub async fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_append(cx, bytes)).await
    }

    /// As [`append`](Self::append), for those who wait for more than one thing.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub fn poll_append(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        host::spool_append(self.number, cx, bytes).map_err(SpoolError::io)
    }

    /// Reads from `offset` on to the start of `into`; returns how many bytes, 0 at the end of what was
    /// appended.
    ///
    /// # Errors
    ///
    /// The offset was forgotten (`NotFound`), the disk failed, or the spool is gone with its task.
    ///
    /// # Cancel safety
    ///
    /// Nothing was read when it is dropped before its end.
    pub async fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_read(cx, offset, into)).await
    }

    /// As [`read`](Self::read), for those who wait for more than one thing.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn poll_read(
        &self,
        cx: &mut Context<'_>,
        offset: u64,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if into.is_empty() {
            return Poll::Ready(Ok(0));
        }
        host::spool_read(self.number, cx, offset, into).map_err(SpoolError::io)
    }

    /// The bytes before the offset `before` are not needed any more: there is room for others.
    pub fn forget(&mut self, before: u64) {
        host::spool_forget(self.number, before);
    }

    /// The offset of the first byte that is kept.
    pub fn first(&self) -> u64 {
        self.info().first
    }

    /// The offset behind the last byte: how many were ever appended.
    pub fn end(&self) -> u64 {
        self.info().end
    }

    /// How it stands; all zero once it is gone.
    pub fn info(&self) -> SpoolInfo {
        host::spool_info(self.number).map_or_else(SpoolInfo::default, |told| SpoolInfo {
            first: told.first,
            end: told.end,
            in_memory: told.in_memory,
            on_disk: told.on_disk,
        })
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        host::spool_end(self.number);
    }
}
