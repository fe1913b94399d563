//! hyper's server and client run on the host's streams, in one task of the plugin's, without a
//! runtime: an HTTP proxy of a few lines, moved from a node that dies to another.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a test: what is not as written here must fail

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use director_sdk::testing::{Counts, Cut, Wire, World, every_cut};
use director_sdk::{
    Client, ConfigMistake, Director, Exception, Failure, Host, Kind, Links, Load, NodeStream,
    Protocol, Request, Resend, Session, async_trait,
};
use futures_util::future::{Either, select};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Response, StatusCode, client, server};

struct Proxy;

#[async_trait]
impl Protocol for Proxy {
    type Config = serde_json::Value;
    const NAME: &'static str = "proxy";
    const LINKS: Links = Links::Exclusive;

    fn create(_: serde_json::Value, _: Host) -> Result<Self, Vec<ConfigMistake>> {
        Ok(Self)
    }

    async fn serve(&self, client: Client, director: Director) -> Result<(), Failure> {
        let timer = director.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let director = director.clone();
            async move {
                let mut get = Get(request.uri().to_string());
                let mut chain = director.chain(Nodes);
                let reply = director.direct(&mut chain, &mut get).await;
                let (status, body) = match reply {
                    Ok(body) => (StatusCode::OK, body),
                    Err(exception) => (StatusCode::BAD_GATEWAY, exception.to_string().into()),
                };
                let mut response = Response::new(Full::new(body));
                *response.status_mut() = status;
                Ok::<_, Infallible>(response)
            }
        });
        server::conn::http1::Builder::new()
            .timer(timer)
            .header_read_timeout(Duration::from_secs(5))
            .serve_connection(client.stream, service)
            .await?;
        Ok(())
    }

    async fn probe(&self, _node: &mut NodeStream) -> Result<Load, Failure> {
        Ok(Load::UNKNOWN)
    }
}

struct Nodes;

/// A hyper connection and what drives it: nobody is there to spawn it on.
struct Link {
    sender: client::conn::http1::SendRequest<Full<Bytes>>,
    connection: Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>,
}

impl Link {
    /// Drives the connection while `work` is done on it.
    async fn drive<T>(
        connection: &mut (impl Future<Output = hyper::Result<()>> + Unpin),
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match select(std::pin::pin!(work), connection).await {
            Either::Left((done, _)) => done,
            // The connection's own end is told better by the work that it ends.
            Either::Right((Ok(()), work)) => work.await,
            Either::Right((Err(error), _)) => Err(error.into()),
        }
    }
}

#[async_trait]
impl Session for Nodes {
    type Link = Link;

    async fn establish(&mut self, node: NodeStream, _: &Director) -> Result<Link, Failure> {
        let (sender, connection) = client::conn::http1::handshake(node).await?;
        Ok(Link {
            sender,
            connection: Box::pin(connection),
        })
    }
}

struct Get(String);

#[async_trait]
impl Request<Nodes> for Get {
    type Reply = Bytes;

    async fn attempt(
        &mut self,
        _: &mut Nodes,
        link: &mut Link,
        _: &Director,
    ) -> Result<Bytes, Failure> {
        let request = hyper::Request::get(&self.0)
            .header("host", "node")
            .body(Full::default())
            .map_err(|error| Failure::new(Kind::Invalid, error.to_string()))?;
        let sender = &mut link.sender;
        let work = async move {
            let response = sender.send_request(request).await?;
            if response.status() != StatusCode::OK {
                let code = response.status().as_u16().into();
                return Err(Failure::new(Kind::Busy, "not ok").with_code(code));
            }
            Ok(response.into_body().collect().await?.to_bytes())
        };
        Link::drive(&mut link.connection, work).await
    }

    async fn cleanup(&mut self, _: &mut Nodes, _: Option<&mut Link>, _: &Exception) -> Resend {
        Resend::Anywhere
    }
}

/// A node that is a hyper server.
async fn node(wire: Wire) {
    let service = service_fn(|request: hyper::Request<Incoming>| async move {
        let text = format!("you asked for {}", request.uri());
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
    });
    // Its client may go when it likes.
    let _end = server::conn::http1::Builder::new()
        .serve_connection(wire, service)
        .await;
}

fn world(world: &World) {
    world.start::<Proxy>("null").unwrap();
    for name in ["a", "b", "c"] {
        world.node(name, node);
    }
}

/// Gets two pages over one connection of a hyper client.
fn two_pages(at: &World) -> Vec<(StatusCode, Bytes)> {
    at.run(async {
        let (mut sender, connection) = client::conn::http1::handshake(at.connect()).await.unwrap();
        let work = async move {
            let mut pages = Vec::new();
            for path in ["/one", "/two"] {
                let request = hyper::Request::get(path)
                    .header("host", "proxy")
                    .body(Full::<Bytes>::default())
                    .unwrap();
                let response = sender.send_request(request).await.unwrap();
                let status = response.status();
                pages.push((
                    status,
                    response.into_body().collect().await.unwrap().to_bytes(),
                ));
            }
            pages
        };
        let (pages, _) = futures_util::join!(work, connection);
        pages
    })
}

#[test]
fn pages_come_through_whatever_happens_to_a_node() {
    let kinds = [Cut::Reset, Cut::End, Cut::Silence, Cut::Kill];
    let swept = every_cut(1, &kinds, |at| {
        world(at);
        let pages = two_pages(at);
        let page = |path| (StatusCode::OK, Bytes::from(format!("you asked for {path}")));
        assert_eq!(pages, [page("/one"), page("/two")]);
        pages
    });
    println!("{swept:?}");
    assert!(swept.switches > 100, "{swept:?}");
}

#[test]
fn a_head_that_does_not_come_is_waited_for_by_the_hosts_clock() {
    let at = World::seeded(1);
    world(&at);
    at.run(async {
        let mut client = at.connect();
        client.write_all(b"GET / HT").await.unwrap();
        let began = at.now();
        let end = client.read_to_end().await.unwrap_err();
        assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
        assert_eq!(at.now() - began, Duration::from_secs(5));
    });
    assert_eq!(at.finish().counts, Counts::default());
}

#[test]
fn whose_stream_broke_is_found_inside_hypers_errors() {
    let at = World::seeded(1);
    world(&at);
    at.run(async {
        let mut client = at.connect();
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n")
            .await
            .unwrap();
        at.sleep(Duration::from_millis(1)).await;
        client.reset();
        at.sleep(Duration::from_millis(1)).await;
    });
    let ended = at.ended();
    assert_eq!(ended[0].kind, Some(Kind::ClientGone), "{ended:?}");
}
