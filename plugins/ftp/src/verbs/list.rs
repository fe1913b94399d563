//! LIST, RFC 959 section 4.1.3.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::down;

/// LIST: a [`Download`](crate::down::download::Download) of a listing.
pub(crate) struct List;

#[async_trait]
impl Verb for List {
    fn name(&self) -> &'static str {
        "LIST"
    }

    fn argument(&self) -> Argument {
        Argument::Optional
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        down::listing(talk, self.name(), argument).await
    }
}
