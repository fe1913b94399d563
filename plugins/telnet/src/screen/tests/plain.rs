//! What a terminal does, written down case by case.

use crate::screen::{Color, Mark, Screen, Style};

/// The rows of a screen of `columns` times `rows` that `bytes` was fed.
fn shown(columns: u16, rows: u16, bytes: &[u8]) -> Vec<String> {
    let mut screen = Screen::new(columns, rows);
    screen.feed(bytes);
    (0..rows).map(|row| screen.row(row)).collect()
}

fn at(screen: &Screen) -> (u16, u16, bool) {
    let cursor = screen.cursor();
    (cursor.row, cursor.column, cursor.pending)
}

#[test]
fn text_wraps_when_the_next_character_comes_and_scrolls_at_the_end() {
    let mut screen = Screen::new(4, 2);
    screen.feed(b"abcd");
    assert_eq!(at(&screen), (0, 3, true));
    screen.feed(b"efghi");
    assert_eq!((screen.row(0), screen.row(1)), ("efgh".into(), "i".into()));
    assert_eq!(screen.line(), "efghi");
}

#[test]
fn cursor_moves_stay_on_the_screen() {
    let mut screen = Screen::new(10, 5);
    screen.feed(b"\x1b[99;99H");
    assert_eq!(at(&screen), (4, 9, false));
    screen.feed(b"\x1b[65535A\x1b[65535D");
    assert_eq!(at(&screen), (0, 0, false));
    screen.feed(b"\x1b[3;4Hx\x1b[2D\x1b[B");
    assert_eq!(at(&screen), (3, 2, false));
}

#[test]
fn erasing_takes_the_cursors_own_cell_with_it() {
    assert_eq!(shown(6, 1, b"abcdef\x1b[3G\x1b[K"), ["ab"]);
    assert_eq!(shown(6, 1, b"abcdef\x1b[3G\x1b[1K"), ["   def"]);
    assert_eq!(
        shown(3, 3, b"abc\r\ndef\r\nghi\x1b[2;2H\x1b[J"),
        ["abc", "d", ""]
    );
    assert_eq!(
        shown(3, 3, b"abc\r\ndef\r\nghi\x1b[2;2H\x1b[1J"),
        ["", "  f", "ghi"]
    );
}

#[test]
fn the_line_up_to_the_cursor_keeps_the_prompts_last_space() {
    let mut screen = Screen::new(20, 3);
    screen.feed(b"motd\r\nuser@host:~$ ");
    assert_eq!(screen.line(), "user@host:~$ ");
}

#[test]
fn a_mark_and_a_directory_are_read_and_the_own_osc_never_reaches_the_terminal() {
    let mut screen = Screen::new(20, 3);
    let stream =
        b"a\x1b]7;file://h/home/a%20b\x1b\\\x1b]133;A\x07b\x1b]7717;logout\x1b\\c\x1b]77x\x07";
    let mut out = Vec::new();
    for byte in stream {
        screen.feed_filtered(&[*byte], &mut out);
    }
    assert_eq!(
        out,
        b"a\x1b]7;file://h/home/a%20b\x1b\\\x1b]133;A\x07bc\x1b]77x\x07"
    );
    assert_eq!(screen.cwd(), Some(&b"/home/a b"[..]));
    assert_eq!(screen.take_mark(), Some(Mark::Prompt));
    assert_eq!(screen.take_mark(), Some(Mark::Own("logout".into())));
    assert_eq!(screen.take_mark(), None);
    assert_eq!(screen.row(0), "abc");
}

#[test]
fn colours_of_every_kind_are_told_apart() {
    let mut screen = Screen::new(20, 1);
    screen.feed(b"\x1b[1;31mr\x1b[0;38;5;200mp\x1b[48;2;1;2;3mt\x1b[38:2::9:8:7;4mu");
    let style = |column| screen.cell(0, column).unwrap().style;
    assert_eq!(style(0).foreground, Color::Indexed(1));
    assert!(style(0).has(Style::BOLD));
    assert_eq!(style(1).foreground, Color::Indexed(200));
    assert_eq!(style(2).background, Color::Rgb(1, 2, 3));
    assert_eq!(style(3).foreground, Color::Rgb(9, 8, 7));
    assert!(style(3).has(Style::UNDERLINE));
}

#[test]
fn a_full_screen_program_is_left_as_if_it_had_never_run() {
    let mut screen = Screen::new(10, 3);
    screen.feed(b"$ vi\r\n\x1b[?1049h\x1b[?1h\x1b=\x1b[1;2r\x1b[31mtext\x1b[?25l\x1b]0;half");
    let leave = screen.leave();
    screen.feed(&leave);
    assert!(!screen.alternate());
    assert_eq!(screen.row(0), "$ vi");
    assert_eq!(at(&screen), (1, 0, false));
    assert_eq!(screen.modes(), super::super::Modes::default());
    assert_eq!(screen.leave(), b"");
}

#[test]
fn a_notice_has_a_line_of_its_own_and_no_control_in_it() {
    let mut screen = Screen::new(20, 4);
    screen.feed(b"$ sleep");
    let notice = screen.notice("host \x1b[2Ja\u{9b}1m lost, and so on and on");
    assert_eq!(notice, b"\r\nhost ?[2Ja?1m lost,\r\n");
    screen.feed(&notice);
    assert_eq!(at(&screen), (2, 0, false));
}
