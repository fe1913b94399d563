//! ABOR, RFC 959 section 4.1.3.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::reply::Reply;

/// ABOR, when its turn has come: a transfer that ran heard of it at once, and has said its own reply.
pub(crate) struct Abor;

#[async_trait]
impl Verb for Abor {
    fn name(&self) -> &'static str {
        "ABOR"
    }

    fn argument(&self) -> Argument {
        Argument::None
    }

    fn before_login(&self) -> bool {
        true
    }

    async fn run(&self, talk: &mut Conversation, _argument: &[u8]) -> Result<(), Failure> {
        talk.say(Reply::new(226, "ABOR command successful.")).await
    }
}
