//! Where the admin listener is, and what may be in its place.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::config::AdminAddress;
use crate::service::BindError;

/// Why there is no admin listener.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Another director answers there.
    #[error("another director answers at {0}")]
    Taken(PathBuf),
    /// The path is taken by something else.
    #[error("{0} is there already and is no socket")]
    NoSocket(PathBuf),
    /// A TCP address that cannot be had.
    #[error("found \"{address}\", {error}")]
    Tcp {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        error: BindError,
    },
    /// A path that cannot be had.
    #[error("no socket can be made at {path}: {error}")]
    Unix {
        /// The path.
        path: PathBuf,
        /// Why. A path of more than 107 bytes is too long for a socket.
        error: io::Error,
    },
}

/// The listener. Its socket's file goes with it.
#[derive(Debug)]
pub enum AdminListener {
    /// At a loopback address.
    Tcp(TcpListener),
    /// At a path.
    Unix(UnixListener, SocketFile),
}

/// A socket's file, removed when this is dropped.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Gone already is as good; anything else leaves a dead socket, which the next start removes.
        let _gone = std::fs::remove_file(&self.0);
    }
}

impl AdminListener {
    /// Opens it. A socket left by a director that has died is removed.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn bind(address: &AdminAddress) -> Result<Self, AdminError> {
        match address {
            AdminAddress::Tcp(address) => {
                TcpListener::bind(address)
                    .await
                    .map(Self::Tcp)
                    .map_err(|error| AdminError::Tcp {
                        address: *address,
                        error: error.into(),
                    })
            }
            AdminAddress::Unix(path) => {
                make_way(path).await?;
                let failed = |error| AdminError::Unix {
                    path: path.clone(),
                    error,
                };
                let listener = UnixListener::bind(path).map_err(failed)?;
                let file = SocketFile(path.clone());
                std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
                Ok(Self::Unix(listener, file))
            }
        }
    }

    /// Where it is: `127.0.0.1:7071` or `unix:/path`.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|error| error.to_string(), |address| address.to_string()),
            Self::Unix(_, file) => format!("unix:{}", file.0.display()),
        }
    }

    /// The next connection. Cancel safe.
    pub(super) async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _peer) = listener.accept().await?;
                Ok(Stream::Tcp(stream))
            }
            Self::Unix(listener, _file) => {
                let (stream, _peer) = listener.accept().await?;
                Ok(Stream::Unix(stream))
            }
        }
    }
}

/// Removes a dead socket. A live one, or a file of another kind, is an error.
async fn make_way(path: &Path) -> Result<(), AdminError> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return Ok(()); // binding tells what else may be wrong
    };
    if !metadata.file_type().is_socket() {
        return Err(AdminError::NoSocket(path.to_owned()));
    }
    if UnixStream::connect(path).await.is_ok() {
        return Err(AdminError::Taken(path.to_owned()));
    }
    std::fs::remove_file(path).map_err(|error| AdminError::Unix {
        path: path.to_owned(),
        error,
    })
}

/// A connection of either kind.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Connects to an admin listener.
    pub(super) async fn connect(address: &AdminAddress) -> io::Result<Self> {
        match address {
            AdminAddress::Tcp(address) => TcpStream::connect(address).await.map(Self::Tcp),
            AdminAddress::Unix(path) => UnixStream::connect(path).await.map(Self::Unix),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
