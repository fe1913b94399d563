//! Downloads: files and listings, which go on at another node when theirs is lost.

pub(crate) mod abort;
mod asking;
pub(crate) mod digest;
pub(crate) mod download;
mod ended;
mod movement;
pub(crate) mod proof;
pub(crate) mod swallow;

use std::time::Duration;

use director_sdk::{ClientTls, Exception, Failure, Kind};

use crate::control::conversation::{Abort, Conversation};
use crate::control::reply::Reply;
use crate::control::state::Prot;
use crate::data::ClientData;
use crate::up;
use asking::Asking;
use download::Download;
use ended::End;

/// Performs a `RETR`.
///
/// # Errors
///
/// The session cannot go on.
pub(crate) async fn file(talk: &mut Conversation, path: &[u8]) -> Result<(), Failure> {
    // A restart is for the next command, whatever becomes of that.
    let offset = talk.chain.state.rest.take().unwrap_or(0);
    let Some(data) = client_data(talk, Direction::Down) else {
        return talk.say(no_data()).await;
    };
    let binary = talk.chain.state.kind.is_binary();
    let asking = Asking::new(path, (offset, binary), &talk.shared.options);
    let abort = Abort::default();
    let ends = (talk.replier.clone(), abort.clone(), data);
    let command = [b"RETR ", path].concat();
    let download = Download::file(command, asking, (offset, binary), ends);
    up::want_reader(talk, path);
    let done = perform(talk, download, abort).await;
    up::learn(talk);
    done
}

/// Performs a `LIST`, `NLST` or `MLSD`; an empty argument is none.
///
/// # Errors
///
/// The session cannot go on.
pub(crate) async fn listing(
    talk: &mut Conversation,
    verb: &str,
    argument: &[u8],
) -> Result<(), Failure> {
    talk.chain.state.rest = None;
    let Some(data) = client_data(talk, Direction::Down) else {
        return talk.say(no_data()).await;
    };
    let command = match argument {
        [] => verb.as_bytes().to_vec(),
        argument => [verb.as_bytes(), b" ", argument].concat(),
    };
    let abort = Abort::default();
    let ends = (talk.replier.clone(), abort.clone(), data);
    perform(talk, Download::listing(command, ends), abort).await
}

/// What the client is told that has not said where its data connection is to be made.
pub(crate) fn no_data() -> Reply {
    Reply::new(425, "Use PORT or PASV first.")
}

/// Which way the bytes of a data connection go: only a client that reads there takes the ticket for its
/// next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// To the client.
    Down,
    /// From the client.
    Up,
}

/// The client's data connection for the transfer that begins now, with the protection that it has
/// asked for; `None` when it has not said where to.
pub(crate) fn client_data(talk: &mut Conversation, direction: Direction) -> Option<ClientData> {
    let private = match talk.chain.state.prot {
        Prot::Private => true,
        Prot::Clear => false,
    };
    let reuse = talk.shared.options.require_reuse;
    let patience = Duration::from_secs(talk.shared.options.idle_seconds);
    let Conversation {
        client,
        director,
        data,
        ..
    } = talk;
    let taken = client.with(|control| {
        let tls = private.then(|| {
            let tls = match direction {
                Direction::Down => ClientTls::default().of(control).renewing(),
                Direction::Up => ClientTls::default().of(control),
            };
            if reuse { tls.require_resumed() } else { tls }
        });
        data.take(director, control, (tls, private && reuse), patience)
    });
    // A control connection in mid-handshake has no transfer.
    taken.ok().flatten()
}

/// Has it done, and says how it ended.
async fn perform(
    talk: &mut Conversation,
    mut download: Download,
    abort: Abort,
) -> Result<(), Failure> {
    let done = talk.transfer(&mut download, abort.clone()).await;
    let mut ended = download.into_end();
    ended.aborted |= abort.is_asked();
    let reply = match done {
        Ok(reply) => {
            let director = talk.director.clone();
            let finished = talk.heeding(ended.finish(&director), &abort).await;
            match finished {
                Some(Ok(())) => reply,
                Some(Err(failure)) => {
                    tracing::debug!(%failure, "the client did not take the end of its file");
                    broken(failure.detail())
                }
                None => aborted(),
            }
        }
        Err(exception) if ended.aborted => {
            // Reset, so that half a file does not look like one; then ABOR is answered by its verb.
            drop(ended.data);
            tracing::debug!(%exception, "aborted");
            aborted()
        }
        Err(exception) if ended.untouched && is_answer(&exception, &ended) => {
            // "LIST none" of ProFTPD: 150, no byte, 450. So it ends here, too.
            close_unused(talk, ended.data, &abort).await;
            before_the_mark(talk, exception, ended.refused)?
        }
        Err(exception) if ended.marked => {
            drop(ended.data);
            tracing::warn!(%exception, "a download could not go on");
            in_the_middle(&exception, ended.diverged)
        }
        Err(exception) => {
            close_unused(talk, ended.data, &abort).await;
            before_the_mark(talk, exception, ended.refused)?
        }
    };
    talk.say(reply).await
}

async fn close_unused(talk: &mut Conversation, data: ClientData, abort: &Abort) {
    let director = talk.director.clone();
    if let Some(Err(failure)) = talk.heeding(data.refuse(&director), abort).await {
        tracing::debug!(%failure, "a data connection that nothing went over");
    }
}

/// What is said of a transfer that its client has ended; ABOR has a reply of its own.
fn aborted() -> Reply {
    Reply::new(426, "Transfer aborted.")
}

/// Whether the last node has said no, rather than been lost.
fn is_answer(exception: &Exception, ended: &End) -> bool {
    ended.marked && !ended.diverged && ended.refused.is_some() && exception.kind != Kind::ClientGone
}

pub(crate) fn broken(why: &str) -> Reply {
    Reply::new(426, format!("Connection closed; transfer aborted: {why}."))
}

/// The reply after a mark, when the transfer could not be brought to its end.
fn in_the_middle(exception: &Exception, diverged: bool) -> Reply {
    if exception.kind == Kind::ClientGone {
        // Its own data connection: the handshake failed, or it has gone.
        return own(exception).unwrap_or_else(|| broken("the client closed it"));
    }
    if diverged {
        let text = "The server was lost, and no other has the same file: begin anew.";
        return Reply::new(451, text);
    }
    broken("the server was lost, and no other could go on")
}

/// The reply to a client whose own end of the data connection could not be made.
pub(crate) fn own(exception: &Exception) -> Option<Reply> {
    match exception.code {
        425 => Some(Reply::new(425, &exception.detail)),
        522 => Some(Reply::new(522, &exception.detail)),
        _ => None,
    }
}

/// The reply when there was no mark.
pub(crate) fn before_the_mark(
    talk: &mut Conversation,
    exception: Exception,
    refused: Option<Reply>,
) -> Result<Reply, Failure> {
    match own(&exception) {
        Some(reply) if exception.kind == Kind::ClientGone => Ok(reply),
        Some(_) | None => talk.told(exception, refused),
    }
}
