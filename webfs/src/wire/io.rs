//! Frames off a connection.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{BadFrame, FRAME_HEADER, checked, decode_header};

/// Takes frames off one half of a connection.
pub struct FrameReader<R> {
    io: R,
    buffer: BytesMut,
}

/// Why no frame came.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The connection ended, in the middle of a frame or not.
    #[error("the connection ended")]
    Ended,
    /// It failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What came is no frame.
    #[error("{0}")]
    Bad(#[from] BadFrame),
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads from this half.
    pub fn new(io: R) -> Self {
        Self {
            io,
            buffer: BytesMut::new(),
        }
    }

    /// The next frame's body, its checksum checked. Memory grows with what has come, not with what a
    /// length promises.
    ///
    /// # Errors
    /// [`ReadError::Ended`] at the end of the connection.
    ///
    /// # Cancel safety
    /// Nothing is lost: what has come of a frame stays for the next call.
    pub async fn next(&mut self) -> Result<Bytes, ReadError> {
        loop {
            if let Some(header) = self.buffer.first_chunk::<FRAME_HEADER>() {
                let (len, sum) = decode_header(*header)?;
                if self.buffer.len() >= FRAME_HEADER + len {
                    self.buffer.advance(FRAME_HEADER);
                    return Ok(checked(self.buffer.split_to(len).freeze(), sum)?);
                }
            }
            self.buffer.reserve(16 << 10);
            if self.io.read_buf(&mut self.buffer).await? == 0 {
                return Err(ReadError::Ended);
            }
        }
    }
}
