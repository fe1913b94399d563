//! CDUP and its old name XCUP, RFC 959 section 4.1.1, RFC 1123 section 4.1.3.1.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::walk::Walk;

/// CDUP.
pub(crate) struct Cdup(pub(crate) &'static str);

#[async_trait]
impl Verb for Cdup {
    fn name(&self) -> &'static str {
        self.0
    }

    fn argument(&self) -> Argument {
        Argument::None
    }

    async fn run(&self, talk: &mut Conversation, _argument: &[u8]) -> Result<(), Failure> {
        let line = self.0.as_bytes().to_vec();
        let reply = talk.walk(Walk::new(line, b"..")).await?;
        talk.say(reply).await
    }
}
