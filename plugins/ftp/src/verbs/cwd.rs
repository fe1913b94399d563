//! CWD, RFC 959 section 4.1.1.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::exchange::Exchange;

/// CWD.
pub(crate) struct Cwd;

#[async_trait]
impl Verb for Cwd {
    fn name(&self) -> &'static str {
        "CWD"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        let reply = talk.exchange(Exchange::safe("CWD", Some(argument))).await?;
        talk.say(reply).await
    }
}
