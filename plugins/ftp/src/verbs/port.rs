//! PORT, RFC 959 section 4.1.2.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::data::{address, commands};

/// PORT: leads to the client itself, or nowhere.
pub(crate) struct Port;

#[async_trait]
impl Verb for Port {
    fn name(&self) -> &'static str {
        "PORT"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        let reply = commands::active(talk, "PORT", |_| address::port(argument));
        talk.say(reply).await
    }
}
