//! HOST, RFC 7151.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::exchange::Exchange;
use crate::control::reply::Reply;

/// HOST: said to a node, and first of all to those that the session is moved to.
pub(crate) struct Host;

#[async_trait]
impl Verb for Host {
    fn name(&self) -> &'static str {
        "HOST"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    fn before_login(&self) -> bool {
        true
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        if talk.chain.state.login.credentials().is_some() {
            // Section 3.3: not after USER.
            return talk.say(Reply::new(503, "HOST comes before USER.")).await;
        }
        let reply = talk
            .exchange(Exchange::safe("HOST", Some(argument)))
            .await?;
        if reply.is_complete() {
            talk.chain.state.host = Some(argument.to_vec());
        }
        talk.say(reply).await
    }
}
