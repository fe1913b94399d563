//! RETR, RFC 959 section 4.1.3 and RFC 3659 section 5.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::down;

/// RETR: a [`Download`](crate::down::download::Download) of a file.
pub(crate) struct Retr;

#[async_trait]
impl Verb for Retr {
    fn name(&self) -> &'static str {
        "RETR"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        down::file(talk, argument).await
    }
}
