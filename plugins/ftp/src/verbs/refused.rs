//! Commands that are known and refused, with the RFCs' codes.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::reply::Reply;

/// A command that is refused: its name, the code, and why.
pub(crate) struct Refused(
    pub(crate) &'static str,
    pub(crate) u16,
    pub(crate) &'static str,
);

#[async_trait]
impl Verb for Refused {
    fn name(&self) -> &'static str {
        self.0
    }

    fn argument(&self) -> Argument {
        Argument::Optional
    }

    fn before_login(&self) -> bool {
        true
    }

    fn offered(&self) -> bool {
        false
    }

    async fn run(&self, talk: &mut Conversation, _argument: &[u8]) -> Result<(), Failure> {
        talk.say(Reply::new(self.1, self.2)).await
    }
}
