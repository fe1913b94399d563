//! RMD and its old name XRMD, RFC 959 section 4.1.3, RFC 1123 section 4.1.3.1.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::up;
use crate::up::effect::Deed;

/// RMD: an [`Effect`](crate::up::effect::Effect).
pub(crate) struct Rmd(pub(crate) &'static str);

#[async_trait]
impl Verb for Rmd {
    fn name(&self) -> &'static str {
        self.0
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        up::change(talk, Deed::RemoveDirectory, self.0, argument).await
    }
}
