//! NOOP, RFC 959 section 4.1.3.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::reply::Reply;

/// NOOP: the director is there, whatever the nodes are.
pub(crate) struct Noop;

#[async_trait]
impl Verb for Noop {
    fn name(&self) -> &'static str {
        "NOOP"
    }

    fn argument(&self) -> Argument {
        Argument::Optional
    }

    fn before_login(&self) -> bool {
        true
    }

    async fn run(&self, talk: &mut Conversation, _argument: &[u8]) -> Result<(), Failure> {
        talk.say(Reply::new(200, "NOOP ok.")).await
    }
}
