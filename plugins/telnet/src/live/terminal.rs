//! A user's terminal: what must be found again at whichever host the session is moved to.

use std::sync::Arc;

use async_trait::async_trait;
use director_sdk::{ClientStream, Director, Failure, Kind, NodeStream, Session};

use super::at_host;
use super::outgoing::Outgoing;
use crate::login::Runner;
use crate::nvt::Parser;
use crate::shared::Shared;
use crate::talk::host::Host;
use crate::talk::user::User;
use crate::tier::Tier;

/// Most bytes of a subnegotiation; a longer one is dropped.
pub(crate) const MOST_SUBNEGOTIATION: usize = 4096;

/// A user's terminal.
pub(crate) struct Terminal {
    pub(crate) client: ClientStream,
    /// Of what the client says.
    pub(crate) parser: Parser,
    pub(crate) user: User,
    pub(crate) to_client: Outgoing,
    /// The client has said that it says no more.
    pub(crate) has_ended: bool,
    /// No host is to be logged in at any more.
    pub(crate) is_over: bool,
    /// How far the session was at the host that was lost, if one was.
    pub(crate) lost: Option<Tier>,
}

impl Terminal {
    /// Of a client that has just come.
    pub(crate) fn new(client: ClientStream, shared: Arc<Shared>) -> Self {
        Self {
            client,
            parser: Parser::new(MOST_SUBNEGOTIATION),
            user: User::new(shared),
            to_client: Outgoing::default(),
            has_ended: false,
            is_over: false,
            lost: None,
        }
    }
}

/// A connection to a host, and how the session stands there.
pub(crate) struct Link {
    pub(crate) stream: NodeStream,
    /// Of what the host says.
    pub(crate) parser: Parser,
    pub(crate) host: Host,
    pub(crate) to_host: Outgoing,
    /// What was done here before the user sees it.
    pub(crate) arrival: Arrival,
    pub(crate) has_begun: bool,
}

/// How a session has come to a host.
pub(crate) enum Arrival {
    /// With nothing said: the user's own dialogue follows, or the service's under the user's eyes.
    Silent,
    /// The director has logged in.
    LoggedIn {
        /// What stands in the line in which the host's cursor is, a prompt.
        line: Vec<u8>,
        /// The session is in its directory again, or was in none that is known.
        in_place: bool,
    },
}

impl Link {
    pub(crate) fn new(stream: NodeStream) -> Self {
        Self {
            stream,
            parser: Parser::new(MOST_SUBNEGOTIATION),
            host: Host::default(),
            to_host: Outgoing::default(),
            arrival: Arrival::Silent,
            has_begun: false,
        }
    }
}

#[async_trait]
impl Session for Terminal {
    type Link = Link;

    /// The first host gets what its client says, and no more. At another one the director logs in, if it can, and
    /// goes to the session's directory; what the host writes meanwhile, the user does not see.
    async fn establish(&mut self, node: NodeStream, director: &Director) -> Result<Link, Failure> {
        if self.is_over {
            return Err(Failure::new(Kind::ClientGone, "the session is over").by_client());
        }
        let mut link = Link::new(node);
        if self.user.was_logged_in && self.user.login().is_some() {
            if let Err(failure) = at_host::arrive(&mut self.user, &mut link, director).await {
                at_host::note(&mut self.user, &failure);
                return Err(failure);
            }
        } else if self.user.shared.script.is_some() {
            link.host.runner = Some(Runner::default());
        }
        Ok(link)
    }
}
