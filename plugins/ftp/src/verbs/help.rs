//! HELP, RFC 959 section 4.1.3.

use async_trait::async_trait;
use director_sdk::Failure;

use super::{Argument, Verb};
use crate::control::conversation::Conversation;
use crate::control::reply::Reply;

/// HELP: of the commands that the director knows.
pub(crate) struct Help;

#[async_trait]
impl Verb for Help {
    fn name(&self) -> &'static str {
        "HELP"
    }

    fn argument(&self) -> Argument {
        Argument::Optional
    }

    fn before_login(&self) -> bool {
        true
    }

    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure> {
        if argument.is_empty() {
            return talk.say(list()).await;
        }
        let name = String::from_utf8_lossy(argument).to_ascii_uppercase();
        talk.say(of(&name)).await
    }
}

/// What is told of one command: of one that is refused, too, that it is not offered.
pub(super) fn of(name: &str) -> Reply {
    match super::find(name) {
        Some(verb) if verb.offered() => Reply::new(214, usage(verb)),
        Some(verb) => Reply::new(502, format!("{} is not offered.", verb.name())),
        None => Reply::new(502, "Unknown command."),
    }
}

/// How many names stand on one line.
const PER_LINE: usize = 10;

pub(super) fn list() -> Reply {
    let names: Vec<&str> = super::VERBS
        .iter()
        .filter(|verb| verb.offered())
        .map(|verb| verb.name())
        .collect();
    let lines = names.chunks(PER_LINE).map(|some| some.join(" "));
    Reply::several(
        214,
        "The following commands are recognized:",
        lines,
        "Help OK.",
    )
}

fn usage(verb: &dyn Verb) -> String {
    let name = verb.name();
    match verb.argument() {
        Argument::None => format!("Syntax: {name}"),
        Argument::Optional => format!("Syntax: {name} [argument]"),
        Argument::Required => format!("Syntax: {name} argument"),
    }
}
