//! What must hold of any bytes that come from outside: run by `plugins/telnet/fuzz` for as long as one
//! likes, and by the tests below for a moment.

use std::collections::VecDeque;

use super::options::{charset, environ, flow, linemode, naws, text, ttype};
use super::q::{Direction, MAX_OPTIONS, Performer, Table};
use super::{Command, Event, IAC, Parser, SE, Verb, encode, options};

/// Most bytes of a subnegotiation that [`stream`] keeps.
const LIMIT: usize = 64;

/// What a stream is: how many bytes of it are data, its other events encoded one by one, and all of it
/// encoded.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    data: Vec<u8>,
    events: Vec<(usize, Vec<u8>)>,
    again: Vec<u8>,
    is_overlong: bool,
}

fn read(bytes: &[u8], piece: usize) -> Read {
    let (mut parser, mut found) = (Parser::new(LIMIT), Read::default());
    for mut input in bytes.chunks(piece) {
        while let Some(event) = parser.next(&mut input) {
            encode::event(&mut found.again, &event);
            match event {
                Event::Data(run) => {
                    assert!(run == [IAC] || !run.contains(&IAC));
                    assert!(!run.is_empty(), "it goes on");
                    found.data.extend_from_slice(run);
                }
                Event::Subnegotiation { payload, .. } | Event::Unended { payload, .. } => {
                    assert!(payload.len() <= LIMIT);
                    found.events.push((found.data.len(), payload.to_vec()));
                }
                Event::Overlong { dropped, .. } => {
                    assert!(dropped > LIMIT);
                    found.is_overlong = true;
                    found.events.push((found.data.len(), Vec::new()));
                }
                Event::Command(_) | Event::Negotiate(..) | Event::Stray(_) => {
                    let mut said = Vec::new();
                    encode::event(&mut said, &event);
                    found.events.push((found.data.len(), said));
                }
            }
        }
        assert!(input.is_empty());
        assert!(parser.memory() <= 2 * LIMIT);
    }
    found
}

/// One direction of a connection. However it is cut, it is the same; nothing grows; and what is read
/// is written again as it was.
pub fn stream(bytes: &[u8]) {
    let (first, bytes) = bytes.split_first().unwrap_or((&0, &[]));
    // Another command behind it ends whatever is under way.
    let mut bytes = bytes.to_vec();
    bytes.extend([0, IAC, SE, IAC, Command::Nop.byte()]);
    let whole = read(&bytes, bytes.len());
    assert_eq!(whole, read(&bytes, usize::from(*first).max(1)));
    assert!(whole.is_overlong || whole.again == bytes);
}

/// Words on their way from one end to the other.
type Way = VecDeque<(Verb, u8)>;

fn deliver(way: &mut Way, to: &mut Table, back: &mut Way, allows: u8) -> bool {
    let Some((verb, option)) = way.pop_front() else {
        return false;
    };
    let answer = to.receive(verb, option, allows & (1 << option) != 0);
    back.extend(answer.map(|answer| (answer, option)));
    true
}

/// Two ends with eight options that ask for whatever comes into their minds, in any order of delivery:
/// they stop, and they agree. And a table that is told anything at all keeps its bounds.
pub fn negotiation(bytes: &[u8]) {
    let [allow_one, allow_other, steps @ ..] = bytes else {
        return;
    };
    let (mut one, mut other) = (Table::new(), Table::new());
    let (mut to_one, mut to_other) = (Way::new(), Way::new());
    let mut asked = 0;
    for step in steps {
        let option = step >> 5;
        let on = step & 16 != 0;
        let performer = if step & 8 == 0 {
            Performer::Us
        } else {
            Performer::Peer
        };
        match step & 7 {
            0 => to_other.extend(one.ask(performer, option, on).map(|verb| (verb, option))),
            1 => to_one.extend(other.ask(performer, option, on).map(|verb| (verb, option))),
            2 => one.calm(),
            3..=5 => {
                deliver(&mut to_other, &mut other, &mut to_one, *allow_other);
            }
            _ => {
                deliver(&mut to_one, &mut one, &mut to_other, *allow_one);
            }
        }
        asked += usize::from(step & 7 < 2);
    }
    let mut left = to_one.len() + to_other.len() + 4 * asked;
    while deliver(&mut to_other, &mut other, &mut to_one, *allow_other)
        || deliver(&mut to_one, &mut one, &mut to_other, *allow_one)
    {
        left = left.checked_sub(1).unwrap_or_else(|| panic!("they go on"));
    }
    for option in 0..8 {
        for (mine, its) in [
            (Performer::Us, Performer::Peer),
            (Performer::Peer, Performer::Us),
        ] {
            assert!(one.side(mine, option).is_settled());
            assert_eq!(one.side(mine, option), other.side(its, option));
        }
    }
    told_anything(steps);
}

fn told_anything(steps: &[u8]) {
    let mut table = Table::new();
    for words in steps.chunks_exact(2) {
        let verb = Verb::from_byte(251 + (words[0] & 3)).unwrap_or(Verb::Will);
        match words[0] >> 5 {
            0..=2 => {
                let _may_pass = table.observe(Direction::Received, verb, words[1]);
            }
            3..=5 => {
                let _may_pass = table.observe(Direction::Sent, verb, words[1]);
            }
            6 => {
                let answer = table.receive(verb, words[1], words[0] & 4 != 0);
                assert!(answer.is_none_or(|it| it.is_about_speaker() != verb.is_about_speaker()));
            }
            _ => {
                let said = table.settle(|_, option| option < 128);
                assert!(
                    said.iter()
                        .all(|(verb, option)| !verb.is_positive() || *option < 128)
                );
            }
        }
        assert!(table.memory() <= 8 * MAX_OPTIONS);
    }
    let _answers = table.settle(|_, _| false);
    assert_eq!(
        table.settle(|_, _| true),
        [],
        "what is settled is owed no more"
    );
}

/// Payloads of the options, the first byte says of which.
pub fn payloads(bytes: &[u8]) {
    let [option, payload @ ..] = bytes else {
        return;
    };
    let allowed = ["LANG", "LC_*", "USER"];
    let left = environ::filter(*option, payload, &allowed);
    if !environ::is_asked(payload) {
        assert!(environ::is_told(&left));
        for variable in environ::variables(*option, &left) {
            let value = variable.value.unwrap_or_default();
            assert!(environ::is_allowed(&variable.name, &value, &allowed));
            assert!(!value.starts_with(b"-") && !value.contains(&b'\n'));
        }
        assert_eq!(environ::filter(*option, &left, &allowed), left);
    }
    if let Some(window) = naws::Window::parse(payload) {
        assert_eq!(window.payload(), payload);
        let kept = window.kept();
        assert!((1..=naws::MAX_COLUMNS).contains(&kept.columns));
        assert!((1..=naws::MAX_ROWS).contains(&kept.rows));
    }
    let mut types = ttype::Types::new();
    for name in payload.split(|byte| *byte == *option) {
        types.learn(name);
    }
    let mut asked = 0;
    for _ in 0..2 * ttype::MAX_TYPES {
        if let Some(name) = types.answer(&mut asked) {
            assert!(text::can_be_said(name) && name.len() <= ttype::MAX_NAME);
        }
    }
    if let Some(said) = text::Text::parse(payload) {
        assert!(payload.starts_with(&said.payload()));
    }
    if let Some(answer) = charset::answer(payload, Some(b"UTF-8")) {
        let utf8 = charset::accepted(&answer).is_none_or(|it| it.eq_ignore_ascii_case(b"UTF-8"));
        assert!(utf8 && answer.len() <= 6);
    }
    if let Some(linemode::Linemode::Characters(triples)) = linemode::Linemode::parse(payload) {
        let mut characters = linemode::Characters::default();
        characters.learn(triples);
        assert!(characters.payload().is_none_or(|it| it.len() <= 91));
        let answer = characters.answer(triples);
        assert!(answer.is_none_or(|it| it.len() <= payload.len()));
    }
    let mut flow = flow::Flow::default();
    let _is_known = flow.learn(payload);
    assert!(flow.difference(flow).is_empty());
    let _name = options::name(*option);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::collection::vec;
    use proptest::prelude::*;

    /// The seeds of a target, with and without a byte changed.
    fn seeds(target: &str, run: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/seeds")
            .join(target);
        let mut found = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let seed = std::fs::read(file.unwrap().path()).unwrap();
            run(&seed);
            for at in 0..seed.len() {
                run(&seed[..at]);
                for bit in 0..8 {
                    let mut changed = seed.clone();
                    changed[at] ^= 1 << bit;
                    run(&changed);
                }
            }
            found += 1;
        }
        assert!(found > 0);
    }

    #[test]
    fn what_is_in_the_seeds() {
        seeds("stream", super::stream);
        seeds("negotiation", super::negotiation);
        seeds("payloads", super::payloads);
    }

    proptest! {
        #[test]
        fn any_stream(bytes in vec(prop_oneof![236_u8..=255, any::<u8>()], 0..300)) {
            super::stream(&bytes);
        }

        #[test]
        fn any_negotiation(bytes in vec(any::<u8>(), 0..600)) {
            super::negotiation(&bytes);
        }

        #[test]
        fn any_payload(bytes in vec(prop_oneof![0_u8..5, Just(39), Just(36), any::<u8>()], 0..100)) {
            super::payloads(&bytes);
        }
    }
}
