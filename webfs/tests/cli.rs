//! The command line as its users run it: a server, and the three clients, as processes.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test says what it found by panicking

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

fn webfs(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_webfs"));
    command.args(args).env_remove("RUST_LOG");
    command
}

fn run(args: &[&str], input: &str) -> Output {
    let mut child = webfs(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that is refused does not read it.
    let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Lines of a child, each waited for no longer than [`PATIENCE`].
struct Lines(mpsc::Receiver<String>);

impl Lines {
    fn of(out: ChildStdout) -> Self {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self(receiver)
    }

    fn next(&self) -> String {
        self.0.recv_timeout(PATIENCE).expect("a line")
    }

    fn until(&self, end: &str) -> String {
        loop {
            let line = self.next();
            if line.ends_with(end) {
                return line;
            }
        }
    }
}

fn ended(child: &mut Child) -> ExitStatus {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(began.elapsed() < PATIENCE, "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// `webfs serve` on a free port. Ends with the test, by its standard input.
struct Serving {
    child: Child,
    input: Option<ChildStdin>,
    address: String,
    data: PathBuf,
}

impl Serving {
    fn start() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("webfs-cli-{}-{count}", std::process::id());
        let data = std::env::temp_dir().join(name);
        let mut child = webfs(&["serve", "--id", "a", "--listen", "127.0.0.1:0", "--alone"])
            .args(["--until-stdin-closes", "--interval", "20"])
            .arg("--data")
            .arg(&data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let line = Lines::of(child.stdout.take().unwrap()).next();
        let rest = line.strip_prefix("webfs a listening on ").unwrap();
        let (address, said) = rest.split_once(", data ").unwrap();
        assert_eq!(said, data.display().to_string());
        Self {
            input: child.stdin.take(),
            address: address.to_owned(),
            child,
            data,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/v1/stream/{path}", self.address)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.input.take());
        let status = ended(&mut self.child);
        std::fs::remove_dir_all(&self.data).unwrap();
        assert!(status.success(), "{status}");
    }
}

#[test]
fn what_is_appended_is_read() {
    let server = Serving::start();
    let url = server.url("rooms/lobby");
    let empty = run(&["tail", &url], "");
    assert_eq!(
        (text(&empty.stdout).as_str(), empty.status.code()),
        ("", Some(0))
    );

    let message = r#"{"from":"ann","text":"hi","at":"2026-01-01T00:00:00Z"}"#;
    let first = run(&["append", &url, message, "--json"], "");
    assert!(first.status.success(), "{}", text(&first.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&first.stdout).unwrap();
    let offset = answer["offset"].as_str().unwrap();
    assert!(run(&["append", &url], "[1,{\"b\":\n2}]").status.success());

    let all = run(&["tail", &url], "");
    assert_eq!(text(&all.stdout), format!("{message}\n1\n{{\"b\": 2}}\n"));
    let rest = run(&["tail", &url, "--from", offset, "--json"], "");
    let line: serde_json::Value = serde_json::from_slice(&rest.stdout).unwrap();
    assert_eq!(line["data"], serde_json::json!([1, {"b": 2}]));
    assert_eq!(line["upToDate"], true);
}

#[test]
fn a_chat_reads_and_writes_at_once() {
    let server = Serving::start();
    let url = server.url("rooms/lobby");
    let mut ann = webfs(&["chat", &url, "--as", "ann"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut typed = ann.stdin.take().unwrap();
    let lines = Lines::of(ann.stdout.take().unwrap());
    writeln!(typed, "hello").unwrap();
    lines.until(" ann: hello");
    let bob = run(
        &["chat", &url, "--as", "bob", "--from", "now"],
        "one\ntwo\nthree",
    );
    assert!(bob.status.success(), "{}", text(&bob.stderr));
    for line in ["one", "two", "three"] {
        lines.until(&format!(" bob: {line}"));
    }
    run(
        &[
            "append",
            &url,
            r#"{"from":"\u001b[2J","text":"\u0007","at":""}"#,
        ],
        "",
    );
    assert_eq!(lines.next(), "--:-- \u{fffd}[2J: \u{fffd}");
    drop(typed);
    assert!(ended(&mut ann).success());
}

#[test]
fn a_live_tail_goes_on_with_what_is_added() {
    let server = Serving::start();
    let url = server.url("rooms/lobby");
    let mut tail = webfs(&["tail", &url, "--live", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = Lines::of(tail.stdout.take().unwrap());
    lines.until("\"upToDate\":true,\"data\":[]}");
    assert!(run(&["append", &url, "7"], "").status.success());
    lines.until("\"data\":[7]}");
    tail.kill().unwrap();
    tail.wait().unwrap();
}

#[test]
fn mistakes_are_said_with_the_right_status() {
    let server = Serving::start();
    let url = server.url("rooms/lobby");
    let gone = server.url("nobody");
    let listen = server.address.as_str();
    let serve = ["serve", "--data", "/proc/nowhere", "--id"];
    let with = |more: &[&'static str]| -> Vec<&str> { serve.iter().chain(more).copied().collect() };
    for (args, code, says) in [
        (vec![], 2, "Usage"),
        (vec!["tail", "https://x/y"], 2, "http://"),
        (vec!["tail", &url, "--from", "a b"], 2, "offset"),
        (vec!["tail", &url, "--from", "nonsense"], 1, "400"),
        (vec!["tail", &gone], 1, "404"),
        (vec!["append", &url, "{"], 2, "JSON"),
        (vec!["append", &url], 2, "nothing"),
        (vec!["append", &gone, "x"], 1, "404"),
        (vec!["chat", &url, "--as", "\n"], 2, "name"),
        (vec!["chat", &gone, "--as", "ann"], 1, "404"),
        (with(&["A"]), 2, "one to five letters"),
        (with(&["a", "--interval", "soon"]), 2, "300ms"),
        (with(&["a", "--listen", "127.0.0.1:0"]), 1, "/proc/nowhere"),
        (
            vec!["serve", "--data", "/tmp", "--id", "a", "--listen", listen],
            1,
            listen,
        ),
    ] {
        let output = run(&args, "");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
    }
}

#[test]
fn a_server_ends_on_sigterm_and_starts_again_with_what_it_had() {
    let mut server = Serving::start();
    let url = server.url("rooms/lobby");
    let mut tail = webfs(&["tail", &url, "--live"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(run(&["append", &url, "1"], "").status.success());
    assert_eq!(Lines::of(tail.stdout.take().unwrap()).next(), "1");
    let pid = rustix::process::Pid::from_child(&server.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(ended(&mut server.child).success());
    let mut said = BufReader::new(tail.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.contains("trying again"), "{line}");
    tail.kill().unwrap();
    tail.wait().unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();

    let data = server.data.to_str().unwrap().to_owned();
    let listen = server.address.clone();
    let args = [
        "serve", "--id", "a", "--listen", &listen, "--data", &data, "--join", "",
    ];
    server.child = webfs(&args)
        .arg("--until-stdin-closes")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    server.input = server.child.stdin.take();
    Lines::of(server.child.stdout.take().unwrap()).next();
    // It joins its group of one first; the client waits for that.
    let all = run(&["tail", &url], "");
    assert_eq!(text(&all.stdout), "1\n", "{}", text(&all.stderr));
}
