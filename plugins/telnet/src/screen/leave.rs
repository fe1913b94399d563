//! Leaving: what brings the user's terminal from whatever a lost host did to it to where a fresh shell
//! can begin; and the notice that says why.

use super::modes::{Charsets, Encoding, Modes, Mouse, MouseEncoding, Tabs};
use super::osc::COLORS;
use super::parser::State;
use super::{Cursor, Screen, Style};

/// So many private modes that mean nothing to the Screen are remembered.
const MAX_OTHERS: usize = 32;

/// What was switched that the Screen has no use for but has to switch back.
#[derive(Debug, Clone, Default)]
pub(super) struct Touched {
    /// Private modes that were set, in their order: those of the mouse and those not known here.
    set: Vec<u16>,
    /// DECARM was reset: keys do not repeat.
    no_repeat: bool,
    /// modifyOtherKeys.
    pub(super) modify_keys: bool,
    /// Of the primary and of the alternate screen.
    pub(super) keyboard: [Keyboard; 2],
}

/// Kitty's keyboard flags.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Keyboard {
    pub(super) pushed: u8,
    pub(super) set: bool,
}

impl Touched {
    /// Remembers a private mode. `known`: the Screen has it among its modes.
    pub(super) fn private(&mut self, mode: u16, on: bool, known: bool) {
        match mode {
            // DECANM, DECCOLM and its permission: they clear the screen, and xterm does not heed them.
            2 | 3 | 40 => {}
            8 => self.no_repeat = !on,
            1 | 5 | 7 | 25 | 66 => {}
            _ => {
                self.set.retain(|set| *set != mode);
                if on && (known || self.set.len() < MAX_OTHERS) {
                    self.set.push(mode);
                }
            }
        }
    }

    /// Writes what sets all of it again, on the primary (0) or alternate (1) screen.
    pub(super) fn restore(&self, screen: usize, out: &mut Vec<u8>) {
        for mode in &self.set {
            push(out, &format!("\x1b[?{mode}h"));
        }
        if self.no_repeat {
            push(out, "\x1b[?8l");
        }
        if self.modify_keys {
            push(out, "\x1b[>4;2m");
        }
        for _ in 0..self.keyboard[screen].pushed {
            push(out, "\x1b[>1u");
        }
    }

    /// Bytes on the heap.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.set.capacity() * size_of::<u16>()
    }
}

impl Screen {
    /// What has to be written to the terminal so that a fresh shell finds it sane, without clearing
    /// what is on it: a sequence or character that was half sent is ended, the alternate screen left
    /// (the cursor is where it was before), the modes, margins, character sets, attributes and tab
    /// stops are a terminal's usual ones, hyperlink and colours undone, the cursor is shown. Only what
    /// is not so already is said: empty for a sane terminal.
    ///
    /// Like all that is written to the terminal it has to be fed as well.
    #[must_use]
    pub fn leave(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.end_sequence(&mut out);
        if self.utf8.is_partial() {
            // The terminal shows U+FFFD for it, and its cursor moves: so does that of a copy.
            let mut after = self.clone();
            after.put(char::REPLACEMENT_CHARACTER);
            after.utf8.reset();
            out.push(0x18);
            after.leave_ended(&mut out);
        } else {
            self.leave_ended(&mut out);
        }
        out
    }

    fn end_sequence(&self, out: &mut Vec<u8>) {
        match self.parser.state() {
            State::Ground => {}
            State::Escape
            | State::EscapeIntermediate
            | State::CsiEntry
            | State::Csi
            | State::CsiIntermediate
            | State::CsiIgnore => out.push(0x18),
            // Some terminals do not end a string at CAN.
            State::Osc | State::OscEscape | State::Text | State::TextEscape => {
                out.extend_from_slice(b"\x18\x1b\\");
            }
        }
    }

    /// The rest, for a terminal that is not within a sequence.
    fn leave_ended(&self, out: &mut Vec<u8>) {
        let target = self.leave_cursor();
        let mut moved = false;
        if self.touched.modify_keys {
            push(out, "\x1b[>4;0m");
        }
        if self.on_alternate {
            self.leave_keyboard(true, out);
            push(out, &format!("\x1b[?{}l", self.alternate_by));
            moved = true;
        }
        self.leave_keyboard(false, out);
        moved |= self.leave_modes(out);
        if self.margins != (0, self.rows - 1) {
            push(out, "\x1b[r");
            moved = true;
        }
        if self.charsets != Charsets::default() || self.saved_is_odd() {
            push(out, "\x0f\x1b(B\x1b)B");
        }
        if self.encoding != self.options.encoding {
            push(
                out,
                match self.options.encoding {
                    Encoding::Utf8 => "\x1b%G",
                    Encoding::Latin1 | Encoding::Cp437 => "\x1b%@",
                },
            );
        }
        if self.style != Style::default() || self.saved_is_odd() {
            push(out, "\x1b[m");
        }
        if self.said.link {
            push(out, "\x1b]8;;\x1b\\");
        }
        for (bit, (_, reset)) in COLORS.iter().enumerate() {
            if self.said.colors & (1 << bit) != 0 {
                push(out, &format!("\x1b]{reset}\x1b\\"));
            }
        }
        if self.tabs != Tabs::new(self.columns) {
            push(out, "\x1b[3g");
            for column in (8..self.columns).step_by(8) {
                push(out, &format!("\x1b[{}G\x1bH", column + 1));
            }
            moved = true;
        }
        if moved {
            push(
                out,
                &format!("\x1b[{};{}H", target.row + 1, target.column + 1),
            );
        }
    }

    /// Leaving the alternate screen by 1049 restores what was saved with it.
    fn saved_is_odd(&self) -> bool {
        let saved = self.saved[0];
        let odd = saved.charsets != Charsets::default() || saved.style != Style::default();
        self.on_alternate && self.alternate_by == 1049 && odd
    }

    /// Where the cursor is left.
    pub(super) fn leave_cursor(&self) -> Cursor {
        if self.on_alternate {
            self.before_alternate
        } else {
            self.cursor
        }
    }

    /// Kitty's flags, which each screen has for itself: those of the one that is shown.
    fn leave_keyboard(&self, alternate: bool, out: &mut Vec<u8>) {
        let keys = self.touched.keyboard[usize::from(alternate)];
        if keys.pushed > 0 {
            push(out, &format!("\x1b[<{}u", keys.pushed));
        }
        if keys.set {
            push(out, "\x1b[=0u");
        }
    }

    /// Returns whether the cursor may have moved.
    fn leave_modes(&self, out: &mut Vec<u8>) -> bool {
        let Modes {
            application_cursor,
            application_keypad,
            autowrap,
            bracketed_paste: _,
            cursor_shape,
            cursor_visible,
            focus: _,
            insert,
            newline,
            origin,
            reverse_video,
            mouse,
            mouse_encoding,
        } = self.modes;
        // Leaving the alternate screen may bring a saved origin mode back.
        let origin = origin || (self.on_alternate && self.saved[0].origin);
        let touched = &self.touched;
        for mode in &touched.set {
            push(out, &format!("\x1b[?{mode}l"));
        }
        debug_assert!(mouse == Mouse::Off || !touched.set.is_empty());
        debug_assert!(mouse_encoding == MouseEncoding::Bytes || !touched.set.is_empty());
        for (wrong, sequence) in [
            (insert, "\x1b[4l"),
            (newline, "\x1b[20l"),
            (application_cursor, "\x1b[?1l"),
            (application_keypad, "\x1b>"),
            (reverse_video, "\x1b[?5l"),
            (origin, "\x1b[?6l"),
            (!autowrap, "\x1b[?7h"),
            (touched.no_repeat, "\x1b[?8h"),
            (!cursor_visible, "\x1b[?25h"),
            (cursor_shape != 0, "\x1b[0 q"),
        ] {
            if wrong {
                push(out, sequence);
            }
        }
        origin
    }

    /// One line that tells the user something, on a line of its own below all that is on the primary
    /// screen; the cursor stands at the beginning of the line after it. Begins with what
    /// [`Screen::leave`] has to say. Whatever is not printable ASCII in `text` is shown as `?`, so that
    /// no host name and no message can be a control sequence in any encoding; what does not fit on one
    /// line is left out. Has to be fed as well.
    #[must_use]
    pub fn notice(&self, text: &str) -> Vec<u8> {
        let mut out = self.leave();
        let mut after = self.clone();
        after.feed(&out);
        let cursor = after.cursor;
        let last = after.primary.last_used_row();
        if let Some(last) = last.filter(|last| *last > cursor.row) {
            push(&mut out, &format!("\x1b[{};1H", last + 1));
        }
        if cursor.column > 0 || last.is_some_and(|last| last >= cursor.row) {
            push(&mut out, "\r\n");
        }
        // The last column stays free: not every terminal waits for the next character to wrap.
        let width = usize::from(self.columns - 1).max(1);
        out.extend(text.chars().take(width).map(|c| {
            let printable = u8::try_from(c)
                .ok()
                .filter(|byte| (0x20..0x7F).contains(byte));
            printable.unwrap_or(b'?')
        }));
        push(&mut out, "\r\n");
        out
    }
}

fn push(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}
