//! One line of a node's agent, as a pure function.
//!
//! The grammar is that of HAProxy's `agent-check`: words in any order, between spaces, tabs or commas.
//! `75%` is the node's weight of now, in hundredths of the configured one; `maxconn:30` how many sessions
//! it takes; `ready`, `drain` and `maint` whether it takes new ones; `up`, and `down`, `fail`, `failed` or
//! `stopped`, whether it works. What follows a `#` is why. What a line does not mention stays as it was.

/// The longest line that is read, in bytes, its end included.
pub const LONGEST: usize = 256;
/// The greatest weight of now: ten times the configured one.
const MOST_PERCENT: u32 = 1_000;
/// The greatest number of sessions.
const MOST_SESSIONS: u32 = 1_000_000;

/// What an agent said in one line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// The weight of now, in hundredths of the configured one.
    pub percent: Option<u32>,
    /// Sessions that it takes.
    pub most: Option<u32>,
    /// Whether it takes new sessions.
    pub takes: Option<bool>,
    /// Whether it works.
    pub works: Option<bool>,
    /// Why, in its words; no control characters are in it.
    pub reason: Option<String>,
}

/// A line that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// There is no word in it.
    #[error("the agent said nothing")]
    Empty,
    /// It did not end in time.
    #[error("the agent's line is longer than {LONGEST} bytes")]
    TooLong,
    /// A word of no meaning.
    #[error(
        "the agent said {0:?}, right would be a weight such as 75%, maxconn:30, ready, drain, maint, up, \
         down, fail, failed or stopped"
    )]
    Word(String),
    /// Two words that contradict each other, or one twice.
    #[error("the agent said two things about its {0}")]
    Twice(&'static str),
}

/// Reads a line, with its end or without; what follows the end is not looked at.
///
/// # Errors
/// [`LineError`]; nothing of such a line is to be used.
pub fn parse(bytes: &[u8]) -> Result<Said, LineError> {
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let line = &bytes[..end.unwrap_or(bytes.len())];
    if line.len() > LONGEST {
        return Err(LineError::TooLong);
    }
    let line = String::from_utf8_lossy(line);
    let (words, reason) = match line.split_once('#') {
        Some((words, reason)) => (words, Some(plain(reason))),
        None => (line.as_ref(), None),
    };
    let mut said = Said {
        reason: reason.filter(|reason| !reason.is_empty()),
        ..Said::default()
    };
    let mut any = false;
    for word in words
        .split([' ', '\t', ','])
        .filter(|word| !word.is_empty())
    {
        any = true;
        match meaning(word)? {
            Meaning::Percent(percent) => once(&mut said.percent, percent, "weight")?,
            Meaning::Most(most) => once(&mut said.most, most, "sessions")?,
            Meaning::Takes(takes) => once(&mut said.takes, takes, "readiness")?,
            Meaning::Works(works) => once(&mut said.works, works, "state")?,
        }
    }
    if any { Ok(said) } else { Err(LineError::Empty) }
}

enum Meaning {
    Percent(u32),
    Most(u32),
    Takes(bool),
    Works(bool),
}

fn meaning(word: &str) -> Result<Meaning, LineError> {
    let number = |digits: &str, most: u32| {
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.parse::<u32>().ok().filter(|number| *number <= most);
        number.filter(|_| plain)
    };
    let known = match word {
        "ready" => Some(Meaning::Takes(true)),
        "drain" | "maint" => Some(Meaning::Takes(false)),
        "up" => Some(Meaning::Works(true)),
        "down" | "fail" | "failed" | "stopped" => Some(Meaning::Works(false)),
        other => match (other.strip_suffix('%'), other.strip_prefix("maxconn:")) {
            (Some(percent), _) => number(percent, MOST_PERCENT).map(Meaning::Percent),
            (None, Some(most)) => number(most, MOST_SESSIONS).map(Meaning::Most),
            (None, None) => None,
        },
    };
    known.ok_or_else(|| LineError::Word(plain(word)))
}

fn once<T>(place: &mut Option<T>, value: T, what: &'static str) -> Result<(), LineError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_before) => Err(LineError::Twice(what)),
    }
}

/// For logs and status: without control characters.
fn plain(text: &str) -> String {
    let shown: String = text.chars().filter(|letter| !letter.is_control()).collect();
    shown.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_mean_what_haproxys_do() {
        let said = parse(b"75% up drain maxconn:30\n").unwrap();
        let expected = Said {
            percent: Some(75),
            most: Some(30),
            takes: Some(false),
            works: Some(true),
            reason: None,
        };
        assert_eq!(said, expected);
        assert_eq!(
            parse(b"up,ready\t100%\r\nand more").unwrap().percent,
            Some(100)
        );
        let down = parse(b"down #disk full, \x1b[2Jsorry\n").unwrap();
        assert_eq!(down.works, Some(false));
        assert_eq!(down.reason.as_deref(), Some("disk full, [2Jsorry"));
        for word in ["fail", "failed", "stopped#x", "down"] {
            assert_eq!(parse(word.as_bytes()).unwrap().works, Some(false), "{word}");
        }
        assert_eq!(parse(b"maint").unwrap().takes, Some(false));
        assert_eq!(parse(b"0%").unwrap().percent, Some(0));
    }

    #[test]
    fn what_means_nothing_is_refused_whole() {
        let word = |word: &str| Err(LineError::Word(word.to_owned()));
        assert_eq!(parse(b""), Err(LineError::Empty));
        assert_eq!(parse(b" ,\t\n75%"), Err(LineError::Empty));
        assert_eq!(parse(b"#because"), Err(LineError::Empty));
        assert_eq!(parse(b"75% upp"), word("upp"));
        assert_eq!(parse(b"1001%"), word("1001%"));
        assert_eq!(parse(b"+5%"), word("+5%"));
        assert_eq!(parse(b"%"), word("%"));
        assert_eq!(parse(b"maxconn:"), word("maxconn:"));
        assert_eq!(parse(b"maxconn:-1"), word("maxconn:-1"));
        assert_eq!(parse(b"up down"), Err(LineError::Twice("state")));
        assert_eq!(parse(b"5% 6%"), Err(LineError::Twice("weight")));
        assert_eq!(parse(&[b'x'; 300]), Err(LineError::TooLong));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(said) = parse(&bytes) {
                prop_assert!(said.percent.is_none_or(|percent| percent <= MOST_PERCENT));
                prop_assert!(said.reason.is_none_or(|reason| !reason.chars().any(char::is_control)));
            }
        }

        #[test]
        fn what_is_written_is_read(
            percent in prop::option::of(0_u32..=1_000),
            most in prop::option::of(0_u32..=1_000_000),
            takes: Option<bool>,
            works: Option<bool>,
            by in prop::sample::select(vec![" ", ",", "\t ", ", "]),
        ) {
            let words: Vec<String> = [
                percent.map(|percent| format!("{percent}%")),
                works.map(|works| String::from(if works { "up" } else { "down" })),
                takes.map(|takes| String::from(if takes { "ready" } else { "drain" })),
                most.map(|most| format!("maxconn:{most}")),
            ]
            .into_iter()
            .flatten()
            .collect();
            prop_assume!(!words.is_empty());
            let said = parse(words.join(by).as_bytes()).unwrap();
            prop_assert_eq!(said, Said { percent, most, takes, works, reason: None });
        }
    }
}
