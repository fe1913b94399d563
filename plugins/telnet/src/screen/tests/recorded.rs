//! Recordings of real programs in a terminal of 80x24 (`tests/data/screen`), most of them killed in the
//! middle: the other emulator sees the same at every 61st byte, and leaving makes it sane there.

use super::oracle::{same_cells, same_cursor, same_modes, vt100};
use crate::screen::{Modes, Screen};

const RECORDINGS: [(&str, &[u8]); 7] = [
    (
        "less",
        include_bytes!("../../../tests/data/screen/less.bin"),
    ),
    (
        "less, left by q",
        include_bytes!("../../../tests/data/screen/less-quit.bin"),
    ),
    (
        "bash with readline",
        include_bytes!("../../../tests/data/screen/readline.bin"),
    ),
    (
        "tmux",
        include_bytes!("../../../tests/data/screen/tmux.bin"),
    ),
    ("top", include_bytes!("../../../tests/data/screen/top.bin")),
    ("vim", include_bytes!("../../../tests/data/screen/vi.bin")),
    (
        "vim, left by :q!",
        include_bytes!("../../../tests/data/screen/vi-quit.bin"),
    ),
];

/// Where a terminal switches to the alternate screen: xterm leaves the cursor where it was, vt100 does not.
const SWITCH: &[u8] = b"\x1b[?1049h";

/// Pieces of 61 bytes, cut also behind each switch.
fn pieces(recording: &[u8]) -> Vec<&[u8]> {
    let mut ends: Vec<_> = (61..recording.len()).step_by(61).collect();
    let switches =
        (SWITCH.len()..recording.len()).filter(|end| recording[..*end].ends_with(SWITCH));
    ends.extend(switches);
    ends.push(recording.len());
    ends.sort_unstable();
    ends.dedup();
    let starts = std::iter::once(0).chain(ends.clone());
    starts
        .zip(ends)
        .map(|(start, end)| &recording[start..end])
        .collect()
}

#[test]
fn recorded_programs_look_the_same_and_can_be_left_anywhere() {
    for (name, recording) in RECORDINGS {
        let mut ours = Screen::new(80, 24);
        let mut theirs = vt100(80, 24);
        let mut fed = Vec::new();
        for (n, piece) in pieces(recording).into_iter().enumerate() {
            ours.feed(piece);
            let mut piece = piece.to_vec();
            if piece.ends_with(SWITCH) {
                let cursor = ours.cursor();
                piece.extend(format!("\x1b[{};{}H", cursor.row + 1, cursor.column + 1).as_bytes());
            }
            theirs.process(&piece);
            fed.extend(piece);
            same_cells(&ours, theirs.screen(), (false, true))
                .and_then(|()| same_cursor(&ours, theirs.screen()))
                .and_then(|()| same_modes(&ours, theirs.screen()))
                .unwrap_or_else(|error| panic!("{name}, after {} bytes: {error}", fed.len()));
            if n % 5 == 0 {
                left(&ours, &fed)
                    .unwrap_or_else(|error| panic!("{name}, left after {}: {error}", fed.len()));
            }
        }
    }
}

fn left(screen: &Screen, fed: &[u8]) -> Result<(), proptest::prelude::TestCaseError> {
    let leave = screen.leave();
    let mut ours = screen.clone();
    ours.feed(&leave);
    let mut theirs = vt100(80, 24);
    theirs.process(fed);
    theirs.process(&leave);
    assert_eq!(ours.modes(), Modes::default());
    assert_eq!(ours.leave(), b"");
    same_modes(&Screen::new(80, 24), theirs.screen())?;
    same_cells(&ours, theirs.screen(), (false, true))?;
    let mut restored = vt100(80, 24);
    restored.process(&screen.restore());
    same_cells(screen, restored.screen(), (true, false))?;
    same_modes(screen, restored.screen())
}
