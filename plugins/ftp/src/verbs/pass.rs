//! PASS, RFC 959 section 4.1.1.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::login::LogIn;
use crate::control::reply::Reply;
use crate::control::state::{Credentials, Login};
use crate::options::LoginAs;

/// PASS: kept, in memory, for the nodes that the session is moved to. An empty password is one.
pub(crate) struct Pass;

#[async_trait]
impl Verb for Pass {
    fn name(&self) -> &'static str {
        "PASS"
    }

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
        let reply = match service_account(talk) {
            Some(account) => {
                // A node is told of the account, and never of the name that the client gave.
                talk.chain.state.login = Login::None;
                let reply = talk.log_in(LogIn::Whole(account.clone())).await?;
                credentials = account;
                anonymous(&reply)
            }
            None => {
                credentials.pass = Some(argument.to_vec().into());
                talk.log_in(LogIn::Step("PASS", argument.to_vec().into()))
                    .await?
            }
        };
        talk.chain.state.login = match reply.code {
            230 | 202 => Login::In(credentials),
            332 => Login::Begun(credentials),
            _ => Login::None,
        };
        talk.say(reply).await
    }
}

/// What the client is told of the service account's login: no word of the node's, which may name the account.
fn anonymous(reply: &Reply) -> Reply {
    match reply.code {
        230 | 202 => Reply::new(230, "Login successful."),
        421 => Reply::new(421, "No server can let you in now."),
        code => {
            tracing::warn!(code, "a node does not take the service's account");
            Reply::new(530, "No server lets you in.")
        }
    }
}

/// Who logs in instead of the client, if anyone.
fn service_account(talk: &Conversation) -> Option<Credentials> {
    match &talk.shared.options.login {
        LoginAs::Word(_) => None,
        LoginAs::Service { user, .. } => Some(Credentials {
            pass: talk.shared.password.clone(),
            ..Credentials::of(user.as_bytes())
        }),
    }
}
