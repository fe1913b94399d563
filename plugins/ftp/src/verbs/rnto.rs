//! RNTO, RFC 959 section 4.1.3.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::reply::Reply;
use crate::up;
use crate::up::effect::Deed;

/// RNTO: an [`Effect`](crate::up::effect::Effect), behind its RNFR.
pub(crate) struct Rnto;

#[async_trait]
impl Verb for Rnto {
    fn name(&self) -> &'static str {
        "RNTO"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        let Some(from) = talk.chain.state.rnfr.take() else {
            return talk.say(Reply::new(503, "RNFR first.")).await;
        };
        up::change(talk, Deed::Rename { from }, "RNTO", argument).await
    }
}
