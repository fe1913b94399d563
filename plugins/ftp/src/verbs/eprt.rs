//! EPRT, RFC 2428 section 2.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::data::{address, commands};

/// EPRT: leads to the client itself, or nowhere.
pub(crate) struct Eprt;

#[async_trait]
impl Verb for Eprt {
    fn name(&self) -> &'static str {
        "EPRT"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        let reply = commands::active(talk, "EPRT", |family| address::eprt(argument, family));
        talk.say(reply).await
    }
}
