//! SYST, RFC 959 section 4.1.3.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::exchange::Exchange;

/// SYST.
pub(crate) struct Syst;

#[async_trait]
impl Verb for Syst {
    fn name(&self) -> &'static str {
        "SYST"
    }

    fn argument(&self) -> Argument {
        Argument::None
    }

    async fn run(&self, talk: &mut Conversation, _argument: &[u8]) -> Result<(), Failure> {
        let reply = talk.exchange(Exchange::safe("SYST", None)).await?;
        talk.say(reply).await
    }
}
