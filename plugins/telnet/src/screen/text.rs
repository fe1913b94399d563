//! Text on the grid: where it goes, what wraps, and what need not be looked at because it scrolls away.

use memchr::{memchr3, memrchr, memrchr_iter};
use unicode_width::UnicodeWidthChar;

use super::Screen;
use super::grid::Kind;
use super::modes::{Charset, Encoding};
use super::parser::Decoded;
use super::style::Cluster;

/// Shorter runs are not worth a look at what of them will stay.
const SKIP_FROM: usize = 1024;

impl Screen {
    /// Takes what is before the next ESC, SO or SI, then that. Returns how much was taken.
    pub(super) fn feed_ground(&mut self, bytes: &[u8]) -> usize {
        if self.utf8.is_partial() {
            return usize::from(self.high_byte(bytes[0]));
        }
        let end = memchr3(0x1B, 0x0E, 0x0F, bytes).unwrap_or(bytes.len());
        if end == 0 {
            self.step(bytes[0]);
            return 1;
        }
        let skipped = self.scrolls_away(&bytes[..end]);
        skipped + self.text(&bytes[skipped..end])
    }

    /// How many bytes at the beginning of `run`, which has no ESC, SO and SI, leave no trace.
    ///
    /// Without margins each LF goes a row down or scrolls, and nothing in such a run goes up. So after
    /// as many LFs as bring the cursor to the last row and then scroll every row away, only what came
    /// since the first of them is seen; and it begins at a CR, so that the column is known too. A
    /// printable character has to be in the rest, since REP would repeat the last one.
    fn scrolls_away(&self, run: &[u8]) -> usize {
        if run.len() < SKIP_FROM || self.margins != (0, self.rows - 1) {
            return 0;
        }
        if self.encoding.has_c1() && run.iter().any(|byte| (0x80..=0x9F).contains(byte)) {
            return 0;
        }
        let enough = usize::from(self.rows) + usize::from(self.rows - 1 - self.cursor.row);
        let Some(lf) = memrchr_iter(b'\n', run).nth(enough - 1) else {
            return 0;
        };
        let Some(start) = memrchr(b'\r', &run[..lf]) else {
            return 0;
        };
        let printable = run[start..].iter().any(|byte| (0x20..0x7F).contains(byte));
        if printable { start } else { 0 }
    }

    /// Takes a run without ESC, SO and SI. Stops after a C1 control; returns how much was taken.
    fn text(&mut self, run: &[u8]) -> usize {
        let mut at = 0;
        while let Some(&byte) = run.get(at) {
            match byte {
                0x20..=0x7E => {
                    let rest = &run[at..];
                    let len = rest
                        .iter()
                        .position(|byte| !(0x20..=0x7E).contains(byte))
                        .unwrap_or(rest.len());
                    self.ascii(&rest[..len]);
                    at += len;
                }
                0x00..=0x1F => {
                    self.control(byte);
                    at += 1;
                }
                0x7F => at += 1,
                0x80..=0x9F if self.encoding.has_c1() => {
                    self.step(byte);
                    return at + 1;
                }
                0x80.. => {
                    if self.high_byte(byte) {
                        at += 1;
                    }
                    while self.utf8.is_partial() && at < run.len() {
                        if self.high_byte(run[at]) {
                            at += 1;
                        }
                    }
                }
            }
        }
        at
    }

    /// Takes a byte of 0x80 and more, or any while a UTF-8 character is unfinished. `false` if that
    /// one broke off before this byte.
    fn high_byte(&mut self, byte: u8) -> bool {
        if self.encoding != Encoding::Utf8 {
            self.put(self.encoding.character(byte));
            return true;
        }
        match self.utf8.push(byte) {
            Decoded::Part => true,
            Decoded::Char(c) => {
                self.put(c);
                true
            }
            Decoded::BrokenOff => {
                self.put(char::REPLACEMENT_CHARACTER);
                false
            }
        }
    }

    /// Printable ASCII.
    fn ascii(&mut self, mut text: &[u8]) {
        let charset = self.charsets.current();
        if charset != Charset::Ascii || self.modes.insert {
            for byte in text {
                self.put(charset.map(*byte));
            }
            return;
        }
        while let Some(last) = text.last() {
            if self.cursor.pending {
                if self.modes.autowrap {
                    self.wrap();
                } else {
                    text = std::slice::from_ref(last);
                }
            }
            let room = usize::from(self.columns - self.cursor.column);
            let (now, later) = text.split_at(room.min(text.len()));
            let (row, column, style) = (self.cursor.row, self.cursor.column, self.pen);
            self.grid_mut().write_ascii(row, column, now, style);
            self.advance(u16::try_from(now.len()).unwrap_or(u16::MAX));
            self.last = now.last().map(|byte| char::from(*byte));
            text = later;
        }
    }

    /// The columns that `c` takes.
    pub(super) fn width(c: char) -> u16 {
        u16::try_from(c.width().unwrap_or(0)).unwrap_or(0)
    }

    /// One character, already mapped by its set.
    pub(super) fn put(&mut self, c: char) {
        let Some(width) = c.width() else {
            return; // a control that came as UTF-8 is none to xterm
        };
        if width == 0 {
            self.combine(c);
            return;
        }
        let wide = width > 1;
        let width = 1 + u16::from(wide);
        if width > self.columns {
            return;
        }
        let full = self.cursor.pending || self.cursor.column + width > self.columns;
        if full && self.modes.autowrap {
            self.wrap();
        } else if full {
            self.cursor.column = self.columns - width;
        }
        let (row, column, style) = (self.cursor.row, self.cursor.column, self.pen);
        if self.modes.insert {
            let blank = self.blank;
            self.grid_mut().insert(row, column, width, blank);
        }
        self.grid_mut().write(row, column, c, wide, style);
        self.advance(width);
        self.last = Some(c);
    }

    /// Adds a mark to the character before the cursor.
    fn combine(&mut self, mark: char) {
        let Some(mut column) = (match (self.cursor.pending, self.cursor.column) {
            (true, column) => Some(column),
            (false, column) => column.checked_sub(1),
        }) else {
            return;
        };
        let row = self.cursor.row;
        let kind = |screen: &Self, at: u16| screen.grid().row(row)[usize::from(at)].kind;
        if kind(self, column) == Kind::Continuation && column > 0 {
            column -= 1;
        }
        self.mark_cell(row, column, mark);
    }

    fn mark_cell(&mut self, row: u16, column: u16, mark: char) {
        use super::grid::Glyph;
        let at = usize::from(column);
        let base = match self.grid().row(row)[at].glyph() {
            Glyph::Cluster(number) => {
                if let Some(cluster) = self.clusters.get_mut(number) {
                    cluster.push(mark);
                }
                return;
            }
            Glyph::Char(c) => c,
            Glyph::Nothing => ' ',
        };
        if self.clusters.len() >= self.table_limit() {
            self.sweep_clusters();
        }
        let mut cluster = Cluster::new(base);
        cluster.push(mark);
        let number = self.clusters.len();
        self.clusters.push(cluster);
        self.grid_mut().row_mut(row)[at].set_cluster(number);
    }

    /// Moves the cursor over what was written.
    fn advance(&mut self, width: u16) {
        let column = self.cursor.column + width;
        self.cursor.pending = column >= self.columns;
        self.cursor.column = column.min(self.columns - 1);
    }

    /// The next row, because this one is full.
    fn wrap(&mut self) {
        let row = self.cursor.row;
        let moves = row == self.margins.1 || row + 1 < self.rows;
        if moves {
            self.grid_mut().set_wrapped(row, true);
        }
        self.cursor.column = 0;
        self.index();
    }
}
