//! Addresses of data connections, as commands and replies write them. Pure.
//!
//! RFC 959 §4.1.2 and RFC 1123 §4.1.2.6 (PORT, PASV), RFC 2428 (EPRT, EPSV), RFC 2577 §3 (what a
//! server must not connect to). Nothing here is followed blindly: towards a node only the port of
//! its reply counts, and a client's address must be the client's own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// The lowest port that a client may have us connect to (RFC 2577 §3).
pub(crate) const LOWEST_PORT: u16 = 1024;

/// A family of addresses, by the number that RFC 2428 gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// `1`.
    V4,
    /// `2`.
    V6,
}

impl Family {
    /// The family of an address; an IPv4 address written as IPv6 is IPv4.
    pub(crate) fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Its number.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::V4 => 1,
            Self::V6 => 2,
        }
    }
}

/// Why an address of a client's is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadAddress {
    /// 501.
    #[error("{0}")]
    Syntax(&'static str),
    /// 522, with the families that would do (RFC 2428 §2).
    #[error("Network protocol not supported, use ({})", .0.number())]
    Family(Family),
    /// 500: a bounce (RFC 2577).
    #[error("Data connections lead to the client alone, which is {0}.")]
    Foreign(IpAddr),
    /// 504 (RFC 2577 §3).
    #[error("Port {0} is below 1024.")]
    Port(u16),
}

impl BadAddress {
    /// The reply's code.
    pub(crate) const fn code(self) -> u16 {
        match self {
            Self::Syntax(_) => 501,
            Self::Family(_) => 522,
            Self::Foreign(_) => 500,
            Self::Port(_) => 504,
        }
    }
}

/// What an `EPSV` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Epsv {
    /// A listener, of a family if one was named.
    Listen(Option<Family>),
    /// `EPSV ALL`: from now on no other command makes data connections.
    All,
}

const PORT_FORM: &str = "PORT takes h1,h2,h3,h4,p1,p2, each 0 to 255.";
const EPRT_FORM: &str = "EPRT takes |1|IPv4 address|port| or |2|IPv6 address|port|.";
const EPSV_FORM: &str = "EPSV takes nothing, 1, 2 or ALL.";

/// Reads the argument of a `PORT`.
///
/// # Errors
///
/// [`BadAddress::Syntax`].
pub(crate) fn port(argument: &[u8]) -> Result<SocketAddr, BadAddress> {
    match six_numbers(argument) {
        Some((address, [])) => Ok(address.into()),
        Some(_) | None => Err(BadAddress::Syntax(PORT_FORM)),
    }
}

/// Reads the argument of an `EPRT`; `control` is the family of the control connection, for the
/// reply about a family that nobody knows.
///
/// # Errors
///
/// [`BadAddress::Syntax`], or [`BadAddress::Family`] for a family with another number than 1 or 2.
pub(crate) fn eprt(argument: &[u8], control: Family) -> Result<SocketAddr, BadAddress> {
    let bad = BadAddress::Syntax(EPRT_FORM);
    let text = std::str::from_utf8(argument).map_err(|_| bad)?;
    let delimiter = text.chars().next().ok_or(bad)?;
    if !delimiter.is_ascii_graphic() || delimiter.is_ascii_alphanumeric() {
        return Err(bad);
    }
    let parts: Vec<&str> = text.split(delimiter).collect();
    let ["", family, address, port, ""] = parts.as_slice() else {
        return Err(bad);
    };
    let port = number(port.as_bytes())
        .and_then(|port| u16::try_from(port).ok())
        .ok_or(bad)?;
    let ip = match number(family.as_bytes()).ok_or(bad)? {
        1 => IpAddr::V4(address.parse::<Ipv4Addr>().map_err(|_| bad)?),
        2 => IpAddr::V6(address.parse::<Ipv6Addr>().map_err(|_| bad)?),
        _ => return Err(BadAddress::Family(control)),
    };
    Ok(SocketAddr::new(ip, port))
}

/// Reads the argument of an `EPSV`; `control` is the family of the control connection, which is the
/// only one that a listener beside it can have.
///
/// # Errors
///
/// [`BadAddress::Syntax`], or [`BadAddress::Family`] for another family than the control connection's.
pub(crate) fn epsv(argument: &[u8], control: Family) -> Result<Epsv, BadAddress> {
    if argument.is_empty() {
        return Ok(Epsv::Listen(None));
    }
    if argument.eq_ignore_ascii_case(b"ALL") {
        return Ok(Epsv::All);
    }
    let asked = number(argument).ok_or(BadAddress::Syntax(EPSV_FORM))?;
    if asked == u32::from(control.number()) {
        Ok(Epsv::Listen(Some(control)))
    } else {
        Err(BadAddress::Family(control))
    }
}

/// Whether we may connect to `asked` for a client whose control connection comes from `client`:
/// only to the client itself, and to no port at which a service may listen. Returns the port.
///
/// # Errors
///
/// Why not.
pub(crate) fn destination(asked: SocketAddr, client: IpAddr) -> Result<u16, BadAddress> {
    let client = client.to_canonical();
    if Family::of(asked.ip()) != Family::of(client) {
        return Err(BadAddress::Family(Family::of(client)));
    }
    if asked.ip().to_canonical() != client {
        return Err(BadAddress::Foreign(client));
    }
    if asked.port() < LOWEST_PORT {
        return Err(BadAddress::Port(asked.port()));
    }
    Ok(asked.port())
}

/// The text of a 227 reply.
pub(crate) fn pasv_text(address: SocketAddrV4) -> String {
    format!("Entering Passive Mode ({}).", six(address))
}

/// The text of a 229 reply.
pub(crate) fn epsv_text(port: u16) -> String {
    format!("Entering Extended Passive Mode (|||{port}|)")
}

/// The command, without its end, that tells a node to connect to `address`: PORT for IPv4, which
/// every server knows, else EPRT.
pub(crate) fn port_command(address: SocketAddr) -> String {
    let (ip, port) = (address.ip().to_canonical(), address.port());
    match ip {
        IpAddr::V4(ip) => format!("PORT {}", six(SocketAddrV4::new(ip, port))),
        IpAddr::V6(ip) => format!("EPRT |2|{ip}|{port}|"),
    }
}

/// The address in a node's 227 reply: the first six numbers with commas between them, wherever they
/// stand (RFC 1123 §4.1.2.6). `None` when there is none, or when its port is 0.
pub(crate) fn pasv_reply(text: &[u8]) -> Option<SocketAddrV4> {
    let starts = (0..text.len()).filter(|at| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        text[*at].is_ascii_digit() && !before.is_some_and(u8::is_ascii_digit)
    });
    let mut found = starts.filter_map(|at| six_numbers(&text[at..]));
    found
        .next()
        .map(|(address, _)| address)
        .filter(|address| address.port() != 0)
}

/// The port in a node's 229 reply, `(|||port|)` (RFC 2428 §3). `None` when there is none, or when it is 0.
pub(crate) fn epsv_reply(text: &[u8]) -> Option<u16> {
    let opening = text.iter().position(|byte| *byte == b'(')?;
    let inner = text.get(opening + 1..)?;
    let delimiter = *inner.first()?;
    if !delimiter.is_ascii_graphic() || delimiter.is_ascii_digit() {
        return None;
    }
    let rest = inner.strip_prefix(&[delimiter; 3])?;
    let end = rest.iter().position(|byte| *byte == delimiter)?;
    if rest.get(end + 1) != Some(&b')') {
        return None;
    }
    let port = u16::try_from(number(rest.get(..end)?)?).ok()?;
    (port != 0).then_some(port)
}

fn six(address: SocketAddrV4) -> String {
    let [a, b, c, d] = address.ip().octets();
    let [high, low] = address.port().to_be_bytes();
    format!("{a},{b},{c},{d},{high},{low}")
}

/// Six numbers of one byte each with commas between them, and what follows them.
fn six_numbers(text: &[u8]) -> Option<(SocketAddrV4, &[u8])> {
    let mut octets = [0_u8; 6];
    let mut rest = text;
    for (nth, octet) in octets.iter_mut().enumerate() {
        if nth > 0 {
            rest = rest.strip_prefix(b",")?;
        }
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (written, after) = rest.split_at(digits);
        *octet = u8::try_from(number(written)?).ok()?;
        rest = after;
    }
    let [a, b, c, d, high, low] = octets;
    let port = u16::from_be_bytes([high, low]);
    Some((SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), port), rest))
}

/// A number as digits alone, at most nine of them.
fn number(digits: &[u8]) -> Option<u32> {
    let plain = !digits.is_empty() && digits.len() <= 9 && digits.iter().all(u8::is_ascii_digit);
    let value = |sum: u32, digit: &u8| sum * 10 + u32::from(digit - b'0');
    plain.then(|| digits.iter().fold(0, value))
}

/// `address` with an IPv4 address as one, for replies and comparisons.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddrV4::new(ip, address.port()).into(),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, address.port(), 0, 0).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

    #[test]
    fn port_is_six_bytes_and_nothing_else() {
        assert_eq!(
            port(b"192,0,2,7,4,1"),
            Ok("192.0.2.7:1025".parse().unwrap())
        );
        for bad in [
            "",
            "1,2,3,4,5",
            "1,2,3,4,5,6,7",
            "1,2,3,4,5,256",
            "1,2,3,4,5,-6",
            "1,2,3,4,5, 6",
            "1,2,3,4,5,6 ",
            "1.2.3.4,5,6",
            "1,2,3,4,5,0000000000006",
            ",,,,,",
        ] {
            assert_eq!(
                port(bad.as_bytes()),
                Err(BadAddress::Syntax(PORT_FORM)),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn eprt_is_read_with_any_delimiter() {
        let v4 = Ok("132.235.1.2:6275".parse().unwrap());
        assert_eq!(eprt(b"|1|132.235.1.2|6275|", Family::V4), v4);
        assert_eq!(eprt(b"!1!132.235.1.2!6275!", Family::V4), v4);
        let v6 = Ok("[1080::8:800:200c:417a]:5282".parse().unwrap());
        assert_eq!(eprt(b"|2|1080::8:800:200C:417A|5282|", Family::V6), v6);
        assert_eq!(
            eprt(b"|3|x|1|", Family::V6),
            Err(BadAddress::Family(Family::V6))
        );
        for bad in [
            "",
            "|",
            "|1|1.2.3.4|5",
            "|1|1.2.3.4|70000|",
            "|1|::1|5|",
            "|2|1.2.3.4|5|",
            "|2|fe80::1%eth0|5|",
            "|1|1.2.3.4|5||",
            "111.2.3.415",
            " 1 1.2.3.4 5 ",
            "|x|1.2.3.4|5|",
            "|1|1.2.3.4||",
            "\u{e9}1\u{e9}1.2.3.4\u{e9}5\u{e9}",
        ] {
            let got = eprt(bad.as_bytes(), Family::V4);
            assert_eq!(got, Err(BadAddress::Syntax(EPRT_FORM)), "{bad:?}");
        }
        assert!(eprt(b"|1|1.2.3.\xff|5|", Family::V4).is_err());
    }

    #[test]
    fn epsv_listens_beside_the_control_connection_alone() {
        assert_eq!(epsv(b"", Family::V6), Ok(Epsv::Listen(None)));
        assert_eq!(epsv(b"all", Family::V6), Ok(Epsv::All));
        assert_eq!(epsv(b"2", Family::V6), Ok(Epsv::Listen(Some(Family::V6))));
        let refused = epsv(b"1", Family::V6).unwrap_err();
        assert_eq!(
            (refused.code(), refused.to_string().as_str()),
            (522, "Network protocol not supported, use (2)")
        );
        assert_eq!(epsv(b"9", Family::V4).unwrap_err().code(), 522);
        assert_eq!(epsv(b"x", Family::V4).unwrap_err().code(), 501);
    }

    #[test]
    fn a_bounce_is_refused() {
        let to = |address: &str| destination(address.parse().unwrap(), CLIENT);
        assert_eq!(to("192.0.2.7:1024"), Ok(1024));
        assert_eq!(to("[::ffff:192.0.2.7]:1024"), Ok(1024));
        assert_eq!(to("192.0.2.7:1023").unwrap_err().code(), 504);
        assert_eq!(to("192.0.2.8:2000").unwrap_err().code(), 500);
        assert_eq!(to("127.0.0.1:2000").unwrap_err().code(), 500);
        assert_eq!(to("[::1]:2000").unwrap_err().code(), 522);
        // A client that came by IPv4 to a listener of both families.
        let mapped = "::ffff:192.0.2.7".parse().unwrap();
        assert_eq!(
            destination("192.0.2.7:5000".parse().unwrap(), mapped),
            Ok(5000)
        );
    }

    #[test]
    fn replies_of_all_servers_are_read() {
        let found = Some("10.1.2.3:1027".parse().unwrap());
        for text in [
            "Entering Passive Mode (10,1,2,3,4,3).",
            "Entering Passive Mode 10,1,2,3,4,3",
            "=10,1,2,3,4,3",
            "Passive 7 (10,1,2,3,4,3)",
        ] {
            assert_eq!(pasv_reply(text.as_bytes()), found, "{text}");
        }
        for text in [
            "",
            "(10,1,2,3,4)",
            "(10,1,2,3,4,300)",
            "(10,1,2,3,0,0)",
            "no",
        ] {
            assert_eq!(pasv_reply(text.as_bytes()), None, "{text}");
        }
        assert_eq!(
            epsv_reply(b"Entering Extended Passive Mode (|||6446|)"),
            Some(6446)
        );
        assert_eq!(epsv_reply(b"ok (!!!1!)."), Some(1));
        for text in [
            "",
            "|||6446|",
            "(|||0|)",
            "(|||65536|)",
            "(|||6446)",
            "(||6446|)",
            "(111644611)",
            "(||||)",
        ] {
            assert_eq!(epsv_reply(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(ip: [u8; 4], wide: [u8; 16], at in 1_u16..) {
            let v4 = SocketAddrV4::new(ip.into(), at);
            prop_assert_eq!(pasv_reply(pasv_text(v4).as_bytes()), Some(v4));
            prop_assert_eq!(epsv_reply(epsv_text(at).as_bytes()), Some(at));
            let told = port_command(v4.into());
            prop_assert_eq!(port(told.strip_prefix("PORT ").unwrap().as_bytes()), Ok(v4.into()));
            let v6 = SocketAddr::new(Ipv6Addr::from(wide).into(), at);
            let told = port_command(v6);
            if let Some(argument) = told.strip_prefix("EPRT ") {
                prop_assert_eq!(eprt(argument.as_bytes(), Family::V6), Ok(v6));
            } else {
                prop_assert_eq!(Family::of(v6.ip()), Family::V4);
            }
        }

        #[test]
        fn arbitrary_bytes_are_answered(bytes: Vec<u8>) {
            let _any = (port(&bytes), eprt(&bytes, Family::V4), epsv(&bytes, Family::V4));
            let _any = (pasv_reply(&bytes), epsv_reply(&bytes));
        }

        #[test]
        fn only_the_client_is_ever_connected_to(ip: [u8; 16], at: u16, client: [u8; 16]) {
            let (asked, client) = (Ipv6Addr::from(ip).into(), Ipv6Addr::from(client).into());
            if let Ok(port) = destination(SocketAddr::new(asked, at), client) {
                prop_assert_eq!(asked.to_canonical(), client.to_canonical());
                prop_assert!(port >= LOWEST_PORT);
            }
        }
    }
}
