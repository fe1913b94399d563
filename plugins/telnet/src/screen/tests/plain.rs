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

#[test]
fn in_the_last_column_the_next_character_wraps_and_nothing_else_does() {
    // Backspace goes to the column before; erasing takes the last character.
    assert_eq!(shown(4, 2, b"abcd\x08X"), ["abXd", ""]);
    assert_eq!(shown(4, 2, b"abcd\x1b[KX"), ["abcX", ""]);
    assert_eq!(shown(4, 2, b"abcd\x1b[DX"), ["abXd", ""]);
    assert_eq!(shown(4, 2, b"abcd\x1b[AX"), ["abcX", ""]);
    assert_eq!(shown(4, 3, b"abcd\nX"), ["abcd", "   X", ""]);
    assert_eq!(shown(4, 2, b"abcd\x1b[31mX"), ["abcd", "X"]);
    assert_eq!(shown(4, 2, b"abcd\x1b7\x1b[H\x1b8X"), ["abcd", "X"]);
    assert_eq!(shown(4, 2, b"\x1b[?7labcdefX"), ["abcX", ""]);
}

#[test]
fn margins_hold_what_scrolls_and_where_the_cursor_goes() {
    let five = b"1\r\n2\r\n3\r\n4\r\n5";
    let after = |bytes: &[u8]| shown(4, 5, &[five, bytes].concat());
    assert_eq!(after(b"\x1b[2;4r\x1b[4H\n"), ["1", "3", "4", "", "5"]);
    assert_eq!(after(b"\x1b[2;4r\x1b[2H\x1bM"), ["1", "", "2", "3", "5"]);
    assert_eq!(after(b"\x1b[2;4r\x1b[H\x1bMx"), ["x", "2", "3", "4", "5"]);
    assert_eq!(after(b"\x1b[2;4r\x1b[5H\nx"), ["1", "2", "3", "4", "x"]);
    assert_eq!(
        after(b"\x1b[2;4r\x1b[5H\x1b[9Ax"),
        ["1", "x", "3", "4", "5"]
    );
    assert_eq!(after(b"\x1b[2;4r\x1b[H\x1b[9Bx"), ["1", "2", "3", "x", "5"]);
    assert_eq!(
        after(b"\x1b[2;4r\x1b[?6h\x1b[9dx"),
        ["1", "2", "3", "x", "5"]
    );
    assert_eq!(after(b"\x1b[2;4r\x1b[3H\x1b[L"), ["1", "2", "", "3", "5"]);
    assert_eq!(after(b"\x1b[2;4r\x1b[3H\x1b[M"), ["1", "2", "4", "", "5"]);
    assert_eq!(after(b"\x1b[4;2rx"), ["1", "2", "3", "4", "5x"]);
}

#[test]
fn insert_mode_tabs_and_repetition() {
    assert_eq!(shown(8, 1, b"abc\x1b[2G\x1b[4hXY\x1b[4lZ"), ["aXYZc"]);
    assert_eq!(shown(20, 1, b"\tx\ty"), ["        x       y"]);
    assert_eq!(
        shown(20, 1, b"\x1b[3g\x1b[4G\x1bH\r\tx\ty"),
        ["   x               y"]
    );
    assert_eq!(
        shown(20, 1, b"\x1b[2Ix\x1b[Zy\x1b[2Zz"),
        ["        z       y"]
    );
    assert_eq!(shown(9, 1, b"a\x1b[3bb"), ["aaaab"]);
    assert_eq!(shown(9, 1, b"a\x1b[3ab"), ["a   b"]);
    assert_eq!(shown(2, 2, b"a\x1bEb"), ["a", "b"]);
    assert_eq!(shown(2, 3, b"a\x1bDb"), ["a", " b", ""]);
    assert_eq!(shown(2, 2, b"a\x1b[2;2r\x1b#8"), ["EE", "EE"]);
    assert_eq!(shown(3, 2, b"\x1b[20ha\nb"), ["a", "b"]);
}

#[test]
fn line_drawing_comes_and_goes_by_designation_and_by_shift() {
    assert_eq!(shown(9, 1, b"\x1b(0lqk\x1b(Bq"), ["┌─┐q"]);
    assert_eq!(shown(9, 1, b"\x1b)0a\x0ex\x0fx"), ["a│x"]);
    assert_eq!(shown(9, 1, b"\x1b(A#\x1b(B#"), ["£#"]);
    assert_eq!(shown(9, 1, b"\x1b(0\x1b7\x1b(B\x1b8q"), ["─"]);
    assert_eq!(shown(9, 1, b"\x1b(0\x1b[!pq"), ["q"]);
}

#[test]
fn every_encoding_reads_its_own_characters() {
    use super::super::{Encoding, Options};
    let row = |encoding, bytes: &[u8]| {
        let options = Options {
            encoding,
            ..Options::default()
        };
        let mut screen = Screen::with_options(9, 1, options);
        screen.feed(bytes);
        screen.row(0)
    };
    assert_eq!(
        row(Encoding::Utf8, "äe\u{301}漢x".as_bytes()),
        "äe\u{301}漢x"
    );
    assert_eq!(
        row(Encoding::Utf8, b"a\xFFb\xE6\xBCc\xC0\x80"),
        "a\u{FFFD}b\u{FFFD}c\u{FFFD}\u{FFFD}"
    );
    assert_eq!(row(Encoding::Latin1, b"\xE4\x9B2Gx"), "äx");
    assert_eq!(row(Encoding::Latin1, b"a\x9D0;title\x9Cb"), "ab");
    assert_eq!(row(Encoding::Cp437, b"\xC9\xCD\xBB\x84"), "╔═╗ä");
    assert_eq!(row(Encoding::Utf8, b"\x1b%@\xE4\x1b%G\xC3\xA4"), "ää");
}

#[test]
fn strings_that_are_none_of_the_screens_business_are_swallowed() {
    assert_eq!(
        shown(
            9,
            1,
            b"a\x1bPq#0;2\x1b\\b\x1b_x\x1b\\c\x1b^y\x1b\\d\x1bXz\x1b\\e"
        ),
        ["abcde"]
    );
    assert_eq!(shown(9, 1, b"a\x1b]0;title\x18b\x1b[3\x1ac"), ["abc"]);
    assert_eq!(shown(9, 1, b"a\x1b[1\x1b[Gb\x1b[>c\x1b[?1$pc"), ["bc"]);
    let mut screen = Screen::new(9, 1);
    screen
        .feed(b"\x1b]2;a title\x07\x1b]7;http://x/y\x07\x1b]7;file://h/%0a\x07\x1b]7;relative\x07");
    assert_eq!((screen.title(), screen.cwd()), (Some("a title"), None));
}

#[test]
fn leaving_says_what_is_wrong_and_nothing_more() {
    let leave = |bytes: &[u8]| {
        let mut screen = Screen::new(20, 4);
        screen.feed(bytes);
        let leave = screen.leave();
        screen.feed(&leave);
        assert_eq!(screen.leave(), b"", "after {leave:?}");
        String::from_utf8(leave).unwrap()
    };
    assert_eq!(leave(b"text\r\n$ "), "");
    assert_eq!(leave(b"\x1b]0;half"), "\x18\x1b\\");
    assert_eq!(leave(b"\x1bPhalf\x1b"), "\x18\x1b\\");
    assert_eq!(leave(b"\x1b[3"), "\x18");
    assert_eq!(leave(b"ab\xE6\xBC"), "\x18");
    assert_eq!(leave(b"\x1b[1m"), "\x1b[m");
    assert_eq!(leave(b"ab\x1b[2;3r\x1b[3;4H"), "\x1b[r\x1b[3;4H");
    assert_eq!(leave(b"\x1b(0"), "\x0f\x1b(B\x1b)B");
    assert_eq!(
        leave(b"\x1b[?1003h\x1b[?1006h\x1b[?2004h"),
        "\x1b[?1003l\x1b[?1006l\x1b[?2004l"
    );
    assert_eq!(
        leave(b"\x1b[?2026h\x1b[?2026l\x1b[?1034h\x1b[?3h"),
        "\x1b[?1034l"
    );
    assert_eq!(
        leave(b"\x1b[?25l\x1b[4 q\x1b[4h\x1b[?7l"),
        "\x1b[4l\x1b[?7h\x1b[?25h\x1b[0 q"
    );
    assert_eq!(
        leave(b"\x1b[>4;2m\x1b[>1u\x1b[>1u\x1b[<u"),
        "\x1b[>4;0m\x1b[<1u"
    );
    assert_eq!(leave(b"\x1b]8;;http://x\x07l"), "\x1b]8;;\x1b\\");
    assert_eq!(leave(b"\x1b]11;#000\x07\x1b]10;?\x07"), "\x1b]111\x1b\\");
    assert_eq!(
        leave(b"\x1b[3g\r"),
        "\x1b[3g\x1b[9G\x1bH\x1b[17G\x1bH\x1b[1;1H"
    );
    assert_eq!(leave(b"\x1b%@"), "\x1b%G");
    assert_eq!(leave(b"ab\x1b[?47h\x1b[3;3Hx"), "\x1b[?47l\x1b[1;3H");
    assert_eq!(
        leave(b"ab\x1b[1m\x1b(0\x1b[?1049h\x1b[m\x1b(B\x1b[Hx"),
        "\x1b[?1049l\x0f\x1b(B\x1b)B\x1b[m\x1b[1;3H"
    );
    assert_eq!(
        leave(b"\x1b[>1u\x1b[?1049h\x1b[>1u\x1b[=1u"),
        "\x1b[<1u\x1b[=0u\x1b[?1049l\x1b[<1u\x1b[1;1H"
    );
}

#[test]
fn a_half_character_is_shown_as_unknown_and_the_cursor_stands_behind_it() {
    let mut screen = Screen::new(3, 2);
    screen.feed(b"\r\nab\x1b[?6h\x1b[2;3H\xE6");
    let leave = screen.leave();
    screen.feed(&leave);
    assert_eq!(
        (screen.row(1), at(&screen)),
        ("ab\u{FFFD}".into(), (1, 2, false))
    );
}

#[test]
fn a_notice_goes_below_what_a_program_on_the_primary_screen_left() {
    let mut screen = Screen::new(12, 4);
    screen.feed(b"top\r\n1\r\n2\r\n3\x1b[2;1H");
    let notice = screen.notice("lost");
    screen.feed(&notice);
    let rows: Vec<_> = (0..4).map(|row| screen.row(row)).collect();
    assert_eq!(rows, ["2", "3", "lost", ""]);
    assert_eq!(at(&screen), (3, 0, false));
    let mut screen = Screen::new(1, 1);
    screen.feed(&screen.notice("lost"));
    assert_eq!(at(&screen), (0, 0, false));
    assert_eq!(Screen::new(9, 2).notice("first"), b"first\r\n");
}

#[test]
fn a_reset_brings_all_back_but_what_the_shell_said() {
    let mut screen = Screen::new(9, 3);
    screen.feed(b"\x1b]7;/home\x07text\x1b[?1049h\x1b[?1h\x1b[2;3r\x1b[1m\x1b]8;;u\x07\x1bc");
    assert_eq!((screen.row(0), screen.leave()), (String::new(), vec![]));
    assert_eq!(screen.cwd(), Some(&b"/home"[..]));
    screen.forget_host();
    assert_eq!(screen.cwd(), None);
}

#[test]
fn another_size_keeps_the_cursors_row_on_the_screen() {
    let mut screen = Screen::new(6, 4);
    screen.feed("1\r\n2\r\n3\r\nabcd漢".as_bytes());
    screen.resize(5, 2);
    assert_eq!((screen.row(0), screen.row(1)), ("3".into(), "abcd".into()));
    assert_eq!(at(&screen), (1, 4, false));
    screen.resize(9, 3);
    screen.feed(b"x");
    assert_eq!(
        (screen.row(1), screen.row(2)),
        ("abcdx".into(), String::new())
    );
    screen.feed(b"\x1b[?1049h\x1b[3;1Hvi");
    screen.resize(9, 1);
    assert_eq!(screen.row(0), "vi");
    screen.feed(b"\x1b[?1049l");
    assert_eq!(
        (screen.row(0), at(&screen)),
        ("abcdx".into(), (0, 5, false))
    );
}
