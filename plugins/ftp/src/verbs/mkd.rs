//! MKD and its old name XMKD, RFC 959 section 4.1.3, RFC 1123 section 4.1.3.1.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::up;
use crate::up::effect::Deed;

/// MKD: an [`Effect`](crate::up::effect::Effect).
pub(crate) struct Mkd(pub(crate) &'static str);

#[async_trait]
impl Verb for Mkd {
    fn name(&self) -> &'static str {
        self.0
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        up::change(talk, Deed::MakeDirectory, self.0, argument).await
    }
}
