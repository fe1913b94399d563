//! What the user's terminal shows: an emulator that holds the screen, its modes and where the cursor is.
//!
//! Everything that is written to the client is fed into one [`Screen`]. When a host is lost, the
//! Screen knows what has to be said to the terminal before another host's bytes follow:
//! [`Screen::leave`], [`Screen::notice`]. It understands what xterm and a VT220 have in common with the
//! programs that people run: vi, top, less, tmux, readline, busybox, bulletin boards.
//!
//! Where terminals differ, it does as xterm does. Lines that scroll off are gone, soft hyphens and
//! emoji selectors do not change a character's width, and what the terminal answers (DA, DSR) is the
//! terminal's own business. Nothing here does I/O, and nothing grows with what a host sends: sizes are
//! bounded by [`MAX_COLUMNS`] and [`MAX_ROWS`], tables by the number of cells.

mod control;
mod cursor;
mod grid;
mod leave;
mod modes;
mod osc;
mod parser;
mod restore;
mod sgr;
mod style;
mod text;

#[cfg(test)]
mod tests;

pub use cursor::Cursor;
pub use modes::{Encoding, Modes, Mouse, MouseEncoding};
pub use osc::Mark;
pub use style::{Color, Style};

use cursor::Saved;
use grid::{Cell, Glyph, Grid, Kind};
use leave::Touched;
use modes::{Charsets, Tabs};
use osc::{Filter, Said};
use parser::{Parser, State, Utf8};
use style::{Cluster, Styles};

/// A wider terminal is taken to be of this width.
pub const MAX_COLUMNS: u16 = 500;
/// A higher terminal is taken to be of this height.
pub const MAX_ROWS: u16 = 300;

/// What a service says about its terminals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// How bytes of 0x80 and more are read.
    pub encoding: Encoding,
    /// The number of the director's own OSC.
    pub own_osc: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            encoding: Encoding::Utf8,
            own_osc: 7717,
        }
    }
}

/// One cell as it is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// The character with its marks; empty if the cell was erased or is the right half of a wide one.
    pub text: String,
    /// In columns: 1, 2, or 0 for the right half.
    pub width: u8,
    /// Its looks.
    pub style: Style,
}

/// A terminal's screen. See the module.
#[derive(Debug, Clone)]
pub struct Screen {
    options: Options,
    columns: u16,
    rows: u16,
    parser: Parser,
    utf8: Utf8,
    encoding: Encoding,
    primary: Grid,
    /// Made when it is used, dropped when nothing on it can be seen again.
    alternate: Option<Box<Grid>>,
    on_alternate: bool,
    /// The mode that switched to the alternate screen, and where the cursor was.
    alternate_by: u16,
    before_alternate: Cursor,
    cursor: Cursor,
    saved: [Saved; 2],
    /// First and last row of the scrolling region.
    margins: (u16, u16),
    modes: Modes,
    charsets: Charsets,
    tabs: Tabs,
    style: Style,
    /// Its number.
    pen: u16,
    /// What an erased cell becomes.
    blank: Cell,
    /// The last character written, for REP.
    last: Option<char>,
    styles: Styles,
    clusters: Vec<Cluster>,
    touched: Touched,
    said: Said,
    filter: Filter,
}

impl Screen {
    /// A terminal that was just switched on. Sizes are brought within bounds: 1 to [`MAX_COLUMNS`], 1
    /// to [`MAX_ROWS`].
    #[must_use]
    pub fn new(columns: u16, rows: u16) -> Self {
        Self::with_options(columns, rows, Options::default())
    }

    /// The same, for a service that says more.
    #[must_use]
    pub fn with_options(columns: u16, rows: u16, options: Options) -> Self {
        let columns = columns.clamp(1, MAX_COLUMNS);
        let rows = rows.clamp(1, MAX_ROWS);
        Self {
            options,
            columns,
            rows,
            parser: Parser::new(),
            utf8: Utf8::default(),
            encoding: options.encoding,
            primary: Grid::new(columns, rows),
            alternate: None,
            on_alternate: false,
            alternate_by: 0,
            before_alternate: Cursor::default(),
            cursor: Cursor::default(),
            saved: [Saved::default(); 2],
            margins: (0, rows - 1),
            modes: Modes::default(),
            charsets: Charsets::default(),
            tabs: Tabs::new(columns),
            style: Style::default(),
            pen: 0,
            blank: Cell::blank(0),
            last: None,
            styles: Styles::new(),
            clusters: Vec::new(),
            touched: Touched::default(),
            said: Said::default(),
            filter: Filter::new(options.own_osc),
        }
    }

    /// Takes what was written to the terminal. Sequences may be cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = match self.parser.state() {
                State::Ground => self.feed_ground(rest),
                State::Osc | State::Text => {
                    let inside = self.parser.inside(rest, self.encoding.has_c1());
                    if inside == 0 {
                        self.step(rest[0]);
                    }
                    inside.max(1)
                }
                State::Escape
                | State::EscapeIntermediate
                | State::CsiEntry
                | State::Csi
                | State::CsiIntermediate
                | State::CsiIgnore
                | State::OscEscape
                | State::TextEscape => {
                    self.step(rest[0]);
                    1
                }
            };
            rest = &rest[taken..];
        }
    }

    /// Takes what a host sent: appends to `out` what goes to the terminal, and feeds that. The
    /// director's own OSCs (ESC ] 7717 ; word, ended by BEL or ST) are left out and become
    /// [`Mark::Own`]. The beginning of one at the end of `bytes` is held back, so that it may be cut
    /// anywhere; never more than 12 bytes are.
    pub fn feed_filtered(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        let said = &mut self.said;
        self.filter
            .run(bytes, out, |word| said.mark(Mark::Own(word)));
        self.feed(&out[start..]);
    }

    /// The terminal has another size now. Text stays at the upper left; if rows go that are above the
    /// cursor, the upper ones go. Margins are reset.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        let columns = columns.clamp(1, MAX_COLUMNS);
        let rows = rows.clamp(1, MAX_ROWS);
        if (columns, rows) == (self.columns, self.rows) {
            return;
        }
        let lost = |cursor: Cursor| (cursor.row + 1).saturating_sub(rows);
        let own = lost(self.cursor);
        let primary = if self.on_alternate {
            lost(self.before_alternate)
        } else {
            own
        };
        self.primary.resize(columns, rows, primary);
        if let Some(alternate) = &mut self.alternate {
            alternate.resize(columns, rows, if self.on_alternate { own } else { 0 });
        }
        self.tabs.resize(self.columns, columns);
        let same_width = columns == self.columns;
        (self.columns, self.rows) = (columns, rows);
        self.margins = (0, rows - 1);
        self.cursor.row -= own;
        self.cursor.pending &= same_width;
        self.clamp_cursor();
        let clamp = |cursor: &mut Cursor, lost: u16| {
            cursor.row = cursor.row.saturating_sub(lost).min(rows - 1);
            cursor.column = cursor.column.min(columns - 1);
            cursor.pending &= same_width;
        };
        clamp(&mut self.before_alternate, primary);
        clamp(&mut self.saved[0].cursor, primary);
        clamp(
            &mut self.saved[1].cursor,
            if self.on_alternate { own } else { 0 },
        );
    }

    /// Columns and rows.
    #[must_use]
    pub fn size(&self) -> (u16, u16) {
        (self.columns, self.rows)
    }

    /// Where the cursor is.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// What the programs switched.
    #[must_use]
    pub fn modes(&self) -> Modes {
        self.modes
    }

    /// Whether the alternate screen is shown, as full-screen programs do.
    #[must_use]
    pub fn alternate(&self) -> bool {
        self.on_alternate
    }

    /// The text that the cursor stands behind: from the beginning of its line, which may be some rows
    /// above if it wrapped, up to the cursor. Erased cells are spaces.
    #[must_use]
    pub fn line(&self) -> String {
        let grid = self.grid();
        let mut first = self.cursor.row;
        while first > 0 && grid.wrapped(first - 1) {
            first -= 1;
        }
        let mut text = String::new();
        for row in first..self.cursor.row {
            text.push_str(&grid.text(row, 0, self.columns, &self.clusters));
        }
        let end = self.cursor.column + u16::from(self.cursor.pending);
        text.push_str(&grid.text(self.cursor.row, 0, end, &self.clusters));
        text
    }

    /// The text of a row of the shown screen, without the spaces at its end; empty past the last row.
    #[must_use]
    pub fn row(&self, row: u16) -> String {
        if row >= self.rows {
            return String::new();
        }
        let mut text = self.grid().text(row, 0, self.columns, &self.clusters);
        text.truncate(text.trim_end_matches(' ').len());
        text
    }

    /// A cell of the shown screen.
    #[must_use]
    pub fn cell(&self, row: u16, column: u16) -> Option<Shown> {
        self.cell_of(self.grid(), row, column)
    }

    /// A cell of the primary screen, also while the alternate one is shown.
    #[must_use]
    pub fn primary_cell(&self, row: u16, column: u16) -> Option<Shown> {
        self.cell_of(&self.primary, row, column)
    }

    fn cell_of(&self, grid: &Grid, row: u16, column: u16) -> Option<Shown> {
        if row >= self.rows {
            return None;
        }
        let cell = grid.row(row).get(usize::from(column))?;
        Some(Shown {
            text: self.text_of(*cell),
            width: match cell.kind {
                Kind::Narrow => 1,
                Kind::Wide => 2,
                Kind::Continuation => 0,
            },
            style: self.styles.get(cell.style),
        })
    }

    fn text_of(&self, cell: Cell) -> String {
        match cell.glyph() {
            Glyph::Nothing => String::new(),
            Glyph::Char(c) => c.to_string(),
            Glyph::Cluster(number) => self
                .clusters
                .get(number)
                .map_or_else(String::new, |cluster| cluster.text().to_string()),
        }
    }

    /// The style that the next character gets.
    #[must_use]
    pub fn style(&self) -> Style {
        self.style
    }

    /// The working directory that the shell told by OSC 7: absolute, without control characters.
    #[must_use]
    pub fn cwd(&self) -> Option<&[u8]> {
        self.said.cwd.as_deref()
    }

    /// The window's title (OSC 0, 2).
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.said.title.as_deref()
    }

    /// Takes the oldest mark that nobody took yet. At most 32 are kept.
    pub fn take_mark(&mut self) -> Option<Mark> {
        self.said.marks.pop_front()
    }

    /// The host is gone: what it said of its directory and what was not taken means nothing any more,
    /// nor does the beginning of an own OSC that was held back.
    pub fn forget_host(&mut self) {
        self.said.cwd = None;
        self.said.marks.clear();
        self.filter.reset();
    }

    fn grid(&self) -> &Grid {
        match &self.alternate {
            Some(alternate) if self.on_alternate => alternate,
            _ => &self.primary,
        }
    }

    fn grid_mut(&mut self) -> &mut Grid {
        match &mut self.alternate {
            Some(alternate) if self.on_alternate => alternate,
            _ => &mut self.primary,
        }
    }

    fn alternate_mut(&mut self) -> &mut Grid {
        self.alternate
            .get_or_insert_with(|| Box::new(Grid::new(self.columns, self.rows)))
    }

    /// Sets the style of what is written next.
    fn set_style(&mut self, style: Style) {
        self.style = style;
        self.pen = self.number(style);
        self.blank = Cell::blank(self.number(style.erased()));
    }

    fn number(&mut self, style: Style) -> u16 {
        if let Some(number) = self.styles.find(style) {
            return number;
        }
        let limit = self.table_limit().min(usize::from(u16::MAX));
        if self.styles.len() >= limit {
            self.sweep_styles();
        }
        // Only a screen of more than 65,535 cells can have that many styles; one more is not shown.
        self.styles.add(style, limit).unwrap_or(0)
    }

    /// How long the tables may get: more than both screens can name, so that a sweep always helps.
    fn table_limit(&self) -> usize {
        2 * usize::from(self.columns) * usize::from(self.rows) + 256
    }

    fn grids_mut(&mut self) -> impl Iterator<Item = &mut Grid> {
        std::iter::once(&mut self.primary).chain(self.alternate.as_deref_mut())
    }

    fn sweep_styles(&mut self) {
        let mut used = vec![false; self.styles.len()];
        let mut mark = |number: u16| {
            if let Some(used) = used.get_mut(usize::from(number)) {
                *used = true;
            }
        };
        mark(self.pen);
        mark(self.blank.style);
        for grid in std::iter::once(&self.primary).chain(self.alternate.as_deref()) {
            grid.cells().iter().for_each(|cell| mark(cell.style));
        }
        let numbers = self.styles.keep(&used);
        let new = |number: u16| numbers.get(usize::from(number)).copied().unwrap_or(0);
        self.pen = new(self.pen);
        self.blank.style = new(self.blank.style);
        for grid in self.grids_mut() {
            for cell in grid.cells_mut() {
                cell.style = new(cell.style);
            }
        }
    }

    /// All its bytes.
    #[cfg(test)]
    fn memory(&self) -> usize {
        let grids = self.primary.heap() + self.alternate.as_deref().map_or(0, Grid::heap);
        let boxed = self.alternate.as_ref().map_or(0, |_| size_of::<Grid>());
        let tables = self.styles.heap() + self.clusters.capacity() * size_of::<Cluster>();
        let parts = self.parser.heap() + self.tabs.heap() + self.touched.heap();
        size_of::<Self>() + grids + boxed + tables + parts + self.said.heap() + self.filter.heap()
    }

    /// Keeps the clusters that a cell names. Each is named by one cell at most.
    fn sweep_clusters(&mut self) {
        let old = std::mem::take(&mut self.clusters);
        let mut kept = Vec::new();
        for grid in self.grids_mut() {
            for cell in grid.cells_mut() {
                if let Glyph::Cluster(number) = cell.glyph()
                    && let Some(cluster) = old.get(number)
                {
                    cell.set_cluster(kept.len());
                    kept.push(*cluster);
                }
            }
        }
        self.clusters = kept;
    }
}
