//! Bytes to controls, escape sequences, control sequences and control strings: the state machine of a
//! VT500 (as Paul Williams drew it) with what xterm changed. Text is not its business; [`super::Screen`]
//! takes that by the run. Which state a terminal is in is what the Screen's leaving stands on, so the
//! machine is our own; everything in it is bounded.

/// What a terminal expects next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Text.
    Ground,
    /// ESC was read.
    Escape,
    /// ESC and an intermediate.
    EscapeIntermediate,
    /// CSI, nothing after it yet.
    CsiEntry,
    /// Among the parameters.
    Csi,
    /// Past the parameters.
    CsiIntermediate,
    /// A CSI that means nothing: up to its final byte.
    CsiIgnore,
    /// Inside an OSC.
    Osc,
    /// ESC inside an OSC: ST if a backslash follows.
    OscEscape,
    /// Inside DCS, SOS, PM or APC: up to ST.
    Text,
    /// ESC inside one of those.
    TextEscape,
}

/// What a byte brought to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    /// Nothing yet.
    None,
    /// A C0 control.
    Control(u8),
    /// An escape sequence, by its final byte. The intermediate is in the parser.
    Escape(u8),
    /// A control sequence, by its final byte. The rest is in the parser.
    Csi(u8),
    /// An OSC; its text is in the parser.
    Osc,
}

/// As many parameters as xterm takes and two more; what comes after them is dropped.
const MAX_PARAMETERS: usize = 32;
/// The longest OSC that is understood; a longer one is read to its end and means nothing.
const MAX_OSC: usize = 4096;

/// The numbers of a control sequence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameters {
    values: [u16; MAX_PARAMETERS],
    /// Bit n: value n followed a colon and belongs to the one before.
    joined: u32,
    len: u8,
}

impl Parameters {
    const NONE: Self = Self {
        values: [0; MAX_PARAMETERS],
        joined: 0,
        len: 1,
    };

    fn digit(&mut self, digit: u8) {
        if let Some(value) = self.values.get_mut(usize::from(self.len) - 1) {
            *value = value.saturating_mul(10).saturating_add(u16::from(digit));
        }
    }

    fn next(&mut self, joined: bool) {
        let len = usize::from(self.len);
        // One past the end swallows the digits of what is too much.
        self.len = u8::try_from((len + 1).min(MAX_PARAMETERS + 1)).unwrap_or(self.len);
        if joined && len < MAX_PARAMETERS {
            self.joined |= 1 << len;
        }
    }

    /// Each parameter with the sub-parameters that colons joined to it.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u16]> {
        let values = &self.values[..usize::from(self.len).min(MAX_PARAMETERS)];
        let mut at = 0;
        std::iter::from_fn(move || {
            let start = at;
            at += 1;
            while at < values.len() && self.joined & (1 << at) != 0 {
                at += 1;
            }
            values.get(start..at)
        })
    }

    /// Parameter `at`, or 0.
    pub(super) fn get(&self, at: usize) -> u16 {
        self.iter().nth(at).map_or(0, |values| values[0])
    }

    /// Parameter `at`, where both nothing and 0 mean 1.
    pub(super) fn count(&self, at: usize) -> u16 {
        self.get(at).max(1)
    }

    pub(super) fn len(&self) -> usize {
        self.iter().count()
    }
}

/// See the module's words.
#[derive(Debug, Clone)]
pub(super) struct Parser {
    state: State,
    pub(super) parameters: Parameters,
    /// One of `<=>?` right after CSI, or 0.
    pub(super) private: u8,
    /// The one intermediate, 0 if there is none, 0xFF if there are more than one.
    pub(super) intermediate: u8,
    osc: Vec<u8>,
    osc_too_long: bool,
}

impl Parser {
    pub(super) fn new() -> Self {
        Self {
            state: State::Ground,
            parameters: Parameters::NONE,
            private: 0,
            intermediate: 0,
            osc: Vec::new(),
            osc_too_long: false,
        }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// The OSC that just ended; `None` if it was too long.
    pub(super) fn take_osc(&mut self) -> Option<Vec<u8>> {
        let osc = std::mem::take(&mut self.osc);
        (!self.osc_too_long).then_some(osc)
    }

    /// How many of `bytes` are inside a control string and end nothing.
    pub(super) fn inside(&mut self, bytes: &[u8], c1: bool) -> usize {
        let ends = |byte: &u8| match byte {
            0x07 => self.state == State::Osc,
            0x18 | 0x1A | 0x1B => true,
            0x9C => c1,
            _ => false,
        };
        match self.state {
            State::Text => bytes.iter().position(ends).unwrap_or(bytes.len()),
            State::Osc => {
                let len = bytes.iter().position(ends).unwrap_or(bytes.len());
                self.keep_osc(&bytes[..len]);
                len
            }
            State::Ground
            | State::Escape
            | State::EscapeIntermediate
            | State::CsiEntry
            | State::Csi
            | State::CsiIntermediate
            | State::CsiIgnore
            | State::OscEscape
            | State::TextEscape => 0,
        }
    }

    fn keep_osc(&mut self, bytes: &[u8]) {
        if self.osc.len() + bytes.len() > MAX_OSC {
            self.osc_too_long = true;
            self.osc = Vec::new();
        } else if !self.osc_too_long {
            self.osc.extend(bytes.iter().filter(|byte| **byte >= 0x20));
        }
    }

    /// Takes the next byte, which is not text: any in a state other than ground, a control in ground.
    /// `c1`: whether 0x80 to 0x9F are controls (in Latin-1 they are, in UTF-8 they are not).
    pub(super) fn step(&mut self, byte: u8, c1: bool) -> Action {
        match byte {
            0x18 | 0x1A => {
                self.state = State::Ground;
                return Action::None;
            }
            0x1B => {
                self.escape();
                return Action::None;
            }
            0x80..=0x9F if c1 => return self.step_c1(byte),
            _ => {}
        }
        match self.state {
            State::Ground => Action::Control(byte),
            State::Escape => self.step_escape(byte),
            State::EscapeIntermediate => self.step_escape_intermediate(byte),
            State::CsiEntry | State::Csi | State::CsiIntermediate | State::CsiIgnore => {
                self.step_csi(byte)
            }
            State::Osc => self.step_osc(byte),
            State::OscEscape if byte == b'\\' => self.end_osc(),
            State::TextEscape if byte == b'\\' => {
                self.state = State::Ground;
                Action::None
            }
            // The string ended without ST: what follows ESC is a sequence of its own.
            State::OscEscape | State::TextEscape => {
                self.start_escape();
                self.step_escape(byte)
            }
            State::Text => Action::None,
        }
    }

    fn step_c1(&mut self, byte: u8) -> Action {
        match (self.state, byte) {
            (State::Osc, 0x9C) => self.end_osc(),
            (State::Osc, _) => self.step_osc(byte),
            (State::Text, 0x9C) => {
                self.state = State::Ground;
                Action::None
            }
            (State::Text, _) => Action::None,
            (
                State::Ground
                | State::Escape
                | State::EscapeIntermediate
                | State::CsiEntry
                | State::Csi
                | State::CsiIntermediate
                | State::CsiIgnore
                | State::OscEscape
                | State::TextEscape,
                _,
            ) => {
                self.start_escape();
                self.step_escape(byte - 0x40)
            }
        }
    }

    fn escape(&mut self) {
        match self.state {
            State::Osc => self.state = State::OscEscape,
            State::Text => self.state = State::TextEscape,
            State::Ground
            | State::Escape
            | State::EscapeIntermediate
            | State::CsiEntry
            | State::Csi
            | State::CsiIntermediate
            | State::CsiIgnore
            | State::OscEscape
            | State::TextEscape => self.start_escape(),
        }
    }

    fn start_escape(&mut self) {
        self.state = State::Escape;
        self.intermediate = 0;
        self.private = 0;
        self.osc = Vec::new();
    }

    fn step_escape(&mut self, byte: u8) -> Action {
        match byte {
            0x00..=0x1F => return Action::Control(byte),
            0x20..=0x2F => {
                self.collect(byte);
                self.state = State::EscapeIntermediate;
            }
            b'[' => {
                self.parameters = Parameters::NONE;
                self.state = State::CsiEntry;
            }
            b']' => {
                self.osc_too_long = false;
                self.state = State::Osc;
            }
            b'P' | b'X' | b'^' | b'_' => self.state = State::Text,
            0x30..=0x7E => {
                self.state = State::Ground;
                return Action::Escape(byte);
            }
            _ => {}
        }
        Action::None
    }

    fn step_escape_intermediate(&mut self, byte: u8) -> Action {
        match byte {
            0x00..=0x1F => return Action::Control(byte),
            0x20..=0x2F => self.collect(byte),
            0x30..=0x7E => {
                self.state = State::Ground;
                return Action::Escape(byte);
            }
            _ => {}
        }
        Action::None
    }

    fn step_csi(&mut self, byte: u8) -> Action {
        match (byte, self.state) {
            (0x00..=0x1F, _) => return Action::Control(byte),
            (0x40..=0x7E, state) => {
                self.state = State::Ground;
                if state != State::CsiIgnore {
                    return Action::Csi(byte);
                }
            }
            (0x7F.., _) | (_, State::CsiIgnore) => {}
            (0x20..=0x2F, _) => {
                self.collect(byte);
                self.state = State::CsiIntermediate;
            }
            (_, State::CsiIntermediate) => self.state = State::CsiIgnore,
            (b'0'..=b'9', _) => {
                self.parameters.digit(byte - b'0');
                self.state = State::Csi;
            }
            (b':' | b';', _) => {
                self.parameters.next(byte == b':');
                self.state = State::Csi;
            }
            (_, State::CsiEntry) => {
                self.private = byte;
                self.state = State::Csi;
            }
            _ => self.state = State::CsiIgnore,
        }
        Action::None
    }

    fn step_osc(&mut self, byte: u8) -> Action {
        if byte == 0x07 {
            return self.end_osc();
        }
        self.keep_osc(&[byte]);
        Action::None
    }

    fn end_osc(&mut self) -> Action {
        self.state = State::Ground;
        Action::Osc
    }

    fn collect(&mut self, byte: u8) {
        self.intermediate = if self.intermediate == 0 { byte } else { 0xFF };
    }

    /// Bytes on the heap.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.osc.capacity()
    }
}

/// A UTF-8 character read byte by byte. What is not one becomes U+FFFD, one for each longest part that
/// could have begun one (as the Unicode Standard says in 3.9).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Utf8 {
    value: u32,
    missing: u8,
    /// The bounds of the next byte, which are narrower after some first bytes.
    low: u8,
    high: u8,
}

/// What a byte made of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decoded {
    /// More has to come.
    Part,
    /// A character, or U+FFFD for bytes that are none.
    Char(char),
    /// What came before is not a character (U+FFFD); this byte is still to be read.
    BrokenOff,
}

impl Utf8 {
    /// Whether a character has begun and not ended.
    pub(super) fn is_partial(self) -> bool {
        self.missing > 0
    }

    pub(super) fn reset(&mut self) {
        self.missing = 0;
    }

    /// Takes a byte; if no character has begun, one of 0x80 and more.
    pub(super) fn push(&mut self, byte: u8) -> Decoded {
        if self.missing == 0 {
            return self.begin(byte);
        }
        if !(self.low..=self.high).contains(&byte) {
            self.missing = 0;
            return Decoded::BrokenOff;
        }
        (self.low, self.high) = (0x80, 0xBF);
        self.value = self.value << 6 | u32::from(byte & 0x3F);
        self.missing -= 1;
        if self.missing > 0 {
            return Decoded::Part;
        }
        Decoded::Char(char::from_u32(self.value).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn begin(&mut self, byte: u8) -> Decoded {
        (self.low, self.high) = match byte {
            0xE0 => (0xA0, 0xBF),
            0xED => (0x80, 0x9F),
            0xF0 => (0x90, 0xBF),
            0xF4 => (0x80, 0x8F),
            _ => (0x80, 0xBF),
        };
        (self.missing, self.value) = match byte {
            0xC2..=0xDF => (1, u32::from(byte & 0x1F)),
            0xE0..=0xEF => (2, u32::from(byte & 0x0F)),
            0xF0..=0xF4 => (3, u32::from(byte & 0x07)),
            _ => return Decoded::Char(char::REPLACEMENT_CHARACTER),
        };
        Decoded::Part
    }
}
