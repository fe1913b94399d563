//! Commands that ask about a file and change nothing: SIZE, MDTM and MLST (RFC 3659), HASH and its
//! older kin.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::up;

/// A command that asks about a file.
pub(crate) struct Asks(pub(crate) &'static str);

#[async_trait]
impl Verb for Asks {
    fn name(&self) -> &'static str {
        self.0
    }

    fn argument(&self) -> Argument {
        match self.0 {
            // RFC 3659 section 7.1: the working directory, without one.
            "MLST" => Argument::Optional,
            _ => Argument::Required,
        }
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        up::ask(talk, self.0, argument).await
    }
}
