//! LANG, RFC 2640 section 4.1.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::exchange::Exchange;

/// LANG: said to a node, and to those that the session is moved to.
pub(crate) struct Lang;

#[async_trait]
impl Verb for Lang {
    fn name(&self) -> &'static str {
        "LANG"
    }

    fn argument(&self) -> Argument {
        Argument::Optional
    }

    fn before_login(&self) -> bool {
        true
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        let given = (!argument.is_empty()).then_some(argument);
        let reply = talk.exchange(Exchange::safe("LANG", given)).await?;
        if reply.is_complete() {
            // Without an argument it is the server's default again.
            talk.chain.state.lang = given.map(<[u8]>::to_vec);
        }
        talk.say(reply).await
    }
}
