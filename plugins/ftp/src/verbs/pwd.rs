//! PWD and its old name XPWD, RFC 959 section 4.1.3, RFC 1123 section 4.1.3.1.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::exchange::Exchange;

/// PWD.
pub(crate) struct Pwd(pub(crate) &'static str);

#[async_trait]
impl Verb for Pwd {
    fn name(&self) -> &'static str {
        self.0
    }

    fn argument(&self) -> Argument {
        Argument::None
    }

    async fn run(&self, talk: &mut Conversation, _argument: &[u8]) -> Result<(), Failure> {
        let reply = talk.exchange(Exchange::safe(self.0, None)).await?;
        talk.say(reply).await
    }
}
