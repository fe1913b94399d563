//! Sending again what the outbox holds in doubt.

use std::sync::Arc;

use async_trait::async_trait;
use director_sdk::{Director, Exception, Failure, Kind, Request, Resend};
use futures_channel::oneshot;
use futures_util::future::{Either, select};
use hyper::{Method, StatusCode};

use crate::cursor::Cursor;
use crate::failures;
use crate::memory::room::Room;
use crate::memory::{Before, Claim};
use crate::node::answer::{Answer, Told, garbled};
use crate::node::link::{Ask, Link, Plain};
use crate::requests::append::{acknowledged, headers};
use crate::shared::{Said, Shared, bare};

/// Everything that is in doubt of one stream, as the outbox's own task sends it.
#[derive(Debug)]
pub struct Again {
    /// What all sessions share.
    pub shared: Arc<Shared>,
    /// The stream.
    pub room: Arc<Room>,
    /// What nodes have said.
    pub said: Said,
}

#[async_trait]
impl Request<Plain> for Again {
    type Reply = ();

    async fn attempt(
        &mut self,
        _: &mut Plain,
        link: &mut Link,
        director: &Director,
    ) -> Result<(), Failure> {
        self.said.begin(link.node);
        settle(&self.shared, &self.room, u64::MAX, link, director).await
    }

    async fn cleanup(&mut self, _: &mut Plain, _: Option<&mut Link>, why: &Exception) -> Resend {
        self.said.cleanup(&self.shared.memory, why)
    }
}

/// How often one write is sent to one node at a time: each time another server may have failed meanwhile.
const SAME: u32 = 4;

/// Sends again, in order, what is in doubt and was written before the write with the number `below`.
///
/// # Errors
/// As the link's; the failure that an answer is.
pub async fn settle(
    shared: &Shared,
    room: &Arc<Room>,
    below: u64,
    link: &mut Link,
    director: &Director,
) -> Result<(), Failure> {
    let (mut last, mut times) = (0, 0);
    loop {
        match shared.memory.before(room, below) {
            Before::Nothing => return Ok(()),
            Before::Wait(ended) => somebody_else(ended, link).await?,
            Before::Send(claim) => {
                let number = claim.again.write.number;
                times = if number == last { times + 1 } else { 1 };
                last = number;
                if times > SAME {
                    return Err(garbled(format!(
                        "it takes {} again and again, and it stays in doubt",
                        claim.again.write.request
                    )));
                }
                send(shared, room, &claim, link, director).await?;
            }
        }
    }
}

/// Waits for another task's claim to end; the node owes nothing meanwhile, but may fail.
async fn somebody_else(ended: oneshot::Receiver<()>, link: &mut Link) -> Result<(), Failure> {
    link.stream.due(false);
    let outcome = {
        let fill = std::pin::pin!(link.stream.fill());
        match select(ended, fill).await {
            Either::Left(_) => Ok(()),
            Either::Right((Ok([]), _)) => Err(Failure::new(
                Kind::Lost,
                "the connection ended before a request",
            )),
            Either::Right((Ok(_), _)) => Err(garbled("it answered before it was asked")),
            Either::Right((Err(error), _)) => Err(error.into()),
        }
    };
    link.stream.due(true);
    outcome
}

async fn send(
    shared: &Shared,
    room: &Arc<Room>,
    claim: &Claim,
    link: &mut Link,
    director: &Director,
) -> Result<(), Failure> {
    let write = &claim.again.write;
    let body = match claim.body() {
        Ok(body) => body,
        Err(error) => {
            give_up(
                shared,
                room,
                write.number,
                &format!("its body is lost: {error}"),
            );
            return Ok(());
        }
    };
    // The names belong to a generation; a stream made anew since then must not get this write.
    let generation = claim.again.generation;
    let min = write.min.clone().filter(|min| min.generation == generation);
    let min = min.unwrap_or_else(|| Cursor {
        generation,
        ..Cursor::default()
    });
    let mut client = write.headers.clone();
    loop {
        let stamp = shared.memory.stamp();
        let names = &claim.again.names;
        let headers = headers(shared, write, &client, Some(&min), names, link)?;
        let ask = Ask {
            body: body.clone(),
            ..bare(Method::POST, &write.target, headers)
        };
        let (answer, told): (Answer, Told) = shared
            .exchange(link, Some((room, Some(&min))), &ask)
            .await?;
        if answer.status.is_success() {
            metrics::counter!("director_chat_resent_total").increment(1);
            acknowledged(shared, room, write, &body, &told, stamp, director);
            // A server that names no entry cannot be asked about it ever again.
            if told.entry.is_none() {
                shared.memory.refused(room, write.number);
            }
            return Ok(());
        }
        if let Some(failure) = failures::of(&answer) {
            return Err(failure);
        }
        // It was taken once; what was checked then must not keep it out now.
        let checked =
            client.remove("producer-id").is_some() | client.remove("stream-seq").is_some();
        client.remove("producer-epoch");
        client.remove("producer-seq");
        if !checked || answer.status == StatusCode::GONE || !answer.keeps {
            let why = format!(
                "answered {} by node {}",
                answer.status,
                link.stream.node_name()
            );
            give_up(shared, room, write.number, &why);
            return Ok(());
        }
    }
}

/// An acknowledged write that no server takes again: the stream was deleted, or something is very wrong.
pub fn give_up(shared: &Shared, room: &Room, number: u64, why: &str) {
    metrics::counter!("director_chat_outbox_refused_total").increment(1);
    tracing::warn!(
        stream = %room.path(),
        request = %shared.request(number),
        "an acknowledged write is given up: {why}"
    );
    shared.memory.refused(room, number);
}
