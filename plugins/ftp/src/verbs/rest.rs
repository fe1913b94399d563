//! REST, RFC 3659 section 5.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::reply::Reply;
use crate::down::proof;

/// REST: kept for the next command, which decides what it means.
pub(crate) struct Rest;

#[async_trait]
impl Verb for Rest {
    fn name(&self) -> &'static str {
        "REST"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        let Some(offset) = proof::size(argument) else {
            let text = "REST takes a number of octets.";
            return talk.say(Reply::new(501, text)).await;
        };
        talk.chain.state.rest = Some(offset);
        let text = format!("Restart position accepted ({offset}).");
        talk.say(Reply::new(350, text)).await
    }
}
