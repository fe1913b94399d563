//! TYPE, RFC 959 section 3.1.1.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::exchange::Exchange;
use crate::control::reply::Reply;
use crate::control::state;

/// TYPE.
pub(crate) struct Type;

#[async_trait]
impl Verb for Type {
    fn name(&self) -> &'static str {
        "TYPE"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        let kind = match argument.to_ascii_uppercase().as_slice() {
            b"A" | b"A N" => state::Type::Ascii,
            b"I" => state::Type::Image,
            b"L 8" | b"L8" => state::Type::Local8,
            // Telnet and carriage control, EBCDIC, other byte sizes: RFC 959 has 504 for a parameter
            // that is understood and not there.
            b"A T" | b"A C" | b"E" | b"E N" | b"E T" | b"E C" => {
                return talk.say(Reply::new(504, "Only A N, I and L 8.")).await;
            }
            other if other.starts_with(b"L ") => {
                return talk.say(Reply::new(504, "Only L 8.")).await;
            }
            _ => return talk.say(Reply::new(501, "No such type.")).await,
        };
        let exchange = Exchange::setting_type(argument, kind);
        let reply = talk.exchange(exchange).await?;
        talk.say(reply).await
    }
}
