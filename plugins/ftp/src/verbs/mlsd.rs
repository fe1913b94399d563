//! MLSD, RFC 3659 section 7.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::down;

/// MLSD: a [`Download`](crate::down::download::Download) of a listing.
pub(crate) struct Mlsd;

#[async_trait]
impl Verb for Mlsd {
    fn name(&self) -> &'static str {
        "MLSD"
    }

    fn argument(&self) -> Argument {
        Argument::Optional
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        down::listing(talk, self.name(), argument).await
    }
}
