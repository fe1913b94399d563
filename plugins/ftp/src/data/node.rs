//! The node's end of a data connection: in the mode that the operator chose, whatever the client's.

use std::net::IpAddr;
use std::time::Duration;

use director_sdk::{Director, Failure, Kind, Listener, NodeStream, Who};

use crate::control::link::Link;
use crate::control::reply::{Degree, Reply};
use crate::data::address;
use crate::options::NodeData;

/// How long a node may take to connect to us in active mode, after it said that it would.
const PATIENCE: Duration = Duration::from_secs(10);

/// Says where the node listens (RFC 2428 §3).
const EPSV: &[u8] = b"EPSV";

/// A node's data connection of a transfer that is about to begin.
pub(crate) enum NodeEnd {
    /// We have connected.
    Connected(NodeStream),
    /// The node will.
    Expected(Listener<NodeStream>),
}

impl NodeEnd {
    /// Agrees with the node upon a data connection: passive by `EPSV`, or `PASV` for a server that has no
    /// other; active by `PORT` or `EPRT`. The address in a 227 is not followed: we connect to where
    /// the link leads, so that a node behind a translator works and none can send us elsewhere.
    ///
    /// # Errors
    ///
    /// The node's refusal, by its code, with a fit link; or the node is lost.
    pub(crate) async fn agree(
        link: &mut Link,
        director: &Director,
        mode: NodeData,
    ) -> Result<Self, Failure> {
        Self::agree_on(link, director, (mode, None)).await
    }

    /// The command that [`agree`](Self::agree) begins with, where that is known before.
    pub(crate) fn first_command(link: &Link, mode: NodeData) -> Option<&'static [u8]> {
        match mode {
            NodeData::Passive => (!link.lacks_epsv).then_some(EPSV),
            NodeData::Active => None,
        }
    }

    /// As [`agree`](Self::agree), where the node may have answered the
    /// [first command](Self::first_command) already.
    ///
    /// # Errors
    ///
    /// As [`agree`](Self::agree).
    pub(crate) async fn agree_on(
        link: &mut Link,
        director: &Director,
        (mode, answered): (NodeData, Option<Reply>),
    ) -> Result<Self, Failure> {
        match mode {
            NodeData::Passive => {
                let port = passive_port(link, answered).await?;
                let stream = director.connect(&link.control, port).await?;
                Ok(Self::Connected(stream))
            }
            NodeData::Active => {
                let listener =
                    director
                        .listen(&link.control, 0..=0, Who::Peer)
                        .map_err(|error| {
                            let detail = format!("no listener for the node's data: {error}");
                            Failure::new(Kind::Unreachable, detail).fit()
                        })?;
                let command = address::port_command(listener.address());
                let reply = link.command(command.as_bytes()).await?;
                positive(&reply)?;
                Ok(Self::Expected(listener))
            }
        }
    }

    /// The stream, protected as the link's data connections are: after the node's mark (1xx), for
    /// servers begin their handshake when they have said it.
    ///
    /// # Errors
    ///
    /// The node is lost, or its handshake failed.
    pub(crate) async fn stream(
        self,
        link: &Link,
        director: &Director,
    ) -> Result<NodeStream, Failure> {
        let mut stream = match self {
            Self::Connected(stream) => stream,
            Self::Expected(mut listener) => {
                let accepted = director.timeout(PATIENCE, listener.accept()).await;
                accepted.map_err(|elapsed| {
                    let detail = format!("the node's data connection: {elapsed}");
                    Failure::new(Kind::Stalled, detail)
                })??
            }
        };
        if link.protects_data() {
            stream
                .start_tls(Some(&link.control))
                .await
                .map_err(|error| {
                    let why = stream.trouble().unwrap_or_else(|| error.to_string());
                    let detail = format!("TLS on the node's data connection: {why}");
                    Failure::new(Kind::Lost, detail)
                })?;
        }
        Ok(stream)
    }
}

/// The port at which the node listens.
async fn passive_port(link: &mut Link, answered: Option<Reply>) -> Result<u16, Failure> {
    let by_ip4 = link
        .control
        .peer()
        .is_none_or(|peer| matches!(peer.ip().to_canonical(), IpAddr::V4(_)));
    if !link.lacks_epsv {
        let reply = match answered {
            Some(reply) => reply,
            None => link.command(EPSV).await?,
        };
        match reply.code {
            229 => {
                let port = address::epsv_reply(reply.text().as_bytes());
                return port.ok_or_else(|| garbled("EPSV", &reply));
            }
            // Not known, or not there (RFC 2428 §3); PASV is as good where both speak IPv4.
            500..=599 if by_ip4 => link.lacks_epsv = true,
            _ => return Err(refused(&reply)),
        }
    }
    let reply = link.command(b"PASV").await?;
    match reply.code {
        227 => {
            let address = address::pasv_reply(reply.text().as_bytes());
            let address = address.ok_or_else(|| garbled("PASV", &reply))?;
            Ok(address.port())
        }
        _ => Err(refused(&reply)),
    }
}

fn positive(reply: &Reply) -> Result<(), Failure> {
    match reply.code {
        200..=299 => Ok(()),
        _ => Err(refused(reply)),
    }
}

/// The node's dialogue is whole, and its answer is no. A node that cannot make data connections, or not for
/// this session, says nothing about what others can.
fn refused(reply: &Reply) -> Failure {
    let failure = match reply.degree() {
        Degree::Permanent => Failure::new(Kind::Missing, format!("no data connection: {reply}"))
            .with_code(reply.code.into()),
        Degree::Transient => Failure::code(reply.code.into(), reply.to_string()),
        Degree::Preliminary | Degree::Complete | Degree::Intermediate => {
            let detail = format!("asked for a data connection the node said {reply}");
            return Failure::new(Kind::Garbled, detail);
        }
    };
    failure.fit()
}

fn garbled(verb: &str, reply: &Reply) -> Failure {
    Failure::new(Kind::Garbled, format!("to {verb} the node said {reply}"))
}
