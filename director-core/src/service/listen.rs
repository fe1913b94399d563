//! Listeners: one a worker at the same address, so that the kernel shares clients out.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Clients that may wait for the next accept.
const BACKLOG: i32 = 1024;

/// Why a service cannot listen. Its text follows "found ADDRESS, ".
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error(
        "but another program listens there already; stop it, or choose another address or port 0"
    )]
    Taken,
    /// The address is not of this machine.
    #[error("which is no address of this machine")]
    NotHere,
    /// A port that only root may take.
    #[error("which this user may not listen at; ports from 1024 on are free to all")]
    NotAllowed,
    /// Anything else.
    #[error("where listening fails: {0}")]
    Other(io::Error),
}

impl From<io::Error> for BindError {
    fn from(error: io::Error) -> Self {
        // `ErrorKind` is not ours and grows.
        #[allow(clippy::wildcard_enum_match_arm)]
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::Taken,
            io::ErrorKind::AddrNotAvailable => Self::NotHere,
            io::ErrorKind::PermissionDenied => Self::NotAllowed,
            _ => Self::Other(error),
        }
    }
}

/// Opens `count` listeners at one address (port 0: at one free port), ready for tokio. With `any_port`
/// a taken port is no error: another one is taken.
///
/// # Errors
/// [`BindError`].
pub fn bind(
    address: SocketAddr,
    count: usize,
    any_port: bool,
) -> Result<(SocketAddr, Vec<TcpListener>), BindError> {
    // Sockets that share a port do so with every process of this user. The first one does not share, and
    // so finds whoever listens there already.
    let found = match open(address, false).and_then(|socket| local_address(&socket)) {
        Ok(found) => found,
        Err(error) if any_port && error.kind() == io::ErrorKind::AddrInUse => {
            let free = SocketAddr::new(address.ip(), 0);
            open(free, false).and_then(|socket| local_address(&socket))?
        }
        Err(error) => return Err(error.into()),
    };
    let listeners = (0..count)
        .map(|_| open(found, true).map(TcpListener::from))
        .collect::<io::Result<Vec<_>>>()?;
    Ok((found, listeners))
}

fn open(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // Connections of an earlier director may still be ending.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::other("the listener has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[test]
    fn all_listeners_share_one_free_port() {
        let (address, listeners) = bind(any(), 3, false).unwrap();
        assert_ne!(address.port(), 0);
        assert_eq!(listeners.len(), 3);
        assert!(
            listeners
                .iter()
                .all(|one| one.local_addr().unwrap() == address)
        );
    }

    #[test]
    fn a_port_in_use_is_told_even_if_its_owner_would_share_it() {
        let (taken, _ours) = bind(any(), 2, false).unwrap();
        let error = bind(taken, 1, false).unwrap_err();
        assert!(matches!(error, BindError::Taken), "{error}");
        let (another, _listeners) = bind(taken, 1, true).unwrap();
        assert_ne!(another, taken);
    }

    #[test]
    fn a_foreign_address_is_told() {
        let foreign = SocketAddr::from(([192, 0, 2, 1], 0));
        let error = bind(foreign, 1, true).unwrap_err();
        assert!(matches!(error, BindError::NotHere), "{error}");
    }
}
