//! What a node is sent: uploads, and commands that change its files.

mod digest;
pub(crate) mod effect;
mod kept;
pub(crate) mod leftovers;
mod look;
pub(crate) mod memory;
mod moving;
mod outcome;
pub(crate) mod placement;
mod rules;
mod site;
mod temporary;
mod upload;
pub(crate) mod way;

use director_sdk::{Exception, Failure, Kind};

use crate::control::conversation::{Abort, Conversation};
use crate::control::exchange::{Class, Exchange};
use crate::control::reply::Reply;
use crate::down;
use crate::options::Storage;
use effect::{Deed, Effect};
use kept::{Bound, Kept};
use memory::{Place, Ties};
use placement::Wanted;
use rules::How;
use temporary::Temporary;
use upload::Upload;
use way::{Ended, Way};

/// Which upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// STOR.
    Store,
    /// APPE.
    Append,
    /// STOU.
    Unique,
}

/// Performs an upload, and says how it ended.
///
/// # Errors
///
/// The session cannot go on.
pub(crate) async fn store(
    talk: &mut Conversation,
    command: Command,
    path: &[u8],
) -> Result<(), Failure> {
    // A restart is for the next command, whatever becomes of that.
    let from = talk.chain.state.rest.take().unwrap_or(0);
    let Some(data) = down::client_data(talk, down::Direction::Up) else {
        return talk.say(down::no_data()).await;
    };
    let (way, bound) = way(talk, command, path, from);
    let binary = talk.chain.state.kind.is_binary();
    let kept = Kept::new(&talk.director, bound, binary);
    let abort = Abort::default();
    let ends = (talk.replier.clone(), abort.clone(), data);
    let builds_on = match command {
        // A whole file takes the place of what was there.
        Command::Store if from == 0 => Building::Anew(path),
        Command::Unique => Building::Anew(b"unique"),
        Command::Store | Command::Append => Building::On(path),
    };
    let mut upload = Upload::new(way, (path, binary), ends, kept);
    want_writer(talk, builds_on);
    let done = talk.transfer(&mut upload, abort).await;
    let wanted = learn(talk);
    talk.chain.state.allo = None;
    let (data, ended) = upload.into_end();
    let reply = match done {
        Ok(reply) if reply.is_complete() => {
            if let Err(failure) = data.close(&talk.director).await {
                // It has sent all, and need not wait for the end of its own connection.
                tracing::debug!(%failure, "a client's data connection after its upload");
            }
            match (command, &ended.unique) {
                (Command::Store | Command::Append, _) => wrote(talk, path, &ended.node),
                (Command::Unique, Some(name)) => wrote(talk, name, &ended.node),
                (Command::Unique, None) => {}
            }
            told(talk, reply, ended.unprotected)
        }
        Ok(reply) => {
            if ended.marked {
                drop(data);
            } else if let Err(failure) = data.refuse(&talk.director).await {
                tracing::debug!(%failure, "a data connection that nothing went over");
            }
            reply
        }
        Err(exception) if ended.marked || ended.aborted => {
            // Reset, so that its client does not take what was sent for stored.
            drop(data);
            tracing::warn!(%exception, ?wanted, "an upload could not be brought to its end");
            broken(&exception, ended)
        }
        Err(exception) => {
            if let Err(failure) = data.refuse(&talk.director).await {
                tracing::debug!(%failure, "a data connection that nothing went over");
            }
            down::before_the_mark(talk, exception, ended.refused)?
        }
    };
    talk.say(reply).await
}

/// How an upload gets to its file, and what of it is kept.
fn way(talk: &Conversation, command: Command, path: &[u8], from: u64) -> (Way, Bound) {
    let options = &talk.shared.options;
    let how = match command {
        Command::Unique => return (Way::Unique, Bound::Nothing),
        Command::Append if from == 0 => How::Append,
        // RFC 3659 section 5.3: APPE after REST acts as STOR.
        Command::Append | Command::Store => How::Store { from },
    };
    match (options.storage, how) {
        (Storage::Shared, how) => (Way::Shared(how, None), Bound::Ring(options.ring)),
        (Storage::Separate, How::Store { from: 0 }) => {
            let mut mark = [0; 8];
            talk.director.random(&mut mark);
            let temporary = Temporary::new(path, u64::from_be_bytes(mark), &talk.chain);
            let bound = Bound::All {
                memory: options.spool_memory,
                disk: options.spool_disk,
            };
            (Way::Temporary(temporary), bound)
        }
        // They build on what one node has, and no other.
        (Storage::Separate, how) => (Way::Once(how), Bound::Nothing),
    }
}

/// A node's last word, with a note if the service is set to tell.
fn told(talk: &Conversation, mut reply: Reply, unprotected: bool) -> Reply {
    if unprotected
        && talk.shared.options.tell
        && let Some(last) = reply.lines.last_mut()
    {
        last.extend_from_slice(b" (Not protected: could not have been sent again.)");
    }
    reply
}

/// The reply after a mark, when the upload could not be brought to its end.
fn broken(exception: &Exception, ended: Ended) -> Reply {
    if ended.aborted {
        return Reply::new(426, "Transfer aborted.");
    }
    if exception.kind == Kind::ClientGone {
        return down::own(exception).unwrap_or_else(|| down::broken("the client broke it off"));
    }
    if let Some(refused) = ended.refused {
        return refused;
    }
    if ended.closed {
        let text = "The server was lost; it is not known whether it has stored the file.";
        return Reply::new(451, text);
    }
    match ended.lost {
        Some(why) => Reply::new(451, format!("The upload cannot be gone on with: {why}.")),
        None => down::broken("the server was lost, and what it was sent is not kept"),
    }
}

/// Performs a command that changes a node's files, and says its reply.
///
/// # Errors
///
/// The session cannot go on.
pub(crate) async fn change(
    talk: &mut Conversation,
    deed: Deed,
    verb: &str,
    path: &[u8],
) -> Result<(), Failure> {
    let from = match &deed {
        Deed::Rename { from } => Some(from.clone()),
        Deed::Delete | Deed::MakeDirectory | Deed::RemoveDirectory | Deed::Modify { .. } => None,
    };
    want_writer(talk, Building::On(from.as_deref().unwrap_or(path)));
    let mut effect = Effect::new(deed, verb, path);
    let done = talk.director.direct(&mut talk.chain, &mut effect).await;
    learn(talk);
    let reply = match done {
        Ok(reply) => {
            match from {
                _ if !reply.is_complete() => {}
                Some(from) => renamed(talk, &from, path, effect.node()),
                // What is gone is remembered, too: a read is told so where it was removed.
                None => wrote(talk, path, effect.node()),
            }
            reply
        }
        Err(exception) => talk.told(exception, None)?,
    };
    talk.say(reply).await
}

/// Has a node look whether `path` can be renamed, where it was written if it was just written: the reply.
///
/// # Errors
///
/// The session cannot go on.
pub(crate) async fn rename_from(talk: &mut Conversation, path: &[u8]) -> Result<Reply, Failure> {
    want_writer(talk, Building::On(path));
    let reply = talk.exchange(Exchange::safe("RNFR", Some(path))).await;
    learn(talk);
    reply
}

/// Performs a `SITE`, where the file was written that it is about: the reply.
///
/// # Errors
///
/// The session cannot go on.
pub(crate) async fn site(talk: &mut Conversation, argument: &[u8]) -> Result<Reply, Failure> {
    let (verb, path) = site::read(argument);
    if site::changes_files(verb) {
        want_writer(talk, path.map_or(Building::Unknown, Building::On));
    }
    let exchange = Exchange::new("SITE", Some(argument), Class::Never);
    let reply = talk.exchange(exchange).await;
    learn(talk);
    reply
}

/// Asks about a file, where it was written if it was just written, and says the reply.
///
/// # Errors
///
/// The session cannot go on.
pub(crate) async fn ask(talk: &mut Conversation, verb: &str, path: &[u8]) -> Result<(), Failure> {
    let argument = (!path.is_empty()).then_some(path);
    want_reader(talk, path);
    let reply = talk.exchange(Exchange::safe(verb, argument)).await;
    learn(talk);
    talk.say(reply?).await
}

/// What a change builds on, by the client's own name for it.
#[derive(Debug, Clone, Copy)]
enum Building<'a> {
    /// It is not known.
    Unknown,
    /// The directory of this path: a file is made there.
    Anew(&'a [u8]),
    /// What stands under this path.
    On(&'a [u8]),
}

/// Has the next request go to a node that takes changes: the one that has what it builds on, or a primary.
fn want_writer(talk: &mut Conversation, builds: Building<'_>) {
    let place = match builds {
        Building::Unknown => None,
        Building::Anew(path) | Building::On(path) => place(talk, path),
    };
    let ties = match (builds, &place) {
        (Building::Unknown, _) | (_, None) => Ties::None,
        (Building::Anew(_), Some(place)) => Ties::Within(place),
        (Building::On(_), Some(place)) => Ties::To(place),
    };
    let options = &talk.shared.options;
    talk.chain.wanted = match options.storage {
        Storage::Shared => Wanted::any(),
        Storage::Separate => {
            let now = talk.director.now();
            let placement = &talk.shared.placement;
            placement.writers(&options.primary, ties, now)
        }
    };
}

/// Has the next request go to where `path` was written, if it was just written.
pub(crate) fn want_reader(talk: &mut Conversation, path: &[u8]) {
    talk.chain.wanted = match (talk.shared.options.storage, place(talk, path)) {
        (Storage::Separate, Some(place)) => {
            let now = talk.director.now();
            talk.shared.placement.readers(&place, now)
        }
        (Storage::Shared, _) | (Storage::Separate, None) => Wanted::any(),
    };
}

/// Keeps what a request has learnt of where to go; the next may go anywhere.
pub(crate) fn learn(talk: &mut Conversation) -> Wanted {
    let wanted = std::mem::take(&mut talk.chain.wanted);
    talk.shared.placement.learn(&wanted, talk.director.now());
    wanted
}

fn wrote(talk: &Conversation, path: &[u8], node: &str) {
    if talk.shared.options.storage == Storage::Separate
        && let Some(place) = place(talk, path)
    {
        talk.shared
            .placement
            .wrote(place, node, talk.director.now());
    }
}

fn renamed(talk: &Conversation, from: &[u8], to: &[u8], node: &str) {
    if talk.shared.options.storage == Storage::Separate
        && let (Some(from), Some(to)) = (place(talk, from), place(talk, to))
    {
        let now = talk.director.now();
        talk.shared.placement.renamed(&from, &to, node, now);
    }
}

fn place(talk: &Conversation, path: &[u8]) -> Option<Place> {
    let state = &talk.chain.state;
    let user = &state.login.credentials()?.user;
    Some(Place::of(user, state.cwd.as_deref(), path))
}
