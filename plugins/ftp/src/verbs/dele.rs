//! DELE, RFC 959 section 4.1.3.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::up;
use crate::up::effect::Deed;

/// DELE: an [`Effect`](crate::up::effect::Effect).
pub(crate) struct Dele;

#[async_trait]
impl Verb for Dele {
    fn name(&self) -> &'static str {
        "DELE"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        up::change(talk, Deed::Delete, "DELE", argument).await
    }
}
