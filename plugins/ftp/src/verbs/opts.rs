//! OPTS, RFC 2389 section 4.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::exchange::Exchange;

/// OPTS: said to a node, and to those that the session is moved to.
pub(crate) struct Opts;

#[async_trait]
impl Verb for Opts {
    fn name(&self) -> &'static str {
        "OPTS"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    fn before_login(&self) -> bool {
        true
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        let reply = talk
            .exchange(Exchange::safe("OPTS", Some(argument)))
            .await?;
        if reply.is_complete() {
            talk.chain.state.set_option(argument);
        }
        talk.say(reply).await
    }
}
