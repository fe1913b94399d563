//! An emulator that others wrote (the vt100 crate, over the vte parser) has to see the same.
//!
//! Where it is known to be wrong, or to have chosen otherwise than xterm, the step is left out
//! ([`disputed`]); those cases are written down in `plain.rs`:
//! - In the state where the next character wraps, it counts the cursor past the last column: BS, CUB,
//!   HT, LF, RI, CUU, CUD, VPA and all erasing behave otherwise.
//! - Rows and columns that scroll in are without colour; xterm gives them the current background. So
//!   backgrounds of erased cells are only compared in streams that shift nothing.
//! - Modes 47 and 1049 have a cursor of their own there, and margins and origin mode too.
//! - Margins: CUU from below and CUD from above them pass through, RI in the first row above them
//!   scrolls, VPA does not heed origin mode, DECSTBM homes to the top margin, DECRC brings the cursor
//!   out of them in origin mode.
//! - Bold and dim exclude each other there.
//! - ICH in the middle of a wide character keeps its right half.
//! - A reset of any mouse mode ends mouse reports in xterm, there only a reset of the same.
//!
//! It does not know insert mode, tab stops, character sets, CBT, CHT, HPR, VPR, NEL, IND, DECALN, DECSTR.

use proptest::prelude::*;
use vt100::{Color as Theirs, MouseProtocolEncoding, MouseProtocolMode};

use crate::screen::{Color, Mouse, MouseEncoding, Screen, Style};

const COLUMNS: u16 = 13;
const ROWS: u16 = 7;

pub(super) fn vt100(columns: u16, rows: u16) -> vt100::Parser {
    let size = |n: u16| n.try_into().expect("not zero");
    vt100::Parser::new(size(rows), size(columns), 0)
}

fn color(theirs: Theirs) -> Color {
    match theirs {
        Theirs::Default => Color::Default,
        Theirs::Idx(n) => Color::Indexed(n),
        Theirs::Rgb(r, g, b) => Color::Rgb(r, g, b),
    }
}

/// The attributes that vt100 knows.
fn attributes(cell: &vt100::Cell) -> u16 {
    [
        (cell.bold(), Style::BOLD),
        (cell.dim(), Style::DIM),
        (cell.italic(), Style::ITALIC),
        (cell.underline(), Style::UNDERLINE),
        (cell.inverse(), Style::INVERSE),
    ]
    .into_iter()
    .filter_map(|(set, attribute)| set.then_some(attribute))
    .sum()
}

const KNOWN: u16 = Style::BOLD | Style::DIM | Style::ITALIC | Style::UNDERLINE | Style::INVERSE;

/// Compares the shown cells. `erased`: also the background of erased ones; `wide`: there were wide
/// characters.
pub(super) fn same_cells(
    ours: &Screen,
    theirs: &vt100::Screen,
    (erased, wide): (bool, bool),
) -> Result<(), TestCaseError> {
    let (columns, rows) = ours.size();
    for row in 0..rows {
        for column in 0..columns {
            let our = ours.cell(row, column).expect("within the screen");
            let their = theirs.cell(row, column).expect("within the screen");
            let at = || format!("row {row}, column {column}: {our:?}, {their:?}");
            let blank = |text: &str| text.is_empty() || text == " ";
            if blank(&our.text) || blank(their.contents()) {
                prop_assert!(blank(&our.text) && blank(their.contents()), "{}", at());
            } else {
                prop_assert_eq!(our.text.as_str(), their.contents(), "{}", at());
            }
            prop_assert_eq!(our.width == 2, their.is_wide(), "{}", at());
            prop_assert_eq!(our.width == 0, their.is_wide_continuation(), "{}", at());
            // A mark on an erased cell has the style that the cell was erased with.
            let on_erased = our.text.len() > 1 && our.text.starts_with(' ');
            // What is left of a wide character that was cut in two keeps its looks in xterm.
            let space = our.text == " " && wide;
            let compared = !our.text.is_empty() && their.has_contents();
            if compared && (erased || !on_erased) && !space {
                prop_assert_eq!(our.style.foreground, color(their.fgcolor()), "{}", at());
                prop_assert_eq!(our.style.background, color(their.bgcolor()), "{}", at());
                let both = Style::BOLD | Style::DIM;
                let known = if our.style.has(both) {
                    KNOWN & !both
                } else {
                    KNOWN
                };
                let theirs = attributes(their) & known;
                prop_assert_eq!(our.style.attributes & known, theirs, "{}", at());
            } else if erased && our.width == 1 {
                prop_assert_eq!(our.style.background, color(their.bgcolor()), "{}", at());
            }
        }
    }
    Ok(())
}

pub(super) fn same_cursor(ours: &Screen, theirs: &vt100::Screen) -> Result<(), TestCaseError> {
    let cursor = ours.cursor();
    let column = cursor.column + u16::from(cursor.pending);
    prop_assert_eq!((cursor.row, column), theirs.cursor_position());
    Ok(())
}

pub(super) fn same_modes(ours: &Screen, theirs: &vt100::Screen) -> Result<(), TestCaseError> {
    let modes = ours.modes();
    prop_assert_eq!(modes.application_cursor, theirs.application_cursor());
    prop_assert_eq!(modes.application_keypad, theirs.application_keypad());
    prop_assert_eq!(modes.bracketed_paste, theirs.bracketed_paste());
    prop_assert_eq!(modes.cursor_visible, !theirs.hide_cursor());
    prop_assert_eq!(ours.alternate(), theirs.alternate_screen());
    prop_assert_eq!(modes.cursor_shape, theirs.cursor_style() as u8);
    let mouse = match theirs.mouse_protocol_mode() {
        MouseProtocolMode::None => Mouse::Off,
        MouseProtocolMode::Press => Mouse::Press,
        MouseProtocolMode::PressRelease => Mouse::PressRelease,
        MouseProtocolMode::ButtonMotion => Mouse::ButtonMotion,
        MouseProtocolMode::AnyMotion => Mouse::AnyMotion,
    };
    prop_assert_eq!(modes.mouse, mouse);
    let encoding = match theirs.mouse_protocol_encoding() {
        MouseProtocolEncoding::Default => MouseEncoding::Bytes,
        MouseProtocolEncoding::Utf8 => MouseEncoding::Utf8,
        MouseProtocolEncoding::Sgr => MouseEncoding::Sgr,
    };
    prop_assert_eq!(modes.mouse_encoding, encoding);
    prop_assert_eq!(ours.style().foreground, color(theirs.fgcolor()));
    prop_assert_eq!(ours.style().background, color(theirs.bgcolor()));
    Ok(())
}

/// One thing that a program writes.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Text(String),
    Control(u8),
    /// ESC and this.
    Escape(&'static str),
    /// CSI, parameters, final byte.
    Csi(Vec<u16>, u8),
    Margins(u16, u16),
    Private(u16, bool),
    Shape(u16),
    Alternate(bool),
    Sgr(String),
}

impl Step {
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Control(byte) => vec![*byte],
            Self::Escape(rest) => format!("\x1b{rest}").into_bytes(),
            Self::Csi(parameters, by) => {
                let numbers: Vec<_> = parameters.iter().map(u16::to_string).collect();
                format!("\x1b[{}{}", numbers.join(";"), char::from(*by)).into_bytes()
            }
            Self::Margins(top, bottom) => format!("\x1b[{top};{bottom}r\x1b[H").into_bytes(),
            Self::Private(mode, on) => {
                format!("\x1b[?{mode}{}", if *on { 'h' } else { 'l' }).into_bytes()
            }
            Self::Shape(shape) => format!("\x1b[{shape} q").into_bytes(),
            Self::Alternate(true) => b"\x1b[r\x1b[?1049h\x1b[r\x1b[H".to_vec(),
            Self::Alternate(false) => b"\x1b[r\x1b[?1049l".to_vec(),
            Self::Sgr(text) => format!("\x1b[{text}m").into_bytes(),
        }
    }
}

fn text() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => "[a-zA-Z0-9 ]{1,9}",
        1 => "[a-z]{10,40}",
        1 => "[äß漢字한あe\u{301}x]{1,6}",
    ]
    .prop_map(Step::Text)
}

fn sgr(background: bool) -> impl Strategy<Value = Step> {
    let plain = prop_oneof![
        Just("0".to_string()),
        Just(String::new()),
        prop::sample::select(vec![
            "1", "2", "3", "4", "7", "22", "23", "24", "27", "39", "31;1"
        ])
        .prop_map(str::to_string),
        (30..38u16).prop_map(|n| n.to_string()),
        (90..98u16).prop_map(|n| n.to_string()),
        any::<u8>().prop_map(|n| format!("38;5;{n}")),
        any::<(u8, u8, u8)>().prop_map(|(r, g, b)| format!("38;2;{r};{g};{b}")),
        any::<(u8, u8, u8)>().prop_map(|(r, g, b)| format!("38:2:{r}:{g}:{b}")),
    ];
    let behind = prop_oneof![
        (40..48u16).prop_map(|n| n.to_string()),
        Just("49".to_string()),
        any::<u8>().prop_map(|n| format!("48;5;{n}")),
        (100..108u16).prop_map(|n| n.to_string()),
    ];
    let weight = u32::from(background);
    prop_oneof![4 => plain, weight * 4 => behind].prop_map(Step::Sgr)
}

fn moves() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop::sample::select(vec![8, 9, 13]).prop_map(Step::Control),
        (0..9u16, prop::sample::select(b"ABCDEFG`d".to_vec()))
            .prop_map(|(n, by)| Step::Csi(vec![n], by)),
        (0..9u16, 0..16u16).prop_map(|(r, c)| Step::Csi(vec![r, c], b'H')),
        (0..9u16, 0..16u16).prop_map(|(r, c)| Step::Csi(vec![r, c], b'f')),
        prop::sample::select(vec!["7", "8"]).prop_map(Step::Escape),
    ]
}

fn erases() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3u16, prop::sample::select(b"JK".to_vec())).prop_map(|(n, by)| Step::Csi(vec![n], by)),
        (0..9u16).prop_map(|n| Step::Csi(vec![n], b'X')),
    ]
}

fn shifts() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Text("\r\n".into())),
        Just(Step::Control(10)),
        Just(Step::Escape("M")),
        (0..9u16, prop::sample::select(b"@PLMSTb".to_vec()))
            .prop_map(|(n, by)| Step::Csi(vec![n], by)),
        (1..ROWS, 1..ROWS).prop_map(|(a, b)| Step::Margins(a.min(b), a.max(b) + 1)),
        any::<bool>().prop_map(|on| Step::Private(6, on)),
    ]
}

fn switches() -> impl Strategy<Value = Step> {
    let modes = vec![1, 25, 2004, 9, 1000, 1002, 1003, 1005, 1006];
    prop_oneof![
        4 => (prop::sample::select(modes), any::<bool>()).prop_map(|(m, on)| Step::Private(m, on)),
        1 => prop::sample::select(vec!["=", ">"]).prop_map(Step::Escape),
        1 => (0..7u16).prop_map(Step::Shape),
        1 => any::<bool>().prop_map(Step::Alternate),
        1 => Just(Step::Escape("c")),
    ]
}

/// What a program may write.
pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => text(), 2 => sgr(true), 4 => moves(), 2 => erases(), 4 => shifts(), 1 => switches(),
    ];
    prop::collection::vec(step, 1..60)
}

/// Only what shifts nothing, so that each background has to be right.
fn unshifted() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => "[a-z ]{1,3}".prop_map(Step::Text), 4 => sgr(true), 4 => moves(), 4 => erases(),
    ];
    prop::collection::vec(step, 1..60)
}

/// Whether vt100 is known to take `step` otherwise in this state.
fn disputed(screen: &Screen, step: &Step) -> bool {
    let cursor = screen.cursor();
    let (top, bottom) = screen.margins;
    let wide = screen.primary.row(0).len() > usize::from(cursor.column)
        && screen
            .cell(cursor.row, cursor.column)
            .is_some_and(|cell| cell.width == 0);
    match step {
        Step::Control(8..=10) => cursor.pending,
        Step::Escape("M") => cursor.pending || (cursor.row == 0 && top > 0),
        Step::Escape("8") if screen.saved[0].origin => {
            screen.alternate() || !(top..=bottom).contains(&screen.saved[0].cursor.row)
        }
        Step::Escape("7" | "8") => screen.alternate(),
        Step::Csi(_, b'A' | b'F') => cursor.pending || cursor.row > bottom,
        Step::Csi(_, b'B' | b'E') => cursor.pending || cursor.row < top,
        Step::Csi(_, b'd') => cursor.pending || screen.modes().origin,
        Step::Csi(_, b'D' | b'J' | b'K' | b'X' | b'P') => cursor.pending,
        Step::Csi(_, b'@') => cursor.pending || wide,
        Step::Private(9 | 1000 | 1002 | 1003, false) => true,
        Step::Private(1005 | 1006, false) => true,
        Step::Alternate(on) => *on == screen.alternate() || screen.modes().origin,
        Step::Text(_)
        | Step::Control(_)
        | Step::Escape(_)
        | Step::Csi(..)
        | Step::Margins(..)
        | Step::Private(..)
        | Step::Shape(_)
        | Step::Sgr(_) => false,
    }
}

fn wide(steps: &[Step]) -> bool {
    steps
        .iter()
        .any(|step| matches!(step, Step::Text(text) if text.contains(['漢', '字', '한', 'あ'])))
}

fn both(steps: &[Step], scrolls: bool) -> (Screen, vt100::Parser, Vec<u8>) {
    let mut ours = Screen::new(COLUMNS, ROWS);
    let mut theirs = vt100(COLUMNS, ROWS);
    let mut stream = Vec::new();
    for step in steps {
        let bottom = ours.cursor().row + 1 == ROWS && matches!(step, Step::Text(_));
        if !disputed(&ours, step) && (scrolls || !bottom) {
            let bytes = step.bytes();
            ours.feed(&bytes);
            theirs.process(&bytes);
            stream.extend(bytes);
        }
    }
    (ours, theirs, stream)
}

proptest! {
    #[test]
    fn what_programs_write_looks_the_same(steps in steps()) {
        let (ours, theirs, _) = both(&steps, true);
        same_cells(&ours, theirs.screen(), (false, wide(&steps)))?;
        same_cursor(&ours, theirs.screen())?;
        same_modes(&ours, theirs.screen())?;
    }

    #[test]
    fn erased_cells_take_the_background(steps in unshifted()) {
        let (ours, theirs, _) = both(&steps, false);
        same_cells(&ours, theirs.screen(), (true, false))?;
    }

    #[test]
    fn leaving_makes_the_other_terminal_sane_and_clears_nothing(steps in steps(), cut in 0..40usize) {
        let (ours, theirs, stream) = both(&steps, true);
        let (columns, rows) = ours.size();
        // The stream may end within a sequence, but not where the cell that U+FFFD takes would differ.
        let cut = stream.len() - cut.min(stream.len() - 1);
        let cut = (0..=cut).rev().find(|at| {
            let mut part = Screen::new(columns, rows);
            part.feed(&stream[..*at]);
            !part.utf8.is_partial()
        }).expect("an empty one is not partial");
        let _ = theirs;
        let mut ours = Screen::new(columns, rows);
        let mut theirs = vt100(columns, rows);
        ours.feed(&stream[..cut]);
        theirs.process(&stream[..cut]);
        let mut before = vt100(columns, rows);
        before.process(&stream[..cut]);
        before.process(b"\x18\x1b[?47l");
        let leave = ours.leave();
        ours.feed(&leave);
        theirs.process(&leave);
        same_modes(&Screen::new(columns, rows), theirs.screen())?;
        prop_assert_eq!(theirs.screen().bold() || theirs.screen().inverse(), false);
        for row in 0..rows {
            for column in 0..columns {
                prop_assert_eq!(
                    theirs.screen().cell(row, column), before.screen().cell(row, column)
                );
            }
        }
        same_cells(&ours, theirs.screen(), (false, wide(&steps)))?;
        let cursor = ours.cursor();
        let theirs_at = theirs.screen().cursor_position();
        prop_assert_eq!((cursor.row, cursor.column), (theirs_at.0, theirs_at.1.min(columns - 1)));
        prop_assert_eq!(ours.leave(), b"", "left twice");
    }

    #[test]
    fn a_blank_terminal_is_repainted(steps in steps()) {
        let (ours, _, _) = both(&steps, true);
        let mut theirs = vt100(COLUMNS, ROWS);
        let restore = ours.restore();
        theirs.process(&restore);
        let mut again = Screen::new(COLUMNS, ROWS);
        again.feed(&restore);
        prop_assert_eq!(again.modes(), ours.modes());
        prop_assert_eq!(again.margins, ours.margins);
        prop_assert_eq!(again.style(), ours.style());
        for row in 0..ROWS {
            for column in 0..COLUMNS {
                prop_assert_eq!(again.cell(row, column), ours.cell(row, column));
                prop_assert_eq!(again.primary_cell(row, column), ours.primary_cell(row, column));
            }
        }
        same_cells(&ours, theirs.screen(), (true, false))?;
        same_modes(&ours, theirs.screen())?;
        let last = ours.cell(ours.cursor().row, COLUMNS - 1).unwrap();
        if !ours.cursor().pending || !last.text.is_empty() || last.width == 0 {
            same_cursor(&ours, theirs.screen())?;
            prop_assert_eq!(again.cursor(), ours.cursor());
        }
    }
}
