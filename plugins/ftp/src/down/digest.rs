//! Digests of whole files: which command asks for one, and which replies say one. Pure.
//!
//! `HASH` says how its digest was made and of which bytes (draft-bryan-ftp-hash §3): `213 SHA-256 0-49
//! <digest> <path>`. The `X` commands, which no document describes, say `250 <digest>` (ProFTPD, Titan; 213
//! in ProFTPD's later versions), others with the path beside it. What has another form proves nothing: a
//! name may look like a digest, and a digest may be one of other bytes than the whole file's.

use std::fmt;

use crate::control::reply::Reply;

/// The fewest digits of a CRC. Titan writes it as a number, without leading zeros; one that is still
/// shorter is rarer than a server that answers something else.
const FEWEST_OF_A_CRC: usize = 5;

/// How a digest is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// SHA-512.
    Sha512,
    /// SHA-256.
    Sha256,
    /// SHA-1.
    Sha1,
    /// MD5.
    Md5,
    /// CRC-32: enough against accidents.
    Crc32,
}

impl Algorithm {
    /// Hexadecimal digits of a digest.
    const fn digits(self) -> usize {
        match self {
            Self::Sha512 => 128,
            Self::Sha256 => 64,
            Self::Sha1 => 40,
            Self::Md5 => 32,
            Self::Crc32 => 8,
        }
    }

    /// The algorithm of a name in a reply to `HASH`.
    fn named(name: &[u8]) -> Option<Self> {
        const NAMES: [(&[u8], Algorithm); 5] = [
            (b"SHA-512", Algorithm::Sha512),
            (b"SHA-256", Algorithm::Sha256),
            (b"SHA-1", Algorithm::Sha1),
            (b"MD5", Algorithm::Md5),
            (b"CRC32", Algorithm::Crc32),
        ];
        let mut names = NAMES.iter();
        names
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, algorithm)| *algorithm)
    }
}

/// A digest of a whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digest {
    /// How it was made.
    pub(crate) algorithm: Algorithm,
    /// Lower case, with leading zeros.
    hex: String,
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.algorithm, self.hex)
    }
}

impl Digest {
    /// As many digits as the algorithm has.
    pub(crate) fn read(algorithm: Algorithm, hex: &[u8]) -> Option<Self> {
        (hex.len() == algorithm.digits()).then(|| Self::padded(algorithm, hex))?
    }

    /// A digest that stands alone, where a CRC may lack leading zeros.
    fn read_alone(algorithm: Algorithm, hex: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::Crc32 if (FEWEST_OF_A_CRC..=algorithm.digits()).contains(&hex.len()) => {
                Self::padded(algorithm, hex)
            }
            Algorithm::Sha512
            | Algorithm::Sha256
            | Algorithm::Sha1
            | Algorithm::Md5
            | Algorithm::Crc32 => Self::read(algorithm, hex),
        }
    }

    fn padded(algorithm: Algorithm, hex: &[u8]) -> Option<Self> {
        let digits = algorithm.digits();
        if !hex.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let hex = String::from_utf8_lossy(hex).to_ascii_lowercase();
        Some(Self {
            algorithm,
            hex: format!("{hex:0>digits$}"),
        })
    }

    /// Whether both are made in the same way, so that they tell whether two files are one.
    pub(crate) fn is_comparable(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm
    }
}

/// The file of which a digest is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Of<'a> {
    /// Its path, as it is told to the node.
    pub(crate) path: &'a [u8],
    /// Its size in octets, as this node says.
    pub(crate) size: Option<u64>,
    /// The digest that it will be compared with, if there is one.
    pub(crate) begun: Option<&'a Digest>,
}

impl Of<'_> {
    /// Whether every server takes the whole path for one. ProFTPD's `XCRC a 0 10` is about ten bytes of
    /// `a`, and never about a file `a 0 10`; quotes and backslashes mean something to it, too.
    fn is_one_word(&self) -> bool {
        let odd = |byte: &u8| byte.is_ascii_control() || matches!(byte, b' ' | b'"' | b'\\');
        !self.path.iter().any(odd)
    }

    /// Whether a word of a reply is the path, quoted or not.
    fn is_path(&self, word: &[u8]) -> bool {
        let quoted = word
            .strip_prefix(b"\"")
            .and_then(|word| word.strip_suffix(b"\""));
        quoted.unwrap_or(word) == self.path
    }

    /// Whether a word is the path or the file's name.
    fn is_named(&self, word: &[u8]) -> bool {
        let mut names = self.path.rsplit(|byte| *byte == b'/');
        let name = names.next().unwrap_or_default();
        word.eq_ignore_ascii_case(self.path) || word.eq_ignore_ascii_case(name)
    }

    /// Whether `range` is of all bytes. Servers differ on whether its end is the last byte's place or the
    /// one behind it (ProFTPD); none that was not asked for a part leaves a byte out.
    fn is_whole(&self, range: &[u8]) -> bool {
        let end = range.strip_prefix(b"0-").and_then(super::proof::size);
        match (end, self.size) {
            (Some(end), Some(size)) => end == size || Some(end) == size.checked_sub(1),
            (Some(_) | None, Some(_) | None) => false,
        }
    }
}

/// A command that yields a digest of a whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question {
    /// The command; the path follows it.
    pub(crate) verb: &'static str,
    /// `None`: the reply says it (`HASH`).
    algorithm: Option<Algorithm>,
}

/// Strongest first.
const QUESTIONS: [Question; 7] = [
    Question::by("XSHA512", Algorithm::Sha512),
    Question::by("XSHA256", Algorithm::Sha256),
    Question {
        verb: "HASH",
        algorithm: None,
    },
    Question::by("XSHA1", Algorithm::Sha1),
    Question::by("XSHA", Algorithm::Sha1),
    Question::by("XMD5", Algorithm::Md5),
    Question::by("XCRC", Algorithm::Crc32),
];

impl Question {
    const fn by(verb: &'static str, algorithm: Algorithm) -> Self {
        Self {
            verb,
            algorithm: Some(algorithm),
        }
    }

    /// The best question about a file that a node answers which `offers` these verbs. To prove a file that was
    /// begun with a digest, only one that may yield a digest of the same kind is any good.
    pub(crate) fn best(offers: impl Fn(&str) -> bool, of: Of<'_>) -> Option<Self> {
        let fitting = |question: &&Self| match (of.begun, question.algorithm) {
            (Some(begun), Some(algorithm)) => begun.algorithm == algorithm,
            (Some(_), None) | (None, _) => true,
        };
        // `HASH` takes the rest of its line for the path (draft-bryan-ftp-hash §3).
        let askable = |question: &&Self| question.algorithm.is_none() || of.is_one_word();
        let offered: Vec<Self> = QUESTIONS
            .iter()
            .filter(|question| offers(question.verb))
            .filter(fitting)
            .filter(askable)
            .copied()
            .collect();
        // An algorithm that is sure to fit, before one that the server chooses.
        let sure = offered.iter().find(|question| question.algorithm.is_some());
        match of.begun {
            Some(_) => sure.or(offered.first()).copied(),
            None => offered.first().copied(),
        }
    }

    /// The digest that a reply says, by its form; of a reply of several lines by the last one's, for ProFTPD
    /// says `Computing MD5 digest` before. `None` when it says none, or one that is of no use.
    pub(crate) fn read(&self, reply: &Reply, of: Of<'_>) -> Option<Digest> {
        let line = reply.lines.last()?.trim_ascii();
        let digest = match (self.algorithm, reply.code) {
            (None, 213) => hash(line, of),
            (Some(algorithm), 213 | 250) => beside_its_path(algorithm, line, of),
            (None | Some(_), _) => None,
        }?;
        let comparable = of.begun.is_none_or(|begun| begun.is_comparable(&digest));
        comparable.then_some(digest)
    }
}

/// `SHA-256 0-49 <digest> <path>`.
fn hash(line: &[u8], of: Of<'_>) -> Option<Digest> {
    let mut words = line.splitn(4, |byte| *byte == b' ');
    let algorithm = Algorithm::named(words.next()?)?;
    words.next().filter(|range| of.is_whole(range))?;
    let digest = Digest::read(algorithm, words.next()?)?;
    words.next().filter(|path| !path.is_empty())?;
    Some(digest)
}

/// `<digest>`, `<path> <digest>` or `<digest> <path>`.
fn beside_its_path(algorithm: Algorithm, line: &[u8], of: Of<'_>) -> Option<Digest> {
    if !of.is_one_word() {
        return None;
    }
    let words: Vec<&[u8]> = line
        .split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty())
        .take(3)
        .collect();
    match words.as_slice() {
        [digest] if !of.is_named(digest) => Digest::read_alone(algorithm, digest),
        [path, digest] if of.is_path(path) => Digest::read(algorithm, digest),
        [digest, path] if of.is_path(path) => Digest::read(algorithm, digest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "d41d8cd98f00b204e9800998ecf8427e";

    const HASH: Question = Question {
        verb: "HASH",
        algorithm: None,
    };
    const XMD5: Question = Question::by("XMD5", Algorithm::Md5);
    const XCRC: Question = Question::by("XCRC", Algorithm::Crc32);

    fn of(path: &str, size: u64) -> Of<'_> {
        Of {
            path: path.as_bytes(),
            size: Some(size),
            begun: None,
        }
    }

    fn said(code: u16, line: &str) -> Reply {
        Reply::new(code, line)
    }

    fn md5() -> Option<Digest> {
        Digest::read(Algorithm::Md5, A.as_bytes())
    }

    #[test]
    fn a_hash_says_of_which_bytes_it_is() {
        let read = |line: String| HASH.read(&said(213, &line), of("/a file", 50));
        for whole in ["0-49", "0-50"] {
            assert_eq!(read(format!("MD5 {whole} {A} /a file")), md5(), "{whole}");
        }
        for part in [
            "0-48", "0-51", "0-4", "1-50", "0-", "0-x", "-50", "0", "0-50-60",
        ] {
            assert_eq!(read(format!("MD5 {part} {A} /a file")), None, "{part}");
        }
        for other in [
            format!("MD5 0-50 {A}"),
            format!("MD5 0-50 {A} "),
            format!("MD4 0-50 {A} /a file"),
            format!("SHA-1 0-50 {A} /a file"),
            format!("MD5 {A} /a file"),
            format!("MD5 0-50 0-50 {A} /a file"),
            A.to_owned(),
        ] {
            assert_eq!(read(other.clone()), None, "{other}");
        }
        let empty = HASH.read(&said(213, &format!("MD5 0-0 {A} e")), of("e", 0));
        assert_eq!(empty, md5());
        let sizeless = Of {
            size: None,
            ..of("/a file", 50)
        };
        let line = format!("MD5 0-50 {A} /a file");
        assert_eq!(HASH.read(&said(213, &line), sizeless), None);
        assert_eq!(HASH.read(&said(250, &line), of("/a file", 50)), None);
    }

    #[test]
    fn an_x_command_says_a_digest_and_maybe_the_path() {
        let read = |line: &str| XMD5.read(&said(250, line), of("/a", 50));
        for line in [
            A.to_owned(),
            A.to_uppercase(),
            format!(" {A} "),
            format!("/a {A}"),
            format!("\"/a\" {A}"),
            format!("{A} /a"),
        ] {
            assert_eq!(read(&line), md5(), "{line}");
        }
        for line in [
            "Computing MD5 digest".to_owned(),
            format!("/b {A}"),
            format!("{A} /b"),
            format!("the digest {A}"),
            format!("/a is {A}"),
            format!("/a {A} {A}"),
            A[1..].to_owned(),
            format!("{A}0"),
        ] {
            assert_eq!(read(&line), None, "{line}");
        }
        assert_eq!(XMD5.read(&said(226, A), of("/a", 50)), None);
        let several = Reply::several(250, "Computing MD5 digest", ["Computing..."], A);
        assert_eq!(XMD5.read(&several, of("/a", 50)), md5());
    }

    #[test]
    fn a_name_that_looks_like_a_digest_is_none() {
        let other = "0123456789abcdef0123456789abcdef";
        let read = |path: &str, line: &str| XMD5.read(&said(250, line), of(path, 50));
        let named = format!("/dir/{other}");
        assert_eq!(read(&named, other), None);
        assert_eq!(read(other, &other.to_uppercase()), None);
        assert_eq!(read(other, &format!("{other} {A}")), md5());
        assert_eq!(read(other, &format!("{A} {other}")), md5());
        assert_eq!(read(&named, &format!("{other} {A}")), None);
        assert_eq!(read(&named, A), md5());
    }

    #[test]
    fn a_crc_that_stands_alone_may_lack_leading_zeros() {
        let read = |line: &str| XCRC.read(&said(250, line), of("/a", 50));
        assert_eq!(read("aae4aae").unwrap().hex, "0aae4aae");
        assert_eq!(read("0AAE4AAE"), read("aae4aae"));
        assert_eq!(read("/a 0aae4aae"), read("aae4aae"));
        for line in ["", "0", "beef", "/a aae4aae", "00aae4aae", "Done"] {
            assert_eq!(read(line), None, "{line}");
        }
        let hash = |crc: &str| HASH.read(&said(213, &format!("CRC32 0-50 {crc} a")), of("a", 50));
        assert_eq!(hash("0aae4aae"), read("aae4aae"));
        assert_eq!(hash("aae4aae"), None);
    }

    #[test]
    fn a_second_node_is_asked_for_a_digest_of_the_same_kind() {
        let offers = |verb: &str| ["HASH", "XMD5", "XCRC"].contains(&verb);
        let of = of("/a", 50);
        assert_eq!(Question::best(offers, of).unwrap(), HASH);
        let begun = md5();
        let begun = Of {
            begun: begun.as_ref(),
            ..of
        };
        assert_eq!(Question::best(offers, begun).unwrap(), XMD5);
        let sha = Digest::read(Algorithm::Sha256, A.repeat(2).as_bytes());
        let begun = Of {
            begun: sha.as_ref(),
            ..of
        };
        assert_eq!(Question::best(offers, begun).unwrap(), HASH);
        assert_eq!(Question::best(|_| false, of), None);
        assert_eq!(Question::best(|verb| verb == "XCRC", begun), None);
        // One that has chosen another way to make it.
        let line = format!("MD5 0-50 {A} /a");
        assert_eq!(HASH.read(&said(213, &line), begun), None);
    }

    #[test]
    fn only_hash_is_asked_about_names_that_are_no_single_word() {
        for path in ["/a 0 10", "/a b", "/\"a\"", "/a\\b", "/a\tb"] {
            let of = of(path, 50);
            assert_eq!(Question::best(|_| true, of), Some(HASH), "{path}");
            assert_eq!(Question::best(|verb| verb != "HASH", of), None, "{path}");
            assert_eq!(XMD5.read(&said(250, A), of), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_answered(code: u16, line: Vec<u8>, path: Vec<u8>, size: Option<u64>) {
            let of = Of { path: &path, size, begun: None };
            for question in QUESTIONS {
                let _any = question.read(&Reply { code, lines: vec![line.clone()] }, of);
            }
        }

        /// Whatever stands around it, and however much the name looks like one: what is read is the digest.
        #[test]
        fn what_is_read_is_the_digest(
            name in "/?[0-9a-f]{32}|/?[0-9A-F]{8}|/[a-z]{1,3}|[0-9a-f]{5,7}",
            digest in "[0-9a-f]{32}|[0-9a-f]{8}",
            before in "|Computing |[0-9a-f]{8} |[0-9a-f]{32} ",
            after in "| [0-9a-f]{8}| [0-9a-f]{32}",
            form in 0..4,
        ) {
            let line = match form {
                0 => digest.clone(),
                1 => format!("{name} {digest}"),
                2 => format!("{digest} {name}"),
                _ => name.clone(),
            };
            for question in [XMD5, XCRC] {
                let found = question.read(&said(250, &line), of(&name, 9));
                if let Some(found) = found {
                    prop_assert_eq!(&found.hex, &digest, "{}", line);
                    prop_assert!(form != 3);
                }
                // With more beside it, nothing is read at all.
                if !(before.is_empty() && after.is_empty()) && form != 0 {
                    let line = format!("{before}{line}{after}");
                    let named = line == format!("{name} {digest}") || line == format!("{digest} {name}");
                    let found = question.read(&said(250, &line), of(&name, 9));
                    prop_assert!(found.is_none() || named || form == 3, "{}", line);
                }
            }
        }
    }
}
