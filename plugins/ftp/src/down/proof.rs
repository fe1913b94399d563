//! Whether another node's file is the one that a download was begun with. Pure.
//!
//! A client has half of a file when its node dies. The other half may come from another node only
//! when that node's file is the same one; what proves it, strongest first:
//!
//! 1. a digest of the whole file, by `HASH` or one of the `X` commands (draft-ietf-ftpext2-hash),
//! 2. size and time of the last change, by `SIZE` and `MDTM` (RFC 3659 §4 and §3), taken when the
//!    transfer began and that node was alive; mirrors have to keep the times of their files,
//! 3. the last bytes before the place, compared with those that the client got
//!    ([`Tail`](crate::down::swallow)).

use std::fmt;

/// What one node said of a file when it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Facts {
    /// `SIZE` in octets; only taken of transfers without conversion, for it depends on the type.
    pub(crate) size: Option<u64>,
    /// `MDTM`.
    pub(crate) modified: Option<Modified>,
    /// A digest of the whole file.
    pub(crate) digest: Option<Digest>,
}

/// What two nodes' facts mean together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The same file.
    Same,
    /// Another file: what differs, for the log.
    Other(String),
    /// The facts do not say.
    Unproven,
}

impl Facts {
    /// Whether `found` is about the file that `self` is about.
    pub(crate) fn verdict(&self, found: &Self) -> Verdict {
        if let (Some(begun), Some(found)) = (self.size, found.size)
            && begun != found
        {
            return Verdict::Other(format!("its size was {begun} and is {found}"));
        }
        if let (Some(begun), Some(found)) = (&self.digest, &found.digest)
            && begun.algorithm == found.algorithm
        {
            return if begun.hex == found.hex {
                Verdict::Same
            } else {
                Verdict::Other(format!("its digest was {begun} and is {found}"))
            };
        }
        match (&self.modified, &found.modified) {
            (Some(begun), Some(found)) if !begun.is(found) => {
                Verdict::Other(format!("it was of {begun} and is of {found}"))
            }
            (Some(_), Some(_)) if self.size.is_some() && found.size.is_some() => Verdict::Same,
            (Some(_) | None, Some(_) | None) => Verdict::Unproven,
        }
    }

    /// Whether these facts can prove a file at another node, so that nothing of the bytes needs to
    /// be remembered.
    pub(crate) fn prove(&self) -> bool {
        self.digest.is_some() || self.size.is_some() && self.modified.is_some()
    }
}

/// A time of RFC 3659 §2.3: `YYYYMMDDHHMMSS`, and maybe a fraction of a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Modified {
    seconds: [u8; 14],
    /// The digits behind the point.
    fraction: Vec<u8>,
}

impl Modified {
    /// Reads the text of a 213 reply.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let (seconds, rest) = text.split_at_checked(14)?;
        let fraction = match rest {
            [] => rest,
            [b'.', digits @ ..] if (1..=18).contains(&digits.len()) => digits,
            _ => return None,
        };
        let digits = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_digit);
        (digits(seconds) && digits(fraction)).then_some(Self {
            seconds: seconds.try_into().ok()?,
            fraction: fraction.to_vec(),
        })
    }

    /// Whether both are one time, as exactly as both say it.
    fn is(&self, other: &Self) -> bool {
        let both = self.fraction.len().min(other.fraction.len());
        self.seconds == other.seconds && self.fraction.get(..both) == other.fraction.get(..both)
    }
}

impl fmt::Display for Modified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.seconds))?;
        match self.fraction.as_slice() {
            [] => Ok(()),
            fraction => write!(f, ".{}", String::from_utf8_lossy(fraction)),
        }
    }
}

/// Reads the text of the 213 reply to `SIZE`.
pub(crate) fn size(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    let plain = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    plain.then(|| std::str::from_utf8(text).ok()?.parse().ok())?
}

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
    algorithm: Algorithm,
    /// Lower case, with leading zeros.
    hex: String,
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.algorithm, self.hex)
    }
}

impl Digest {
    fn read(algorithm: Algorithm, hex: &[u8]) -> Option<Self> {
        let digits = algorithm.digits();
        // Some servers write a CRC as a number, without leading zeros.
        let short = algorithm == Algorithm::Crc32 && (1..digits).contains(&hex.len());
        if !(hex.len() == digits || short) || !hex.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let hex = String::from_utf8_lossy(hex).to_ascii_lowercase();
        Some(Self {
            algorithm,
            hex: format!("{hex:0>digits$}"),
        })
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

    /// The best question that a node answers which `offers` these verbs. To prove a file that was
    /// begun with the digest `begun`, only one that may yield a digest of the same kind is any good.
    pub(crate) fn best(offers: impl Fn(&str) -> bool, begun: Option<&Digest>) -> Option<Self> {
        let fitting = |question: &&Self| match (begun, question.algorithm) {
            (Some(begun), Some(algorithm)) => begun.algorithm == algorithm,
            (Some(_), None) | (None, _) => true,
        };
        let offered: Vec<Self> = QUESTIONS
            .iter()
            .filter(|question| offers(question.verb))
            .filter(fitting)
            .copied()
            .collect();
        // An algorithm that is sure to fit, before one that the server chooses.
        let sure = offered.iter().find(|question| question.algorithm.is_some());
        match begun {
            Some(_) => sure.or(offered.first()).copied(),
            None => offered.first().copied(),
        }
    }

    /// Reads the last line of a positive reply. `HASH` says `SHA-256 0-49 <digest> <path>`; the
    /// others say the digest, some with the path before it.
    pub(crate) fn read(&self, line: &[u8]) -> Option<Digest> {
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        match self.algorithm {
            Some(algorithm) => words.rev().find_map(|word| Digest::read(algorithm, word)),
            None => {
                let algorithm = Algorithm::named(words.next()?)?;
                // Of the whole file: from its first byte.
                words.next().filter(|range| range.starts_with(b"0-"))?;
                Digest::read(algorithm, words.next()?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn facts(size: u64, modified: &str, md5: &str) -> Facts {
        Facts {
            size: Some(size),
            modified: Modified::read(modified.as_bytes()),
            digest: Digest::read(Algorithm::Md5, md5.as_bytes()),
        }
    }

    const A: &str = "d41d8cd98f00b204e9800998ecf8427e";
    const B: &str = "d41d8cd98f00b204e9800998ecf8427f";
    const MONDAY: &str = "20260105120000";
    const TUESDAY: &str = "20260106120000";

    #[test]
    fn the_strongest_fact_that_both_have_decides() {
        let begun = facts(5, MONDAY, A);
        // A mirror that did not keep the time, with the same bytes.
        assert_eq!(begun.verdict(&facts(5, TUESDAY, A)), Verdict::Same);
        // Another file with the same size and time.
        assert!(matches!(
            begun.verdict(&facts(5, MONDAY, B)),
            Verdict::Other(_)
        ));
        assert!(matches!(
            begun.verdict(&facts(6, MONDAY, A)),
            Verdict::Other(_)
        ));
        // Without a digest, size and time.
        assert_eq!(begun.verdict(&facts(5, MONDAY, "")), Verdict::Same);
        assert!(matches!(
            begun.verdict(&facts(5, TUESDAY, "")),
            Verdict::Other(_)
        ));
        assert_eq!(begun.verdict(&facts(5, "", "")), Verdict::Unproven);
        assert_eq!(Facts::default().verdict(&begun), Verdict::Unproven);
        let timeless = Facts {
            modified: None,
            ..facts(5, "", "")
        };
        assert_eq!(timeless.verdict(&begun), Verdict::Unproven);
        assert!(!timeless.prove() && begun.prove() && facts(5, MONDAY, "").prove());
    }

    #[test]
    fn digests_of_different_kinds_say_nothing() {
        let other = Facts {
            digest: Digest::read(Algorithm::Crc32, b"1"),
            ..Facts::default()
        };
        assert_eq!(facts(5, "", A).verdict(&other), Verdict::Unproven);
    }

    #[test]
    fn times_are_compared_as_exactly_as_both_say_them() {
        let time = |text: &str| Modified::read(text.as_bytes()).unwrap();
        assert!(time("20260105120000").is(&time("20260105120000.25")));
        assert!(time("20260105120000.2").is(&time("20260105120000.25")));
        assert!(!time("20260105120000.3").is(&time("20260105120000.25")));
        assert!(!time("20260105120001").is(&time("20260105120000.25")));
        for bad in [
            "",
            "2026010512000",
            "20260105120000.",
            "20260105120000x",
            "2026010512000x",
        ] {
            assert_eq!(Modified::read(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn sizes_are_digits() {
        assert_eq!(size(b"1942"), Some(1942));
        assert_eq!(size(b" 0 "), Some(0));
        for bad in ["", "-1", "+1", "1 2", "99999999999999999999", "x"] {
            assert_eq!(size(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn digests_are_read_as_servers_write_them() {
        let hash = Question {
            verb: "HASH",
            algorithm: None,
        };
        let line = format!("MD5 0-49 {A} a file");
        assert_eq!(
            hash.read(line.as_bytes()),
            Digest::read(Algorithm::Md5, A.as_bytes())
        );
        let part = format!("MD5 10-49 {A} a file");
        assert_eq!(hash.read(part.as_bytes()), None);
        let md5 = Question::by("XMD5", Algorithm::Md5);
        for line in [A.to_owned(), A.to_uppercase(), format!("\"/a file\" {A}")] {
            assert_eq!(
                md5.read(line.as_bytes()),
                Digest::read(Algorithm::Md5, A.as_bytes())
            );
        }
        let crc = Question::by("XCRC", Algorithm::Crc32);
        assert_eq!(crc.read(b"BEEF").unwrap().hex, "0000beef");
        assert_eq!(crc.read(b""), None);
        assert_eq!(md5.read(b"Computing MD5 digest"), None);
    }

    #[test]
    fn a_second_node_is_asked_for_a_digest_of_the_same_kind() {
        let offers = |verb: &str| ["HASH", "XMD5", "XCRC"].contains(&verb);
        assert_eq!(Question::best(offers, None).unwrap().verb, "HASH");
        let begun = Digest::read(Algorithm::Md5, A.as_bytes());
        assert_eq!(Question::best(offers, begun.as_ref()).unwrap().verb, "XMD5");
        let begun = Digest::read(Algorithm::Sha256, A.repeat(2).as_bytes());
        assert_eq!(Question::best(offers, begun.as_ref()).unwrap().verb, "HASH");
        assert_eq!(Question::best(|_| false, None), None);
        assert_eq!(Question::best(|verb| verb == "XCRC", begun.as_ref()), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_answered(bytes: Vec<u8>) {
            let _any = (Modified::read(&bytes), size(&bytes));
            for question in QUESTIONS {
                let _any = question.read(&bytes);
            }
        }

        #[test]
        fn no_two_files_of_different_size_are_the_same(a: u64, b: u64) {
            let same = facts(a, MONDAY, A).verdict(&facts(b, MONDAY, A)) == Verdict::Same;
            prop_assert_eq!(same, a == b);
        }
    }
}
