//! USER, RFC 959 section 4.1.1.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::login::{LogIn, NOT_LOGGED_IN};
use crate::control::reply::Reply;
use crate::control::state::{Credentials, Login};
use crate::options::{LoginAs, LoginWord};

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
        if talk.must_be_secure() {
            return talk.say(Reply::new(NOT_LOGGED_IN, "AUTH TLS first.")).await;
        }
        if talk.chain.state.login.is_in() {
            // Another login is another link: what servers make of a second one on the same differs.
            talk.leave().await;
            talk.log_out();
        }
        talk.chain.begin_login();
        if let Some(reply) = by_policy(&talk.shared.options.login, argument) {
            talk.chain.state.login = match reply.code {
                331 => Login::Begun(Credentials::of(argument)),
                _ => Login::None,
            };
            return talk.say(reply).await;
        }
        let reply = talk
            .log_in(LogIn::Step("USER", argument.to_vec().into()))
            .await?;
        talk.chain.state.login = match reply.code {
            331 | 332 => Login::Begun(Credentials::of(argument)),
            230 | 202 => Login::In(Credentials::of(argument)),
            _ => Login::None,
        };
        talk.say(reply).await
    }
}

/// What the director answers itself, as the service's option `login` has it.
fn by_policy(login: &LoginAs, user: &[u8]) -> Option<Reply> {
    let anonymous = Credentials::of(user).is_anonymous();
    match login {
        LoginAs::Word(LoginWord::Replay) => None,
        LoginAs::Word(LoginWord::Anonymous) if anonymous => None,
        LoginAs::Service { .. } if anonymous => Some(Reply::new(331, "Any password will do.")),
        LoginAs::Word(LoginWord::Anonymous) | LoginAs::Service { .. } => Some(Reply::new(
            NOT_LOGGED_IN,
            "This service is for anonymous users only.",
        )),
    }
}
