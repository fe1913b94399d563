//! Whether another node's file is the one that a download was begun with. Pure.
//!
//! A client has half of a file when its node dies. The other half may come from another node only
//! when that node's file is the same one; what proves it, strongest first:
//!
//! 1. a digest of the whole file, by `HASH` or one of the `X` commands ([`digest`](crate::down::digest)),
//! 2. size and time of the last change, by `SIZE` and `MDTM` (RFC 3659 §4 and §3), taken when the
//!    transfer began and that node was alive; mirrors have to keep the times of their files,
//! 3. the last bytes before the place, compared with those that the client got
//!    ([`Tail`](crate::down::swallow)).

use std::fmt;

use crate::down::digest::Digest;

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
        // Without sizes nobody would see that a node begins anew where it was to go on.
        let sizes = self.size.is_some() && found.size.is_some();
        if let (Some(begun), Some(found)) = (&self.digest, &found.digest)
            && begun.is_comparable(found)
        {
            return match (begun == found, sizes) {
                (true, true) => Verdict::Same,
                (true, false) => Verdict::Unproven,
                (false, _) => Verdict::Other(format!("its digest was {begun} and is {found}")),
            };
        }
        match (&self.modified, &found.modified) {
            (Some(begun), Some(found)) if !begun.is(found) => {
                Verdict::Other(format!("it was of {begun} and is of {found}"))
            }
            (Some(_), Some(_)) if sizes => Verdict::Same,
            (Some(_) | None, Some(_) | None) => Verdict::Unproven,
        }
    }

    /// Whether these facts can prove a file at another node, so that nothing of the bytes needs to
    /// be remembered.
    pub(crate) fn prove(&self) -> bool {
        self.size.is_some() && (self.digest.is_some() || self.modified.is_some())
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

    /// Whether both may be one time, said in two zones: those are whole quarters of an hour apart.
    pub(crate) fn may_be(&self, other: &Self) -> bool {
        let quarter = |time: &Self| {
            let digits = time.seconds.iter().skip(10);
            let clock = digits.fold(0_u32, |so_far, digit| {
                so_far * 10 + u32::from(digit.saturating_sub(b'0'))
            });
            (clock / 100 * 60 + clock % 100) % 900
        };
        let there = Self {
            seconds: self.seconds,
            fraction: other.fraction.clone(),
        };
        quarter(self) == quarter(other) && self.is(&there)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::down::digest::Algorithm;
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
        let sizeless = |md5| Facts {
            size: None,
            ..facts(5, MONDAY, md5)
        };
        assert_eq!(sizeless(A).verdict(&sizeless(A)), Verdict::Unproven);
        assert!(matches!(
            sizeless(A).verdict(&sizeless(B)),
            Verdict::Other(_)
        ));
        assert!(!sizeless(A).prove());
        assert!(!timeless.prove() && begun.prove() && facts(5, MONDAY, "").prove());
    }

    #[test]
    fn digests_of_different_kinds_say_nothing() {
        let other = Facts {
            digest: Digest::read(Algorithm::Crc32, b"00000001"),
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

    proptest! {
        #[test]
        fn arbitrary_bytes_are_answered(bytes: Vec<u8>) {
            let _any = (Modified::read(&bytes), size(&bytes));
        }

        #[test]
        fn no_two_files_of_different_size_are_the_same(a: u64, b: u64) {
            let same = facts(a, MONDAY, A).verdict(&facts(b, MONDAY, A)) == Verdict::Same;
            prop_assert_eq!(same, a == b);
        }
    }
}
