//! EPSV, RFC 2428 section 3.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::data::commands;

/// EPSV, EPSV ALL included.
pub(crate) struct Epsv;

#[async_trait]
impl Verb for Epsv {
    fn name(&self) -> &'static str {
        "EPSV"
    }

    fn argument(&self) -> Argument {
        Argument::Optional
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        let reply = commands::epsv(talk, argument);
        talk.say(reply).await
    }
}
