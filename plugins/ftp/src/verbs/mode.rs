//! MODE, RFC 959 section 3.4.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::exchange::Exchange;
use crate::control::reply::Reply;

/// MODE: only streams; a block or a compressed stream cannot be gone on with by another node.
pub(crate) struct Mode;

#[async_trait]
impl Verb for Mode {
    fn name(&self) -> &'static str {
        "MODE"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        match argument {
            b"S" | b"s" => {
                let reply = talk
                    .exchange(Exchange::safe("MODE", Some(argument)))
                    .await?;
                talk.say(reply).await
            }
            b"B" | b"b" | b"C" | b"c" | b"Z" | b"z" => {
                talk.say(Reply::new(504, "Only MODE S.")).await
            }
            _ => talk.say(Reply::new(501, "No such mode.")).await,
        }
    }
}
