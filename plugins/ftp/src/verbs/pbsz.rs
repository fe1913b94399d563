//! PBSZ, RFC 2228 section 3 and RFC 4217 section 9.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::reply::Reply;

/// PBSZ.
pub(crate) struct Pbsz;

#[async_trait]
impl Verb for Pbsz {
    fn name(&self) -> &'static str {
        "PBSZ"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    fn before_login(&self) -> bool {
        true
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        if !talk.is_secure() {
            return talk.say(Reply::new(503, "AUTH first.")).await;
        }
        if argument.is_empty() || !argument.iter().all(u8::is_ascii_digit) {
            return talk.say(Reply::new(501, "PBSZ needs a number.")).await;
        }
        talk.chain.state.pbsz = true;
        // TLS has no such buffer: whatever was asked for, it is 0.
        talk.say(Reply::new(200, "PBSZ=0")).await
    }
}
