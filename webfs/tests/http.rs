//! One server over real sockets: what its clients see of bounds, errors, live reads and its end.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test says what it found by panicking

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use webfs::http::{self, Settings};
use webfs::server::{Owner, Server, ServerConfig};

const PATIENCE: Duration = Duration::from_secs(20);

/// A server on a port of its own, with a directory that goes when it does.
struct Running {
    address: String,
    data: PathBuf,
    stop: watch::Sender<bool>,
    http: JoinHandle<usize>,
    owner: Owner,
}

impl Running {
    async fn start(settings: Settings) -> Self {
        let (running, server) = Self::begin("a", settings, &[]).await;
        timeout(PATIENCE, server.joined()).await.unwrap();
        running
    }

    /// Starts a server of a group, which may have to wait for the others.
    async fn begin(id: &str, settings: Settings, join: &[&str]) -> (Self, Server) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, id, settings, join).await
    }

    async fn on(
        listener: TcpListener,
        id: &str,
        settings: Settings,
        join: &[&str],
    ) -> (Self, Server) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("webfs-http-{}-{count}", std::process::id());
        let data = std::env::temp_dir().join(name);
        let address = listener.local_addr().unwrap().to_string();
        let config = ServerConfig {
            alone: join.is_empty(),
            join: join.iter().map(|&address| address.to_owned()).collect(),
            ..ServerConfig::new(id.parse().unwrap(), &address, &data)
        };
        let (server, owner) = Server::start(config).await.unwrap();
        let (stop, stopped) = watch::channel(false);
        let grace = Duration::from_secs(5);
        let serve = http::serve(listener, server.clone(), settings, stopped, grace);
        let running = Self {
            address,
            data,
            stop,
            http: tokio::spawn(serve),
            owner,
        };
        (running, server)
    }

    /// Ends it; returns how many connections had to be aborted.
    async fn end(self) -> usize {
        self.stop.send(true).unwrap();
        let aborted = timeout(PATIENCE, self.http).await.unwrap().unwrap();
        self.owner.stop(Duration::from_secs(5)).await;
        std::fs::remove_dir_all(&self.data).unwrap();
        aborted
    }

    async fn connect(&self) -> Raw {
        Raw {
            io: TcpStream::connect(&self.address).await.unwrap(),
            read: Vec::new(),
        }
    }

    /// The whole answer to one request on a connection of its own.
    async fn ask(&self, head: &str, body: &str) -> String {
        let mut raw = self.connect().await;
        raw.send(head, body).await;
        raw.rest().await
    }

    async fn append(&self, path: &str, body: &str) -> String {
        let head =
            format!("POST {path} HTTP/1.1\r\nContent-Type: application/json\r\nConnection: close");
        self.ask(&head, body).await
    }
}

/// A connection on which a test may send anything.
struct Raw {
    io: TcpStream,
    read: Vec<u8>,
}

impl Raw {
    async fn send(&mut self, head: &str, body: &str) {
        let length = match body {
            "" => String::new(),
            body => format!("Content-Length: {}\r\n", body.len()),
        };
        let request = format!("{head}\r\nHost: test\r\n{length}\r\n{body}");
        self.io.write_all(request.as_bytes()).await.unwrap();
    }

    /// Everything up to the end of the connection, which has to come.
    async fn rest(&mut self) -> String {
        let read = timeout(PATIENCE, self.io.read_to_end(&mut self.read)).await;
        read.expect("the connection did not end").unwrap();
        String::from_utf8_lossy(&self.read).into_owned()
    }

    /// Everything up to `text`, which has to come.
    async fn until(&mut self, text: &str) -> String {
        let found = timeout(PATIENCE, async {
            loop {
                let all = String::from_utf8_lossy(&self.read).into_owned();
                if let Some(at) = all.find(text) {
                    return all[..at + text.len()].to_owned();
                }
                let count = self.io.read_buf(&mut self.read).await.unwrap();
                assert!(count > 0, "ended before {text:?}: {all}");
            }
        });
        found
            .await
            .unwrap_or_else(|_| panic!("no {text:?} in {}", String::from_utf8_lossy(&self.read)))
    }
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer.split("\r\n\r\n").next()?.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

const LOBBY: &str = "/v1/stream/rooms/lobby";

#[tokio::test]
async fn a_room_is_there_when_it_is_opened_and_keeps_what_it_is_told() {
    let server = Running::start(Settings::default()).await;
    let get = format!("GET {LOBBY} HTTP/1.1\r\nConnection: close");
    let empty = server.ask(&get, "").await;
    assert_eq!(status(&empty), "200", "{empty}");
    assert!(empty.ends_with("\r\n\r\n[]"), "{empty}");
    assert_eq!(header(&empty, "stream-up-to-date"), Some("true"));
    assert_eq!(header(&empty, "stream-server"), Some("a/1"));

    let answer = server.append(LOBBY, "[{\"n\":1},{\"n\": 2}]").await;
    assert_eq!(status(&answer), "204", "{answer}");
    let entry = header(&answer, "stream-entry").unwrap();
    let next = header(&answer, "stream-next-offset").unwrap();
    assert!(next.ends_with(&format!("_g0-{entry}")), "{next} {entry}");
    let all = server.ask(&get, "").await;
    assert!(all.ends_with("\r\n\r\n[{\"n\":1},{\"n\": 2}]"), "{all}");
    assert_eq!(header(&all, "stream-next-offset"), Some(next));

    let etag = header(&all, "etag").unwrap();
    let again = format!("{get}\r\nIf-None-Match: {etag}");
    assert_eq!(status(&server.ask(&again, "").await), "304");
    let rest = format!("GET {LOBBY}?offset={next} HTTP/1.1\r\nConnection: close");
    assert!(server.ask(&rest, "").await.ends_with("\r\n\r\n[]"));
    assert_eq!(server.end().await, 0);
}

#[tokio::test]
async fn a_director_is_told_names_and_requests_and_gets_its_first_answer_again() {
    let server = Running::start(Settings::default()).await;
    let post = format!(
        "POST {LOBBY} HTTP/1.1\r\nContent-Type: application/json\r\nWebFS-Director: d1\r\n\
         WebFS-Request: d1.1\r\nConnection: close"
    );
    let first = server.ask(&post, "{}").await;
    assert_eq!(status(&first), "204", "{first}");
    let again = server.ask(&post, "{}").await;
    assert_eq!(
        header(&again, "stream-entry"),
        header(&first, "stream-entry")
    );
    let name = header(&first, "stream-entry").unwrap();

    let get = format!("GET {LOBBY} HTTP/1.1\r\nWebFS-Director: d1\r\nConnection: close");
    let all = server.ask(&get, "").await;
    assert!(all.ends_with("\r\n\r\n[{}]"), "a repeat was added: {all}");
    // A group of one: what is on its disk is stable, and not told.
    match header(&all, "webfs-entries") {
        None => assert_eq!(
            header(&all, "stream-stable-offset"),
            header(&all, "stream-next-offset")
        ),
        Some(entries) => {
            let entry =
                format!("[{{\"entry\":\"{name}\",\"at\":0,\"len\":1,\"request\":\"d1.1\"}}]");
            assert_eq!(entries, entry);
        }
    }
    server.end().await;
}

#[tokio::test]
async fn live_readers_get_what_is_added_and_end_when_the_server_does() {
    let server = Running::start(Settings::default()).await;
    let mut reader = server.connect().await;
    reader
        .send(&format!("GET {LOBBY}?offset=now&live=sse HTTP/1.1"), "")
        .await;
    let head = reader.until("event: control\ndata:").await;
    assert_eq!(header(&head, "content-type"), Some("text/event-stream"));
    reader.until("\"upToDate\":true}\n\n").await;
    let mut waiting = server.connect().await;
    waiting
        .send(
            &format!("GET {LOBBY}?offset=now&live=long-poll HTTP/1.1"),
            "",
        )
        .await;
    // Only one that waits is answered with what comes next.
    let mut other = server.connect().await;
    for n in 1.. {
        assert_eq!(status(&server.append(LOBBY, &format!("{n}")).await), "204");
        if timeout(Duration::from_millis(50), waiting.io.readable())
            .await
            .is_ok()
        {
            break;
        }
    }
    let answer = waiting.until("]").await;
    assert_eq!(status(&answer), "200", "{answer}");
    assert!(header(&answer, "stream-cursor").is_some());
    reader.until("event: data\ndata:[1").await;

    other
        .send(
            &format!("GET {LOBBY}?offset=now&live=long-poll HTTP/1.1"),
            "",
        )
        .await;
    assert_eq!(server.end().await, 0, "all live reads ended by themselves");
    let rest = reader.rest().await;
    assert!(
        rest.ends_with("\n\n\r\n0\r\n\r\n"),
        "not at a whole event: {rest}"
    );
}

#[tokio::test]
async fn a_live_reader_that_has_to_wait_for_what_it_has_seen_hears_that_it_is_not_forgotten() {
    let settings = Settings {
        quiet_time: Duration::from_millis(100),
        ..Settings::default()
    };
    let server = Running::start(settings).await;
    let mut reader = server.connect().await;
    let behind = "0000000000000007_g0-z.7";
    reader
        .send(
            &format!("GET {LOBBY}?offset={behind}&live=sse HTTP/1.1"),
            "",
        )
        .await;
    let said = reader.until(":\n\n").await;
    assert!(!said.contains("event:"), "{said}");
    reader.until(":\n\n\r\n3\r\n:\n\n").await;
    assert_eq!(server.end().await, 0);
}

#[tokio::test]
async fn an_event_stream_to_a_plain_client_ends_after_its_time() {
    let settings = Settings {
        sse_time: Duration::from_millis(100),
        ..Settings::default()
    };
    let server = Running::start(settings).await;
    let get = format!("GET {LOBBY}?offset=now&live=sse HTTP/1.1");
    let mut director = server.connect().await;
    director
        .send(&format!("{get}\r\nWebFS-Director: d1"), "")
        .await;
    director.until("\"upToDate\":true").await;
    let events = server.ask(&format!("{get}\r\nConnection: close"), "").await;
    assert!(events.contains("\"upToDate\":true}\n\n"), "{events}");
    server.append(LOBBY, "7").await;
    let told = director.until("event: data\ndata:[7]\n\n").await;
    assert_eq!(header(&told, "webfs-type"), Some("application/json"));
    director.until("\"webfsServer\":\"a/1\"").await;
    server.end().await;
}

#[tokio::test]
async fn a_watch_beats_and_the_probe_answers() {
    let server = Running::start(Settings::default()).await;
    let probe = "GET /.well-known/webfs/health HTTP/1.1\r\nConnection: close";
    let health = server.ask(probe, "").await;
    assert!(
        health.ends_with("{\"server\":\"a/1\",\"load\":0,\"leaving\":false}"),
        "{health}"
    );
    let mut watch = server.connect().await;
    watch
        .send(
            "GET /.well-known/webfs/watch HTTP/1.1\r\nWebFS-Director: d1",
            "",
        )
        .await;
    for _ in 0..3 {
        watch.until("event: beat\ndata: {\"server\":\"a/1\",").await;
        watch.read.clear();
    }
    let nobody = server
        .ask(
            "GET /.well-known/webfs/watch HTTP/1.1\r\nConnection: close",
            "",
        )
        .await;
    assert_eq!(status(&nobody), "400");
    let group = server
        .ask(
            "GET /.well-known/webfs/group HTTP/1.1\r\nConnection: close",
            "",
        )
        .await;
    let address = format!("\"address\":\"{}\",\"up\":true", server.address);
    assert!(group.contains(&address), "{group}");
    assert_eq!(server.end().await, 0);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_said() {
    let server = Running::start(Settings::default()).await;
    let json = "Content-Type: application/json\r\nConnection: close";
    for (head, body, code, says) in [
        (
            format!("GET /v1/stream/a/../b HTTP/1.1\r\n{json}"),
            "",
            "400",
            "`..`",
        ),
        (
            format!("GET /v1/stream/a%2F%2e%2e HTTP/1.1\r\n{json}"),
            "",
            "400",
            "slash",
        ),
        (
            format!("GET /v1/stream/a%00 HTTP/1.1\r\n{json}"),
            "",
            "400",
            "control",
        ),
        (
            format!("GET {LOBBY}?offset= HTTP/1.1\r\n{json}"),
            "",
            "400",
            "empty",
        ),
        (
            format!("GET {LOBBY}?live=sse HTTP/1.1\r\n{json}"),
            "",
            "400",
            "offset",
        ),
        (
            format!("GET /v1/stream/nobody HTTP/1.1\r\n{json}"),
            "",
            "404",
            "nobody",
        ),
        (
            format!("GET /elsewhere HTTP/1.1\r\n{json}"),
            "",
            "404",
            "/v1/stream/",
        ),
        (
            format!("PATCH {LOBBY} HTTP/1.1\r\n{json}"),
            "",
            "405",
            "GET",
        ),
        (format!("POST / HTTP/1.1\r\n{json}"), "x", "405", "GET"),
        (
            format!("POST {LOBBY} HTTP/1.1\r\n{json}"),
            "{",
            "400",
            "JSON",
        ),
        (
            format!("POST {LOBBY} HTTP/1.1\r\n{json}"),
            "[]",
            "400",
            "message",
        ),
        (
            format!("POST {LOBBY} HTTP/1.1\r\nConnection: close"),
            "x",
            "400",
            "content-type",
        ),
        (
            format!("POST {LOBBY} HTTP/1.1\r\nContent-Type: text/plain\r\nConnection: close"),
            "x",
            "409",
            "application/json",
        ),
        (
            format!("PUT /v1/stream/x HTTP/1.1\r\nStream-TTL: 60\r\n{json}"),
            "",
            "501",
            "stream-ttl",
        ),
        (
            format!("GET /.well-known/webfs/peer HTTP/1.1\r\n{json}"),
            "",
            "426",
            "webfs-peer/1",
        ),
    ] {
        let answer = server.ask(&head, body).await;
        assert_eq!(status(&answer), code, "{head}\n{answer}");
        assert!(answer.contains(says), "{head}\n{answer}");
        assert_eq!(header(&answer, "x-content-type-options"), Some("nosniff"));
        assert_eq!(header(&answer, "stream-server"), Some("a/1"));
    }
    server.end().await;
}

#[tokio::test]
async fn everything_a_client_sends_has_a_bound() {
    let settings = Settings {
        head_time: Duration::from_millis(300),
        max_body: 1000,
        ..Settings::default()
    };
    let server = Running::start(settings).await;

    let long = server
        .append(LOBBY, &format!("\"{}\"", "x".repeat(1000)))
        .await;
    assert_eq!(status(&long), "413", "{long}");
    let head =
        format!("POST {LOBBY} HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 99999999999");
    let announced = server.ask(&head, "").await;
    assert_eq!(status(&announced), "413", "{announced}");

    let headers: String = (0..101).map(|n| format!("\r\nX-{n}: y")).collect();
    let many = server.ask(&format!("GET / HTTP/1.1{headers}"), "").await;
    assert_eq!(status(&many), "431", "{many}");
    let wide = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(40_000));
    let wide = server.ask(&wide, "").await;
    assert_eq!(status(&wide), "431", "{wide}");

    let mut slow = server.connect().await;
    slow.io.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
    let rest = slow.rest().await;
    assert!(rest.is_empty() || status(&rest) == "408", "{rest}");
    let garbage = server.ask("\0\0\0", "").await;
    assert_eq!(status(&garbage), "400", "{garbage}");

    let all = format!("GET {LOBBY} HTTP/1.1\r\nConnection: close");
    assert!(server.ask(&all, "").await.ends_with("\r\n\r\n[]"));
    assert_eq!(server.end().await, 0);
}

#[tokio::test]
async fn a_crowd_of_clients_leaves_the_groups_own_paths_open() {
    let settings = Settings {
        max_connections: 2,
        ..Settings::default()
    };
    let server = Running::start(settings).await;
    let mut crowd = Vec::new();
    for _ in 0..2 {
        let mut reader = server.connect().await;
        reader
            .send(&format!("GET {LOBBY}?offset=now&live=sse HTTP/1.1"), "")
            .await;
        reader.until("upToDate").await;
        crowd.push(reader);
    }
    let one_more = server.ask("GET / HTTP/1.1", "").await;
    assert_eq!(status(&one_more), "503", "{one_more}");
    assert!(header(&one_more, "retry-after").is_some());
    let probe = "GET /.well-known/webfs/health HTTP/1.1\r\nConnection: close";
    assert_eq!(status(&server.ask(probe, "").await), "200");
    drop(crowd);
    timeout(PATIENCE, async {
        while status(&server.ask("GET / HTTP/1.1\r\nConnection: close", "").await) != "200" {}
    })
    .await
    .expect("places are free again");
    server.end().await;
}

#[tokio::test]
async fn a_deleted_stream_ends_its_readers_and_comes_back_as_another() {
    let server = Running::start(Settings::default()).await;
    let log = "/v1/stream/log";
    let put = format!("PUT {log} HTTP/1.1\r\nContent-Type: text/plain\r\nConnection: close");
    let made = server.ask(&put, "one").await;
    assert_eq!(status(&made), "201", "{made}");
    let location = format!("http://test{log}");
    assert_eq!(header(&made, "location"), Some(location.as_str()));
    let old = header(&made, "stream-next-offset").unwrap();
    let mut reader = server.connect().await;
    reader
        .send(
            &format!("GET {log}?offset=-1&live=sse HTTP/1.1\r\nConnection: close"),
            "",
        )
        .await;
    reader.until("data:one\n\nevent: control").await;

    let delete = format!("DELETE {log} HTTP/1.1\r\nConnection: close");
    assert_eq!(status(&server.ask(&delete, "").await), "204");
    let rest = reader.rest().await;
    assert!(
        rest.ends_with("\n\n\r\n0\r\n\r\n"),
        "not at a whole event: {rest}"
    );
    let get = |offset: &str| format!("GET {log}?offset={offset} HTTP/1.1\r\nConnection: close");
    assert_eq!(status(&server.ask(&get("-1"), "").await), "404");
    assert_eq!(status(&server.ask(&delete, "").await), "404");
    assert_eq!(status(&server.ask(&put, "two").await), "201");
    assert!(server.ask(&get("-1"), "").await.ends_with("\r\n\r\ntwo"));
    assert_eq!(status(&server.ask(&get(old), "").await), "410");
    assert_eq!(server.end().await, 0);
}

#[tokio::test]
async fn a_create_or_delete_waits_a_second_for_what_its_caller_had_seen() {
    let server = Running::start(Settings::default()).await;
    let ask = |method: &str, path: &str, min: &str| {
        format!(
            "{method} /v1/stream/{path} HTTP/1.1\r\nStream-Min-Offset: {min}\r\nConnection: close"
        )
    };
    let nowhere = "0000000000000007_g0-z.7";
    // Of a stream that is not there nothing can be missing.
    let made = server.ask(&ask("PUT", "one", nowhere), "").await;
    let released = |answer: &str| header(answer, "webfs-released").map(str::to_owned);
    assert_eq!((status(&made), released(&made)), ("201", None), "{made}");
    let seen = header(&made, "stream-next-offset").unwrap();
    let again = server.ask(&ask("PUT", "one", seen), "").await;
    assert_eq!((status(&again), released(&again)), ("200", None));
    let began = std::time::Instant::now();
    let again = server.ask(&ask("PUT", "one", nowhere), "").await;
    assert_eq!(
        (status(&again), released(&again)),
        ("200", Some("1".into()))
    );
    assert!(began.elapsed() >= Duration::from_secs(1));
    let gone = server.ask(&ask("DELETE", "one", nowhere), "").await;
    assert_eq!((status(&gone), released(&gone)), ("204", Some("1".into())));
    let gone = server
        .ask(&ask("DELETE", "rooms/two", "nonsense"), "")
        .await;
    assert_eq!(status(&gone), "400");
    assert_eq!(server.end().await, 0);
}

#[tokio::test]
async fn servers_meet_over_http_and_a_cursor_holds_at_either() {
    let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let second = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
    let (at_a, at_b) = (address(&first), address(&second));
    let settings = Settings::default();
    let (a, a_server) = Running::on(first, "a", settings.clone(), &[&at_b]).await;

    // Alone of two and with an empty disk it does not guess.
    let probe = "GET /.well-known/webfs/health HTTP/1.1\r\nConnection: close";
    let joining = a.ask(probe, "").await;
    assert_eq!(status(&joining), "503", "{joining}");
    assert!(header(&joining, "retry-after").is_some());
    assert_eq!(header(&joining, "stream-server"), None);
    assert_eq!(status(&a.append(LOBBY, "0").await), "503");
    let page = a.ask("GET / HTTP/1.1\r\nConnection: close", "").await;
    assert_eq!(status(&page), "200");

    let (b, b_server) = Running::on(second, "b", settings, &[&at_a]).await;
    timeout(PATIENCE, a_server.joined()).await.unwrap();
    timeout(PATIENCE, b_server.joined()).await.unwrap();
    let mut reader = b.connect().await;
    reader
        .send(&format!("GET {LOBBY}?offset=now&live=sse HTTP/1.1"), "")
        .await;
    reader.until("\"upToDate\":true").await;
    let answer = a.append(LOBBY, "1").await;
    assert_eq!(status(&answer), "204", "{answer}");
    let cursor = header(&answer, "stream-next-offset").unwrap();
    // The other server has it by now, or fetches it before it answers.
    let get = format!("GET {LOBBY}?offset={cursor} HTTP/1.1\r\nConnection: close");
    let rest = b.ask(&get, "").await;
    assert_eq!(status(&rest), "200", "{rest}");
    assert!(rest.ends_with("\r\n\r\n[]"), "{rest}");
    let vary = "stream-consistency, webfs-director";
    assert_eq!(header(&rest, "vary"), Some(vary));
    assert_eq!(header(&rest, "stream-next-offset"), Some(cursor));
    reader.until("event: data\ndata:[1]\n\n").await;

    // What no second server has is not stable, and a director is told of 64 such entries at a time.
    assert_eq!(b.end().await, 0);
    for n in 0..70 {
        assert_eq!(
            status(&a.append(LOBBY, &format!("[{n},true]")).await),
            "204"
        );
    }
    let mut from = cursor.to_owned();
    for (entries, up_to_date) in [(64, None), (6, Some("true"))] {
        let get = format!(
            "GET {LOBBY}?offset={from} HTTP/1.1\r\nWebFS-Director: d1\r\nConnection: close"
        );
        let answer = a.ask(&get, "").await;
        let body = answer.rsplit("\r\n\r\n").next().unwrap();
        let messages: Vec<serde_json::Value> = serde_json::from_str(body).unwrap();
        let told = header(&answer, "webfs-entries").unwrap();
        let told: Vec<serde_json::Value> = serde_json::from_str(told).unwrap();
        assert_eq!(
            (messages.len(), told.len()),
            (2 * entries, entries),
            "{answer}"
        );
        let last = &told[entries - 1];
        assert_eq!(
            (&last["at"], &last["len"]),
            (&(2 * entries - 2).into(), &2.into())
        );
        assert_eq!(header(&answer, "stream-up-to-date"), up_to_date);
        from = header(&answer, "stream-next-offset").unwrap().to_owned();
    }
    assert_eq!(a.end().await, 0);
}
