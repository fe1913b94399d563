//! PROT, RFC 2228 section 3 and RFC 4217 section 9.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::reply::Reply;
use crate::control::state::Prot;
use crate::options::Tls;

/// PROT: of the client's data connections; those to nodes are not its concern.
pub(crate) struct ProtVerb;

#[async_trait]
impl Verb for ProtVerb {
    fn name(&self) -> &'static str {
        "PROT"
    }

    fn argument(&self) -> Argument {
        Argument::Required
    }

    fn before_login(&self) -> bool {
        true
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        if !talk.chain.state.pbsz {
            return talk.say(Reply::new(503, "PBSZ first.")).await;
        }
        let (prot, reply) = match argument {
            b"P" | b"p" => (Prot::Private, Reply::new(200, "Protection set to Private.")),
            b"C" | b"c" if talk.shared.options.tls == Tls::Required => {
                return talk
                    .say(Reply::new(
                        534,
                        "Data connections are to be protected here.",
                    ))
                    .await;
            }
            b"C" | b"c" => (Prot::Clear, Reply::new(200, "Protection set to Clear.")),
            b"S" | b"s" | b"E" | b"e" => {
                return talk.say(Reply::new(536, "TLS has P and C only.")).await;
            }
            _ => return talk.say(Reply::new(504, "No such protection.")).await,
        };
        talk.chain.state.prot = prot;
        talk.say(reply).await
    }
}
