//! One direction of a Telnet connection, taken apart: RFC 854 and RFC 855.
//!
//! The stream may be cut anywhere. Of data nothing is held back, so that no keystroke waits; of a
//! subnegotiation no more than a bound is kept. Everything that is read but the overlong can be
//! written again by [`encode::event`](super::encode::event), and is the very same bytes then.

use super::{Command, IAC, SB, SE, Verb};

/// Most bytes of a subnegotiation that are kept unless a service says otherwise.
pub const MAX_SUBNEGOTIATION: usize = 16 * 1024;
/// A buffer of more bytes than this is given back once its subnegotiation is over: most sessions are
/// idle, and have long negotiated.
const KEPT_ROOM: usize = 64;

/// What stands in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A run of data without a 255 in it; or the one byte 255, which was doubled. CR, LF and NUL are
    /// left as they came.
    Data(&'a [u8]),
    /// A command of one byte.
    Command(Command),
    /// A word about an option.
    Negotiate(Verb, u8),
    /// A subnegotiation.
    Subnegotiation {
        /// The option it is about.
        option: u8,
        /// What follows the option; what was doubled is single.
        payload: &'a [u8],
    },
    /// A subnegotiation that something else than an IAC SE ended, which is the next event. Hosts take
    /// it as if the IAC SE had been there.
    Unended {
        /// The option it is about.
        option: u8,
        /// What follows the option; what was doubled is single.
        payload: &'a [u8],
    },
    /// A subnegotiation longer than the bound has ended; nothing of it was kept.
    Overlong {
        /// The option it was about.
        option: u8,
        /// Bytes that followed the option.
        dropped: usize,
    },
    /// An IAC and this byte, which is no command; or half of a subnegotiation that has not even an
    /// option: `SB` or `SE`.
    Stray(u8),
}

/// Where the last byte left us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Data,
    Iac,
    Option(Verb),
    /// SB was read; the option follows.
    Sub,
    SubIac,
    Payload(u8),
    PayloadIac(u8),
    /// This byte followed an IAC that ended what was before; it is still to be looked at.
    Behind(u8),
}

/// Takes one direction of a connection apart.
#[derive(Debug)]
pub struct Parser {
    state: State,
    limit: usize,
    payload: Vec<u8>,
    /// Bytes of the payload, kept or not.
    length: usize,
}

impl Default for Parser {
    fn default() -> Self {
        Self::new(MAX_SUBNEGOTIATION)
    }
}

impl Parser {
    /// A parser that keeps at most `max_subnegotiation` bytes of a subnegotiation's payload.
    #[must_use]
    pub const fn new(max_subnegotiation: usize) -> Self {
        Self {
            state: State::Data,
            limit: max_subnegotiation,
            payload: Vec::new(),
            length: 0,
        }
    }

    /// The next event, and `input` without the bytes it was made of. `None` when `input` has been
    /// read up and more has to come.
    pub fn next<'e, 'i: 'e>(&'e mut self, input: &mut &'i [u8]) -> Option<Event<'e>> {
        loop {
            if let State::Behind(byte) = self.state {
                self.state = State::Data;
                self.let_go();
                match self.after_iac(byte) {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            let (&first, rest) = input.split_first()?;
            match self.state {
                State::Data if first == IAC => self.state = State::Iac,
                State::Data => {
                    let (run, rest) =
                        input.split_at(memchr::memchr(IAC, input).unwrap_or(input.len()));
                    *input = rest;
                    return Some(Event::Data(run));
                }
                State::Payload(option) => {
                    let taken = self.take_payload(input);
                    *input = &input[taken..];
                    if !input.is_empty() {
                        *input = &input[1..]; // the IAC
                        self.state = State::PayloadIac(option);
                    }
                    continue;
                }
                State::PayloadIac(_)
                | State::Iac
                | State::Option(_)
                | State::Sub
                | State::SubIac
                | State::Behind(_) => {
                    *input = rest;
                    match self.on_byte(first) {
                        Step::More => {}
                        Step::Event(event) => return Some(event),
                        Step::Ended { option, whole } => return Some(self.ended(option, whole)),
                    }
                    continue;
                }
            }
            *input = rest;
        }
    }

    /// Bytes that the subnegotiation under way has so far, kept or not; 0 outside of one. One that
    /// never ends swallows all that follows: who does not want to wait for its end asks here.
    #[must_use]
    pub const fn under_way(&self) -> usize {
        match self.state {
            State::Payload(_) | State::PayloadIac(_) => self.length,
            State::Data
            | State::Iac
            | State::Option(_)
            | State::Sub
            | State::SubIac
            | State::Behind(_) => 0,
        }
    }

    /// Bytes of the heap that are held.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.payload.capacity()
    }

    fn on_byte(&mut self, byte: u8) -> Step {
        match self.state {
            State::Iac => {
                self.state = State::Data;
                match self.after_iac(byte) {
                    Some(event) => Step::Event(event),
                    None => Step::More,
                }
            }
            State::Option(verb) => {
                self.state = State::Data;
                Step::Event(Event::Negotiate(verb, byte))
            }
            State::Sub if byte == IAC => {
                self.state = State::SubIac;
                Step::More
            }
            State::Sub => self.begin(byte),
            State::SubIac if byte == IAC => self.begin(IAC),
            State::SubIac => {
                self.state = State::Behind(byte);
                Step::Event(Event::Stray(SB))
            }
            State::PayloadIac(option) if byte == IAC => {
                self.keep(&[IAC]);
                self.state = State::Payload(option);
                Step::More
            }
            State::PayloadIac(option) => {
                let whole = byte == SE;
                self.state = if whole {
                    State::Data
                } else {
                    State::Behind(byte)
                };
                Step::Ended { option, whole }
            }
            State::Data | State::Payload(_) | State::Behind(_) => Step::More,
        }
    }

    /// What an IAC and `byte` are, outside of a subnegotiation.
    const fn after_iac(&mut self, byte: u8) -> Option<Event<'static>> {
        if byte == IAC {
            return Some(Event::Data(&[IAC]));
        }
        if byte == SB {
            self.state = State::Sub;
            return None;
        }
        if let Some(verb) = Verb::from_byte(byte) {
            self.state = State::Option(verb);
            return None;
        }
        Some(match Command::from_byte(byte) {
            Some(command) => Event::Command(command),
            None => Event::Stray(byte),
        })
    }

    fn begin(&mut self, option: u8) -> Step {
        self.let_go();
        self.state = State::Payload(option);
        Step::More
    }

    /// Takes what stands before the next IAC; returns how many bytes that is.
    fn take_payload(&mut self, input: &[u8]) -> usize {
        let taken = memchr::memchr(IAC, input).unwrap_or(input.len());
        self.keep(&input[..taken]);
        taken
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.length = self.length.saturating_add(bytes.len());
        if self.length <= self.limit {
            self.payload.extend_from_slice(bytes);
        } else {
            self.payload = Vec::new();
        }
    }

    fn ended(&mut self, option: u8, whole: bool) -> Event<'_> {
        let dropped = self.length;
        self.length = 0;
        let payload = &self.payload[..];
        match (dropped > self.limit, whole) {
            (true, _) => Event::Overlong { option, dropped },
            (false, true) => Event::Subnegotiation { option, payload },
            (false, false) => Event::Unended { option, payload },
        }
    }

    /// Forgets the last payload.
    fn let_go(&mut self) {
        self.length = 0;
        self.payload.clear();
        if self.payload.capacity() > KEPT_ROOM {
            self.payload = Vec::new();
        }
    }
}

/// What a byte has led to.
enum Step {
    More,
    Event(Event<'static>),
    /// The payload is complete.
    Ended {
        option: u8,
        whole: bool,
    },
}
