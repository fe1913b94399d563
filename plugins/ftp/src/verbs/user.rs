//! USER, RFC 959 section 4.1.1.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::exchange::Exchange;
use crate::control::state::{Credentials, Login};

/// USER: begins a login. It is told to a node, for only that one knows what it asks for next.
pub(crate) struct User;

#[async_trait]
impl Verb for User {
    fn name(&self) -> &'static str {
        "USER"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    fn before_login(&self) -> bool {
        true
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        let reply = talk
            .exchange(Exchange::safe("USER", Some(argument)))
            .await?;
        let credentials = Credentials {
            user: argument.to_vec(),
            ..Credentials::default()
        };
        talk.chain.state.login = match reply.code {
            331 | 332 => Login::Begun(credentials),
            230 | 202 => Login::In(credentials),
            _ => Login::None,
        };
        talk.say(reply).await
    }
}
