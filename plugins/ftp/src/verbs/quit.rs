//! QUIT, RFC 959 section 4.1.1.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::reply::Reply;

/// QUIT: after the transfers that were asked for before it.
pub(crate) struct Quit;

#[async_trait]
impl Verb for Quit {
    fn name(&self) -> &'static str {
        "QUIT"
    }

    fn argument(&self) -> Argument {
        Argument::Optional
    }

    fn before_login(&self) -> bool {
        true
    }

    async fn run(&self, talk: &mut Conversation, _argument: &[u8]) -> Result<(), Failure> {
        talk.end();
        talk.say(Reply::new(221, "Goodbye.")).await
    }
}
