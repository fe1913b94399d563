//! How the director asks a node whether it is well: by its greeting.
//!
//! Nobody logs in for it: a probe needs no account, and a wrong one would fill the node's log.

use std::time::Duration;

use director_sdk::{Failure, Kind, Load, NodeId, NodeStream, Report};
use futures_util::future::{Either, select};

use crate::control::feat::Features;
use crate::control::link::NOT_AVAILABLE;
use crate::control::reply::{Degree, Replies, Reply};
use crate::shared::Shared;

/// How often a watched node is asked something, so that it does not end the connection for sleep.
const PAUSE: Duration = Duration::from_secs(20);

/// Reads the greeting of a node, and takes leave.
///
/// # Errors
///
/// [`Kind::Leaving`] when it is a 421 and sessions were told so as well, [`Kind::Busy`] for another no,
/// [`Kind::Garbled`] for what is no greeting.
pub(crate) async fn probe(shared: &Shared, node: &mut NodeStream) -> Result<Load, Failure> {
    let mut replies = Replies::default();
    greeted(shared, node, &mut replies).await?;
    node.write_all(b"QUIT\r\n").await?;
    node.close().await?;
    Ok(Load::UNKNOWN)
}

/// Waits beside a node for the end of its connection, which is the sign of its death.
pub(crate) async fn watch(shared: &Shared, node: &mut NodeStream, report: &Report) -> Failure {
    let mut living = Living {
        shared,
        node: node.node(),
        sleepy: false,
    };
    match watching(shared, node, report).await {
        Err(failure) => {
            living.sleepy = failure.kind() == Some(Kind::Unknown);
            failure
        }
    }
}

/// A node that is watched. It counts for FEAT until its watch is dropped, which is when it has left the cluster or
/// is down, or ends by more than a 421 to a sleeper.
struct Living<'a> {
    shared: &'a Shared,
    node: NodeId,
    sleepy: bool,
}

impl Drop for Living<'_> {
    fn drop(&mut self) {
        if !self.sleepy {
            self.shared.forget(self.node);
        }
    }
}

async fn watching(
    shared: &Shared,
    node: &mut NodeStream,
    report: &Report,
) -> Result<std::convert::Infallible, Failure> {
    let mut replies = Replies::default();
    greeted(shared, node, &mut replies).await?;
    node.write_all(b"FEAT\r\n").await?;
    let offers = next(node, &mut replies).await?;
    if offers.code == NOT_AVAILABLE {
        return Err(ended(&offers));
    }
    if offers.is_complete() {
        shared.learn(node.node(), Features::of(&offers));
    }
    report.load(Load::UNKNOWN);
    loop {
        node.due(false);
        let said = {
            let pause = std::pin::pin!(report.sleep(PAUSE));
            let said = std::pin::pin!(next(node, &mut replies));
            match select(said, pause).await {
                Either::Left((said, _)) => Some(said?),
                Either::Right(((), _)) => None,
            }
        };
        if let Some(said) = said {
            return Err(ended(&said));
        }
        node.due(true);
        node.write_all(b"NOOP\r\n").await?;
        // 200, or a 530 of those who want a login first: either is an answer.
        let answer = next(node, &mut replies).await?;
        if answer.code == NOT_AVAILABLE {
            return Err(ended(&answer));
        }
        report.load(Load::UNKNOWN);
    }
}

/// The node ends the connection in order. A 421 is for those who stay without a login (ProFTPD ends them after
/// five minutes whatever they say): no sign against the node.
fn ended(said: &Reply) -> Failure {
    let kind = match said.code {
        NOT_AVAILABLE => Kind::Unknown,
        _ => Kind::Lost,
    };
    Failure::new(kind, format!("the watched node said {said}")).with_code(said.code.into())
}

/// The node's greeting.
///
/// # Errors
///
/// As [`probe`].
async fn greeted(
    shared: &Shared,
    node: &mut NodeStream,
    replies: &mut Replies,
) -> Result<(), Failure> {
    loop {
        let reply = next(node, replies).await?;
        let detail = format!("the greeting is {reply}");
        match reply.degree() {
            Degree::Preliminary => {}
            Degree::Complete => {
                shared.greeted(node.node());
                return Ok(());
            }
            Degree::Intermediate => return Err(Failure::new(Kind::Garbled, detail)),
            Degree::Transient | Degree::Permanent => {
                // A 421 to a session alone is said to the sleepy, and in a greeting alone to the many.
                let kind = match reply.code {
                    NOT_AVAILABLE if shared.has_said_goodbye(node.node()) => Kind::Leaving,
                    _ => Kind::Busy,
                };
                return Err(Failure::new(kind, detail).with_code(reply.code.into()));
            }
        }
    }
}

/// The node's next reply. Nothing is lost when it is dropped.
async fn next(node: &mut NodeStream, replies: &mut Replies) -> Result<Reply, Failure> {
    loop {
        let seen = node.fill().await?;
        if seen.is_empty() {
            return Err(Failure::new(Kind::Lost, "the node ended"));
        }
        let taken = replies.take(seen);
        let (n, reply) = taken
            .map_err(|broken| Failure::new(Kind::Garbled, format!("the node said {broken}")))?;
        node.consume(n);
        if let Some(reply) = reply {
            return Ok(reply);
        }
    }
}
