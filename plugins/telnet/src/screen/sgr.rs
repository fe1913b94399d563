//! SGR: how it changes a [`Style`], and how a style is written as one.

use super::parser::Parameters;
use super::style::{Color, Style};

/// Applies the parameters of a CSI m.
pub(super) fn apply(parameters: &Parameters, style: &mut Style) {
    let mut parameters = parameters.iter();
    while let Some(parameter) = parameters.next() {
        match parameter {
            [38 | 48 | 58, ..] => {
                let Some(color) = color(parameter, &mut parameters) else {
                    continue;
                };
                match parameter[0] {
                    38 => style.foreground = color,
                    48 => style.background = color,
                    _ => {} // the underline's own colour is not kept
                }
            }
            [4, 0] => style.attributes &= !Style::UNDERLINE,
            [number, ..] => apply_one(*number, style),
            [] => {}
        }
    }
}

/// The colour that `parameter` (38, 48) begins: `38:5:n`, `38:2::r:g:b` and `38:2:r:g:b` hold it
/// themselves, `38;5;n` and `38;2;r;g;b` take what follows.
fn color<'a>(parameter: &[u16], rest: &mut impl Iterator<Item = &'a [u16]>) -> Option<Color> {
    let byte = |value: u16| u8::try_from(value).ok();
    let mut next = || rest.next().map(|values| values[0]);
    match parameter {
        [_] => match next()? {
            5 => next().and_then(byte).map(Color::Indexed),
            2 => {
                let (r, g, b) = (next()?, next()?, next()?);
                Some(Color::Rgb(byte(r)?, byte(g)?, byte(b)?))
            }
            _ => None,
        },
        [_, 5, n, ..] => byte(*n).map(Color::Indexed),
        [_, 2, r, g, b] | [_, 2, _, r, g, b, ..] => {
            Some(Color::Rgb(byte(*r)?, byte(*g)?, byte(*b)?))
        }
        _ => None,
    }
}

fn apply_one(number: u16, style: &mut Style) {
    let low = |base: u16| u8::try_from(number - base).map_or(Color::Default, Color::Indexed);
    match number {
        0 => *style = Style::default(),
        1 => style.attributes |= Style::BOLD,
        2 => style.attributes |= Style::DIM,
        3 => style.attributes |= Style::ITALIC,
        4 | 21 => style.attributes |= Style::UNDERLINE,
        5 | 6 => style.attributes |= Style::BLINK,
        7 => style.attributes |= Style::INVERSE,
        8 => style.attributes |= Style::HIDDEN,
        9 => style.attributes |= Style::STRIKE,
        22 => style.attributes &= !(Style::BOLD | Style::DIM),
        23 => style.attributes &= !Style::ITALIC,
        24 => style.attributes &= !Style::UNDERLINE,
        25 => style.attributes &= !Style::BLINK,
        27 => style.attributes &= !Style::INVERSE,
        28 => style.attributes &= !Style::HIDDEN,
        29 => style.attributes &= !Style::STRIKE,
        30..=37 => style.foreground = low(30),
        39 => style.foreground = Color::Default,
        40..=47 => style.background = low(40),
        49 => style.background = Color::Default,
        53 => style.attributes |= Style::OVERLINE,
        55 => style.attributes &= !Style::OVERLINE,
        90..=97 => style.foreground = low(82),
        100..=107 => style.background = low(92),
        _ => {}
    }
}

const CODES: [(u16, &str); 9] = [
    (Style::BOLD, ";1"),
    (Style::DIM, ";2"),
    (Style::ITALIC, ";3"),
    (Style::UNDERLINE, ";4"),
    (Style::BLINK, ";5"),
    (Style::INVERSE, ";7"),
    (Style::HIDDEN, ";8"),
    (Style::STRIKE, ";9"),
    (Style::OVERLINE, ";53"),
];

/// Writes the SGR that brings any style to `style`.
pub(super) fn write(style: Style, to: &mut Vec<u8>) {
    to.extend_from_slice(b"\x1b[0");
    for (attribute, code) in CODES {
        if style.has(attribute) {
            to.extend_from_slice(code.as_bytes());
        }
    }
    write_color(style.foreground, 30, to);
    write_color(style.background, 40, to);
    to.push(b'm');
}

fn write_color(color: Color, base: u16, to: &mut Vec<u8>) {
    let text = match color {
        Color::Default => return,
        Color::Indexed(n @ 0..=7) => format!(";{}", base + u16::from(n)),
        Color::Indexed(n @ 8..=15) => format!(";{}", base + 52 + u16::from(n)),
        Color::Indexed(n) => format!(";{};5;{n}", base + 8),
        Color::Rgb(r, g, b) => format!(";{};2;{r};{g};{b}", base + 8),
    };
    to.extend_from_slice(text.as_bytes());
}
