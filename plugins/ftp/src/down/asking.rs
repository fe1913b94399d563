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
    proof: Proof,
    /// The size up to which a digest is asked for, in bytes.
    digest_limit: u64,
    /// A node has begun to make a digest, and not come to its end in time.
    too_long: bool,
}

impl Asking {
    /// Asks about `path` as the service's options have it.
    pub(crate) fn new(path: &[u8], binary: bool, options: &Options) -> Self {
        Self {
            path: path.to_vec(),
            binary,
            proof: options.proof,
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

    /// The facts that this node has; `begun` are those that they will be compared with. `SIZE` and `MDTM` go
    /// in one piece, so that both take one turn. A node that does not know a command has no such fact.
    ///
    /// # Errors
    ///
    /// The node is lost, or takes too long for a digest.
    pub(crate) async fn ask(
        &mut self,
        link: &mut Link,
        begun: Option<&Facts>,
        director: &Director,
    ) -> Result<Facts, Failure> {
        let (wants_size, wants_time) = match self.proof {
            Proof::Any => (self.binary, true),
            Proof::Digest | Proof::Tail => (self.binary, false),
        };
        let verbs = [(wants_size, "SIZE"), (wants_time, "MDTM")];
        let lines: Vec<Vec<u8>> = verbs
            .iter()
            .filter(|(wanted, _)| *wanted)
            .map(|(_, verb)| self.line(verb))
            .collect();
        let mut replies = link.commands(&lines).await?.into_iter();
        let mut answer = |wanted: bool| wanted.then(|| replies.next()).flatten();
        let mut facts = Facts {
            size: answer(wants_size).and_then(|reply| size(told(&reply)?)),
            modified: answer(wants_time).and_then(|reply| Modified::read(told(&reply)?)),
            digest: None,
        };
        if self.wants_digest(&facts, begun) {
            facts.digest = self.digest(link, (facts.size, begun), director).await?;
        }
        Ok(facts)
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
