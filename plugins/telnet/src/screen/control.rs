//! What controls, escape sequences and control sequences do.

use super::Screen;
use super::cursor::Saved;
use super::grid::Cell;
use super::modes::{Charset, Charsets, Encoding, Modes, Tabs};
use super::parser::Action;
use super::sgr;

impl Screen {
    /// Takes a byte that is not text.
    pub(super) fn step(&mut self, byte: u8) {
        match self.parser.step(byte, self.encoding.has_c1()) {
            Action::None => {}
            Action::Control(byte) => self.control(byte),
            Action::Escape(by) => self.escape(by),
            Action::Csi(by) => self.csi(by),
            Action::Osc => {
                if let Some(osc) = self.parser.take_osc() {
                    self.said.take(&osc);
                }
            }
        }
    }

    /// A C0 control.
    pub(super) fn control(&mut self, byte: u8) {
        match byte {
            0x08 => {
                self.cursor.column = self.cursor.column.saturating_sub(1);
                self.cursor.pending = false;
            }
            0x09 => self.tab(1),
            0x0A..=0x0C => {
                self.index();
                if self.modes.newline {
                    self.cursor.column = 0;
                }
            }
            0x0D => {
                self.cursor.column = 0;
                self.cursor.pending = false;
            }
            0x0E => self.charsets.shifted = true,
            0x0F => self.charsets.shifted = false,
            _ => {} // BEL, NUL, ENQ and the rest leave no trace
        }
    }

    fn escape(&mut self, by: u8) {
        match (self.parser.intermediate, by) {
            (0, b'7') => self.save(),
            (0, b'8') => self.restore_cursor(),
            (0, b'=') => self.modes.application_keypad = true,
            (0, b'>') => self.modes.application_keypad = false,
            (0, b'D') => self.index(),
            (0, b'E') => {
                self.index();
                self.cursor.column = 0;
            }
            (0, b'H') => self.tabs.set(self.cursor.column, true),
            (0, b'M') => self.reverse_index(),
            (0, b'c') => self.reset(),
            (b'(', by) => self.charsets.sets[0] = Charset::designated(by),
            (b')', by) => self.charsets.sets[1] = Charset::designated(by),
            (b'#', b'8') => self.align(),
            (b'%', b'G') => self.switch_encoding(Encoding::Utf8),
            (b'%', b'@') if self.encoding == Encoding::Utf8 => {
                self.switch_encoding(match self.options.encoding {
                    Encoding::Utf8 => Encoding::Latin1,
                    own @ (Encoding::Latin1 | Encoding::Cp437) => own,
                });
            }
            _ => {}
        }
    }

    fn switch_encoding(&mut self, encoding: Encoding) {
        self.encoding = encoding;
        self.utf8.reset();
    }

    fn csi(&mut self, by: u8) {
        let count = self.parser.parameters.count(0);
        match (self.parser.private, self.parser.intermediate) {
            (0, 0) => self.csi_plain(by, count),
            (b'?', 0) => match by {
                b'h' | b'l' => self.private_modes(by == b'h'),
                b'J' => self.erase_display(self.parser.parameters.get(0)),
                b'K' => self.erase_line(self.parser.parameters.get(0)),
                _ => {}
            },
            (0, b' ') if by == b'q' => {
                if let Ok(shape @ 0..=6) = u8::try_from(self.parser.parameters.get(0)) {
                    self.modes.cursor_shape = shape;
                }
            }
            (0, b'!') if by == b'p' => self.soft_reset(),
            (b'>' | b'<' | b'=', 0) => self.keyboard(by),
            _ => {}
        }
    }

    fn csi_plain(&mut self, by: u8, count: u16) {
        let (row, column) = (self.cursor.row, self.cursor.column);
        match by {
            b'@' => self.insert_cells(count),
            b'A' => self.up(count),
            b'B' | b'e' => self.down(count),
            b'C' | b'a' => self.go_to_column(column.saturating_add(count)),
            b'D' => self.go_to_column(column.saturating_sub(count)),
            b'E' => {
                self.down(count);
                self.go_to_column(0);
            }
            b'F' => {
                self.up(count);
                self.go_to_column(0);
            }
            b'G' | b'`' => self.go_to_column(count - 1),
            b'H' | b'f' => self.move_to(count - 1, self.parser.parameters.count(1) - 1),
            b'I' => self.tab(count),
            b'Z' => self.tab_back(count),
            b'J' => self.erase_display(self.parser.parameters.get(0)),
            b'K' => self.erase_line(self.parser.parameters.get(0)),
            b'L' => self.insert_lines(count),
            b'M' => self.delete_lines(count),
            b'P' => {
                let blank = self.blank;
                self.grid_mut().delete(row, column, count, blank);
                self.cursor.pending = false;
            }
            b'S' => self.scroll_up(count),
            b'T' if self.parser.parameters.len() == 1 => self.scroll_down(count),
            b'X' => self.erase(row, column, column.saturating_add(count)),
            b'b' => self.repeat(count),
            b'd' => self.move_to(count - 1, column),
            b'g' => match self.parser.parameters.get(0) {
                0 => self.tabs.set(column, false),
                3 => self.tabs = Tabs::none(self.columns),
                _ => {}
            },
            b'h' | b'l' => self.ansi_modes(by == b'h'),
            b'm' => {
                let mut style = self.style;
                sgr::apply(&self.parser.parameters, &mut style);
                self.set_style(style);
            }
            b'r' => self.set_margins(),
            b's' => self.save(),
            b'u' => self.restore_cursor(),
            _ => {}
        }
    }

    fn ansi_modes(&mut self, on: bool) {
        let parameters = self.parser.parameters;
        for mode in parameters.iter() {
            match mode[0] {
                4 => self.modes.insert = on,
                20 => self.modes.newline = on,
                _ => {}
            }
        }
    }

    fn private_modes(&mut self, on: bool) {
        let parameters = self.parser.parameters;
        for mode in parameters.iter() {
            let mode = mode[0];
            match mode {
                6 => {
                    self.modes.origin = on;
                    self.move_to(0, 0);
                }
                47 | 1047 | 1049 if on => self.enter_alternate(mode),
                47 | 1047 | 1049 => self.leave_alternate(mode),
                1048 if on => self.save(),
                1048 => self.restore_cursor(),
                _ => {
                    let known = self.modes.set_private(mode, on);
                    self.touched.private(mode, on, known);
                }
            }
        }
    }

    /// xterm's modifyOtherKeys (CSI > 4 ; n m) and kitty's keyboard flags (CSI > u, < u, = u).
    fn keyboard(&mut self, by: u8) {
        let (first, second) = (self.parser.parameters.get(0), self.parser.parameters.get(1));
        let count = u8::try_from(self.parser.parameters.count(0)).unwrap_or(u8::MAX);
        let keys = &mut self.touched.keyboard[usize::from(self.on_alternate)];
        match (self.parser.private, by) {
            (b'>', b'm') if first == 4 => self.touched.modify_keys = second != 0,
            (b'>', b'n') if first == 4 => self.touched.modify_keys = true,
            (b'>', b'u') => keys.pushed = keys.pushed.saturating_add(1),
            (b'<', b'u') => keys.pushed = keys.pushed.saturating_sub(count),
            (b'=', b'u') => keys.set = first != 0,
            _ => {}
        }
    }

    /// REP. Once the screen is full of the character, only the cursor's column still changes: full rows
    /// beyond two screens are left out, so that nine bytes cannot cost 65,535 characters.
    fn repeat(&mut self, count: u16) {
        let Some(c) = self.last else { return };
        let width = u32::from(Self::width(c).clamp(1, 2));
        let a_row = (u32::from(self.columns) / width).max(1);
        let enough = 2 * a_row * u32::from(self.rows);
        let count = u32::from(count);
        let count = if count > enough {
            enough + (count - enough) % a_row
        } else {
            count
        };
        for _ in 0..count {
            self.put(c);
        }
    }

    fn insert_cells(&mut self, count: u16) {
        let (row, column, blank) = (self.cursor.row, self.cursor.column, self.blank);
        self.grid_mut().insert(row, column, count, blank);
        self.cursor.pending = false;
    }

    fn insert_lines(&mut self, count: u16) {
        let (row, bottom, blank) = (self.cursor.row, self.margins.1, self.blank);
        if (self.margins.0..=bottom).contains(&row) {
            self.grid_mut().scroll_down(row, bottom, count, blank);
        }
    }

    fn delete_lines(&mut self, count: u16) {
        let (row, bottom, blank) = (self.cursor.row, self.margins.1, self.blank);
        if (self.margins.0..=bottom).contains(&row) {
            self.grid_mut().scroll_up(row, bottom, count, blank);
        }
    }

    fn scroll_up(&mut self, count: u16) {
        let ((top, bottom), blank) = (self.margins, self.blank);
        self.grid_mut().scroll_up(top, bottom, count, blank);
    }

    fn scroll_down(&mut self, count: u16) {
        let ((top, bottom), blank) = (self.margins, self.blank);
        self.grid_mut().scroll_down(top, bottom, count, blank);
    }

    /// IND: a row down, scrolling at the bottom margin.
    pub(super) fn index(&mut self) {
        self.cursor.pending = false;
        if self.cursor.row == self.margins.1 {
            self.scroll_up(1);
        } else if self.cursor.row + 1 < self.rows {
            self.cursor.row += 1;
        }
    }

    /// RI: a row up, scrolling at the top margin.
    fn reverse_index(&mut self) {
        self.cursor.pending = false;
        if self.cursor.row == self.margins.0 {
            self.scroll_down(1);
        } else {
            self.cursor.row = self.cursor.row.saturating_sub(1);
        }
    }

    fn erase(&mut self, row: u16, from: u16, to: u16) {
        let blank = self.blank;
        self.grid_mut().erase(row, from, to, blank);
        self.cursor.pending = false;
    }

    fn erase_line(&mut self, what: u16) {
        let (row, column) = (self.cursor.row, self.cursor.column);
        match what {
            0 => self.erase(row, column, self.columns),
            1 => self.erase(row, 0, column + 1),
            2 => self.erase(row, 0, self.columns),
            _ => {}
        }
    }

    fn erase_display(&mut self, what: u16) {
        let (row, rows, blank) = (self.cursor.row, self.rows, self.blank);
        match what {
            0 => {
                self.erase_line(0);
                self.grid_mut().erase_rows(row + 1..rows, blank);
            }
            1 => {
                self.erase_line(1);
                self.grid_mut().erase_rows(0..row, blank);
            }
            2 => {
                self.grid_mut().erase_rows(0..rows, blank);
                self.cursor.pending = false;
            }
            _ => {} // 3 is the scrollback, which is the terminal's own
        }
    }

    /// DECALN: the screen full of E.
    fn align(&mut self) {
        self.margins = (0, self.rows - 1);
        self.modes.origin = false;
        self.move_to(0, 0);
        let rows = self.rows;
        let grid = self.grid_mut();
        grid.cells_mut()
            .fill(Cell::new('E', 0, super::grid::Kind::Narrow));
        for row in 0..rows {
            grid.set_wrapped(row, false);
        }
    }

    fn enter_alternate(&mut self, mode: u16) {
        if self.on_alternate {
            return;
        }
        if mode == 1049 {
            self.save();
        }
        self.before_alternate = self.cursor;
        self.alternate_by = mode;
        self.on_alternate = true;
        let blank = self.blank;
        let grid = self.alternate_mut();
        if mode == 1049 {
            grid.erase_rows(0..grid.rows(), blank);
        }
    }

    fn leave_alternate(&mut self, mode: u16) {
        self.on_alternate = false;
        if mode != 47 {
            self.alternate = None; // xterm clears it: on the way out (1047) or on the way in (1049)
        }
        if mode == 1049 {
            self.restore_cursor();
        }
    }

    /// DECSTR.
    fn soft_reset(&mut self) {
        self.modes = Modes {
            bracketed_paste: self.modes.bracketed_paste,
            cursor_shape: self.modes.cursor_shape,
            focus: self.modes.focus,
            mouse: self.modes.mouse,
            mouse_encoding: self.modes.mouse_encoding,
            newline: self.modes.newline,
            reverse_video: self.modes.reverse_video,
            ..Modes::default()
        };
        self.margins = (0, self.rows - 1);
        self.charsets = Charsets::default();
        self.set_style(super::Style::default());
        self.saved[usize::from(self.on_alternate)] = Saved::default();
    }

    /// RIS: everything but what the shell said.
    fn reset(&mut self) {
        let mut new = Self::with_options(self.columns, self.rows, self.options);
        std::mem::swap(&mut new.said, &mut self.said);
        std::mem::swap(&mut new.filter, &mut self.filter);
        new.said.link = false;
        new.said.colors = 0;
        new.said.title = None;
        *self = new;
    }
}
