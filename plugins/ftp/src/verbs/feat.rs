//! FEAT, RFC 2389 section 3.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::exchange::Exchange;

/// FEAT.
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
        let reply = talk.exchange(Exchange::safe("FEAT", None)).await?;
        talk.say(reply).await
    }
}
