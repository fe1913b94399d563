//! What is waited for with the client's line read beside it: ABOR and STAT are for the transfer that runs,
//! everything else waits its turn.

use std::collections::VecDeque;
use std::task::Poll;
use std::time::Duration;

use director_sdk::{Elapsed, Exception, Failure, Kind, Request};
use futures_util::future::{Either, select};

use super::conversation::{Abort, Conversation};
use super::line::Heard;
use super::login::Account;
use super::replier::{ControlLine, Replier};
use super::reply::Reply;

/// Commands that wait while a transfer runs; beyond, the line is not read.
const MOST_WAITING: usize = 64;
/// How long a transfer may take to end by itself after its client has left.
const LEAVE: Duration = Duration::from_secs(5);
/// The same after an ABOR: its node may be gone, and no other found yet.
const ABORTED: Duration = Duration::from_secs(5);

impl Conversation {
    /// `direct`, with the line read beside it: ABOR is told to `abort`, STAT is answered once the transfer is
    /// marked, and everything else waits.
    ///
    /// # Errors
    ///
    /// The exception that no node could spare the client, or [`Kind::ClientGone`].
    pub(crate) async fn transfer<R: Request<Account>>(
        &mut self,
        request: &mut R,
        abort: Abort,
    ) -> Result<R::Reply, Exception> {
        let (client, director) = (self.client.clone(), self.director.clone());
        let replier = self.replier.clone();
        let mut waiting = std::mem::take(&mut self.waiting);
        let done = {
            let mut direct = std::pin::pin!(self.director.direct(&mut self.chain, request));
            let beside = std::pin::pin!(beside(&client, &replier, &mut waiting, &abort));
            let aborted = std::pin::pin!(async {
                abort.asked().await;
                director.sleep(ABORTED).await;
            });
            // An ABOR counts before the end of the client's data that came with it.
            match select(beside, select(direct.as_mut(), aborted)).await {
                Either::Right((Either::Left((done, _)), _)) => done,
                // It waits for a node, and its client for nothing but its end.
                Either::Right((Either::Right(_), _)) => Err(gone("the client ended the transfer")),
                // The client has left; what was begun ends by itself, or is dropped.
                Either::Left(_) => match futures_util::poll!(direct.as_mut()) {
                    Poll::Ready(done) => done,
                    Poll::Pending => {
                        abort.ask();
                        match director.timeout(LEAVE, direct).await {
                            Ok(done) => done,
                            Err(Elapsed) => Err(gone("the client left in mid-transfer")),
                        }
                    }
                },
            }
        };
        self.waiting = waiting;
        done
    }

    /// Waits for `work` with the line read beside it as in [`transfer`](Self::transfer); `None` when the
    /// client has aborted it, or left.
    pub(crate) async fn heeding<T>(
        &mut self,
        work: impl Future<Output = T>,
        abort: &Abort,
    ) -> Option<T> {
        let (client, replier) = (self.client.clone(), self.replier.clone());
        let beside = std::pin::pin!(beside(&client, &replier, &mut self.waiting, abort));
        let aborted = std::pin::pin!(abort.asked());
        match select(std::pin::pin!(work), select(aborted, beside)).await {
            Either::Left((done, _)) => Some(done),
            Either::Right(_) => None,
        }
    }
}

fn gone(how: &str) -> Exception {
    Exception {
        kind: Kind::ClientGone,
        code: 0,
        retry_after: None,
        node: None,
        attempt: 0,
        sent: 0,
        answered: 0,
        detail: how.to_owned(),
    }
}

/// Reads the line while a transfer runs. Its end is the client's, by RFC 959 section 4.1.1 (QUIT): an
/// unexpected end of the control connection is an ABOR and a QUIT.
///
/// # Errors
///
/// The client is gone, or has to go: it asks, and reads no answers.
async fn beside(
    client: &ControlLine,
    replier: &Replier,
    waiting: &mut VecDeque<Heard>,
    abort: &Abort,
) -> Result<(), Failure> {
    loop {
        if waiting.len() >= MOST_WAITING {
            return std::future::pending().await;
        }
        let Some(heard) = client.next().await? else {
            // It has taken its leave, and waits for the transfer's end.
            if waiting
                .iter()
                .any(|heard| is(heard, "QUIT", Further::Passed))
            {
                return std::future::pending().await;
            }
            return Ok(());
        };
        // Before the mark its reply would be taken for the transfer's own, by a client that sends both at once.
        if is(&heard, "STAT", Further::None) && waiting.is_empty() && abort.is_marked() {
            // Not waited for: the line is read on, for the next may be an ABOR.
            replier.queue(&Reply::new(213, "A transfer is under way."))?;
            continue;
        }
        if is(&heard, "ABOR", Further::None) {
            abort.ask();
        }
        waiting.push_back(heard);
    }
}

/// What may stand behind a command's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Further {
    /// A space at most.
    None,
    /// Anything.
    Passed,
}

fn is(heard: &Heard, verb: &str, further: Further) -> bool {
    match heard {
        Heard::Command(command) => {
            let argument = command.argument.as_ref();
            let alone = argument.is_none_or(|argument| argument.is_empty());
            command.verb == verb && (alone || further == Further::Passed)
        }
        Heard::Bad(_) => false,
    }
}
