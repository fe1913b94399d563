//! PWD, RFC 959 section 4.1.3.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::exchange::Exchange;

/// PWD.
pub(crate) struct Pwd;

#[async_trait]
impl Verb for Pwd {
    fn name(&self) -> &'static str {
        "PWD"
    }

    fn argument(&self) -> Argument {
        Argument::None
    }

    async fn run(&self, talk: &mut Conversation, _argument: &[u8]) -> Result<(), Failure> {
        let reply = talk.exchange(Exchange::safe("PWD", None)).await?;
        talk.say(reply).await
    }
}
