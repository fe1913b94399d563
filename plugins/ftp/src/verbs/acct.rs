//! ACCT, RFC 959 section 4.1.1.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::login::LogIn;
use crate::control::reply::Reply;
use crate::control::state::Login;
use crate::options::LoginAs;

/// ACCT: kept as PASS is.
pub(crate) struct Acct;

#[async_trait]
impl Verb for Acct {
    fn name(&self) -> &'static str {
        "ACCT"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    fn before_login(&self) -> bool {
        true
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        let mut credentials = match &talk.chain.state.login {
            Login::Begun(credentials) => credentials.clone(),
            Login::None => {
                return talk.say(Reply::new(503, "Login with USER first.")).await;
            }
            Login::In(_) => {
                return talk.say(Reply::new(202, "No account is needed.")).await;
            }
        };
        if let LoginAs::Service { .. } = talk.shared.options.login {
            return talk.say(Reply::new(202, "No account is needed.")).await;
        }
        credentials.acct = Some(argument.to_vec().into());
        let reply = talk
            .log_in(LogIn::Step("ACCT", argument.to_vec().into()))
            .await?;
        talk.chain.state.login = match reply.code {
            230 | 202 => Login::In(credentials),
            _ => Login::None,
        };
        talk.say(reply).await
    }
}
