//! PASS, RFC 959 section 4.1.1.

use async_trait::async_trait;
use director_sdk::Failure;
use zeroize::Zeroizing;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::exchange::Exchange;
use crate::control::reply::Reply;
use crate::control::state::Login;

/// PASS: kept, in memory, for the nodes that the session is moved to.
pub(crate) struct Pass;

#[async_trait]
impl Verb for Pass {
    fn name(&self) -> &'static str {
        "PASS"
    }

    /// An empty password is one.
    fn argument(&self) -> Argument {
        Argument::Optional
    }

    fn before_login(&self) -> bool {
        true
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        let mut credentials = match &talk.chain.state.login {
            Login::Begun(credentials) => credentials.clone(),
            Login::None | Login::In(_) => {
                return talk.say(Reply::new(503, "Login with USER first.")).await;
            }
        };
        let reply = talk
            .exchange(Exchange::safe("PASS", Some(argument)))
            .await?;
        credentials.pass = Some(Zeroizing::new(argument.to_vec()));
        talk.chain.state.login = match reply.code {
            230 | 202 => Login::In(credentials),
            332 => Login::Begun(credentials),
            // Not an answer: the login stands where it stood.
            400..=499 => return talk.say(reply).await,
            _ => Login::None,
        };
        talk.say(reply).await
    }
}
