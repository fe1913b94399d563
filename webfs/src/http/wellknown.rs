//! Paths beside the streams: the page, the probe, a director's watch, the group, peers, metrics.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue,
    REFERRER_POLICY, UPGRADE,
};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, StatusCode};
use serde::Serialize;

use crate::PEER_PROTOCOL;
use crate::server::{Identity, Member, NotReady, Refusal, Server, WatchEvent};

use super::ask;
use super::body::{Out, ReplyBody};
use super::entries::ascii_json;
use super::failure::{BadHeader, Failure};
use super::live::EVENT_STREAM;
use super::reply::{NO_CACHE, NO_STORE, Reply};
use super::{Site, names, sse};

const PAGE: &str = include_str!("../page/chat.html");
/// What stands in the page where its nonce comes.
const NONCE: &str = "{nonce}";

/// The chat page. Only its own script and style run, by a nonce that is new each time.
pub(crate) fn page() -> Reply {
    let nonce = match nonce() {
        Ok(nonce) => nonce,
        Err(error) => {
            tracing::error!(%error, "the system gives no random bytes");
            return Reply::empty(StatusCode::INTERNAL_SERVER_ERROR);
        }
    };
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    Reply::new(
        StatusCode::OK,
        ReplyBody::whole(PAGE.replace(NONCE, &nonce)),
    )
    .with(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    )
    .with_text(CONTENT_SECURITY_POLICY, &policy)
    .with(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
    .with(CACHE_CONTROL, NO_STORE)
}

fn nonce() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(STANDARD.encode(bytes))
}

/// Counters for Prometheus.
pub(crate) fn metrics(site: &Site) -> Reply {
    let text = site.metrics.text(&site.server.counters());
    Reply::new(StatusCode::OK, ReplyBody::whole(text))
        .with(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
        )
        .with(CACHE_CONTROL, NO_STORE)
}

/// What the probe and each beat say.
#[derive(Serialize)]
struct Beat {
    server: String,
    load: u32,
    leaving: bool,
}

impl Beat {
    fn of(server: &Server, identity: Identity) -> Self {
        // A group names the server itself first.
        let group = server.group();
        let own = group.members.first();
        Self {
            server: identity.to_string(),
            load: own.map_or(0, |own| own.load),
            leaving: own.is_some_and(|own| own.leaving),
        }
    }
}

/// The probe: 200, or 503 while the server has not joined its group.
pub(crate) fn health(site: &Site) -> Result<Reply, Failure> {
    let identity = joined(site)?;
    let json = ascii_json(&Beat::of(&site.server, identity));
    Ok(Reply::json(StatusCode::OK, json))
}

fn joined(site: &Site) -> Result<Identity, Failure> {
    site.identity().ok_or_else(|| {
        let waiting_for = "its log says for whom it waits".to_owned();
        Refusal::from(NotReady::Joining { waiting_for }).into()
    })
}

/// A director's watch: beats, and what became stable of the streams it wrote to.
pub(crate) fn watch(site: &Arc<Site>, headers: &HeaderMap) -> Result<Reply, Failure> {
    let caller = ask::caller(headers, true)?;
    let director = caller.director.ok_or(BadHeader::Missing(names::DIRECTOR))?;
    let identity = joined(site)?;
    let mut watch = site.server.watch(&director);
    let server = site.server.clone();
    let stopping = site.clone();
    let body = ReplyBody::live(move |out: Out| async move {
        let events = async {
            while let Some(event) = watch.next().await {
                out.send(watch_event(&server, identity, &event)).await;
            }
        };
        tokio::select! {
            () = events => {}
            () = stopping.stopped() => {}
        }
    });
    Ok(Reply::new(StatusCode::OK, body)
        .with(CONTENT_TYPE, EVENT_STREAM)
        .with(CACHE_CONTROL, NO_CACHE))
}

fn watch_event(server: &Server, identity: Identity, event: &WatchEvent) -> Bytes {
    #[derive(Serialize)]
    struct Stable<'a> {
        path: &'a str,
        cursor: String,
    }
    match event {
        WatchEvent::Beat => sse::event("beat", &ascii_json(&Beat::of(server, identity))),
        WatchEvent::Stable { path, cursor } => sse::event(
            "stable",
            &ascii_json(&Stable {
                path: path.as_str(),
                cursor: cursor.to_string(),
            }),
        ),
    }
}

/// The group as this server sees it.
pub(crate) fn group(site: &Site) -> Reply {
    #[derive(Serialize)]
    struct GroupJson {
        view: u64,
        members: Vec<MemberJson>,
    }
    #[derive(Serialize)]
    struct MemberJson {
        id: Option<String>,
        server: Option<String>,
        address: String,
        up: bool,
        load: u32,
        leaving: bool,
    }
    let of = |member: &Member| MemberJson {
        id: member.id.map(|id| id.to_string()),
        server: member.identity.map(|identity| identity.to_string()),
        address: member.address.clone(),
        up: member.up,
        load: member.load,
        leaving: member.leaving,
    };
    let group = site.server.group();
    let json = GroupJson {
        view: group.view,
        members: group.members.iter().map(of).collect(),
    };
    Reply::json(StatusCode::OK, ascii_json(&json))
}

/// A peer: 101, after which the connection is its own.
pub(crate) fn peer(mut request: Request<Incoming>) -> Result<(Reply, OnUpgrade), Failure> {
    let asked = ask::one(request.headers(), &UPGRADE)?;
    if !asked.is_some_and(|asked| asked.eq_ignore_ascii_case(PEER_PROTOCOL)) {
        return Err(Failure::Upgrade);
    }
    let reply = Reply::empty(StatusCode::SWITCHING_PROTOCOLS)
        .with(UPGRADE, HeaderValue::from_static(PEER_PROTOCOL))
        .with(CONNECTION, HeaderValue::from_static("upgrade"));
    Ok((reply, hyper::upgrade::on(&mut request)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_takes_nothing_from_elsewhere_and_has_a_fresh_nonce() {
        assert!(!PAGE.contains("http://") && !PAGE.contains("https://"));
        assert!(!PAGE.contains("innerHTML") && !PAGE.contains("document.write"));
        let policy = |reply: &Reply| {
            let value = &reply.headers()[CONTENT_SECURITY_POLICY];
            value.to_str().unwrap().to_owned()
        };
        let (first, second) = (policy(&page()), policy(&page()));
        assert!(first.starts_with("default-src 'none'; script-src 'nonce-"));
        assert_ne!(first, second);
    }
}
