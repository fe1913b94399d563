//! How fast text goes past; measured, not judged:
//! `cargo test --release -p director-telnet --lib screen::tests::speed -- --ignored --nocapture`.

use std::time::Instant;

use crate::screen::Screen;

/// Megabytes a second of `text`, fed in pieces of `piece` bytes, through the filter as a host's bytes go.
fn rate(text: &[u8], piece: usize) -> f64 {
    let mut screen = Screen::new(80, 24);
    let mut out = Vec::with_capacity(piece + 16);
    let start = Instant::now();
    for part in text.chunks(piece) {
        out.clear();
        screen.feed_filtered(part, &mut out);
    }
    text.len() as f64 / start.elapsed().as_secs_f64() / 1e6
}

#[test]
#[ignore = "a measurement"]
fn megabytes_a_second() {
    let repeat = |line: &str| line.as_bytes().repeat(100_000_000 / line.len());
    let kinds = [
        (
            "lines of 60",
            repeat(&format!("{}\r\n", "text goes past the screen, ".repeat(2))),
        ),
        ("lines of 20", repeat("a short line of text\r\n")),
        (
            "UTF-8 lines",
            repeat("größere Zeilen mit Umlauten: äöü ÄÖÜ ß\r\n"),
        ),
        ("no line end", repeat("words without an end ")),
        (
            "colours",
            repeat("\x1b[1;34mdirectory\x1b[0m  \x1b[32mprogram\x1b[0m  plain text\r\n"),
        ),
        (
            "full screen",
            repeat("\x1b[5;10Hcell\x1b[K\x1b[7m 42 \x1b[m\x1b[12;1Hanother line of it"),
        ),
    ];
    for (name, text) in &kinds {
        for piece in [4096, 16_384, 65_536] {
            println!("{name}, pieces of {piece}: {:.0} MB/s", rate(text, piece));
        }
    }
}
