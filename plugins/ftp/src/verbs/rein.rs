//! REIN, RFC 959 section 4.1.1.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::reply::Reply;
use crate::control::state::State;

/// REIN: everything is as after the greeting. After AUTH TLS it is refused: it would have to end the TLS of the control
/// connection (RFC 4217 section 11), as CCC does.
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
        if talk.is_secure() && !talk.tls_first {
            let text = "REIN is not offered after AUTH TLS.";
            return talk.say(Reply::new(502, text)).await;
        }
        talk.leave().await;
        talk.start_over(State::greeted(talk.tls_first));
        talk.say(Reply::new(220, "Service ready for new user."))
            .await
    }
}
