//! CWD and its old name XCWD, RFC 959 section 4.1.1, RFC 1123 section 4.1.3.1.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::walk::Walk;

/// CWD.
pub(crate) struct Cwd(pub(crate) &'static str);

#[async_trait]
impl Verb for Cwd {
    fn name(&self) -> &'static str {
        self.0
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        let line = [self.0.as_bytes(), b" ", argument].concat();
        let reply = talk.walk(Walk::new(line, argument)).await?;
        talk.say(reply).await
    }
}
