//! AUTH, RFC 2228 section 3 and RFC 4217 section 4.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::reply::Reply;
use crate::control::state::Prot;

/// AUTH: upgrades the control connection to TLS. What was sent behind it in clear is forgotten, and who
/// had logged in has to do it again.
pub(crate) struct Auth;

#[async_trait]
impl Verb for Auth {
    fn name(&self) -> &'static str {
        "AUTH"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    fn before_login(&self) -> bool {
        true
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        if !talk.offers_tls() {
            return talk.say(Reply::new(502, "AUTH is not offered.")).await;
        }
        if talk.is_secure() {
            return talk.say(Reply::new(503, "TLS is on already.")).await;
        }
        let prot = match argument.to_ascii_uppercase().as_slice() {
            b"TLS" | b"TLS-C" => Prot::Clear,
            // Former names, which say PROT P as well.
            b"SSL" | b"TLS-P" => Prot::Private,
            _ => return talk.say(Reply::new(504, "Only AUTH TLS.")).await,
        };
        talk.start_tls(&Reply::new(234, "Proceed with negotiation."))
            .await?;
        talk.chain.state.prot = prot;
        Ok(())
    }
}
