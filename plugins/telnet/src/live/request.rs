//! The one request of a session: to be at a host until the user logs out.

use std::time::Duration;

use async_trait::async_trait;
use director_sdk::{Director, Exception, Failure, Request, Resend};

use super::begin;
use super::pump::{self, Over, Stop};
use super::terminal::{Link, Terminal};
use crate::failures;
use crate::options::Eof;

/// How long the ends of other sessions are waited for before an end counts as a logout.
const SETTLE: Duration = Duration::from_millis(250);

/// To be at a host.
pub(crate) struct Live;

#[async_trait]
impl Request<Terminal> for Live {
    type Reply = Over;

    async fn attempt(
        &mut self,
        terminal: &mut Terminal,
        link: &mut Link,
        director: &Director,
    ) -> Result<Over, Failure> {
        if !link.has_begun {
            link.has_begun = true;
            if let Some(was) = terminal.lost {
                begin::begin(terminal, link, was, director.now());
            }
        }
        let stop = pump::run(terminal, link, director).await;
        let now = director.now();
        match stop {
            Ok(Stop::Over(over)) => {
                terminal.is_over = true;
                Ok(over)
            }
            Ok(Stop::HostEnded) => {
                if is_logout(terminal, link, director).await {
                    terminal.is_over = true;
                    return Ok(Over::LoggedOut);
                }
                lose(terminal, link);
                Err(failures::ended(link.host.signs.has_been_heard()))
            }
            // Whoever has just said goodbye does not want to be logged in again.
            Err(_) if terminal.user.keys.has_said_goodbye(now) || link.host.logout => {
                terminal.is_over = true;
                Ok(Over::LoggedOut)
            }
            Err(failure) => {
                lose(terminal, link);
                Err(failure)
            }
        }
    }

    async fn cleanup(
        &mut self,
        terminal: &mut Terminal,
        _link: Option<&mut Link>,
        why: &Exception,
    ) -> Resend {
        if terminal.is_over || !terminal.user.shared.options.resumable {
            return Resend::Never;
        }
        let tier = terminal.lost.unwrap_or_default().as_str();
        tracing::info!(tier, kind = %why.kind, "a session has lost its host");
        Resend::Anywhere
    }
}

/// Notes how far the session was. What has not been seen at this host is as it was before it.
fn lose(terminal: &mut Terminal, link: &mut Link) {
    let tier = terminal.user.tier(&mut link.host);
    terminal.lost = Some(
        tier.max(
            terminal
                .lost
                .unwrap_or_default()
                .min(crate::tier::Tier::Login),
        ),
    );
}

/// Whether the end of a host's stream is the user's own doing.
async fn is_logout(terminal: &mut Terminal, link: &mut Link, director: &Director) -> bool {
    let goodbye = terminal.user.keys.has_said_goodbye(director.now());
    if link.host.logout || terminal.has_ended || goodbye {
        return true;
    }
    if !link.host.signs.has_been_heard() {
        return false;
    }
    match terminal.user.shared.options.eof {
        Eof::Logout => true,
        Eof::Failure => false,
        Eof::Auto => {
            link.stream.due(false);
            let standing = director.confirm(link.stream.node(), SETTLE).await;
            standing.answers && standing.ended == 0
        }
    }
}
