//! `PASV`, `EPSV`, `PORT` and `EPRT`: where the client's next data connection is made.

use std::net::{IpAddr, SocketAddr, SocketAddrV4};

use crate::control::conversation::Conversation;
use crate::control::reply::Reply;
use crate::data::ClientEnd;
use crate::data::address::{self, BadAddress, Epsv, Family};

/// What follows an `EPSV ALL` (RFC 2428 §4).
const ONLY_EPSV: &str = "EPSV ALL was said: only EPSV makes data connections.";

/// Listens for the client, and says where by IPv4.
pub(crate) fn pasv(talk: &mut Conversation) -> Reply {
    if talk.chain.state.epsv_all {
        return Reply::new(503, ONLY_EPSV);
    }
    // There is no way to say an IPv6 address in a 227, and a client that came by IPv6 cannot be sent to an
    // IPv4 address from which it would be another.
    let by_ip4 = match client(talk) {
        Ok(ip) => Family::of(ip) == Family::V4,
        Err(refusal) => return refusal,
    };
    if !by_ip4 {
        return Reply::new(425, "This is IPv6: EPSV is the command for it.");
    }
    let told = talk.shared.options.address;
    let local = match listen(talk) {
        Ok(local) => local,
        Err(refusal) => return refusal,
    };
    let ip = match (told, local.ip()) {
        (Some(told), _) => told,
        (None, IpAddr::V4(ip)) => ip,
        (None, IpAddr::V6(_)) => {
            talk.data = ClientEnd::Nowhere;
            return Reply::new(
                425,
                "The listener has no IPv4 address: EPSV is the command for it.",
            );
        }
    };
    let address = SocketAddrV4::new(ip, local.port());
    Reply::new(227, address::pasv_text(address))
}

/// Listens for the client, and says at which port; or takes an `EPSV ALL`.
pub(crate) fn epsv(talk: &mut Conversation, argument: &[u8]) -> Reply {
    let family = match client(talk) {
        Ok(ip) => Family::of(ip),
        Err(refusal) => return refusal,
    };
    match address::epsv(argument, family) {
        Ok(Epsv::Listen(_)) => match listen(talk) {
            Ok(local) => Reply::new(229, address::epsv_text(local.port())),
            Err(refusal) => refusal,
        },
        Ok(Epsv::All) => {
            talk.chain.state.epsv_all = true;
            Reply::new(
                200,
                "EPSV ALL: nothing else makes data connections from now on.",
            )
        }
        Err(bad) => refused(bad),
    }
}

/// Notes the address at which the client says that it listens; it must be the client's own.
pub(crate) fn active(
    talk: &mut Conversation,
    verb: &str,
    read: impl FnOnce(Family) -> Result<SocketAddr, BadAddress>,
) -> Reply {
    if talk.chain.state.epsv_all {
        return Reply::new(503, ONLY_EPSV);
    }
    let ip = match client(talk) {
        Ok(ip) => ip,
        Err(refusal) => return refusal,
    };
    let port = read(Family::of(ip)).and_then(|asked| address::destination(asked, ip));
    match port {
        Ok(port) => {
            talk.data = ClientEnd::Active(port);
            Reply::new(200, format!("{verb} command successful."))
        }
        Err(bad) => {
            tracing::info!(%bad, verb, "a data connection was refused");
            refused(bad)
        }
    }
}

fn refused(bad: BadAddress) -> Reply {
    Reply::new(bad.code(), bad.to_string())
}

/// The client's own address.
fn client(talk: &Conversation) -> Result<IpAddr, Reply> {
    let peer = talk.client.with(|stream| stream.peer()).ok().flatten();
    peer.map(|peer| peer.ip().to_canonical())
        .ok_or_else(|| Reply::new(425, "The address of the control connection is not known."))
}

/// Listens beside the control connection; its address, with an IPv4 address as one.
fn listen(talk: &mut Conversation) -> Result<SocketAddr, Reply> {
    let ports = talk.shared.options.ports.range();
    let Conversation {
        client,
        director,
        data,
        ..
    } = talk;
    let bound = client.with(|stream| data.listen(director, stream, ports));
    bound
        .and_then(|bound| bound)
        .map(address::canonical)
        .map_err(|error| {
            tracing::warn!(%error, "no listener for a data connection");
            Reply::new(425, "No port for a data connection is free.")
        })
}
