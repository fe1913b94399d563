//! FEAT, RFC 2389 section 3.

use async_trait::async_trait;
use director_sdk::Failure;
use director_sdk::Kind;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::reply::Reply;

/// FEAT: what all nodes offer, as far as it passes, and what the director does itself.
pub(crate) struct Feat;

#[async_trait]
impl Verb for Feat {
    fn name(&self) -> &'static str {
        "FEAT"
    }

    fn argument(&self) -> Argument {
        Argument::None
    }

    fn before_login(&self) -> bool {
        true
    }

    async fn run(&self, talk: &mut Conversation, _argument: &[u8]) -> Result<(), Failure> {
        if let Err(exception) = talk.learn().await {
            // Then the client is offered what is known, and what the director does itself.
            if matches!(exception.kind, Kind::ClientGone | Kind::Fault) {
                return Err(exception.into());
            }
            tracing::debug!(%exception, "no node says what it offers");
        }
        let mut own = Vec::new();
        if talk.offers_tls() {
            own.push("AUTH TLS");
        }
        if talk.offers_tls() || talk.is_secure() {
            own.extend(["PBSZ", "PROT"]);
        }
        let lines = talk.shared.offered(&own);
        talk.say(Reply::several(211, "Features:", lines, "End"))
            .await
    }
}
