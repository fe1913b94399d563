//! Properties of the parser and the encoder together.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// An event that owns its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owned {
    Data(Vec<u8>),
    Command(Command),
    Negotiate(Verb, u8),
    Subnegotiation(u8, Vec<u8>),
    Unended(u8, Vec<u8>),
    Overlong(u8, usize),
    Stray(u8),
}

impl Owned {
    fn of(event: &Event<'_>) -> Self {
        match *event {
            Event::Data(bytes) => Self::Data(bytes.to_vec()),
            Event::Command(command) => Self::Command(command),
            Event::Negotiate(verb, option) => Self::Negotiate(verb, option),
            Event::Subnegotiation { option, payload } => {
                Self::Subnegotiation(option, payload.to_vec())
            }
            Event::Unended { option, payload } => Self::Unended(option, payload.to_vec()),
            Event::Overlong { option, dropped } => Self::Overlong(option, dropped),
            Event::Stray(byte) => Self::Stray(byte),
        }
    }
}

/// The events of `bytes`, read `piece` at a time (runs of data joined), and what they encode to.
pub(crate) fn events(bytes: &[u8], piece: usize, limit: usize) -> (Vec<Owned>, Vec<u8>) {
    let (mut parser, mut found, mut again) = (Parser::new(limit), Vec::new(), Vec::new());
    for mut input in bytes.chunks(piece) {
        while let Some(event) = parser.next(&mut input) {
            encode::event(&mut again, &event);
            match (found.last_mut(), Owned::of(&event)) {
                (Some(Owned::Data(run)), Owned::Data(more)) => run.extend(more),
                (_, event) => found.push(event),
            }
        }
        assert!(input.is_empty());
        assert!(parser.memory() <= (2 * limit).max(KEPT));
    }
    (found, again)
}

const KEPT: usize = 64;

/// Bytes in which Telnet's own are frequent.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    vec(
        prop_oneof![
            4 => Just(IAC),
            2 => Just(SB),
            2 => Just(SE),
            3 => 230_u8..=255,
            3 => 0_u8..50,
            3 => any::<u8>(),
        ],
        0..200,
    )
}

/// Bytes that every command in them is complete in.
fn whole_stream() -> impl Strategy<Value = Vec<u8>> {
    let event = prop_oneof![
        vec(any::<u8>(), 0..20).prop_map(|bytes| {
            let mut out = Vec::new();
            encode::data(&mut out, &bytes);
            out
        }),
        (0_u8..=249)
            .prop_filter("no command", |byte| *byte != SB)
            .prop_map(|byte| vec![IAC, byte]),
        (251_u8..=254, any::<u8>()).prop_map(|(verb, option)| vec![IAC, verb, option]),
        (any::<u8>(), vec(any::<u8>(), 0..40), any::<bool>()).prop_map(
            |(option, payload, whole)| {
                let mut out = Vec::new();
                encode::subnegotiation(&mut out, option, &payload);
                if !whole {
                    out.truncate(out.len() - 1);
                    out.push(Command::Nop.byte());
                }
                out
            }
        ),
    ];
    vec(event, 0..20).prop_map(|events| events.concat())
}

proptest! {
    #[test]
    fn what_is_read_is_written_as_it_was(bytes in whole_stream(), piece in 1_usize..300) {
        let (_, again) = events(&bytes, piece, 1000);
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn of_any_bytes_all_is_written_again_but_what_is_not_complete(
        bytes in stream(),
        piece in 1_usize..50,
    ) {
        let (_, again) = events(&bytes, piece, 1000);
        prop_assert!(bytes.starts_with(&again));
        let complete = bytes.len() == again.len();
        // Another command behind it ends what was under way.
        let mut more = bytes.clone();
        more.extend([0, IAC, SE, IAC, Command::Nop.byte()]);
        let (_, again) = events(&more, piece, 1000);
        prop_assert!(complete || again.len() > bytes.len());
        prop_assert_eq!(again, more);
    }

    #[test]
    fn however_it_is_cut_it_is_the_same(bytes in stream(), piece in 1_usize..50, limit in 0_usize..20) {
        prop_assert_eq!(
            events(&bytes, bytes.len().max(1), limit),
            events(&bytes, piece, limit)
        );
    }
}

#[test]
fn every_kind_of_event() {
    let bytes = b"a\r\0\xff\xffb\xff\xf6\xff\xfb\x01\xff\xfa\x18\x00x\xff\xffy\xff\xf0\
        \xff\xfa\x1f\x00\xff\xfd\x06\xff\x01\xff\xf0\xff\xfa\xff\xf0";
    let found = events(bytes, 1, 100).0;
    assert_eq!(
        found,
        [
            Owned::Data(b"a\r\0\xffb".to_vec()),
            Owned::Command(Command::AreYouThere),
            Owned::Negotiate(Verb::Will, options::ECHO),
            Owned::Subnegotiation(options::TERMINAL_TYPE, b"\0x\xffy".to_vec()),
            Owned::Unended(options::NAWS, vec![0]),
            Owned::Negotiate(Verb::Do, options::TIMING_MARK),
            Owned::Stray(1),
            Owned::Stray(SE),
            Owned::Stray(SB),
            Owned::Stray(SE),
        ]
    );
}

#[test]
fn a_subnegotiation_without_end_is_counted_and_not_kept() {
    let mut parser = Parser::new(1000);
    assert_eq!(parser.next(&mut &[IAC, SB, 24][..]), None);
    for _ in 0..1000 {
        assert_eq!(parser.next(&mut &[b'x'; 1000][..]), None);
        assert!(parser.memory() <= 2000);
    }
    assert_eq!(parser.under_way(), 1_000_000);
    assert_eq!(parser.memory(), 0);
    let mut end = &[IAC, SE, b'y'][..];
    assert_eq!(
        parser.next(&mut end),
        Some(Event::Overlong {
            option: 24,
            dropped: 1_000_000
        })
    );
    assert_eq!(parser.next(&mut end), Some(Event::Data(b"y")));
    assert_eq!(parser.under_way(), 0);
}

#[test]
fn a_line_that_is_typed_ends_as_the_host_wants_it() {
    let (mut out, mut binary) = (Vec::new(), Vec::new());
    encode::line(&mut out, b"cd /\xff", false);
    encode::line(&mut binary, b"cd", true);
    assert_eq!(out, b"cd /\xff\xff\r\n");
    assert_eq!(binary, b"cd\r");
}

#[test]
fn what_a_new_host_cannot_be_told_is_refused() {
    let policy = options::Policy::new(true, &[86, 200]);
    assert!(policy.allows(86) && policy.allows(200) && policy.allows(39));
    assert!(!policy.allows(87) && !policy.allows(201) && !policy.allows(46) && !policy.allows(44));
    assert!((0..=255).all(|option| options::Policy::new(false, &[]).allows(option)));
}
