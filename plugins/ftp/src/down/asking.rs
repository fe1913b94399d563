//! Asks a node for the facts about a file.

use director_sdk::Failure;

use crate::control::link::Link;
use crate::control::reply::Reply;
use crate::down::proof::{Digest, Facts, Modified, Question, size};
use crate::options::{Options, Proof};

/// What is to be asked about a file.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    path: Vec<u8>,
    /// Bytes are transferred as they are, so that sizes and digests mean them.
    binary: bool,
    proof: Proof,
    /// The size up to which a digest is asked for where size and time would do, in bytes.
    digest_limit: u64,
}

impl Asking {
    /// Asks about `path` as the service's options have it.
    pub(crate) fn new(path: &[u8], binary: bool, options: &Options) -> Self {
        Self {
            path: path.to_vec(),
            binary,
            proof: options.proof,
            digest_limit: options.digest_limit,
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
    /// The node is lost.
    pub(crate) async fn ask(
        &self,
        link: &mut Link,
        begun: Option<&Facts>,
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
            facts.digest = self.digest(link, begun).await?;
        }
        Ok(facts)
    }

    fn may_want_digest(&self, begun: Option<&Facts>) -> bool {
        let proves = begun.is_none_or(|begun| begun.digest.is_some());
        match self.proof {
            Proof::Tail => false,
            Proof::Digest => self.binary,
            Proof::Any => self.binary && proves,
        }
    }

    fn wants_digest(&self, facts: &Facts, begun: Option<&Facts>) -> bool {
        let small = facts.size.is_some_and(|size| size <= self.digest_limit);
        self.may_want_digest(begun)
            && match self.proof {
                Proof::Digest | Proof::Tail => true,
                Proof::Any => small || begun.is_some(),
            }
    }

    async fn digest(
        &self,
        link: &mut Link,
        begun: Option<&Facts>,
    ) -> Result<Option<Digest>, Failure> {
        let begun = begun.and_then(|facts| facts.digest.as_ref());
        let Some(question) = Question::best(|verb| link.features.offers(verb), begun) else {
            return Ok(None);
        };
        let reply = link.command(&self.line(question.verb)).await?;
        let last = reply.lines.last().map(Vec::as_slice).unwrap_or_default();
        Ok(reply.is_complete().then(|| question.read(last)).flatten())
    }

    fn line(&self, verb: &str) -> Vec<u8> {
        [verb.as_bytes(), b" ", &self.path].concat()
    }
}

/// The text of a 213.
fn told(reply: &Reply) -> Option<&[u8]> {
    (reply.code == 213).then(|| reply.lines.first().map(Vec::as_slice))?
}
