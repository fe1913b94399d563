//! STAT, RFC 959 section 4.1.3.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::exchange::Exchange;
use crate::control::reply::Reply;
use crate::control::state::Prot;
use crate::options::LoginAs;

/// STAT: the director's own status, or what a node says of a path.
pub(crate) struct Stat;

#[async_trait]
impl Verb for Stat {
    fn name(&self) -> &'static str {
        "STAT"
    }

    fn argument(&self) -> Argument {
        Argument::Optional
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        if argument.is_empty() {
            let reply = status(talk);
            return talk.say(reply).await;
        }
        let reply = talk
            .exchange(Exchange::safe("STAT", Some(argument)))
            .await?;
        talk.say(reply).await
    }
}

/// The session as the director has it; no node and no address of one is named.
fn status(talk: &Conversation) -> Reply {
    let state = &talk.chain.state;
    let user = state.login.credentials().map(|known| {
        match &talk.shared.options.login {
            LoginAs::Word(_) => {
                let name = String::from_utf8_lossy(&known.user).into_owned();
                format!("Logged in as {name}")
            }
            // Its name is not the client's.
            LoginAs::Service { .. } => "Logged in".to_owned(),
        }
    });
    let data = match state.prot {
        Prot::Clear => "Data connections are not protected",
        Prot::Private => "Data connections are protected by TLS",
    };
    let between = [
        user.unwrap_or_else(|| "Not logged in".to_owned()),
        format!("TYPE: {}, STRU: F, MODE: S", state.kind.argument()),
        data.to_owned(),
    ];
    Reply::several(211, "FTP service status:", between, "End of status")
}
