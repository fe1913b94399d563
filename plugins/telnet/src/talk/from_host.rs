//! What a host says, on its way to the client.

use std::time::Duration;

use super::agreed::Speaker;
use super::host::{Asker, Host};
use super::user::User;
use crate::live::outgoing::Outgoing;
use crate::login::Next;
use crate::nvt::options::{TIMING_MARK, TOGGLE_FLOW_CONTROL};
use crate::nvt::{Command, Event, IAC, Verb, encode};
use crate::options::Replay;
use crate::screen::Mark;

/// A client and its host, and what is on its way to either.
pub(crate) struct Talk<'a> {
    pub(crate) user: &'a mut User,
    pub(crate) host: &'a mut Host,
    pub(crate) to_client: &'a mut Outgoing,
    pub(crate) to_host: &'a mut Outgoing,
    pub(crate) now: Duration,
}

impl Talk<'_> {
    /// The host has said so.
    pub(crate) fn host_said(&mut self, event: &Event<'_>) {
        match *event {
            Event::Data(data) => return self.host_wrote(data),
            Event::Negotiate(verb, TIMING_MARK) if verb.is_about_speaker() => {
                self.mark_answered(verb);
            }
            Event::Negotiate(verb, option) => self.host_negotiates(verb, option),
            Event::Command(Command::DataMark) => {
                encode::event(self.to_client.end(), event);
                self.to_client.mark_urgent();
            }
            Event::Subnegotiation {
                option: TOGGLE_FLOW_CONTROL,
                payload,
            } => {
                self.host.flow.learn(payload);
                self.user.flow = self.host.flow;
                encode::event(self.to_client.end(), event);
            }
            Event::Command(_)
            | Event::Subnegotiation { .. }
            | Event::Unended { .. }
            | Event::Stray(_) => encode::event(self.to_client.end(), event),
            Event::Overlong { option, dropped } => {
                tracing::warn!(option, dropped, "a host's subnegotiation was too long");
            }
        }
        self.host.is_telnet = true;
    }

    fn host_wrote(&mut self, data: &[u8]) {
        self.host.signs.hear(data);
        if self.host.runner.is_some() {
            return self.script_hears(data);
        }
        self.user.keys.echo();
        let asks = self.user.shared.options.replay == Replay::Prompt;
        if !asks || self.host.answers_marks != Some(true) {
            // Without a better sign, what is written shows that what was typed before was read.
            self.user.pending.mark();
            self.user.pending.commit();
        }
        let start = self.to_client.end().len();
        if data == [IAC] {
            let mut shown = Vec::new();
            self.user.screen.feed_filtered(data, &mut shown);
            encode::data(self.to_client.end(), &shown);
        } else {
            let out = self.to_client.end();
            self.user.screen.feed_filtered(data, out);
        }
        if let Some(last) = self.to_client.end()[start..].last() {
            self.user.last = *last;
        }
        while let Some(mark) = self.user.screen.take_mark() {
            self.heed(mark);
        }
        self.type_at_prompt();
    }

    fn heed(&mut self, mark: Mark) {
        match mark {
            Mark::Prompt | Mark::Input => self.user.see_prompt(self.host),
            Mark::Running => self.host.signs.see_command(),
            Mark::Finished(_) => {}
            Mark::Own(word) => self.host.logout |= word == self.user.shared.options.hook,
        }
    }

    /// Types what is to be typed for the user, if there is a prompt for it.
    fn type_at_prompt(&mut self) {
        if self.host.at_prompts.is_empty() {
            return;
        }
        self.user.look(self.host);
        if self.host.signs.is_at_prompt()
            && let Some(line) = self.host.at_prompts.pop_front()
        {
            encode::data(self.to_host.end(), &line);
            // It is not there any more for the next line.
            self.host.signs.see_command();
        }
    }

    /// The service's login, of which the user sees what comes after its last line.
    fn script_hears(&mut self, data: &[u8]) {
        let Some(mut runner) = self.host.runner.take() else {
            return;
        };
        runner.hear(data);
        let shared = std::sync::Arc::clone(&self.user.shared);
        let script = shared.script.as_deref().unwrap_or_default();
        while !runner.is_over(script) {
            match runner.next(script) {
                Next::Type(line) => encode::data(self.to_host.end(), line),
                Next::Wait | Next::Over | Next::Refused => {
                    self.host.runner = Some(runner);
                    return;
                }
            }
        }
    }

    fn mark_answered(&mut self, verb: Verb) {
        match self.host.answer_mark() {
            Some(Asker::Director) => {
                self.host.answers_marks = Some(true);
                self.user.pending.commit();
            }
            Some(Asker::Client) | None => {
                encode::negotiate(self.to_client.end(), verb, TIMING_MARK);
            }
        }
    }

    fn host_negotiates(&mut self, verb: Verb, option: u8) {
        let performer = Speaker::Host.performer(verb);
        if self.user.refuses(option) || self.host.words.is_too_many(self.now) {
            if verb.is_positive() {
                encode::negotiate(self.to_host.end(), verb.negative_answer(), option);
            }
            return;
        }
        let stands = self.user.agreed.is_on(performer, option);
        if option != TIMING_MARK && self.user.mediating && stands == verb.is_positive() {
            // The client is there already, and would not answer again.
            self.answer_for_client(verb, option);
            return;
        }
        self.host.agreed.observe(Speaker::Host, verb, option);
        self.user.agreed.observe(Speaker::Host, verb, option);
        encode::negotiate(self.to_client.end(), verb, option);
    }

    fn answer_for_client(&mut self, verb: Verb, option: u8) {
        let performer = Speaker::Host.performer(verb);
        if self.host.agreed.is_on(performer, option) == verb.is_positive() {
            return;
        }
        let answer = match (verb.is_about_speaker(), verb.is_positive()) {
            (true, positive) => Verb::of_other(positive),
            (false, positive) => Verb::of_performer(positive),
        };
        encode::negotiate(self.to_host.end(), answer, option);
        let is_on = verb.is_positive();
        self.host.agreed.set(performer, option, is_on);
        if answer == Verb::Will
            && let Some(said) = self.user.remembered.at_once(option)
        {
            encode::subnegotiation(self.to_host.end(), option, said);
        }
    }
}
