//! Addresses as they cross the boundary.

use std::net::{IpAddr, SocketAddr};

use director_abi::Address;
use tokio::net::TcpStream;

/// Both ends of a socket; what the kernel does not tell (any more) is `None`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) local: Option<SocketAddr>,
    pub(super) peer: Option<SocketAddr>,
}

impl Ends {
    pub(super) fn of(socket: &TcpStream) -> Self {
        Self {
            local: socket.local_addr().ok().map(canonical),
            peer: socket.peer_addr().ok().map(canonical),
        }
    }
}

/// An IPv4 address that came by way of an IPv6 socket is an IPv4 address.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::from((ip, address.port())),
        // As it is: its scope matters.
        IpAddr::V6(_) => address,
    }
}

/// An address as it crosses.
pub(super) fn crossing(address: Option<SocketAddr>) -> Address {
    let Some(address) = address else {
        return Address::NONE;
    };
    let (ip, family) = match address.ip() {
        IpAddr::V4(ip) => (ip.to_ipv6_mapped().octets(), Address::V4),
        IpAddr::V6(ip) => (ip.octets(), Address::V6),
    };
    Address {
        ip,
        port: address.port(),
        family,
        _pad: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_ipv4_and_crosses_as_such() {
        let mapped: SocketAddr = "[::ffff:192.0.2.7]:2121".parse().unwrap();
        let plain: SocketAddr = "192.0.2.7:2121".parse().unwrap();
        assert_eq!(canonical(mapped), plain);
        let crossed = crossing(Some(plain));
        assert_eq!((crossed.family, crossed.port), (Address::V4, 2121));
        assert_eq!(
            crossed.ip,
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 7]
        );
    }

    #[test]
    fn ipv6_and_what_is_not_known() {
        let six: SocketAddr = "[2001:db8::1]:21".parse().unwrap();
        assert_eq!(canonical(six), six);
        let crossed = crossing(Some(six));
        assert_eq!((crossed.family, crossed.ip[0]), (Address::V6, 0x20));
        assert_eq!(crossing(None), Address::NONE);
    }
}
