//! By which way an upload gets to its file, and how it ended.

use crate::control::link::Link;
use crate::control::reply::Reply;
use crate::up::rules::{How, Seen};
use crate::up::temporary::Temporary;

/// How an upload gets to its file.
pub(crate) enum Way {
    /// Under its own name, on storage that all nodes share; with what was there before.
    Shared(How, Option<Seen>),
    /// Under another name at first, on storage of the node's own.
    Temporary(Temporary),
    /// Under its own name, or one that the node chooses, and never again.
    Once(How),
    /// STOU: under a name that the node chooses.
    Unique,
}

/// How an upload ended that failed.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// The client was told that the transfer begins.
    pub(crate) marked: bool,
    /// It was aborted by the client.
    pub(crate) aborted: bool,
    /// What was stored is not known, or could not be gone on with: why.
    pub(crate) lost: Option<String>,
    /// What a node last refused it with.
    pub(crate) refused: Option<Reply>,
    /// Nothing could have been made up for, when it ended.
    pub(crate) unprotected: bool,
    /// The client had sent all.
    pub(crate) closed: bool,
    /// The name that a node gave to a STOU.
    pub(crate) unique: Option<Vec<u8>>,
    /// The name of the node that was last sent it.
    pub(crate) node: String,
}

/// A node's last word about a transfer as it is meant. Pure-FTPd says 226 of an upload that broke off, too, and
/// only the words behind it tell, on any of its lines (`dostor` in its `ftpd.c`).
pub(crate) fn meant(reply: Reply) -> Reply {
    const ABORTED: &[u8] = b"Transfer aborted";
    // Lines between the first and the last still have their code.
    let code = format!("{}-", reply.code);
    let tells = |line: &Vec<u8>| {
        let text = line.strip_prefix(code.as_bytes()).unwrap_or(line);
        text.get(..ABORTED.len())
            .is_some_and(|text| text.eq_ignore_ascii_case(ABORTED))
    };
    match reply.is_complete() && reply.lines.iter().any(tells) {
        true => Reply::new(426, ABORTED),
        false => reply,
    }
}

/// The name in the mark of a STOU: `FILE: name` (RFC 1123 section 4.1.2.9).
pub(crate) fn unique_name(mark: &Reply) -> Option<Vec<u8>> {
    let line = mark.lines.last()?;
    let (word, name) = line.trim_ascii().split_at_checked(6)?;
    (word.eq_ignore_ascii_case(b"FILE: ") && !name.is_empty()).then(|| name.to_vec())
}

/// Whether the node gives a file that is restarted another name until its end, so that it is nowhere when
/// the node is lost: Pure-FTPd, which can be told by these features. It appends in place.
pub(crate) fn restarts_apart(link: &Link) -> bool {
    ["ESTA", "ESTP"]
        .iter()
        .all(|name| link.features.offers(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_226_that_says_aborted_is_a_426() {
        let several = |between: &str| Reply {
            code: 226,
            lines: ["File", between, "0.1 seconds"]
                .map(|line| line.as_bytes().to_vec())
                .into(),
        };
        assert_eq!(meant(Reply::new(226, "Transfer aborted.")).code, 426);
        assert_eq!(meant(several("226-Transfer aborted")).code, 426);
        let whole = several("226-aborted.txt");
        assert_eq!(meant(whole.clone()), whole);
        let refused = Reply::new(552, "Transfer aborted");
        assert_eq!(meant(refused.clone()), refused);
    }

    #[test]
    fn a_unique_name_is_in_the_mark() {
        let name = |text: &str| unique_name(&Reply::new(150, text));
        assert_eq!(name("FILE: a b.1"), Some(b"a b.1".to_vec()));
        assert_eq!(name("Ok to send data."), None);
        assert_eq!(name("FILE: "), None);
    }
}
