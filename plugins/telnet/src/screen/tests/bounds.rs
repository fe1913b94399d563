//! What must never happen, whatever comes: a panic, growth, a dependence on how the stream was cut.

use proptest::prelude::*;

use super::oracle::steps;
use crate::screen::{Encoding, Options, Screen};

/// Everything of a screen that can be seen or that leads to something else later.
fn all(screen: &Screen) -> String {
    let (columns, rows) = screen.size();
    let mut text = String::from_utf8_lossy(&screen.restore()).into_owned();
    for row in 0..rows {
        for column in 0..columns {
            let cells = (screen.cell(row, column), screen.primary_cell(row, column));
            text.push_str(&format!("{cells:?}"));
        }
    }
    format!(
        "{text}{:?}{:?}{:?}{:?}{:?}{:?}{:?}",
        screen.cursor(),
        screen.modes(),
        screen.leave(),
        screen.line(),
        screen.last,
        screen.parser.state(),
        screen.saved,
    )
}

/// Bytes as an unkind host sends them: mostly what means something.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 1..8),
        4 => "\\x1b\\[[<=>?]?[0-9;:]{0,9}[ !$]?[@-~]".prop_map(String::into_bytes),
        2 => "\\x1b[ -/]?[0-~]".prop_map(String::into_bytes),
        2 => "[ -~]{1,20}".prop_map(String::into_bytes),
        1 => "\\x1b[\\]PX^_][0-9;a-z/%]{0,20}(\\x07|\\x1b\\\\|)".prop_map(String::into_bytes),
        2 => prop::sample::select(vec![&b"\r\n"[..], b"\x0e", b"\x0f", b"\x1b(0", b"\x1b[4h", b"\x1b[?7l"])
            .prop_map(<[u8]>::to_vec),
        2 => "\\PC{1,4}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn options() -> impl Strategy<Value = Options> {
    prop::sample::select(vec![Encoding::Utf8, Encoding::Latin1, Encoding::Cp437]).prop_map(
        |encoding| Options {
            encoding,
            ..Options::default()
        },
    )
}

/// Lines of text of some width, as `cat` sends them.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        6 => "[ -~]{0,20}\\r\\n",
        1 => "[ -~]{0,60}\\r\\n",
        1 => "[ -~]{0,9}\\n",
        1 => "[äß漢\\t\\x08\\x07e\u{301}x]{0,9}\\r\\n",
        1 => "[a-z]{0,9}\\r",
    ];
    prop::collection::vec(line.prop_map(String::into_bytes), 60..300).prop_map(|l| l.concat())
}

proptest! {
    #[test]
    fn no_bytes_and_no_size_panic(
        pieces in prop::collection::vec((noise(), 0..40u16, 0..20u16), 1..5),
        options in options(),
    ) {
        let mut screen = Screen::with_options(20, 6, options);
        for (bytes, columns, rows) in &pieces {
            screen.feed(bytes);
            screen.resize(*columns, *rows);
            screen.feed(bytes);
            let notice = screen.notice("host \u{1b}[2J lost");
            let _ = (all(&screen), screen.row(5));
            screen.feed(&notice);
            prop_assert_eq!(screen.leave(), b"");
            prop_assert!(!screen.cursor().pending);
        }
    }

    #[test]
    fn where_a_stream_is_cut_changes_nothing(
        bytes in noise(),
        cuts in prop::collection::vec(1..9usize, 1..20),
        options in options(),
    ) {
        let mut whole = Screen::with_options(9, 5, options);
        let mut cut = whole.clone();
        let (mut filtered, mut out) = (whole.clone(), Vec::new());
        let mut passed = Vec::new();
        whole.feed_filtered(&bytes, &mut passed);
        let mut rest = &bytes[..];
        for len in cuts.iter().cycle() {
            let (now, later) = rest.split_at((*len).min(rest.len()));
            filtered.feed_filtered(now, &mut out);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        passed.iter().for_each(|byte| cut.feed(&[*byte]));
        prop_assert_eq!(&out, &passed);
        prop_assert_eq!(all(&whole), all(&cut));
        prop_assert_eq!(all(&whole), all(&filtered));
    }

    #[test]
    fn what_scrolls_away_unseen_leaves_no_trace(
        before in steps(), lines in lines(), options in options(), back in 0..6u16,
    ) {
        let before: Vec<u8> = before.iter().flat_map(super::oracle::Step::bytes).collect();
        // Wide enough that few lines wrap: each wrap would hide that a row too few was looked at.
        let mut at_once = Screen::with_options(32, 6, options);
        at_once.feed(&before);
        at_once.feed(format!("\x1b[r\x1b[{}H", 6 - back).as_bytes());
        let mut bytewise = at_once.clone();
        at_once.feed(&lines);
        lines.iter().for_each(|byte| bytewise.feed(&[*byte]));
        prop_assert_eq!(all(&at_once), all(&bytewise));
    }

    #[test]
    fn repeating_is_writing_as_often_and_costs_no_more_than_a_screen(
        steps in steps(), count in 1..2000u16, c in "[a漢]", mode in "(\x1b\\[4h|\x1b\\[\\?7l|)",
    ) {
        let before: Vec<u8> = steps.iter().flat_map(super::oracle::Step::bytes).collect();
        let mut repeated = Screen::new(11, 6);
        repeated.feed(&before);
        repeated.feed(format!("{mode}{c}").as_bytes());
        let mut written = repeated.clone();
        repeated.feed(format!("\x1b[{count}b").as_bytes());
        written.feed(c.repeat(count.into()).as_bytes());
        prop_assert_eq!(all(&repeated), all(&written));
    }
}

#[test]
fn an_idle_session_takes_at_most_eighteen_kibibytes() {
    let mut screen = Screen::new(80, 24);
    assert!(
        screen.memory() <= 16 * 1024 + 512,
        "{} bytes",
        screen.memory()
    );
    screen.feed(b"\x1b]0;user@host: ~\x07\x1b]7;file://host/home/user\x1b\\\x1b]133;A\x07");
    for n in 0..100 {
        screen.feed(format!("\x1b[0{};3{}mline {n}\r\n", n % 2, n % 8).as_bytes());
    }
    screen.feed(b"\x1b[?1049h\x1b[2Jvi\x1b[?1049l");
    assert!(screen.memory() <= 18 * 1024, "{} bytes", screen.memory());
}

#[test]
fn nothing_grows_with_what_a_host_sends() {
    let mut screen = Screen::new(80, 24);
    screen.feed(b"\x1b[?1049h");
    let mut most = 0;
    for n in 0..60_000u32 {
        let [_, r, g, b] = n.wrapping_mul(2_654_435_761).to_be_bytes();
        screen.feed(format!("\x1b[38;2;{r};{g};{b}me\u{301}\x1b]7;/{n}\x07\x1b[?{n}h").as_bytes());
        most = most.max(screen.memory());
    }
    screen.feed(b"\x1b]0;");
    for _ in 0..1000 {
        screen.feed(&[b'x'; 1000]);
        most = most.max(screen.memory());
    }
    screen.feed(b"\x1bP");
    screen.feed(&vec![b'y'; 1_000_000]);
    screen.feed(b"\x1b]7717;");
    let mut out = Vec::new();
    screen.feed_filtered(b"\x1b]7717;", &mut out);
    screen.feed_filtered(&vec![b'z'; 1_000_000], &mut out);
    assert!(out.is_empty());
    most = most.max(screen.memory());
    // Two screens, and tables that may name each of their cells twice.
    assert!(most < 700 * 1024, "{most} bytes");
}

#[test]
fn sizes_are_brought_within_bounds() {
    assert_eq!(Screen::new(0, 0).size(), (1, 1));
    let mut screen = Screen::new(u16::MAX, u16::MAX);
    assert_eq!(screen.size(), (500, 300));
    screen.resize(0, u16::MAX);
    assert_eq!(screen.size(), (1, 300));
    screen.feed("漢字".as_bytes());
    assert_eq!(screen.row(0), "");
}
