//! What must hold of any bytes that come from outside: run by `plugins/ftp/fuzz` for as long as one
//! likes, and by the tests below for a moment.

use std::net::{IpAddr, SocketAddr};

use crate::control::feat;
use crate::control::feat::Features;
use crate::control::line::{Command, Heard, Lines, escape};
use crate::control::reply::{Broken, Replies, Reply};
use crate::data::address::{self, Family};
use crate::down::digest::{Of, Question};
use crate::down::proof::{self, Modified};
use crate::down::swallow::Delivered;
use crate::up::way::{meant, unique_name};

/// Most bytes of a line that [`command_line`] sets.
const LIMIT: usize = 64;

/// The first byte says how the rest is cut into pieces.
fn pieces(bytes: &[u8]) -> (usize, &[u8]) {
    let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
    (usize::from(*first).max(1), rest)
}

fn lines_of(bytes: &[u8], piece: usize) -> (Vec<Heard>, Vec<u8>) {
    let (mut lines, mut found, mut answers) = (Lines::new(LIMIT), Vec::new(), Vec::new());
    for mut left in bytes.chunks(piece) {
        while !left.is_empty() {
            let (taken, heard) = lines.take(left, &mut answers);
            assert!(taken > 0, "it goes on");
            found.extend(heard);
            left = &left[taken..];
        }
    }
    (found, answers)
}

/// A client's control line. However it is cut, it is the same commands; none is longer than the bound
/// or has in it what could end a line at a node; and what was read can be said again.
pub fn command_line(bytes: &[u8]) {
    let (piece, bytes) = pieces(bytes);
    let whole = lines_of(bytes, bytes.len().max(1));
    assert_eq!(whole, lines_of(bytes, piece));
    assert!(
        whole.1.len() <= bytes.len(),
        "answers no more than it was asked"
    );
    for heard in whole.0 {
        let Heard::Command(Command { verb, argument }) = &heard else {
            continue;
        };
        let argument = argument.as_deref();
        assert!(verb.len() + argument.map_or(0, |argument| argument.len() + 1) <= LIMIT);
        assert!(verb.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let mut said = verb.clone().into_bytes();
        if let Some(argument) = argument {
            assert!(
                !argument
                    .iter()
                    .any(|byte| matches!(byte, b'\r' | b'\n' | 0))
            );
            said.push(b' ');
            escape(argument, &mut said);
        }
        said.extend(b"\r\n");
        assert_eq!(lines_of(&said, 1).0, [heard]);
    }
}

fn replies_of(bytes: &[u8], piece: usize) -> (Vec<Reply>, Option<Broken>) {
    let (mut replies, mut found) = (Replies::default(), Vec::new());
    for mut left in bytes.chunks(piece) {
        while !left.is_empty() {
            match replies.take(left) {
                Ok((taken, reply)) => {
                    assert!(taken > 0, "it goes on");
                    found.extend(reply);
                    left = &left[taken..];
                }
                Err(broken) => return (found, Some(broken)),
            }
        }
    }
    (found, None)
}

/// What a node says. However it is cut, it is the same replies, or broken at the same place; and a
/// reply that is passed on is one reply to who reads it, and the same.
pub fn replies(bytes: &[u8]) {
    let (piece, bytes) = pieces(bytes);
    let whole = replies_of(bytes, bytes.len().max(1));
    assert_eq!(whole, replies_of(bytes, piece));
    for reply in whole.0 {
        assert!((100..=599).contains(&reply.code));
        // What goes into a CWD at another node must not end a line there.
        if let Some(path) = reply.path() {
            assert!(!path.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        }
        let offered = feat::offered([Features::of(&reply)].iter(), &["AUTH TLS", "PBSZ", "PROT"]);
        assert!(!offered.iter().any(|line| line.contains(['\r', '\n', '\0'])));
        let mut said = Vec::new();
        reply.encode(&mut said);
        // A last word is taken for another only where it is a 426 then, and the name of a STOU is in its mark.
        let word = meant(reply.clone());
        assert!(word == reply || (word.code, reply.is_complete()) == (426, true));
        if let Some(name) = unique_name(&reply) {
            let mark = reply.lines.last().map(Vec::as_slice).unwrap_or_default();
            assert!(mark.trim_ascii().ends_with(&name));
        }
        assert_eq!(replies_of(&said, said.len()), (vec![reply], None));
    }
}

/// Arguments of PORT, EPRT and EPSV, and the texts of 227 and 229. What was read can be said and read
/// again; and nobody but the client is connected to.
pub fn addresses(bytes: &[u8]) {
    let client: IpAddr = [192, 0, 2, 7].into();
    let asked = [
        address::port(bytes),
        address::eprt(bytes, Family::V4),
        address::eprt(bytes, Family::V6),
    ];
    for asked in asked.into_iter().flatten() {
        let command = address::port_command(asked);
        let (verb, argument) = command.split_once(' ').unwrap_or_default();
        let again = match verb {
            "PORT" => address::port(argument.as_bytes()),
            _ => address::eprt(argument.as_bytes(), Family::V6),
        };
        assert_eq!(again.map(address::canonical), Ok(address::canonical(asked)));
        if let Ok(port) = address::destination(asked, client) {
            assert_eq!(address::canonical(asked), SocketAddr::new(client, port));
            assert!(port >= address::LOWEST_PORT);
        }
    }
    let _an_answer_or_a_reason = address::epsv(bytes, Family::V4);
    if let Some(port) = address::epsv_reply(bytes) {
        assert_eq!(
            address::epsv_reply(address::epsv_text(port).as_bytes()),
            Some(port)
        );
    }
    if let Some(found) = address::pasv_reply(bytes) {
        assert_eq!(
            address::pasv_reply(address::pasv_text(found).as_bytes()),
            Some(found)
        );
    }
}

/// What nodes say about files: SIZE, MDTM and digests, and FEAT's lines. A time is the text that it
/// was read from.
pub fn facts(bytes: &[u8]) {
    if let Some(size) = proof::size(bytes) {
        assert_eq!(proof::size(size.to_string().as_bytes()), Some(size));
    }
    if let Some(time) = Modified::read(bytes) {
        assert_eq!(time.to_string().as_bytes(), bytes.trim_ascii());
        assert_eq!(Modified::read(time.to_string().as_bytes()), Some(time));
    }
    let lines: Vec<Vec<u8>> = bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    let features = Features::of(&Reply {
        code: 211,
        lines: lines.clone(),
    });
    // The first word is the file's path, the last line a reply about it.
    let path = lines
        .first()
        .and_then(|line| line.split(|byte| *byte == b' ').next());
    let of = Of {
        path: path.unwrap_or_default(),
        size: Some(bytes.len() as u64),
        begun: None,
    };
    let offers = |verb: &str| features.offers(verb);
    for code in [213, 250] {
        let reply = Reply {
            code,
            lines: lines.clone(),
        };
        let question = Question::best(offers, of);
        let Some(digest) = question.and_then(|question| question.read(&reply, of)) else {
            continue;
        };
        // Asked again because of this digest, a node is asked for one of its kind, and says the same.
        let again = Of {
            begun: Some(&digest),
            ..of
        };
        assert!(Question::best(offers, again).is_some());
        // A name that looks like a digest is none.
        let last = lines.last().map(Vec::as_slice).unwrap_or_default();
        assert!(!last.trim_ascii().eq_ignore_ascii_case(of.path));
    }
}

/// A listing that is sent again. However both are cut, the same bytes are swallowed whole and no
/// more; and with one byte changed, they are not.
pub fn again(bytes: &[u8]) {
    let (piece, bytes) = pieces(bytes);
    let (changed, bytes) = pieces(bytes);
    for mut delivered in [Delivered::with_digest(), Delivered::with_tail()] {
        bytes.chunks(piece).for_each(|piece| delivered.note(piece));
        let mut other = bytes.to_vec();
        if let Some(byte) = other.get_mut(changed) {
            *byte ^= 1;
        }
        for (sent, same) in [(bytes, true), (&other, other == bytes)] {
            let Some(mut swallow) = delivered.again() else {
                panic!("what was delivered is not remembered");
            };
            let news = [sent, b"news"].concat();
            let taken: Result<Vec<usize>, _> = news
                .chunks(changed)
                .map(|piece| swallow.take(piece))
                .collect();
            assert_eq!(taken.is_ok(), same, "{sent:?}");
            if let Ok(taken) = taken {
                assert_eq!(taken.iter().sum::<usize>(), bytes.len());
                assert_eq!(swallow.left(), 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Bytes that are often those which mean something.
    fn telling() -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![
            4 => proptest::sample::select(&b"\r\n\0 -()|,;.=\"/0129"[..]).prop_map(|byte| vec![byte]),
            2 => any::<u8>().prop_map(|byte| vec![byte]),
            1 => Just(vec![255]),
            1 => proptest::sample::select(&[
                "211", "211-", "257 \"/", "REST STREAM", "MLST ", "226 ", "Transfer aborted", "150 FILE: ", "PORT", "127,0,0,1,", "|1|", "|2|", "::1", "192.0.2.7", "192,0,2,7",
                "(|||", "|)", "20260105120000", "HASH", "MD5 0-", "XCRC", "deadbeef", "ALL",
                "d41d8cd98f00b204e9800998ecf8427e", "65535", "99999999999999999999",
            ][..]).prop_map(|word| word.as_bytes().to_vec()),
        ];
        vec(word, 0..60).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn command_line(bytes in telling()) {
            super::command_line(&bytes);
        }

        #[test]
        fn replies(bytes in telling()) {
            super::replies(&bytes);
        }

        #[test]
        fn addresses(bytes in telling()) {
            super::addresses(&bytes);
        }

        #[test]
        fn facts(bytes in telling()) {
            super::facts(&bytes);
        }

        #[test]
        fn again(bytes in telling()) {
            super::again(&bytes);
        }
    }
}
