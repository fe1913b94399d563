//! APPE, RFC 959 section 4.1.3.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::up::{self, Command};

/// APPE: an [`Upload`](crate::up) to the end of a file.
pub(crate) struct Appe;

#[async_trait]
impl Verb for Appe {
    fn name(&self) -> &'static str {
        "APPE"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        up::store(talk, Command::Append, argument).await
    }
}
