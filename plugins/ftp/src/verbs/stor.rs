//! STOR, RFC 959 section 4.1.3.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::up::{self, Command};

/// STOR: an [`Upload`](crate::up) under its own name.
pub(crate) struct Stor;

#[async_trait]
impl Verb for Stor {
    fn name(&self) -> &'static str {
        "STOR"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        up::store(talk, Command::Store, argument).await
    }
}
