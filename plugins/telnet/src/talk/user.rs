//! What a session is to its user, and must be again at another host.

use std::sync::Arc;
use std::time::Duration;

use super::agreed::Agreed;
use super::host::{Host, Words};
use super::keys::Keys;
use super::remembered::Remembered;
use crate::live::outgoing::Outgoing;
use crate::live::pending::Pending;
use crate::login::Line;
use crate::login::typed::Typed;
use crate::nvt::Verb;
use crate::nvt::options::flow::Flow;
use crate::options::{Login, LoginWord};
use crate::screen::Screen;
use crate::shared::Shared;
use crate::tier::{self, Tier};

/// The size of a terminal that has not said any.
const COLUMNS: u16 = 80;
const ROWS: u16 = 24;

/// What is dropped of what the user types after a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dropping {
    /// Nothing.
    Nothing,
    /// The rest of the line that was under way, but no longer than until this time.
    LineUntil(Duration),
    /// The rest of the line that was under way: it may be a password.
    Line,
}

/// What a session is to its user.
pub(crate) struct User {
    pub(crate) shared: Arc<Shared>,
    /// What the client and whoever it takes for its host have agreed on.
    pub(crate) agreed: Agreed,
    pub(crate) remembered: Remembered,
    /// What the client's terminal shows: whatever is written to it is fed into this.
    pub(crate) screen: Screen,
    pub(crate) typed: Typed,
    pub(crate) keys: Keys,
    pub(crate) pending: Pending,
    pub(crate) dropping: Dropping,
    /// Bytes that were dropped since the user was told.
    pub(crate) dropped: u64,
    pub(crate) cwd: Option<Vec<u8>>,
    /// The session was at another host before.
    pub(crate) mediating: bool,
    /// A prompt has been seen at some host.
    pub(crate) was_logged_in: bool,
    /// What the client was asked by the director itself.
    pub(crate) asked: Vec<(Verb, u8)>,
    /// The client is to be told the difference once its user has ended the line.
    pub(crate) owes_difference: bool,
    pub(crate) words: Words,
    /// What the client was told that XOFF does.
    pub(crate) flow: Flow,
    /// It has said IAC.
    pub(crate) is_telnet: bool,
    /// The last byte of data that went to the client.
    pub(crate) last: u8,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").finish_non_exhaustive()
    }
}

impl User {
    /// One who has just come.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let mut typed = Typed::default();
        match &shared.options.login {
            Some(Login::Word(LoginWord::Typed)) => {}
            Some(Login::Script(_)) | None => typed.spoil(),
        }
        Self {
            shared,
            agreed: Agreed::default(),
            remembered: Remembered::default(),
            screen: Screen::new(COLUMNS, ROWS),
            typed,
            keys: Keys::default(),
            pending: Pending::default(),
            dropping: Dropping::Nothing,
            dropped: 0,
            cwd: None,
            mediating: false,
            was_logged_in: false,
            asked: Vec::new(),
            owes_difference: false,
            words: Words::default(),
            flow: Flow::default(),
            is_telnet: false,
            last: 0,
        }
    }

    /// How the director can log in by itself.
    pub(crate) fn login(&self) -> Option<&[Line]> {
        match &self.shared.script {
            Some(script) => Some(script),
            None => self.typed.lines(),
        }
    }

    /// Looks at the cursor's line: whether it is a prompt, and where the user is by it.
    pub(crate) fn look(&mut self, host: &mut Host) {
        if let Some(cwd) = self.screen.cwd() {
            self.cwd = Some(cwd.to_vec());
        }
        if host.signs.is_at_prompt() || host.runner.is_some() {
            return;
        }
        let line = self.screen.line();
        let Some(prompt) = tier::prompt(&self.shared.prompt, &line) else {
            return;
        };
        if let Some(cwd) = prompt.cwd.filter(|_| self.screen.cwd().is_none()) {
            self.cwd = Some(cwd.as_bytes().to_vec());
        }
        self.see_prompt(host);
    }

    /// The host shows a prompt.
    pub(crate) fn see_prompt(&mut self, host: &mut Host) {
        host.signs.see_prompt();
        self.typed.seal();
        self.was_logged_in = true;
    }

    /// How far the session is.
    pub(crate) fn tier(&mut self, host: &mut Host) -> Tier {
        self.look(host);
        host.signs.tier(self.screen.alternate())
    }

    /// Writes text of the director's own to the client, which is no option's matter.
    pub(crate) fn show(&mut self, text: &[u8], to_client: &mut Outgoing) {
        self.screen.feed(text);
        crate::nvt::encode::data(to_client.end(), text);
        self.last = text.last().copied().unwrap_or(self.last);
    }

    /// Whether an option is refused in this service.
    pub(crate) fn refuses(&self, option: u8) -> bool {
        !self.shared.policy.allows(option)
    }
}
