//! One watch a node: beats, loads, and what is stable of the streams that this director wrote to.

use std::time::Duration;

use bytes::Bytes;
use director_sdk::{Failure, Kind, Load, NodeStream, Report};
use futures_util::future::{Either, select};
use hyper::header::HOST;
use hyper::{HeaderMap, Method, StatusCode};
use serde::Deserialize;

use crate::failures;
use crate::name::Identity;
use crate::node::answer::{Answer, garbled};
use crate::node::link::{self, Ask};
use crate::path::StreamPath;
use crate::shared::{Shared, value};
use crate::sse::{self, Event};

/// A node that lets no byte come for this long is dead: it owes one every 100 ms.
const SILENCE: Duration = Duration::from_millis(400);
/// Longest answer of a probe, and longest event of a watch, in bytes.
const MAX: usize = 64 * 1024;

/// What a node says of itself.
#[derive(Debug, Deserialize)]
struct Beat {
    server: String,
    load: f64,
    leaving: bool,
}

/// What became stable.
#[derive(Debug, Deserialize)]
struct Stable {
    path: String,
    cursor: String,
}

/// Asks a node how it is.
///
/// # Errors
/// Why it is not well; [`Kind::Busy`] while it has not joined its group.
pub async fn probe(shared: &Shared, node: &mut NodeStream) -> Result<Load, Failure> {
    let headers = headers(shared, node)?;
    let ask = ask("/.well-known/webfs/health", headers);
    let answer = link::whole(node, &ask, MAX).await?;
    if let Some(failure) = refusal(&answer) {
        return Err(failure);
    }
    let beat: Beat = serde_json::from_slice(&answer.body)
        .map_err(|error| garbled(format!("its health: {error}")))?;
    heard(shared, node.node().0, &beat)
}

/// Watches a node for as long as it is well.
pub async fn watch(shared: &Shared, node: &mut NodeStream, report: &Report) -> Failure {
    let number = node.node().0;
    let failure = match events(shared, node, report).await {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    shared.memory.failed(number);
    failure
}

async fn events(
    shared: &Shared,
    node: &mut NodeStream,
    report: &Report,
) -> Result<std::convert::Infallible, Failure> {
    let number = node.node().0;
    let headers = headers(shared, node)?;
    let ask = ask("/.well-known/webfs/watch", headers);
    let mut answer = in_time(report, link::ask(node, &ask)).await?;
    if answer.head.status != StatusCode::OK {
        let answer = in_time(report, answer.whole(node, MAX)).await?;
        return Err(refusal(&answer)
            .unwrap_or_else(|| garbled(format!("it answers {} to a watch", answer.status))));
    }
    let mut reader = sse::Reader::new(MAX);
    let (mut bytes, mut events) = (Vec::new(), Vec::new());
    loop {
        bytes.clear();
        if !in_time(report, answer.more(node, &mut bytes)).await? {
            return Err(Failure::new(Kind::Lost, "it ended the watch"));
        }
        reader
            .push(&bytes, |event| events.push(event))
            .map_err(|error| garbled(error.to_string()))?;
        for event in events.drain(..) {
            take(shared, number, &event, report)?;
        }
    }
}

fn take(shared: &Shared, node: u32, event: &Event, report: &Report) -> Result<(), Failure> {
    match event.kind.as_str() {
        "beat" => {
            let beat: Beat = serde_json::from_str(&event.data)
                .map_err(|error| garbled(format!("a beat: {error}")))?;
            report.load(heard(shared, node, &beat)?);
        }
        "stable" => {
            let stable: Stable = serde_json::from_str(&event.data)
                .map_err(|error| garbled(format!("what is stable: {error}")))?;
            let cursor = stable
                .cursor
                .parse()
                .map_err(|error| garbled(format!("what is stable: {error}")))?;
            let path = StreamPath::plain(&stable.path)
                .map_err(|error| garbled(format!("what is stable: {error}")))?;
            shared.memory.stable(&path, &cursor);
        }
        // Something newer than this.
        _ => {}
    }
    Ok(())
}

fn heard(shared: &Shared, node: u32, beat: &Beat) -> Result<Load, Failure> {
    let server: Identity = beat
        .server
        .parse()
        .map_err(|error| garbled(format!("a beat: {error}")))?;
    shared.memory.seen(node, server);
    Ok(Load {
        load: beat.load,
        leaving: beat.leaving,
    })
}

fn headers(shared: &Shared, node: &NodeStream) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, value(node.node_name())?);
    headers.insert("webfs-director", value(&shared.id)?);
    Ok(headers)
}

fn ask(target: &str, headers: HeaderMap) -> Ask<'_> {
    Ask {
        method: Method::GET,
        target,
        headers,
        body: Bytes::new(),
        patient: false,
    }
}

fn refusal(answer: &Answer) -> Option<Failure> {
    match answer.status {
        StatusCode::OK => None,
        status => Some(
            failures::of(answer)
                .unwrap_or_else(|| garbled(format!("it answers {status} when asked how it is"))),
        ),
    }
}

async fn in_time<T>(
    report: &Report,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let work = std::pin::pin!(work);
    let time = std::pin::pin!(report.sleep(SILENCE));
    match select(work, time).await {
        Either::Left((done, _)) => done,
        Either::Right(((), _)) => Err(Failure::new(
            Kind::Stalled,
            format!("no byte of its watch came for {SILENCE:?}"),
        )),
    }
}
