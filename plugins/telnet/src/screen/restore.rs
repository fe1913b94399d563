//! Repainting: the whole screen again, for a terminal that shows nothing of it.

use super::grid::{Cell, Glyph, Grid, Kind};
use super::modes::{Charset, Charsets, Tabs};
use super::style::Cluster;
use super::{Cursor, Screen, Style, sgr};

impl Screen {
    /// What makes a terminal that was just switched on, of the same size, show what this one shows:
    /// text, styles, both screens, modes, margins, tab stops, saved cursors, the cursor. What cannot
    /// be repainted: a sequence that was half sent, an alternate screen that is not shown, and that
    /// the next character wraps if the last column was erased since.
    #[must_use]
    pub fn restore(&self) -> Vec<u8> {
        let mut out = b"\x1b[r\x1b[m\x1b[H\x1b[2J".to_vec();
        self.paint(&self.primary, &mut out);
        if self.on_alternate {
            self.paint_margins(&mut out);
            self.paint_saved(0, self.alternate_by != 1049, &mut out);
            if self.alternate_by != 1049 {
                go(self.before_alternate, &mut out);
            }
            push(&mut out, &format!("\x1b[?{}h\x1b[?6l", self.alternate_by));
            push(&mut out, "\x0f\x1b(B\x1b)B\x1b[r\x1b[m\x1b[2J");
            self.paint(self.grid(), &mut out);
        }
        self.paint_margins(&mut out);
        self.paint_saved(usize::from(self.on_alternate), true, &mut out);
        self.paint_tabs(&mut out);
        self.paint_cursor(&mut out);
        self.paint_modes(&mut out);
        sgr::write(self.style, &mut out);
        paint_charsets(self.charsets, &mut out);
        out
    }

    /// All cells that are not as a blank screen has them.
    fn paint(&self, grid: &Grid, out: &mut Vec<u8>) {
        let mut style = Style::default();
        for row in 0..grid.rows() {
            let cells = grid.row(row);
            let wraps_in = row > 0 && grid.wrapped(row - 1) && {
                let end = grid.row(row - 1).last().copied();
                end.is_some_and(filled) && filled(cells[0])
            };
            // Where the terminal's cursor is, if it is in this row.
            let mut column = wraps_in.then_some(0);
            let mut at = 0;
            while let Some(cell) = cells.get(at) {
                let same = cells[at..].iter().take_while(|next| *next == cell).count();
                if cell.glyph() == Glyph::Nothing && cell.kind == Kind::Narrow {
                    if cell.style != 0 {
                        self.paint_to(row, at, &mut column, *cell, &mut style, out);
                        push(out, &format!("\x1b[{same}X"));
                    }
                    at += same;
                    continue;
                }
                if cell.kind != Kind::Continuation {
                    self.paint_to(row, at, &mut column, *cell, &mut style, out);
                    self.paint_glyph(*cell, out);
                    column = Some(at + 1 + usize::from(cell.kind == Kind::Wide));
                }
                at += 1;
            }
        }
        sgr::write(Style::default(), out);
    }

    /// Brings the terminal's cursor and style to a cell.
    fn paint_to(
        &self,
        row: u16,
        at: usize,
        column: &mut Option<usize>,
        cell: Cell,
        style: &mut Style,
        out: &mut Vec<u8>,
    ) {
        if *column != Some(at) {
            push(out, &format!("\x1b[{};{}H", row + 1, at + 1));
            *column = Some(at);
        }
        let wanted = self.styles.get(cell.style);
        if *style != wanted {
            sgr::write(wanted, out);
            *style = wanted;
        }
    }

    fn paint_glyph(&self, cell: Cell, out: &mut Vec<u8>) {
        match cell.glyph() {
            Glyph::Nothing => out.push(b' '),
            Glyph::Char(c) => self.paint_char(c, out),
            Glyph::Cluster(number) => {
                let text = self.clusters.get(number).map_or(" ", Cluster::text);
                text.chars().for_each(|c| self.paint_char(c, out));
            }
        }
    }

    fn paint_char(&self, c: char, out: &mut Vec<u8>) {
        if self.options.encoding.write(c, out) {
            return;
        }
        match Charset::graphics(c) {
            Some(byte) => {
                push(out, "\x1b(0");
                out.push(byte);
                push(out, "\x1b(B");
            }
            None => out.push(b'?'),
        }
    }

    fn paint_margins(&self, out: &mut Vec<u8>) {
        if self.margins != (0, self.rows - 1) {
            push(
                out,
                &format!("\x1b[{};{}r", self.margins.0 + 1, self.margins.1 + 1),
            );
        }
    }

    /// What DECSC kept; `save`: by DECSC, and not by the switch to the alternate screen that follows.
    fn paint_saved(&self, of: usize, save: bool, out: &mut Vec<u8>) {
        let saved = self.saved[of];
        let mut cursor = saved.cursor;
        if saved.origin {
            push(out, "\x1b[?6h");
            cursor.row = cursor.row.saturating_sub(self.margins.0);
        }
        go(cursor, out);
        sgr::write(saved.style, out);
        paint_charsets(saved.charsets, out);
        if save {
            push(out, "\x1b7\x0f\x1b(B\x1b)B\x1b[m\x1b[?6l");
        }
    }

    fn paint_tabs(&self, out: &mut Vec<u8>) {
        if self.tabs == Tabs::new(self.columns) {
            return;
        }
        push(out, "\x1b[3g");
        for column in (0..self.columns).filter(|column| self.tabs.is_set(*column)) {
            push(out, &format!("\x1b[{}G\x1bH", column + 1));
        }
    }

    /// The cursor, and that the next character wraps, which only writing to the last column can say.
    fn paint_cursor(&self, out: &mut Vec<u8>) {
        let Cursor {
            row,
            mut column,
            pending,
        } = self.cursor;
        let cells = self.grid().row(row);
        let mut last = cells[usize::from(column)];
        if pending && last.kind == Kind::Continuation && column > 0 {
            column -= 1;
            last = cells[usize::from(column)];
        }
        let rewritten = pending && last.glyph() != Glyph::Nothing;
        if !rewritten {
            column = self.cursor.column;
        }
        // In origin mode (set just before) rows count from the top margin.
        let mut top = 0;
        if self.modes.origin {
            push(out, "\x1b[?6h");
            top = self.margins.0;
        }
        push(
            out,
            &format!("\x1b[{};{}H", row.saturating_sub(top) + 1, column + 1),
        );
        if rewritten {
            sgr::write(self.styles.get(last.style), out);
            self.paint_glyph(last, out);
        }
    }

    fn paint_modes(&self, out: &mut Vec<u8>) {
        let modes = self.modes;
        for (set, sequence) in [
            (modes.insert, "\x1b[4h"),
            (modes.newline, "\x1b[20h"),
            (modes.application_cursor, "\x1b[?1h"),
            (modes.application_keypad, "\x1b="),
            (modes.reverse_video, "\x1b[?5h"),
            (!modes.autowrap, "\x1b[?7l"),
            (!modes.cursor_visible, "\x1b[?25l"),
        ] {
            if set {
                push(out, sequence);
            }
        }
        if modes.cursor_shape != 0 {
            push(out, &format!("\x1b[{} q", modes.cursor_shape));
        }
        self.touched.restore(usize::from(self.on_alternate), out);
    }
}

fn filled(cell: Cell) -> bool {
    cell.glyph() != Glyph::Nothing || cell.kind == Kind::Continuation
}

fn go(cursor: Cursor, out: &mut Vec<u8>) {
    push(
        out,
        &format!("\x1b[{};{}H", cursor.row + 1, cursor.column + 1),
    );
}

fn paint_charsets(charsets: Charsets, out: &mut Vec<u8>) {
    if charsets == Charsets::default() {
        return;
    }
    for (set, introducer) in charsets.sets.into_iter().zip(*b"()") {
        out.extend([0x1B, introducer, set.designation()]);
    }
    out.push(if charsets.shifted { 0x0E } else { 0x0F });
}

fn push(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}
