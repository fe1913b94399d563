//! Asks a node for the facts about a file.

use std::time::Duration;

use director_sdk::{Director, Failure, Kind};

use crate::control::link::Link;
use crate::control::reply::Reply;
use crate::down::digest::{Digest, Of, Question};
use crate::down::proof::{Facts, Modified, size};
use crate::options::{Options, Proof};

/// How long a node may take for a digest of a small file.
const DIGEST: Duration = Duration::from_secs(5);

/// For so long it owes its answer all the same, and is probed when it is silent: a server that was stopped is
/// found at once. Less than any sensible `stall_timeout`.
const PROBED: Duration = Duration::from_secs(3);

/// Bytes for which it may take a second more: what a busy disk reads.
const A_SECOND: u64 = 16 << 20;

/// What is to be asked about a file.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    path: Vec<u8>,
    /// Bytes are transferred as they are, so that sizes and digests mean them.
    binary: bool,
    /// The transfer begins at the file's first byte.
    whole: bool,
    proof: Proof,
    /// The size up to which the bytes themselves are the proof, in bytes.
    compare_limit: u64,
    /// The size up to which a digest is asked for, in bytes.
    digest_limit: u64,
    /// A node has begun to make a digest, and not come to its end in time.
    too_long: bool,
}

impl Asking {
    /// Asks about `path` as the service's options have it; the transfer begins at `offset`.
    pub(crate) fn new(path: &[u8], (offset, binary): (u64, bool), options: &Options) -> Self {
        Self {
            path: path.to_vec(),
            binary,
            whole: offset == 0,
            proof: options.proof,
            compare_limit: options.compare_limit,
            digest_limit: options.digest_limit(),
            too_long: false,
        }
    }

    /// Whether a file without facts may be told by the last bytes that were delivered.
    pub(crate) fn may_compare_bytes(&self) -> bool {
        match self.proof {
            Proof::Any | Proof::Tail => true,
            Proof::Digest => false,
        }
    }

    /// The facts that this node has; `begun` are those that they will be compared with. `SIZE` goes in one piece
    /// with `along`, which is answered beside the facts. A node that does not know a command has no such fact.
    ///
    /// # Errors
    ///
    /// The node is lost, or takes too long for a digest.
    pub(crate) async fn ask(
        &mut self,
        link: &mut Link,
        (begun, along): (Option<&Facts>, Option<&[u8]>),
        director: &Director,
    ) -> Result<(Facts, Option<Reply>), Failure> {
        let mut facts = Facts::default();
        let wanted = self.binary.then(|| self.line("SIZE"));
        let lines: Vec<Vec<u8>> = wanted
            .into_iter()
            .chain(along.map(<[u8]>::to_vec))
            .collect();
        let mut replies = link.commands(&lines).await?.into_iter();
        if self.binary {
            facts.size = replies.next().and_then(|reply| size(told(&reply)?));
        }
        let answered = replies.next();
        if self.is_small(begun.unwrap_or(&facts)) {
            return Ok((facts, answered));
        }
        if self.proof == Proof::Any {
            let reply = link.command(&self.line("MDTM")).await?;
            facts.modified = told(&reply).and_then(Modified::read);
        }
        if self.wants_digest(&facts, begun) {
            facts.digest = self.digest(link, (facts.size, begun), director).await?;
        }
        Ok((facts, answered))
    }

    /// Whether the file is so small that all of it is remembered: a node that sends the same bytes again is proved
    /// by them, and nothing else needs to be asked, which would take longer than the file.
    fn is_small(&self, begun: &Facts) -> bool {
        let small = begun.size.is_some_and(|size| size <= self.compare_limit);
        small && self.whole && self.proof == Proof::Any
    }

    /// Whether a digest is worth its time. Not when it proves nothing: without a size, with nothing to compare it
    /// with, or when the size is another already.
    fn wants_digest(&self, facts: &Facts, begun: Option<&Facts>) -> bool {
        let Some(size) = facts.size else {
            return false;
        };
        let comparable =
            begun.is_none_or(|begun| begun.digest.is_some() && begun.size == facts.size);
        match self.proof {
            Proof::Tail => false,
            Proof::Digest | Proof::Any => {
                self.binary && comparable && !self.too_long && size <= self.digest_limit
            }
        }
    }

    /// The node is silent while it reads the file, so after a while it owes nothing, and has a time of its own.
    async fn digest(
        &mut self,
        link: &mut Link,
        (size, begun): (Option<u64>, Option<&Facts>),
        director: &Director,
    ) -> Result<Option<Digest>, Failure> {
        let of = Of {
            path: &self.path,
            size,
            begun: begun.and_then(|facts| facts.digest.as_ref()),
        };
        let Some(question) = Question::best(|verb| link.features.offers(verb), of) else {
            return Ok(None);
        };
        let patience = DIGEST + Duration::from_secs(size.unwrap_or_default() / A_SECOND);
        link.send(&self.line(question.verb)).await?;
        let mut answered = director.timeout(PROBED, link.last_reply()).await;
        if answered.is_err() {
            link.control.due(false);
            let left = patience.saturating_sub(PROBED);
            answered = director.timeout(left, link.last_reply()).await;
            link.control.due(true);
        }
        let Ok(reply) = answered else {
            // Its dialogue is not whole, and that is all there is against it.
            self.too_long = begun.is_none();
            let kind = match begun {
                None => Kind::Unknown,
                Some(_) => Kind::Missing,
            };
            let detail = format!("no digest came within {patience:?}");
            return Err(Failure::new(kind, detail));
        };
        Ok(question.read(&reply?, of))
    }

    fn line(&self, verb: &str) -> Vec<u8> {
        [verb.as_bytes(), b" ", &self.path].concat()
    }
}

/// The text of a 213.
fn told(reply: &Reply) -> Option<&[u8]> {
    (reply.code == 213).then(|| reply.lines.first().map(Vec::as_slice))?
}
