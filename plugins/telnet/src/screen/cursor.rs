//! The cursor: where it is, where it may go, how it is kept.

use super::Screen;
use super::modes::Charsets;
use super::style::Style;

/// Where the next character goes; counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cursor {
    /// From the top.
    pub row: u16,
    /// From the left.
    pub column: u16,
    /// The last column was written: the next character wraps first.
    pub pending: bool,
}

/// What DECSC keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Saved {
    pub(super) cursor: Cursor,
    pub(super) style: Style,
    pub(super) charsets: Charsets,
    pub(super) origin: bool,
}

impl Screen {
    pub(super) fn go_to_column(&mut self, column: u16) {
        self.cursor.column = column.min(self.columns - 1);
        self.cursor.pending = false;
    }

    /// CUP and VPA: counted from the top margin in origin mode.
    pub(super) fn move_to(&mut self, row: u16, column: u16) {
        self.cursor.row = if self.modes.origin {
            row.saturating_add(self.margins.0).min(self.margins.1)
        } else {
            row.min(self.rows - 1)
        };
        self.go_to_column(column);
    }

    /// CUU: not past the top margin.
    pub(super) fn up(&mut self, count: u16) {
        let limit = if self.cursor.row < self.margins.0 {
            0
        } else {
            self.margins.0
        };
        self.cursor.row = self.cursor.row.saturating_sub(count).max(limit);
        self.cursor.pending = false;
    }

    /// CUD: not past the bottom margin.
    pub(super) fn down(&mut self, count: u16) {
        let limit = if self.cursor.row > self.margins.1 {
            self.rows - 1
        } else {
            self.margins.1
        };
        self.cursor.row = self.cursor.row.saturating_add(count).min(limit);
        self.cursor.pending = false;
    }

    /// HT and CHT: to the next stops, or the last column.
    pub(super) fn tab(&mut self, count: u16) {
        let last = self.columns - 1;
        for _ in 0..count.min(self.columns) {
            let mut column = self.cursor.column;
            while column < last {
                column += 1;
                if self.tabs.is_set(column) {
                    break;
                }
            }
            self.cursor.column = column;
        }
    }

    /// CBT.
    pub(super) fn tab_back(&mut self, count: u16) {
        self.cursor.pending = false;
        for _ in 0..count.min(self.columns) {
            let mut column = self.cursor.column;
            while column > 0 {
                column -= 1;
                if self.tabs.is_set(column) {
                    break;
                }
            }
            self.cursor.column = column;
        }
    }

    /// DECSTBM. Margins that make no sense are not set.
    pub(super) fn set_margins(&mut self) {
        let top = self.parser.parameters.count(0) - 1;
        let bottom = match self.parser.parameters.get(1) {
            0 => self.rows,
            bottom => bottom.min(self.rows),
        };
        if top + 1 < bottom {
            self.margins = (top, bottom - 1);
            self.move_to(0, 0);
        }
    }

    /// DECSC.
    pub(super) fn save(&mut self) {
        self.saved[usize::from(self.on_alternate)] = Saved {
            cursor: self.cursor,
            style: self.style,
            charsets: self.charsets,
            origin: self.modes.origin,
        };
    }

    /// DECRC.
    pub(super) fn restore_cursor(&mut self) {
        let saved = self.saved[usize::from(self.on_alternate)];
        self.modes.origin = saved.origin;
        self.charsets = saved.charsets;
        self.set_style(saved.style);
        self.cursor = saved.cursor;
        if saved.origin {
            self.cursor.row = self.cursor.row.clamp(self.margins.0, self.margins.1);
        }
        self.clamp_cursor();
    }

    pub(super) fn clamp_cursor(&mut self) {
        self.cursor.row = self.cursor.row.min(self.rows - 1);
        if self.cursor.column >= self.columns {
            self.cursor.column = self.columns - 1;
        }
        self.cursor.pending &= self.cursor.column + 1 == self.columns;
    }
}
