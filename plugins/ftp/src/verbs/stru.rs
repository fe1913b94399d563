//! STRU, RFC 959 section 3.1.2.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::exchange::Exchange;
use crate::control::reply::Reply;

/// STRU: only files, for nothing else can be gone on with at an offset.
pub(crate) struct Stru;

#[async_trait]
impl Verb for Stru {
    fn name(&self) -> &'static str {
        "STRU"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        match argument {
            b"F" | b"f" => {
                let reply = talk
                    .exchange(Exchange::safe("STRU", Some(argument)))
                    .await?;
                talk.say(reply).await
            }
            b"R" | b"r" | b"P" | b"p" => talk.say(Reply::new(504, "Only STRU F.")).await,
            _ => talk.say(Reply::new(501, "No such structure.")).await,
        }
    }
}
