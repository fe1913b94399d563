//! The beginning at another host: the user's terminal is left in a right state, the user told, the client brought to
//! where the new host is.

use std::time::Duration;

use futures_util::FutureExt;

use super::outgoing::Outgoing;
use super::terminal::{Arrival, Link, Terminal};
use crate::nvt::options::{BINARY, ECHO};
use crate::nvt::{Verb, encode};
use crate::options::{Notice, Replay};
use crate::restore;
use crate::talk::agreed;
use crate::talk::from_host::Talk;
use crate::talk::user::Dropping;
use crate::tier::Tier;

/// A line that was under way at the switch is taken for that no longer than this.
const PAUSE: Duration = Duration::from_millis(1500);
/// Most pieces of what has come in the meantime that are looked at before the new host is heard.
const MOST_PIECES: usize = 64;

/// Begins at a host that is not the session's first.
pub(crate) fn begin(terminal: &mut Terminal, link: &mut Link, was: Tier, now: Duration) {
    let user = &mut terminal.user;
    user.mediating = true;
    let replays = user.shared.options.replay == Replay::Prompt && was == Tier::Prompt;
    let is_in = match &link.arrival {
        Arrival::LoggedIn { .. } => true,
        Arrival::Silent => false,
    };
    let secret = user.keys.may_be_secret();
    let was_in_a_line = user.keys.is_in_a_line();
    let unconfirmed = user.pending.take();
    let none_unconfirmed = unconfirmed.as_ref().is_some_and(|bytes| bytes.is_empty());
    let replayed = unconfirmed.filter(|bytes| replays && is_in && !bytes.is_empty());
    if replayed.is_none() {
        user.dropping = match (secret, was_in_a_line) {
            (true, _) => Dropping::Line,
            (false, true) => Dropping::LineUntil(now + PAUSE),
            (false, false) => Dropping::Nothing,
        };
        if !(replays && is_in) {
            drop_what_has_come(terminal, link, now);
        }
    }
    let lost_input = was_in_a_line || !none_unconfirmed || terminal.user.dropped > 0;
    leave(
        terminal,
        was,
        &link.arrival,
        lost_input && replayed.is_none(),
    );
    terminal.user.keys.forget();
    terminal.user.dropped = 0;
    terminal.user.screen.forget_host();
    bring(terminal, link, now, secret);
    let Terminal {
        user, to_client, ..
    } = terminal;
    if let Arrival::LoggedIn { line, .. } = &link.arrival {
        let mut shown = Vec::new();
        user.screen.feed_filtered(line, &mut shown);
        encode::data(to_client.end(), &shown);
        while user.screen.take_mark().is_some() {}
    }
    let options = &user.shared.options;
    let resume = options.resume.as_ref().map(|resume| {
        let mut line = resume.clone().into_bytes();
        line.extend_from_slice(b"\r\n");
        line
    });
    match (is_in, replayed) {
        (true, _) if resume.is_some() => {
            let line = resume.unwrap_or_default();
            encode::data(link.to_host.end(), &line);
            link.host.signs.see_command();
        }
        (true, Some(replayed)) => {
            encode::data(link.to_host.end(), &replayed);
            user.pending.send(&replayed);
        }
        (true, None) => {}
        // The user logs in first.
        (false, _) => {
            let cd = user.cwd.as_deref().filter(|_| was >= Tier::Prompt);
            let cd = cd.and_then(|cwd| restore::cd(&options.cd, cwd));
            let resume = resume.filter(|_| was >= Tier::Prompt);
            link.host.at_prompts.extend(cd.into_iter().chain(resume));
            user.typed.restart();
        }
    }
}

/// What the user typed at the old host and nobody has read is not for the new one.
fn drop_what_has_come(terminal: &mut Terminal, link: &mut Link, now: Duration) {
    let kept = terminal.user.dropping;
    for _ in 0..MOST_PIECES {
        let Some(Ok(said)) = terminal.client.fill().now_or_never() else {
            break;
        };
        if said.is_empty() {
            break;
        }
        let n = said.len();
        let mut rest = said;
        while let Some(event) = terminal.parser.next(&mut rest) {
            if let crate::nvt::Event::Data(data) = event {
                terminal.user.dropped += data.len() as u64;
                terminal.user.keys.type_in(data, false, now);
                continue;
            }
            let mut talk = Talk {
                user: &mut terminal.user,
                host: &mut link.host,
                to_client: &mut terminal.to_client,
                to_host: &mut link.to_host,
                now,
            };
            talk.client_said(&event);
        }
        terminal.client.consume(n);
    }
    // Another line may have been begun, or the one that was under way ended.
    terminal.user.dropping = match (kept, terminal.user.keys.is_in_a_line()) {
        (Dropping::Line, true) => Dropping::Line,
        (Dropping::Nothing | Dropping::LineUntil(_), true) => Dropping::LineUntil(now + PAUSE),
        (_, false) => Dropping::Nothing,
    };
}

/// Leaves the terminal in a right state, and tells the user.
fn leave(terminal: &mut Terminal, was: Tier, arrival: &Arrival, lost_input: bool) {
    let Terminal {
        user, to_client, ..
    } = terminal;
    if user.last == b'\r' && !user.agreed.is_on(agreed::Performer::Host, BINARY) {
        // The other half of an end of line, which is lost: RFC 854.
        to_client.end().push(0);
    }
    let text = match &user.shared.options.notice {
        Notice::Told(false) => None,
        Notice::Told(true) => Some(words(was, arrival, lost_input)),
        Notice::Text(text) => Some(text.clone()),
    };
    let left = match (was, text) {
        (Tier::Connecting, _) => Vec::new(),
        (Tier::Prompt | Tier::Program, Some(text)) => user.screen.notice(&text),
        (Tier::Login, _) | (Tier::Prompt | Tier::Program, None) => {
            let mut left = user.screen.leave();
            if user.screen.cursor().column > 0 || user.screen.alternate() {
                left.extend_from_slice(b"\r\n");
            }
            left
        }
    };
    user.show(&left, to_client);
}

fn words(was: Tier, arrival: &Arrival, lost_input: bool) -> String {
    let mut words = String::from("[host lost: session opened again on another");
    if was == Tier::Program {
        words.push_str(", program ended");
    }
    match arrival {
        Arrival::LoggedIn { in_place: true, .. } => {}
        Arrival::LoggedIn {
            in_place: false, ..
        } => words.push_str(", directory not found"),
        Arrival::Silent => words.push_str(", log in"),
    }
    if lost_input {
        words.push_str(", input dropped");
    }
    words.push(']');
    words
}

/// Brings the client to where its host is. While a password may be typed it is not told to echo.
fn bring(terminal: &mut Terminal, link: &mut Link, now: Duration, secret: bool) {
    let mut talk = Talk {
        user: &mut terminal.user,
        host: &mut link.host,
        to_client: &mut terminal.to_client,
        to_host: &mut link.to_host,
        now,
    };
    match &link.arrival {
        // It has not said yet where it is.
        Arrival::Silent => talk.user.owes_difference = true,
        Arrival::LoggedIn { .. } => {
            for (verb, option) in agreed::difference(&talk.user.agreed, &talk.host.agreed) {
                if secret && (verb, option) == (Verb::Wont, ECHO) {
                    talk.user.owes_difference = true;
                } else {
                    talk.ask_client(verb, option);
                }
            }
        }
    }
}

/// Says to the client that the session is over, and why.
pub(crate) fn goodbye(terminal: &mut Terminal, text: &str) -> Outgoing {
    let notice = terminal.user.screen.notice(text);
    let mut to_client = std::mem::take(&mut terminal.to_client);
    terminal.user.show(&notice, &mut to_client);
    to_client
}
