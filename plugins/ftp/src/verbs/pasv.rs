//! PASV, RFC 959 section 4.1.2.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::data::commands;

/// PASV: the port is bound before its reply names it.
pub(crate) struct Pasv;

#[async_trait]
impl Verb for Pasv {
    fn name(&self) -> &'static str {
        "PASV"
    }

    fn argument(&self) -> Argument {
        Argument::None
    }

    async fn run(&self, talk: &mut Conversation, _argument: &[u8]) -> Result<(), Failure> {
        let reply = commands::pasv(talk);
        talk.say(reply).await
    }
}
