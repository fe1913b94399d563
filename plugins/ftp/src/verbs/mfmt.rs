//! MFMT, draft-somers-ftp-mfxx.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::reply::Reply;
use crate::up;
use crate::up::effect::Deed;

/// MFMT: an [`Effect`](crate::up::effect::Effect).
pub(crate) struct Mfmt;

#[async_trait]
impl Verb for Mfmt {
    fn name(&self) -> &'static str {
        "MFMT"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        let space = argument.iter().position(|byte| *byte == b' ');
        let parts = space.and_then(|at| Some((argument.get(..at)?, argument.get(at + 1..)?)));
        let Some((time, path @ [_, ..])) = parts else {
            return talk
                .say(Reply::new(501, "MFMT takes a time and a path."))
                .await;
        };
        let time = time.to_vec();
        up::change(talk, Deed::Modify { time }, "MFMT", path).await
    }
}
