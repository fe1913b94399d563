//! STOU, RFC 959 section 4.1.3 and RFC 1123 section 4.1.2.9.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::up::{self, Command};

/// STOU: an [`Upload`](crate::up) under a name that the node chooses and says in its 150. Never sent twice. It
/// has no argument, but servers take one for a beginning of the name.
pub(crate) struct Stou;

#[async_trait]
impl Verb for Stou {
    fn name(&self) -> &'static str {
        "STOU"
    }

    fn argument(&self) -> Argument {
        Argument::Optional
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        up::store(talk, Command::Unique, argument).await
    }
}
