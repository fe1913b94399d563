//! The director as the client, towards a host that the user does not see: what the client would say.

use super::agreed::{Performer, Speaker};
use super::host::Host;
use super::user::User;
use crate::nvt::options::{ECHO, SUPPRESS_GO_AHEAD, TIMING_MARK, TOGGLE_FLOW_CONTROL};
use crate::nvt::{Event, Verb, encode};

/// Answers what `host` has said of its options, and notes what is agreed on.
pub(crate) fn play(user: &User, host: &mut Host, event: &Event<'_>, replies: &mut Vec<u8>) {
    match *event {
        Event::Negotiate(verb, option) => {
            host.is_telnet = true;
            negotiate(user, host, (verb, option), replies);
        }
        Event::Subnegotiation { option, payload } | Event::Unended { option, payload } => {
            if option == TOGGLE_FLOW_CONTROL {
                host.flow.learn(payload);
            }
            let answer = user.remembered.answer(option, payload, &mut host.asked);
            if let Some(answer) = answer.filter(|_| host.agreed.is_on(Performer::Client, option)) {
                encode::subnegotiation(replies, option, &answer);
            }
        }
        Event::Data(_) | Event::Command(_) | Event::Overlong { .. } | Event::Stray(_) => {}
    }
}

fn negotiate(user: &User, host: &mut Host, (verb, option): (Verb, u8), replies: &mut Vec<u8>) {
    if option == TIMING_MARK {
        // What it has sent before was read.
        if verb == Verb::Do {
            encode::negotiate(replies, Verb::Will, option);
        }
        return;
    }
    let performer = Speaker::Host.performer(verb);
    let is_on = host.agreed.is_on(performer, option);
    if verb.is_positive() == is_on {
        return;
    }
    let agrees = verb.is_positive() && would_agree(user, performer, option);
    let answer = match performer {
        Performer::Host => Verb::of_other(agrees),
        Performer::Client => Verb::of_performer(agrees),
    };
    encode::negotiate(replies, answer, option);
    host.agreed.set(performer, option, agrees);
    if agrees
        && performer == Performer::Client
        && let Some(said) = user.remembered.at_once(option)
    {
        encode::subnegotiation(replies, option, said);
    }
}

/// Whether the client would agree to it: it has before; or every client does.
fn would_agree(user: &User, performer: Performer, option: u8) -> bool {
    /// Its modes are agreed on in subnegotiations, which only the client can have with the host: RFC 1184.
    const LINEMODE: u8 = 34;
    match (performer, option) {
        (_, option) if user.refuses(option) => false,
        (Performer::Client, LINEMODE) => false,
        (Performer::Host, ECHO | SUPPRESS_GO_AHEAD) | (Performer::Client, SUPPRESS_GO_AHEAD) => {
            true
        }
        (performer, option) => user.agreed.is_on(performer, option),
    }
}
