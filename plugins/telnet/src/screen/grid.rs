//! The cells of one screen. Rows are moved by number, never copied.

use super::style::Cluster;

/// What a cell is part of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    /// A character of one column, or nothing.
    Narrow,
    /// The left half of a character of two columns.
    Wide,
    /// The right half of one.
    Continuation,
}

/// One cell: a character or the number of a [`Cluster`], the number of a style.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cell {
    /// 0 if nothing was written here since it was erased.
    glyph: u32,
    pub(super) style: u16,
    pub(super) kind: Kind,
}

const _: () = assert!(size_of::<Cell>() == 8);

/// Set in `glyph` if the rest is the number of a cluster.
const CLUSTER: u32 = 1 << 31;

/// What stands in a cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Glyph {
    /// Erased, or the right half of a wide character.
    Nothing,
    Char(char),
    /// By its number.
    Cluster(usize),
}

impl Cell {
    pub(super) const fn blank(style: u16) -> Self {
        Self {
            glyph: 0,
            style,
            kind: Kind::Narrow,
        }
    }

    pub(super) fn new(c: char, style: u16, kind: Kind) -> Self {
        Self {
            glyph: c.into(),
            style,
            kind,
        }
    }

    /// What stays of a wide character when its other half goes: a space that looks like it.
    const fn halved(self) -> Self {
        Self::ascii(b' ', self.style)
    }

    const fn ascii(byte: u8, style: u16) -> Self {
        Self {
            glyph: byte as u32,
            style,
            kind: Kind::Narrow,
        }
    }

    pub(super) fn glyph(self) -> Glyph {
        if self.glyph & CLUSTER != 0 {
            return Glyph::Cluster((self.glyph & !CLUSTER) as usize);
        }
        match char::from_u32(self.glyph) {
            None | Some('\0') => Glyph::Nothing,
            Some(c) => Glyph::Char(c),
        }
    }

    /// Names a cluster instead of the character.
    pub(super) fn set_cluster(&mut self, number: usize) {
        if let Ok(number) = u32::try_from(number) {
            self.glyph = CLUSTER | number;
        }
    }
}

/// Where a row's cells are, and whether its text goes on in the next row.
#[derive(Clone, Copy, Debug)]
struct Row {
    at: u16,
    wrapped: bool,
}

/// `rows` times `columns` cells.
#[derive(Debug, Clone)]
pub(super) struct Grid {
    columns: u16,
    cells: Vec<Cell>,
    order: Vec<Row>,
}

impl Grid {
    pub(super) fn new(columns: u16, rows: u16) -> Self {
        Self {
            columns,
            cells: vec![Cell::blank(0); usize::from(columns) * usize::from(rows)],
            order: (0..rows).map(|at| Row { at, wrapped: false }).collect(),
        }
    }

    pub(super) fn rows(&self) -> u16 {
        u16::try_from(self.order.len()).unwrap_or(u16::MAX)
    }

    fn range(&self, row: u16) -> std::ops::Range<usize> {
        let columns = usize::from(self.columns);
        let start = usize::from(self.order[usize::from(row)].at) * columns;
        start..start + columns
    }

    pub(super) fn row(&self, row: u16) -> &[Cell] {
        &self.cells[self.range(row)]
    }

    pub(super) fn row_mut(&mut self, row: u16) -> &mut [Cell] {
        let range = self.range(row);
        &mut self.cells[range]
    }

    /// Whether the text of `row` goes on in the next.
    pub(super) fn wrapped(&self, row: u16) -> bool {
        self.order
            .get(usize::from(row))
            .is_some_and(|row| row.wrapped)
    }

    pub(super) fn set_wrapped(&mut self, row: u16, wrapped: bool) {
        if let Some(row) = self.order.get_mut(usize::from(row)) {
            row.wrapped = wrapped;
        }
    }

    /// All cells, in no order.
    pub(super) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    pub(super) fn cells_mut(&mut self) -> &mut [Cell] {
        &mut self.cells
    }

    /// Empties the halves that a change of the columns `from..to` of `row` would leave without their
    /// other half.
    fn cut(&mut self, row: u16, from: usize, to: usize) {
        let cells = self.row_mut(row);
        if from > 0
            && cells
                .get(from)
                .is_some_and(|c| c.kind == Kind::Continuation)
        {
            cells[from - 1] = cells[from - 1].halved();
        }
        if cells.get(to).is_some_and(|c| c.kind == Kind::Continuation) {
            cells[to] = cells[to].halved();
        }
    }

    /// Writes printable ASCII from `column` on; all of it has to fit.
    pub(super) fn write_ascii(&mut self, row: u16, column: u16, text: &[u8], style: u16) {
        let from = usize::from(column);
        self.cut(row, from, from + text.len());
        for (cell, byte) in self.row_mut(row)[from..].iter_mut().zip(text) {
            *cell = Cell::ascii(*byte, style);
        }
    }

    /// Writes one character of one or two columns; it has to fit.
    pub(super) fn write(&mut self, row: u16, column: u16, c: char, wide: bool, style: u16) {
        let at = usize::from(column);
        self.cut(row, at, at + 1 + usize::from(wide));
        let cells = self.row_mut(row);
        if wide {
            cells[at] = Cell::new(c, style, Kind::Wide);
            cells[at + 1] = Cell {
                kind: Kind::Continuation,
                ..Cell::blank(style)
            };
        } else {
            cells[at] = Cell::new(c, style, Kind::Narrow);
        }
    }

    /// Erases the columns `from..to` of `row`.
    pub(super) fn erase(&mut self, row: u16, from: u16, to: u16, blank: Cell) {
        let (from, to) = (usize::from(from), usize::from(to.min(self.columns)));
        if from >= to {
            return;
        }
        self.cut(row, from, to);
        self.row_mut(row)[from..to].fill(blank);
        if to == usize::from(self.columns) {
            self.set_wrapped(row, false);
        }
    }

    /// Erases whole rows.
    pub(super) fn erase_rows(&mut self, rows: std::ops::Range<u16>, blank: Cell) {
        for row in rows {
            self.row_mut(row).fill(blank);
            self.set_wrapped(row, false);
        }
    }

    /// ICH: moves what is at `column` and right of it by `count` columns; what leaves the row is lost.
    pub(super) fn insert(&mut self, row: u16, column: u16, count: u16, blank: Cell) {
        let at = usize::from(column);
        let count = usize::from(count.min(self.columns - column));
        if count == 0 {
            return;
        }
        self.cut(row, at, at);
        let cells = self.row_mut(row);
        let keep = cells.len() - count;
        if cells[keep].kind == Kind::Continuation && keep > at {
            cells[keep - 1] = cells[keep - 1].halved();
        }
        cells.copy_within(at..keep, at + count);
        cells[at..at + count].fill(blank);
        self.set_wrapped(row, false);
    }

    /// DCH: removes `count` columns from `column` on; blanks come in from the right.
    pub(super) fn delete(&mut self, row: u16, column: u16, count: u16, blank: Cell) {
        let at = usize::from(column);
        let count = usize::from(count.min(self.columns - column));
        if count == 0 {
            return;
        }
        self.cut(row, at, at + count);
        let cells = self.row_mut(row);
        let end = cells.len();
        cells.copy_within(at + count..end, at);
        cells[end - count..].fill(blank);
        self.set_wrapped(row, false);
    }

    /// Moves the rows `top..=bottom` up by `count`; blank ones come in below.
    pub(super) fn scroll_up(&mut self, top: u16, bottom: u16, count: u16, blank: Cell) {
        let (first, last) = (usize::from(top), usize::from(bottom));
        let count = usize::from(count).min(last + 1 - first);
        self.order[first..=last].rotate_left(count);
        let count = u16::try_from(count).unwrap_or(0);
        self.erase_rows(bottom + 1 - count..bottom + 1, blank);
        if count > 0 && top > 0 {
            self.set_wrapped(top - 1, false);
        }
    }

    /// Moves the rows `top..=bottom` down by `count`; blank ones come in above.
    pub(super) fn scroll_down(&mut self, top: u16, bottom: u16, count: u16, blank: Cell) {
        let (first, last) = (usize::from(top), usize::from(bottom));
        let count = usize::from(count).min(last + 1 - first);
        self.order[first..=last].rotate_right(count);
        let count = u16::try_from(count).unwrap_or(0);
        self.erase_rows(top..top + count, blank);
        if count > 0 {
            self.set_wrapped(bottom, false);
            if top > 0 {
                self.set_wrapped(top - 1, false);
            }
        }
    }

    /// Another size: rows go and come at the bottom, columns at the right. `lost` rows go at the top
    /// first.
    pub(super) fn resize(&mut self, columns: u16, rows: u16, lost: u16) {
        let mut new = Self::new(columns, rows);
        let width = usize::from(columns.min(self.columns));
        for row in 0..rows.min(self.rows().saturating_sub(lost)) {
            let from = self.row(row + lost);
            let wrapped = self.wrapped(row + lost) && columns == self.columns;
            let to = new.row_mut(row);
            to[..width].copy_from_slice(&from[..width]);
            if to[width - 1].kind == Kind::Wide {
                to[width - 1] = to[width - 1].halved();
            }
            new.set_wrapped(row, wrapped && row + 1 < rows);
        }
        *self = new;
    }

    /// The text of the columns `from..to` of `row`; erased cells are spaces.
    pub(super) fn text(&self, row: u16, from: u16, to: u16, clusters: &[Cluster]) -> String {
        let mut text = String::new();
        for cell in &self.row(row)[usize::from(from)..usize::from(to.min(self.columns))] {
            match cell.glyph() {
                Glyph::Char(c) => text.push(c),
                Glyph::Cluster(number) => {
                    text.push_str(clusters.get(number).map_or(" ", Cluster::text));
                }
                Glyph::Nothing if cell.kind == Kind::Continuation => {}
                Glyph::Nothing => text.push(' '),
            }
        }
        text
    }

    /// The last row that shows anything but spaces without a background.
    pub(super) fn last_used_row(&self) -> Option<u16> {
        (0..self.rows()).rev().find(|row| {
            self.row(*row).iter().any(|cell| {
                !matches!(cell.glyph(), Glyph::Nothing | Glyph::Char(' ')) || cell.style != 0
            })
        })
    }

    /// Bytes on the heap.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.cells.capacity() * size_of::<Cell>() + self.order.capacity() * size_of::<Row>()
    }
}
