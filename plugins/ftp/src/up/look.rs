//! Looks what a node has under a name.

use director_sdk::Failure;

use crate::control::link::Link;
use crate::control::reply::Reply;
use crate::control::state::{State, Type};
use crate::down::proof::{Modified, size};
use crate::up::rules::Seen;

/// The file under `path`: its size as it is stored, and the time of its last change. Takes one turn, and three
/// lines more where the session's type is not binary: what SIZE says depends on it (RFC 3659 section 4).
///
/// # Errors
///
/// The node is lost.
pub(crate) async fn at_file(link: &mut Link, state: &State, path: &[u8]) -> Result<Seen, Failure> {
    let mut lines = Vec::new();
    let converts = !state.kind.is_binary();
    if converts || !link.applied.kind.is_binary() {
        lines.push(b"TYPE I".to_vec());
    }
    let asked = lines.len();
    lines.push([b"SIZE ", path].concat());
    lines.push([b"MDTM ", path].concat());
    let replies = link.commands(&lines).await?;
    if asked > 0 && replies.first().is_some_and(Reply::is_complete) {
        link.applied.kind = Type::Image;
    }
    let reply = |nth: usize| replies.get(asked.saturating_add(nth));
    Ok(seen(reply(0), reply(1)))
}

/// When the file under `path` was last changed, where the node tells.
///
/// # Errors
///
/// The node is lost.
pub(crate) async fn time_of(
    link: &mut Link,
    state: &State,
    path: &[u8],
) -> Result<Option<Modified>, Failure> {
    Ok(match at_file(link, state, path).await? {
        Seen::File { modified, .. } => modified,
        Seen::Nothing | Seen::Untold => None,
    })
}

/// What the replies to SIZE and MDTM mean.
fn seen(sized: Option<&Reply>, timed: Option<&Reply>) -> Seen {
    let Some(sized) = sized else {
        return Seen::Untold;
    };
    match (sized.code, told(sized).and_then(size)) {
        (213, Some(size)) => Seen::File {
            size,
            modified: timed
                .filter(|reply| reply.code == 213)
                .and_then(|reply| Modified::read(told(reply)?)),
        },
        (550, _) => Seen::Nothing,
        _ => Seen::Untold,
    }
}

fn told(reply: &Reply) -> Option<&[u8]> {
    reply.lines.first().map(Vec::as_slice)
}

/// Whether something stands under a name, a directory included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum There {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// The node does not say.
    Untold,
}

/// Whether something stands under `path`: by MLST (RFC 3659 section 7) where the node has it, else by RNFR, which
/// every server has and which changes nothing alone.
///
/// # Errors
///
/// The node is lost.
pub(crate) async fn for_anything(link: &mut Link, path: &[u8]) -> Result<There, Failure> {
    let verb: &[u8] = match link.features.offers("MLST") {
        true => b"MLST ",
        false => b"RNFR ",
    };
    let reply = link.command(&[verb, path].concat()).await?;
    Ok(match reply.code {
        250 | 350 => There::Yes,
        550 => There::No,
        _ => There::Untold,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_550_says_that_there_is_no_file() {
        let reply = |code, text: &str| Reply::new(code, text);
        let time = reply(213, "20260105120000");
        let file = seen(Some(&reply(213, "7")), Some(&time));
        assert!(matches!(
            file,
            Seen::File {
                size: 7,
                modified: Some(_)
            }
        ));
        let timeless = seen(Some(&reply(213, "7")), Some(&reply(500, "?")));
        assert!(matches!(timeless, Seen::File { modified: None, .. }));
        assert_eq!(seen(Some(&reply(550, "No.")), Some(&time)), Seen::Nothing);
        assert_eq!(seen(Some(&reply(213, "x")), Some(&time)), Seen::Untold);
        assert_eq!(seen(Some(&reply(500, "?")), None), Seen::Untold);
        assert_eq!(seen(None, None), Seen::Untold);
    }
}
