//! ALLO, RFC 959 section 4.1.3.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::exchange::Exchange;

/// ALLO: what it makes room for may go on at another node, which is told the same.
pub(crate) struct Allo;

#[async_trait]
impl Verb for Allo {
    fn name(&self) -> &'static str {
        "ALLO"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        let reply = talk
            .exchange(Exchange::safe("ALLO", Some(argument)))
            .await?;
        if reply.is_complete() {
            talk.chain.state.allo = Some(argument.to_vec());
        }
        talk.say(reply).await
    }
}
