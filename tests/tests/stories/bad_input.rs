//! What a user gets wrong, and what a client sends that it should not: a clear word, and it goes on.

use std::path::{Path, PathBuf};
use std::process::Command as Now;
use std::time::Duration;

use director_tests::folder::Folder;
use director_tests::http::{self, Connection};
use director_tests::process::Program;
use director_tests::programs;
use tokio::process::Command;

use crate::bounded::story;
use crate::room::Room;

/// How `director proxy` ended, with what it said on stderr.
async fn refused(config: &Path) -> String {
    let mut command = Command::new(programs::director().unwrap());
    command.arg("proxy").arg("--config").arg(config);
    let mut program = Program::start("director", command).unwrap();
    let status = program.ended(Duration::from_secs(20)).await.unwrap();
    let said = program.stderr();
    assert!(
        !status.success(),
        "it accepted {}:\n{said}",
        config.display()
    );
    assert_ne!(status.code(), Some(101), "it panicked:\n{said}");
    assert!(
        status.code().is_some(),
        "it was killed by a signal: {status}\n{said}"
    );
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// A config with one service.
fn config(folder: &Folder, plugin: &str, rest: &str) -> PathBuf {
    let text = format!(
        "state_dir = {:?}\n[services.x]\nplugin = {plugin:?}\n{rest}\n",
        folder.join("state").display().to_string()
    );
    folder.write("director.toml", text).unwrap()
}

const REST: &str = "listen = \"127.0.0.1:0\"\nnodes = [\"127.0.0.1:9\"]";

fn has(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "`{word}` is missing in:\n{said}");
    }
}

/// A library made of C.
fn library(folder: &Folder, name: &str, source: &str) -> PathBuf {
    let source = folder.write(&format!("{name}.c"), source).unwrap();
    let library = folder.join(format!("{name}.so"));
    let status = Now::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(source)
        .status()
        .unwrap();
    assert!(status.success());
    library
}

#[test]
fn a_plugin_that_is_not_there() {
    story(30, || async {
        let folder = Folder::fresh("bad").unwrap();
        let said = refused(&config(&folder, "/nowhere/libnone.so", REST)).await;
        has(&said, &["/nowhere/libnone.so", "director.toml:3"]);
        let said = refused(&config(&folder, "nonesuch", REST)).await;
        has(&said, &["nonesuch", "director.toml:3"]);
    });
}

#[test]
fn a_library_that_is_no_plugin() {
    story(30, || async {
        let folder = Folder::fresh("bad").unwrap();
        let plain = library(&folder, "plain", "int answer(void) { return 42; }\n");
        let said = refused(&config(&folder, plain.to_str().unwrap(), REST)).await;
        has(&said, &["plain.so", "director.toml:3", "plugin"]);
        let text = folder.write("text.so", "no library at all\n").unwrap();
        let said = refused(&config(&folder, text.to_str().unwrap(), REST)).await;
        has(&said, &["text.so", "director.toml:3"]);
        let empty = folder.write("empty.so", "").unwrap();
        has(
            &refused(&config(&folder, empty.to_str().unwrap(), REST)).await,
            &["empty.so"],
        );
        std::fs::create_dir(folder.join("folder.so")).unwrap();
        let directory = folder.join("folder.so");
        has(
            &refused(&config(&folder, directory.to_str().unwrap(), REST)).await,
            &["folder.so"],
        );
    });
}

#[test]
fn a_plugin_for_another_major_of_the_boundary() {
    story(30, || async {
        let folder = Folder::fresh("bad").unwrap();
        let source =
            "struct { unsigned size, major; char rest[4096]; } director_plugin_v2 = { 4096, 2 };\n";
        let next = library(&folder, "next", source);
        let said = refused(&config(&folder, next.to_str().unwrap(), REST)).await;
        has(&said, &["next.so", "director.toml:3", "2"]);
    });
}

#[test]
fn a_library_that_anybody_may_write() {
    story(30, || async {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::fresh("bad").unwrap();
        let open = folder.join("libopen.so");
        std::fs::copy(programs::fetch_plugin().unwrap(), &open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
        let said = refused(&config(&folder, open.to_str().unwrap(), REST)).await;
        has(&said, &["libopen.so", "writ"]);
    });
}

#[test]
fn a_port_that_is_taken() {
    story(30, || async {
        let folder = Folder::fresh("bad").unwrap();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let rest = format!("listen = {address:?}\nnodes = [\"127.0.0.1:9\"]");
        let said = refused(&config(
            &folder,
            programs::fetch_plugin().unwrap().to_str().unwrap(),
            &rest,
        ))
        .await;
        has(&said, &[&address, "director.toml:4", "already"]);
    });
}

#[test]
fn an_empty_node_list() {
    story(30, || async {
        let folder = Folder::fresh("bad").unwrap();
        let fetch = programs::fetch_plugin().unwrap();
        let rest = "listen = \"127.0.0.1:0\"\nnodes = []";
        let said = refused(&config(&folder, fetch.to_str().unwrap(), rest)).await;
        has(&said, &["director.toml:5", "nodes", "empty"]);
    });
}

#[test]
fn three_mistakes_are_told_in_one_run() {
    story(30, || async {
        let folder = Folder::fresh("bad").unwrap();
        let fetch = programs::fetch_plugin().unwrap();
        let rest = "listen = \"nowhere\"\nnodes = [\"127.0.0.1:9\"]\nattempts = \"many\"\ncolour = \"blue\"";
        let path = config(&folder, fetch.to_str().unwrap(), rest);
        let said = refused(&path).await;
        has(
            &said,
            &[
                "director.toml:4",
                "nowhere",
                "director.toml:6",
                "many",
                "director.toml:7",
                "colour",
            ],
        );
        let check = Now::new(programs::director().unwrap())
            .args(["check", "--config"])
            .arg(&path)
            .output()
            .unwrap();
        assert!(!check.status.success());
        let said = String::from_utf8_lossy(&check.stderr).into_owned();
        has(
            &said,
            &["director.toml:4", "director.toml:6", "director.toml:7"],
        );
    });
}

#[test]
fn a_wrong_option_of_the_plugin_has_its_line() {
    story(30, || async {
        let folder = Folder::fresh("bad").unwrap();
        let fetch = programs::fetch_plugin().unwrap();
        let rest = format!("{REST}\n[services.x.options]\nline_limit = 3");
        let said = refused(&config(&folder, fetch.to_str().unwrap(), &rest)).await;
        has(&said, &["director.toml:7", "line_limit", "3"]);
        let rest = format!("{REST}\n[services.x.options]\nline_limits = 300");
        let said = refused(&config(&folder, fetch.to_str().unwrap(), &rest)).await;
        has(&said, &["director.toml", "line_limits"]);
    });
}

/// Sends bytes as they are, and reads the status of the answer; `None` when the connection ends without.
async fn raw(address: &str, bytes: &[u8]) -> Option<u16> {
    let mut connection = Connection::open(address).await.unwrap();
    // The other end may answer and leave before it has read everything.
    let _written = connection.write(bytes).await;
    let head = tokio::time::timeout(Duration::from_secs(20), connection.head("GET")).await;
    head.expect("no answer and no end")
        .ok()
        .map(|head| head.status)
}

#[test]
fn requests_that_are_none_and_requests_that_are_too_much() {
    story(120, || async {
        let room = Room::open(3).await;
        let kept = room.post("before").await;
        let node = room.group.nodes[0].address.clone();
        let long_header = format!(
            "GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n",
            "x".repeat(1 << 20)
        );
        let many_headers = format!(
            "GET / HTTP/1.1\r\nHost: x\r\n{}\r\n",
            "X-Y: z\r\n".repeat(10_000)
        );
        let long_target = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(1 << 20));
        let cases: [(&str, &[u8], &[u16]); 8] = [
            ("no HTTP", b"hello there\r\n\r\n", &[400]),
            ("binary", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", &[400]),
            ("another version", b"GET / HTTP/9.9\r\n\r\n", &[400, 505]),
            ("a header without a name", b"GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n", &[400]),
            ("two lengths", b"POST /v1/stream/rooms/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", &[400]),
            ("a long header", long_header.as_bytes(), &[400, 431]),
            ("many headers", many_headers.as_bytes(), &[400, 431]),
            ("a long target", long_target.as_bytes(), &[400, 414, 431]),
        ];
        for address in [&room.director.address, &node] {
            for (what, bytes, good) in &cases {
                let status = raw(address, bytes).await;
                // A peer that sends more than it may can be cut off while it still sends.
                let cut_off = status.is_none() && bytes.len() > 100_000;
                assert!(
                    cut_off || status.is_some_and(|s| good.contains(&s)),
                    "{what} at {address}: {status:?}"
                );
            }
        }
        room.holds(&[&kept]).await;
        assert!(
            room.director
                .status()
                .await
                .unwrap()
                .nodes()
                .iter()
                .all(|n| n.standing == "up")
        );
    });
}

#[test]
fn a_stream_name_that_climbs() {
    story(60, || async {
        let room = Room::open(1).await;
        let node = room.group.nodes[0].address.clone();
        for address in [&room.director.address, &node] {
            for name in [
                "rooms/../secret",
                "..",
                "rooms/%2e%2e/secret",
                "rooms/..%2fsecret",
                "rooms/a%00b",
                "rooms//a",
            ] {
                let target = format!("/v1/stream/{name}");
                for method in ["GET", "POST", "PUT", "DELETE"] {
                    let headers = [("Content-Type", "application/json")];
                    let body = matches!(method, "POST" | "PUT").then_some(&b"[1]"[..]);
                    let answer = http::ask(address, method, &target, &headers, body)
                        .await
                        .unwrap();
                    assert_eq!(
                        answer.status(),
                        400,
                        "{method} {target} at {address}: {}",
                        answer.text()
                    );
                }
            }
        }
    });
}

#[test]
fn a_message_over_the_limit_is_refused_and_nothing_is_lost() {
    story(60, || async {
        let room = Room::open(3).await;
        let before = room.post("before").await;
        let body = serde_json::json!({ "from": "x", "text": "y".repeat(3 << 20), "at": "2026-01-01T00:00:00Z" });
        let headers = [("Content-Type", "application/json")];
        let target = room.target();
        let mut connection = Connection::open(&room.director.address).await.unwrap();
        let sent = connection
            .send("POST", &target, &headers, Some(body.to_string().as_bytes()))
            .await;
        match connection.head("POST").await {
            Ok(head) => assert_eq!(head.status, 413),
            Err(cut_off) => panic!("no 413 but {cut_off} (sending: {sent:?})"),
        }
        let after = room.post("after").await;
        room.holds(&[&before, &after]).await;
        assert!(
            room.director
                .status()
                .await
                .unwrap()
                .nodes()
                .iter()
                .all(|n| n.standing == "up")
        );
    });
}

#[test]
fn a_chunked_message_over_the_limit_is_refused_too() {
    story(60, || async {
        let room = Room::open(1).await;
        let mut connection = Connection::open(&room.director.address).await.unwrap();
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
            room.target()
        );
        connection.write(head.as_bytes()).await.unwrap();
        let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, "y".repeat(1 << 16));
        for _ in 0..64 {
            if connection.write(chunk.as_bytes()).await.is_err() {
                break; // refused already
            }
        }
        let _written = connection.write(b"0\r\n\r\n").await;
        let status = connection.head("POST").await.map(|head| head.status);
        assert!(matches!(status, Ok(413)), "{status:?}");
        room.post("after").await;
    });
}
