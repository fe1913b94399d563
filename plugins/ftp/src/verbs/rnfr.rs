//! RNFR, RFC 959 section 4.1.3.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::up;

/// RNFR: a question, and kept for the RNTO that follows, at whichever node that is.
pub(crate) struct Rnfr;

#[async_trait]
impl Verb for Rnfr {
    fn name(&self) -> &'static str {
        "RNFR"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        let reply = up::rename_from(talk, argument).await?;
        talk.chain.state.rnfr = (reply.code == 350).then(|| argument.to_vec());
        talk.say(reply).await
    }
}
