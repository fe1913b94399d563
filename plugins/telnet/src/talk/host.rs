//! What is known of the host that a session is at.

use std::collections::VecDeque;
use std::time::Duration;

use super::agreed::Agreed;
use super::remembered::Asked;
use crate::login::Runner;
use crate::nvt::options::flow::Flow;
use crate::tier::Signs;

/// Most marks that are under way; RFC 860 has a client wait for its own.
const MOST_MARKS: usize = 32;
/// Words about options that one side may say in [`WINDOW`]; of those beyond, none changes anything.
const MOST_WORDS: u32 = 500;
/// The time in which words are counted.
const WINDOW: Duration = Duration::from_secs(10);

/// Who has asked for a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The director: the answer is its own, and the client does not see it.
    Director,
    /// The client.
    Client,
}

/// What is known of a host.
#[derive(Debug, Default)]
pub(crate) struct Host {
    /// What it and whoever answers it have agreed on.
    pub(crate) agreed: Agreed,
    pub(crate) signs: Signs,
    /// It has said IAC.
    pub(crate) is_telnet: bool,
    /// Whether it answers DO TIMING-MARK, as far as it was asked.
    pub(crate) answers_marks: Option<bool>,
    /// It has marked a logout.
    pub(crate) logout: bool,
    /// How far it has asked for the terminal's types.
    pub(crate) asked: Asked,
    /// The service's login, if that is under way under the user's eyes.
    pub(crate) runner: Option<Runner>,
    /// Lines that are typed for the user, one at each prompt.
    pub(crate) at_prompts: VecDeque<Vec<u8>>,
    pub(crate) words: Words,
    /// What it wants XOFF to do at its client.
    pub(crate) flow: Flow,
    marks: VecDeque<Asker>,
}

impl Host {
    /// A mark is asked for; `false` when too many are under way.
    pub(crate) fn ask_mark(&mut self, asker: Asker) -> bool {
        let has_room = self.marks.len() < MOST_MARKS;
        if has_room {
            self.marks.push_back(asker);
        }
        has_room
    }

    /// A mark was answered; who has asked for it.
    pub(crate) fn answer_mark(&mut self) -> Option<Asker> {
        self.marks.pop_front()
    }

    /// Whether the director waits for a mark.
    pub(crate) fn owes_mark(&self) -> bool {
        self.marks.contains(&Asker::Director)
    }

    /// Whether it makes sense to ask it for a mark.
    pub(crate) fn may_be_asked(&self) -> bool {
        self.is_telnet && self.answers_marks != Some(false) && !self.owes_mark()
    }
}

/// Counts words about options: those of two that fight have no end.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Words {
    since: Duration,
    count: u32,
}

impl Words {
    /// Another one; whether it is one too many.
    pub(crate) fn is_too_many(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.since) > WINDOW {
            *self = Self {
                since: now,
                count: 0,
            };
        }
        self.count = self.count.saturating_add(1);
        self.count > MOST_WORDS
    }
}
