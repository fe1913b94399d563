//! Arriving at another host unseen: the dialogue is the director's, who says what the client has said before.

use std::time::Duration;

use director_sdk::{Director, Elapsed, Failure};

use super::terminal::{Arrival, Link};
use crate::login::{Line, Next, Runner};
use crate::nvt::{Event, encode};
use crate::screen::Screen;
use crate::talk::play::play;
use crate::talk::user::User;
use crate::tier::{self, Signs};
use crate::{failures, restore};

/// A prompt stands when its host has been quiet for so long.
const QUIET: Duration = Duration::from_millis(50);
/// Most bytes of a prompt's line.
const LONGEST_LINE: usize = 1024;

/// What the host writes and the user does not see.
struct Unseen {
    /// What a terminal would show.
    screen: Screen,
    /// Since its last line feed; nothing when that was too much.
    line: Vec<u8>,
    signs: Signs,
    runner: Runner,
}

/// Logs in at a fresh link, and goes to the session's directory.
///
/// # Errors
///
/// [`failures::LOGIN_REFUSED`], [`failures::LOGIN_SILENT`], or the stream broke.
pub(crate) async fn arrive(
    user: &mut User,
    link: &mut Link,
    director: &Director,
) -> Result<(), Failure> {
    let (columns, rows) = user.screen.size();
    let mut unseen = Unseen {
        screen: Screen::new(columns, rows),
        line: Vec::new(),
        signs: Signs::default(),
        runner: Runner::default(),
    };
    log_in(user, link, &mut unseen, director).await?;
    let cwd = user.cwd.as_deref();
    let cd = cwd.and_then(|cwd| restore::cd(&user.shared.options.cd, cwd));
    let is_there = |unseen: &Unseen| unseen.screen.cwd().is_none_or(|at| Some(at) == cwd);
    if let Some(cd) = &cd {
        unseen.signs.see_command();
        type_in(link, cd).await?;
        prompt(user, link, &mut unseen, director).await?;
    }
    let in_place = cwd.is_none() || cd.is_some() && is_there(&unseen);
    // The line itself is shown as it came, with what a shell says in it of itself.
    link.host.signs = Signs::logged_in();
    let line = unseen.line;
    link.arrival = Arrival::LoggedIn { line, in_place };
    Ok(())
}

/// What a failed arrival means for the next one: what the user typed was not what is asked for there.
pub(crate) fn note(user: &mut User, failure: &Failure) {
    let asks_otherwise = matches!(
        failure.protocol_code(),
        failures::LOGIN_REFUSED | failures::LOGIN_SILENT
    );
    if asks_otherwise && user.shared.script.is_none() {
        user.typed.spoil();
    }
}

async fn log_in(
    user: &User,
    link: &mut Link,
    unseen: &mut Unseen,
    director: &Director,
) -> Result<(), Failure> {
    let lines: &[Line] = user.login().unwrap_or_default();
    loop {
        let line = match unseen.runner.next(lines) {
            Next::Type(line) => line,
            Next::Over => return prompt(user, link, unseen, director).await,
            Next::Refused => return Err(refused()),
            Next::Wait => {
                let step = unseen.runner.step();
                let said = until(user, link, unseen, director, |unseen| {
                    unseen.runner.is_due(lines)
                });
                said.await.map_err(|failure| told(failure, step))?;
                continue;
            }
        };
        type_in(link, line).await?;
    }
}

/// Waits for a prompt that stands.
async fn prompt(
    user: &User,
    link: &mut Link,
    unseen: &mut Unseen,
    director: &Director,
) -> Result<(), Failure> {
    let lines = user.login().unwrap_or_default();
    let pattern = &user.shared.prompt;
    loop {
        until(user, link, unseen, director, |unseen| {
            let line = unseen.screen.line();
            let is_fresh = unseen.signs.is_at_prompt() || unseen.signs.has_a_new_line();
            is_fresh && tier::prompt(pattern, &line).is_some() || unseen.runner.is_due(lines)
        })
        .await?;
        if unseen.runner.is_due(lines) {
            return Err(refused());
        }
        match director.timeout(QUIET, hear(user, link, unseen)).await {
            Ok(more) => more?,
            Err(Elapsed) => {
                unseen.signs.see_prompt();
                return Ok(());
            }
        }
    }
}

fn refused() -> Failure {
    Failure::code(
        failures::LOGIN_REFUSED,
        "the host asks for a login again that another has accepted",
    )
}

fn told(failure: Failure, step: usize) -> Failure {
    match failure.protocol_code() {
        failures::LOGIN_SILENT => Failure::code(
            failures::LOGIN_SILENT,
            format!("step {step} of the login is not asked for"),
        ),
        _ => failure,
    }
}

/// Hears the host until `is_enough`, within the time that a step may take.
async fn until(
    user: &User,
    link: &mut Link,
    unseen: &mut Unseen,
    director: &Director,
    is_enough: impl Fn(&mut Unseen) -> bool,
) -> Result<(), Failure> {
    let within = Duration::from_secs(user.shared.options.login_seconds);
    let heard = async {
        while !is_enough(unseen) {
            hear(user, link, unseen).await?;
        }
        Ok(())
    };
    match director.timeout(within, heard).await {
        Ok(heard) => heard,
        Err(Elapsed) => Err(Failure::code(
            failures::LOGIN_SILENT,
            "the host shows no prompt",
        )),
    }
}

/// Takes what the host says next, and answers what is Telnet's in it.
async fn hear(user: &User, link: &mut Link, unseen: &mut Unseen) -> Result<(), Failure> {
    let mut replies = Vec::new();
    let said = link.stream.fill().await?;
    if said.is_empty() {
        return Err(failures::ended(unseen.signs.has_been_heard()));
    }
    let n = said.len();
    let mut rest = said;
    while let Some(event) = link.parser.next(&mut rest) {
        if let Event::Data(data) = event {
            unseen.hear(data);
        } else {
            play(user, &mut link.host, &event, &mut replies);
        }
    }
    link.stream.consume(n);
    if !replies.is_empty() {
        link.stream.write_all(&replies).await?;
    }
    Ok(())
}

impl Unseen {
    fn hear(&mut self, data: &[u8]) {
        self.screen.feed_filtered(data, &mut Vec::new());
        self.signs.hear(data);
        self.runner.hear(data);
        let start = data.iter().rposition(|byte| *byte == b'\n');
        if start.is_some() {
            self.line.clear();
        }
        let rest = &data[start.map_or(0, |at| at + 1)..];
        if self.line.len() + rest.len() <= LONGEST_LINE {
            self.line.extend_from_slice(rest);
        }
    }
}

/// Types a line for the user.
async fn type_in(link: &mut Link, line: &[u8]) -> Result<(), Failure> {
    encode::data(link.to_host.end(), line);
    Ok(link.to_host.send_all(&mut link.stream).await?)
}
