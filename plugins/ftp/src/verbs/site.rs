//! SITE, RFC 959 section 4.1.3.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::up;

/// SITE: what it does is the server's own affair, so it is never sent twice. UMASK is kept for the nodes that
/// the session is moved to.
pub(crate) struct Site;

#[async_trait]
impl Verb for Site {
    fn name(&self) -> &'static str {
        "SITE"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        let reply = up::site(talk, argument).await?;
        let (verb, mask) = argument.split_at_checked(6).unwrap_or_default();
        if reply.is_complete() && verb.eq_ignore_ascii_case(b"UMASK ") {
            talk.chain.state.umask = Some(mask.trim_ascii().to_vec());
        }
        talk.say(reply).await
    }
}
