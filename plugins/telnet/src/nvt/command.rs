//! What follows an IAC: the commands of RFC 854, RFC 885 and RFC 1184, and the four verbs.

use std::fmt;

/// A command of one byte, which has nothing behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Command {
    /// End of file; RFC 1184 section 2.4.
    Eof = 236,
    /// Suspend the process; RFC 1184 section 2.4.
    Susp = 237,
    /// Abort the process; RFC 1184 section 2.4.
    Abort = 238,
    /// End of record; RFC 885.
    EndOfRecord = 239,
    /// No operation; RFC 854, as all that follow.
    Nop = 241,
    /// The place in the stream that urgent data ends at.
    DataMark = 242,
    /// The break key.
    Break = 243,
    /// Interrupt the process.
    Interrupt = 244,
    /// Throw away the output that is under way.
    AbortOutput = 245,
    /// "Are you there": a host prints something in answer.
    AreYouThere = 246,
    /// Erase the last character.
    EraseCharacter = 247,
    /// Erase the line.
    EraseLine = 248,
    /// Go ahead.
    GoAhead = 249,
}

impl Command {
    /// The command that `byte` stands for; `None` when it is none of these.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            236 => Self::Eof,
            237 => Self::Susp,
            238 => Self::Abort,
            239 => Self::EndOfRecord,
            241 => Self::Nop,
            242 => Self::DataMark,
            243 => Self::Break,
            244 => Self::Interrupt,
            245 => Self::AbortOutput,
            246 => Self::AreYouThere,
            247 => Self::EraseCharacter,
            248 => Self::EraseLine,
            249 => Self::GoAhead,
            _ => return None,
        })
    }

    /// The byte behind the IAC.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self as u8
    }
}

/// What is said of an option; RFC 854. `Will` and `Wont` are about who says them, `Do` and `Dont`
/// about who hears them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Verb {
    /// "I want to", or "yes, I do".
    Will = 251,
    /// "I do not".
    Wont = 252,
    /// "Please do", or "yes, you may".
    Do = 253,
    /// "You must not".
    Dont = 254,
}

impl Verb {
    /// The verb that `byte` stands for.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            251 => Self::Will,
            252 => Self::Wont,
            253 => Self::Do,
            254 => Self::Dont,
            _ => return None,
        })
    }

    /// The byte behind the IAC.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self as u8
    }

    /// Whether it is for the option.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        matches!(self, Self::Will | Self::Do)
    }

    /// Whether its speaker is the one who performs the option (`Will`, `Wont`).
    #[must_use]
    pub const fn is_about_speaker(self) -> bool {
        matches!(self, Self::Will | Self::Wont)
    }

    /// The word of one who performs the option.
    #[must_use]
    pub const fn of_performer(positive: bool) -> Self {
        if positive { Self::Will } else { Self::Wont }
    }

    /// The word of one whose peer performs the option.
    #[must_use]
    pub const fn of_other(positive: bool) -> Self {
        if positive { Self::Do } else { Self::Dont }
    }

    /// What refuses it when it asks for something, and acknowledges it when it ends something.
    #[must_use]
    pub const fn negative_answer(self) -> Self {
        if self.is_about_speaker() {
            Self::Dont
        } else {
            Self::Wont
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Will => "WILL",
            Self::Wont => "WONT",
            Self::Do => "DO",
            Self::Dont => "DONT",
        })
    }
}
