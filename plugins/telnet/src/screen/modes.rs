//! Modes, character sets and tab stops: what a program switches and the next one would suffer from.

/// What the terminal reports of the mouse.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mouse {
    /// Nothing.
    #[default]
    Off,
    /// Presses (mode 9, X10).
    Press,
    /// Presses and releases (1000).
    PressRelease,
    /// Also motion while a button is down (1002).
    ButtonMotion,
    /// All motion (1003).
    AnyMotion,
}

/// How the mouse's reports are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MouseEncoding {
    /// One byte a coordinate.
    #[default]
    Bytes,
    /// UTF-8 (mode 1005).
    Utf8,
    /// SGR (1006).
    Sgr,
    /// urxvt (1015).
    Urxvt,
}

/// The modes that a program may set. [`Modes::default`] is how a terminal starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Modes {
    /// DECCKM: cursor keys send ESC O.
    pub application_cursor: bool,
    /// DECKPAM.
    pub application_keypad: bool,
    /// DECAWM: text goes on in the next row.
    pub autowrap: bool,
    /// Mode 2004.
    pub bracketed_paste: bool,
    /// DECSCUSR: 0 is the terminal's own, up to 6.
    pub cursor_shape: u8,
    /// DECTCEM.
    pub cursor_visible: bool,
    /// Mode 1004: focus is reported.
    pub focus: bool,
    /// IRM.
    pub insert: bool,
    /// LNM: LF is CR LF.
    pub newline: bool,
    /// DECOM.
    pub origin: bool,
    /// DECSCNM: the whole screen inverted.
    pub reverse_video: bool,
    /// What is reported of the mouse.
    pub mouse: Mouse,
    /// And how.
    pub mouse_encoding: MouseEncoding,
}

impl Default for Modes {
    fn default() -> Self {
        Self {
            application_cursor: false,
            application_keypad: false,
            autowrap: true,
            bracketed_paste: false,
            cursor_shape: 0,
            cursor_visible: true,
            focus: false,
            insert: false,
            newline: false,
            origin: false,
            reverse_video: false,
            mouse: Mouse::Off,
            mouse_encoding: MouseEncoding::Bytes,
        }
    }
}

impl Modes {
    /// Sets or resets a DEC private mode that has nothing but a field here. `false` if it has none.
    pub(super) fn set_private(&mut self, mode: u16, on: bool) -> bool {
        match mode {
            1 => self.application_cursor = on,
            5 => self.reverse_video = on,
            7 => self.autowrap = on,
            25 => self.cursor_visible = on,
            66 => self.application_keypad = on,
            1004 => self.focus = on,
            2004 => self.bracketed_paste = on,
            9 | 1000 | 1002 | 1003 => {
                self.mouse = match mode {
                    // xterm knows one kind at a time: a reset of any ends it.
                    _ if !on => Mouse::Off,
                    9 => Mouse::Press,
                    1000 => Mouse::PressRelease,
                    1002 => Mouse::ButtonMotion,
                    _ => Mouse::AnyMotion,
                }
            }
            1005 | 1006 | 1015 => {
                self.mouse_encoding = match mode {
                    _ if !on => MouseEncoding::Bytes,
                    1005 => MouseEncoding::Utf8,
                    1006 => MouseEncoding::Sgr,
                    _ => MouseEncoding::Urxvt,
                }
            }
            _ => return false,
        }
        true
    }
}

/// How bytes of 0x80 and more are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// ISO 8859-1; 0x80 to 0x9F are the C1 controls.
    Latin1,
    /// IBM code page 437, as bulletin boards send it: every byte from 0x80 on is a character.
    Cp437,
}

const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

impl Encoding {
    /// Whether 0x80 to 0x9F are controls.
    pub(super) fn has_c1(self) -> bool {
        self == Self::Latin1
    }

    /// The character of a byte of 0x80 and more, in an encoding of one byte each.
    pub(super) fn character(self, byte: u8) -> char {
        match self {
            Self::Utf8 | Self::Latin1 => char::from(byte),
            Self::Cp437 => CP437
                .chars()
                .nth(usize::from(byte & 0x7F))
                .unwrap_or(char::REPLACEMENT_CHARACTER),
        }
    }

    /// Writes `c` as this encoding does; `false` if it cannot.
    pub(super) fn write(self, c: char, to: &mut Vec<u8>) -> bool {
        let byte = match self {
            Self::Utf8 => {
                to.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return true;
            }
            _ if c.is_ascii() => u8::try_from(c).ok(),
            Self::Latin1 => u8::try_from(c).ok().filter(|byte| *byte >= 0xA0),
            Self::Cp437 => CP437
                .chars()
                .position(|known| known == c)
                .and_then(|at| u8::try_from(at + 0x80).ok()),
        };
        to.extend(byte);
        byte.is_some()
    }
}

/// A set of characters that an escape sequence designated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Charset {
    #[default]
    Ascii,
    /// DEC special graphics: lines and corners.
    Graphics,
    /// United Kingdom: `#` is the pound sign.
    Uk,
}

/// DEC special graphics from 0x5F on.
const GRAPHICS: &str = "\u{a0}◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·";

impl Charset {
    pub(super) fn map(self, byte: u8) -> char {
        let c = char::from(byte);
        match self {
            Self::Graphics if byte >= 0x5F => {
                GRAPHICS.chars().nth(usize::from(byte - 0x5F)).unwrap_or(c)
            }
            Self::Uk if byte == b'#' => '£',
            Self::Ascii | Self::Graphics | Self::Uk => c,
        }
    }

    /// The byte that DEC special graphics has for `c`.
    pub(super) fn graphics(c: char) -> Option<u8> {
        let at = GRAPHICS.chars().position(|known| known == c)?;
        u8::try_from(at).ok().map(|at| at + 0x5F)
    }

    /// By the final byte of the sequence that designates it.
    pub(super) fn designated(by: u8) -> Self {
        match by {
            b'0' => Self::Graphics,
            b'A' => Self::Uk,
            _ => Self::Ascii,
        }
    }

    /// The final byte of the sequence that designates it.
    pub(super) fn designation(self) -> u8 {
        match self {
            Self::Ascii => b'B',
            Self::Graphics => b'0',
            Self::Uk => b'A',
        }
    }
}

/// G0 and G1, and which of them is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Charsets {
    pub(super) sets: [Charset; 2],
    /// SO was read: G1.
    pub(super) shifted: bool,
}

impl Charsets {
    pub(super) fn current(self) -> Charset {
        self.sets[usize::from(self.shifted)]
    }
}

/// Where tabs stop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Tabs(Vec<u64>);

impl Tabs {
    /// Every eighth column.
    pub(super) fn new(columns: u16) -> Self {
        let mut tabs = Self::none(columns);
        for column in (8..columns).step_by(8) {
            tabs.set(column, true);
        }
        tabs
    }

    pub(super) fn none(columns: u16) -> Self {
        Self(vec![0; usize::from(columns).div_ceil(64)])
    }

    pub(super) fn set(&mut self, column: u16, on: bool) {
        if let Some(word) = self.0.get_mut(usize::from(column / 64)) {
            let bit = 1 << (column % 64);
            *word = if on { *word | bit } else { *word & !bit };
        }
    }

    pub(super) fn is_set(&self, column: u16) -> bool {
        self.0
            .get(usize::from(column / 64))
            .is_some_and(|word| word & (1 << (column % 64)) != 0)
    }

    /// Another width: what was set stays, new columns have the usual stops.
    pub(super) fn resize(&mut self, old: u16, new: u16) {
        let mut tabs = Self::new(new);
        for column in 0..old.min(new) {
            tabs.set(column, self.is_set(column));
        }
        *self = tabs;
    }

    /// Bytes on the heap.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.0.capacity() * size_of::<u64>()
    }
}
