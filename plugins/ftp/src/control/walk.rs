//! The working directory: changed at a node, and known absolutely, so that another node finds it.

use async_trait::async_trait;
use director_sdk::{Director, Exception, Failure, Request, Resend};

use super::link::Link;
use super::login::Account;
use super::reply::Reply;

/// A change of the working directory. It may be done again: a node that the session is moved to starts from
/// where the session was before.
pub(crate) struct Walk {
    line: Vec<u8>,
    /// The way, as the client gave it.
    way: Vec<u8>,
}

impl Walk {
    /// `line` is the command, `way` where it leads from here.
    pub(crate) fn new(line: Vec<u8>, way: &[u8]) -> Self {
        Self {
            line,
            way: way.to_vec(),
        }
    }
}

#[async_trait]
impl Request<Account> for Walk {
    type Reply = Reply;

    /// The change, and PWD behind it in one piece: it costs no turn of its own.
    async fn attempt(
        &mut self,
        account: &mut Account,
        link: &mut Link,
        _director: &Director,
    ) -> Result<Reply, Failure> {
        let replies = link.commands(&[self.line.clone(), b"PWD".to_vec()]).await?;
        let mut replies = replies.into_iter();
        let (Some(changed), Some(at)) = (replies.next(), replies.next()) else {
            return Err(Failure::new(
                director_sdk::Kind::Fault,
                "two commands have two replies",
            ));
        };
        if changed.is_complete() {
            let told = at.path().filter(|_| at.code == 257);
            let before = account.state.cwd.take();
            account.state.cwd = Some(told.unwrap_or_else(|| joined(before, &self.way)));
        }
        Ok(changed)
    }

    async fn cleanup(
        &mut self,
        _account: &mut Account,
        _link: Option<&mut Link>,
        _why: &Exception,
    ) -> Resend {
        Resend::Anywhere
    }
}

/// Where a way leads, when the node does not say: the names one after the other, for only the node knows
/// what `..` is behind a link. Without a place to begin at, it is the login's.
fn joined(from: Option<Vec<u8>>, way: &[u8]) -> Vec<u8> {
    match from {
        Some(mut from) if !way.starts_with(b"/") => {
            if !from.ends_with(b"/") {
                from.push(b'/');
            }
            from.extend_from_slice(way);
            from
        }
        Some(_) | None => way.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_joined_where_the_node_does_not_say() {
        for (from, way, expected) in [
            (Some("/a"), "b", "/a/b"),
            (Some("/"), "b", "/b"),
            (Some("/a"), "/b", "/b"),
            (Some("/a"), "..", "/a/.."),
            (None, "b", "b"),
        ] {
            let from = from.map(|from| from.as_bytes().to_vec());
            assert_eq!(joined(from, way.as_bytes()), expected.as_bytes());
        }
    }
}
