//! The admin listener over real sockets.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use super::*;
use crate::config::AdminAddress;
use crate::host::Stopper;

const DEADLINE: Duration = Duration::from_secs(10);

/// A directory of its own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!(
            "director-admin-{}-{:x}",
            std::process::id(),
            crate::chance::number()
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("admin.sock")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A listener without services, and what stops its director.
async fn start(address: &AdminAddress) -> (JoinHandle<()>, String, Stopper) {
    let listener = AdminListener::bind(address).await.unwrap();
    let place = listener.place();
    let (stopper, stop) = Stopper::new();
    let told = Told {
        services: Vec::new(),
        metrics: Metrics::apart(),
        stop,
    };
    (
        tokio::spawn(serve(listener, Arc::new(told))),
        place,
        stopper,
    )
}

/// Says something to the socket and hears everything that comes back.
async fn say(socket: &Path, bytes: &[u8]) -> String {
    let said = async {
        let mut stream = UnixStream::connect(socket).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        // Closed with bytes unread, a connection ends by reset, after the answer.
        while let Ok(1..) = stream.read_buf(&mut answer).await {}
        String::from_utf8(answer).unwrap()
    };
    tokio::time::timeout(DEADLINE, said).await.unwrap()
}

#[tokio::test]
async fn it_answers_at_a_socket_for_its_owner_alone_which_goes_with_it() {
    let folder = Folder::new();
    let address = AdminAddress::Unix(folder.socket());
    let (serving, place, stopper) = start(&address).await;
    assert_eq!(place, format!("unix:{}", folder.socket().display()));
    let mode = std::fs::metadata(folder.socket())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let status = |bytes: Bytes| serde_json::from_slice::<serde_json::Value>(&bytes).unwrap();
    let before = status(ask(&address, "/status").await.unwrap());
    assert_eq!(before["pid"], std::process::id());
    assert_eq!(before["stopping"], false);
    assert!(before["open_files"].as_u64().unwrap() > 3);
    assert!(before["host"]["tickets"].is_u64());
    stopper.stop();
    let after = status(ask(&address, "/status").await.unwrap());
    assert_eq!(after["stopping"], true);

    serving.abort();
    assert!(serving.await.unwrap_err().is_cancelled());
    assert!(!folder.socket().exists());
    let error = ask(&address, "/status").await.unwrap_err();
    assert!(matches!(error, AskError::NoDirector(_)), "{error}");
}

#[tokio::test]
async fn it_answers_at_a_loopback_address() {
    let any = AdminAddress::Tcp(([127, 0, 0, 1], 0).into());
    let (serving, place, _stopper) = start(&any).await;
    let address = AdminAddress::Tcp(place.parse().unwrap());
    ask(&address, "/metrics").await.unwrap();
    let taken = AdminListener::bind(&address).await.unwrap_err();
    assert!(
        taken
            .to_string()
            .contains("another program listens there already"),
        "{taken}"
    );
    serving.abort();
}

#[tokio::test]
async fn what_it_does_not_know_is_refused() {
    let folder = Folder::new();
    let address = AdminAddress::Unix(folder.socket());
    let (serving, _, _stopper) = start(&address).await;
    for (request, status) in [
        (
            "GET /else HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            "404",
        ),
        (
            "POST /status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            "405",
        ),
        ("nonsense\r\n\r\n", "400"),
    ] {
        let answer = say(&folder.socket(), request.as_bytes()).await;
        let told = answer.split(' ').nth(1);
        assert_eq!(told, Some(status), "{request}: {answer}");
    }
    // A head without end is not gathered for ever.
    let endless = "GET / HTTP/1.1\r\nx: ".to_owned() + &"y".repeat(HEAD_BYTES);
    let answer = say(&folder.socket(), endless.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    serving.abort();
}

#[tokio::test]
async fn a_dead_socket_is_replaced_and_nothing_else_is() {
    let folder = Folder::new();
    let address = AdminAddress::Unix(folder.socket());
    // Left by a director that was killed.
    drop(std::os::unix::net::UnixListener::bind(folder.socket()).unwrap());
    let listener = AdminListener::bind(&address).await.unwrap();
    let taken = AdminListener::bind(&address).await.unwrap_err();
    assert!(matches!(taken, AdminError::Taken(_)), "{taken}");
    drop(listener);
    std::fs::write(folder.socket(), "a file of somebody's").unwrap();
    let no_socket = AdminListener::bind(&address).await.unwrap_err();
    assert!(matches!(no_socket, AdminError::NoSocket(_)), "{no_socket}");
    assert_eq!(
        std::fs::read(folder.socket()).unwrap(),
        b"a file of somebody's"
    );
    let long = AdminAddress::Unix(folder.0.join("x".repeat(120)));
    let too_long = AdminListener::bind(&long).await.unwrap_err();
    assert!(matches!(too_long, AdminError::Unix { .. }), "{too_long}");
}

fn post(path: &str, body: &str) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head + body).into_bytes()
}

#[tokio::test]
async fn an_order_that_means_nothing_is_answered_with_what_would_be_right() {
    let folder = Folder::new();
    let address = AdminAddress::Unix(folder.socket());
    let (serving, _place, _stopper) = start(&address).await;
    for (body, status, words) in [
        (
            "{}",
            "400",
            r#"right would be {"service": "..", "node": ".."}"#,
        ),
        (
            r#"{"service": "a", "node": "b"}"#,
            "404",
            "found the service \"a\"",
        ),
        (&"x".repeat(5_000), "400", "limit"),
    ] {
        let answer = say(&folder.socket(), &post("/drain", body)).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        assert!(answer.contains(words), "{answer}");
    }
    let order = serde_json::json!({ "service": "a", "node": "b" });
    let refused = order_to(&address, &order).await;
    assert!(
        refused.starts_with("the director refuses (404)"),
        "{refused}"
    );
    serving.abort();
    let _ended = serving.await;
}

async fn order_to(address: &AdminAddress, body: &serde_json::Value) -> String {
    order(address, "/undrain", body)
        .await
        .unwrap_err()
        .to_string()
}

#[tokio::test]
async fn nothing_is_changed_from_a_tcp_address() {
    let address = AdminAddress::Tcp("127.0.0.1:0".parse().unwrap());
    let (serving, place, _stopper) = start(&address).await;
    let address = AdminAddress::Tcp(place.parse().unwrap());
    let order = serde_json::json!({ "service": "a", "node": "b" });
    let refused = order_to(&address, &order).await;
    assert!(
        refused.starts_with("the director refuses (403)"),
        "{refused}"
    );
    serving.abort();
    let _ended = serving.await;
}
