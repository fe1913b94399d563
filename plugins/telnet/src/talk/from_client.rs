//! What a client says, on its way to the host.

use std::borrow::Cow;

use super::agreed::{self, Performer, Speaker};
use super::from_host::Talk;
use super::host::Asker;
use super::user::Dropping;
use crate::nvt::options::environ;
use crate::nvt::options::{NAWS, NEW_ENVIRON, OLD_ENVIRON, TIMING_MARK, TOGGLE_FLOW_CONTROL};
use crate::nvt::{Command, Event, Verb, encode};
use crate::options::Replay;

impl Talk<'_> {
    /// The client has said so.
    pub(crate) fn client_said(&mut self, event: &Event<'_>) {
        match *event {
            Event::Data(data) => return self.user_typed(data),
            Event::Negotiate(verb, option) => self.client_negotiates(verb, option),
            Event::Subnegotiation { option, payload } | Event::Unended { option, payload } => {
                self.client_tells(event, option, payload);
            }
            Event::Command(command) => {
                encode::event(self.to_host.end(), event);
                if command == Command::DataMark {
                    self.to_host.mark_urgent();
                }
            }
            Event::Stray(_) => encode::event(self.to_host.end(), event),
            Event::Overlong { option, dropped } => {
                tracing::warn!(option, dropped, "a client's subnegotiation was too long");
            }
        }
        self.user.is_telnet = true;
    }

    fn user_typed(&mut self, data: &[u8]) {
        let data = self.kept(data);
        if data.is_empty() {
            return;
        }
        if self.host.runner.is_some() {
            // The service types.
            self.user.dropped += data.len() as u64;
            return;
        }
        self.user.look(self.host);
        if !self.host.signs.was_at_prompt() {
            let line = self.user.screen.line();
            self.user.typed.type_in(data, &line);
        }
        let at_prompt = self.host.signs.is_at_prompt();
        let ended = self.user.keys.type_in(data, at_prompt, self.now);
        self.user.pending.send(data);
        encode::data(self.to_host.end(), data);
        if ended.is_some() {
            self.settle();
        }
        let replays = self.user.shared.options.replay == Replay::Prompt;
        if replays && self.host.may_be_asked() && self.user.pending.wants_mark() {
            self.ask_mark();
        }
    }

    /// Asks the host how far it has read.
    pub(crate) fn ask_mark(&mut self) {
        if self.host.ask_mark(Asker::Director) {
            encode::negotiate(self.to_host.end(), Verb::Do, TIMING_MARK);
            self.user.pending.mark();
        }
    }

    /// What is not dropped of what the user typed.
    fn kept<'d>(&mut self, data: &'d [u8]) -> &'d [u8] {
        let drops = match self.user.dropping {
            Dropping::Nothing => false,
            Dropping::LineUntil(until) => self.now < until,
            Dropping::Line => true,
        };
        if !drops {
            self.user.dropping = Dropping::Nothing;
            return data;
        }
        let end = data.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let Some(end) = end else {
            self.user.dropped += data.len() as u64;
            return &[];
        };
        let mut rest = &data[end + 1..];
        if let Some([b'\n' | b'\0', after @ ..]) = data.get(end + 1..) {
            rest = after;
        }
        self.user.dropped += (data.len() - rest.len()) as u64;
        self.user.dropping = Dropping::Nothing;
        self.settle();
        rest
    }

    /// Brings the client to where its host is, once nothing that is typed can be a password any more.
    pub(crate) fn settle(&mut self) {
        if !std::mem::take(&mut self.user.owes_difference) {
            return;
        }
        let differences = agreed::difference(&self.user.agreed, &self.host.agreed);
        let has_flow =
            |agreed: &agreed::Agreed| agreed.is_on(Performer::Client, TOGGLE_FLOW_CONTROL);
        if has_flow(&self.user.agreed) && has_flow(&self.host.agreed) {
            for payload in self.host.flow.difference(self.user.flow) {
                encode::subnegotiation(self.to_client.end(), TOGGLE_FLOW_CONTROL, &payload);
            }
        }
        self.user.flow = self.host.flow;
        for (verb, option) in differences {
            self.ask_client(verb, option);
        }
    }

    /// The director says something to the client as its host.
    pub(crate) fn ask_client(&mut self, verb: Verb, option: u8) {
        encode::negotiate(self.to_client.end(), verb, option);
        self.user.agreed.observe(Speaker::Host, verb, option);
        self.user.asked.push((verb, option));
    }

    fn client_negotiates(&mut self, verb: Verb, option: u8) {
        if option == TIMING_MARK {
            if verb != Verb::Do || self.host.ask_mark(Asker::Client) {
                encode::negotiate(self.to_host.end(), verb, option);
            }
            return;
        }
        if self.user.refuses(option) || self.user.words.is_too_many(self.now) {
            if verb.is_positive() {
                encode::negotiate(self.to_client.end(), verb.negative_answer(), option);
            }
            return;
        }
        let performer = Speaker::Client.performer(verb);
        let answers = |(asked, of): &(Verb, u8)| {
            *of == option && Speaker::Host.performer(*asked) == performer
        };
        let answered = self.user.asked.iter().position(answers);
        self.user.agreed.observe(Speaker::Client, verb, option);
        if let Some(at) = answered {
            let (asked, _) = self.user.asked.remove(at);
            if asked.is_positive() == verb.is_positive() {
                return;
            }
        }
        self.host.agreed.observe(Speaker::Client, verb, option);
        encode::negotiate(self.to_host.end(), verb, option);
    }

    fn client_tells(&mut self, event: &Event<'_>, option: u8, payload: &[u8]) {
        let allowed = match option {
            NEW_ENVIRON | OLD_ENVIRON => {
                environ::filter(option, payload, &self.user.shared.options.environment)
            }
            _ => Cow::Borrowed(payload),
        };
        self.user.remembered.learn(option, &allowed);
        if option == NAWS
            && let Some((columns, rows)) = self.user.remembered.size()
        {
            self.user.screen.resize(columns, rows);
        }
        // The client stands where another host brought it: this one has not asked for all of it.
        if self.user.mediating && !self.host.agreed.is_on(Performer::Client, option) {
            return;
        }
        match &allowed {
            Cow::Owned(allowed) => encode::subnegotiation(self.to_host.end(), option, allowed),
            Cow::Borrowed(_) => encode::event(self.to_host.end(), event),
        }
    }
}
