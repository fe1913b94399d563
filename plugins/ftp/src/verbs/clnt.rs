//! CLNT, in use beside the RFCs.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::exchange::Exchange;

/// CLNT: which program the client is; said to a node, and to those that the session is moved to.
pub(crate) struct Clnt;

#[async_trait]
impl Verb for Clnt {
    fn name(&self) -> &'static str {
        "CLNT"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    fn before_login(&self) -> bool {
        true
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        let reply = talk
            .exchange(Exchange::safe("CLNT", Some(argument)))
            .await?;
        if reply.is_complete() {
            talk.chain.state.clnt = Some(argument.to_vec());
        }
        talk.say(reply).await
    }
}
