//! Events to bytes: what [`Parser`](super::Parser) read is written as it was.

use super::{Command, Event, IAC, SB, SE, Verb};

/// Data; every byte of 255 is doubled (RFC 854).
pub fn data(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(IAC, rest) {
        out.extend_from_slice(&rest[..=at]);
        out.push(IAC);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// A line that is typed for the user. It ends in CR LF, which RFC 1123 section 3.3.1 makes the default
/// and which every host has to take as it takes CR NUL; in `binary` (RFC 856) the two would be two
/// characters, so it is the CR alone that the key sends.
pub fn line(out: &mut Vec<u8>, text: &[u8], binary: bool) {
    data(out, text);
    out.extend_from_slice(if binary { b"\r" } else { b"\r\n" });
}

/// A command of one byte.
pub fn command(out: &mut Vec<u8>, command: Command) {
    out.extend_from_slice(&[IAC, command.byte()]);
}

/// A word about an option.
pub fn negotiate(out: &mut Vec<u8>, verb: Verb, option: u8) {
    out.extend_from_slice(&[IAC, verb.byte(), option]);
}

/// A subnegotiation, RFC 855; `payload` is what stands behind the option, not doubled yet.
pub fn subnegotiation(out: &mut Vec<u8>, option: u8, payload: &[u8]) {
    unended(out, option, payload);
    out.extend_from_slice(&[IAC, SE]);
}

fn unended(out: &mut Vec<u8>, option: u8, payload: &[u8]) {
    out.extend_from_slice(&[IAC, SB]);
    data(out, &[option]);
    data(out, payload);
}

/// Whatever was read. Nothing is written for [`Event::Overlong`], which nobody has kept.
pub fn event(out: &mut Vec<u8>, event: &Event<'_>) {
    match *event {
        Event::Data(bytes) => data(out, bytes),
        Event::Command(which) => command(out, which),
        Event::Negotiate(verb, option) => negotiate(out, verb, option),
        Event::Subnegotiation { option, payload } => subnegotiation(out, option, payload),
        Event::Unended { option, payload } => unended(out, option, payload),
        Event::Overlong { .. } => {}
        Event::Stray(byte) => out.extend_from_slice(&[IAC, byte]),
    }
}
