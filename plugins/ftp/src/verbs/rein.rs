//! REIN, RFC 959 section 4.1.1.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::reply::Reply;
use crate::control::state::State;

/// REIN: everything is as after the greeting, but for the TLS of the control connection.
pub(crate) struct Rein;

#[async_trait]
impl Verb for Rein {
    fn name(&self) -> &'static str {
        "REIN"
    }

    fn argument(&self) -> Argument {
        Argument::None
    }

    fn before_login(&self) -> bool {
        true
    }

    async fn run(&self, talk: &mut Conversation, _argument: &[u8]) -> Result<(), Failure> {
        talk.start_over(State::greeted(talk.tls_first));
        talk.say(Reply::new(220, "Service ready for new user."))
            .await
    }
}
