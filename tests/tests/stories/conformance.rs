//! The protocol's own suite, as a report: against one server, against the group through the director, and
//! with every request sent to another member by chance.
//!
//! Expiry, closing and forks are not built yet, so what the suite asks of them fails. Nothing else may, at
//! one server and behind the director. Members by chance are another matter: without a director nobody
//! carries what a client has seen from one to the next, so what was just written may be missing for an
//! interval; their number is told and no more. The reports are written to `target/conformance`.

use std::process::Stdio;
use std::time::Duration;

use director_tests::cargo;
use director_tests::group::{self, Group};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::bounded::story;
use crate::chance::Chance;
use crate::room::Room;

/// What the suite found.
struct Found {
    passed: u64,
    total: u64,
    /// Tests of what is built, and failed.
    failed: Vec<String>,
}

/// Groups of the suite, by words of their tests' names, that ask for what is not built.
const NOT_BUILT: [&str; 3] = ["TTL", "Stream Closure", "Fork - "];

/// Runs the suite against an address.
async fn suite(name: &str, address: &str) -> Found {
    let folder = cargo::root().join("tests/node");
    assert!(
        folder.join("node_modules").is_dir(),
        "the npm packages are missing: tests/run install"
    );
    let reports = cargo::root().join("target/conformance");
    std::fs::create_dir_all(&reports).unwrap();
    let report = reports.join(format!("{name}.json"));
    let _older = std::fs::remove_file(&report);
    let mut command = Command::new("node");
    command.arg("node_modules/vitest/vitest.mjs").args([
        "run",
        "conformance.test.mjs",
        "--reporter=json",
    ]);
    command
        .arg(format!("--outputFile={}", report.display()))
        .current_dir(folder);
    command
        .env("DS_URL", format!("http://{address}"))
        .env("DS_LONG_POLL_MS", "2000")
        .kill_on_drop(true);
    let output = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report: Value = serde_json::from_slice(&std::fs::read(&report).expect(&said)).unwrap();
    let (passed, total) = (
        report["numPassedTests"].as_u64(),
        report["numTotalTests"].as_u64(),
    );
    let (passed, total) = (passed.unwrap(), total.unwrap());
    println!("conformance, {name}: {passed} of {total} passed");
    let failed = failed(&report);
    for group in NOT_BUILT {
        let count = failed.iter().filter(|test| test.contains(group)).count();
        println!("  {group}: {count} failed, as it is not built");
    }
    let failed: Vec<String> = failed
        .into_iter()
        .filter(|test| NOT_BUILT.iter().all(|group| !test.contains(group)))
        .collect();
    for test in &failed {
        println!("  failed: {test}");
    }
    Found {
        passed,
        total,
        failed,
    }
}

fn failed(report: &Value) -> Vec<String> {
    let files = report["testResults"].as_array().into_iter().flatten();
    let tests = files.flat_map(|file| file["assertionResults"].as_array().into_iter().flatten());
    let failed = tests.filter(|test| test["status"] == "failed");
    failed
        .map(|test| test["fullName"].as_str().unwrap_or_default().to_owned())
        .collect()
}

fn settings(nodes: usize) -> group::Settings {
    let flags = ["--long-poll", "2s"].map(str::to_owned).to_vec();
    group::Settings {
        nodes,
        flags,
        interval: "20ms".to_owned(),
        ..group::Settings::default()
    }
}

#[test]
fn one_server_does_what_the_suite_asks() {
    story(300, || async {
        let group = Group::start(&settings(1)).await.unwrap();
        let found = suite("server", &group.nodes[0].address).await;
        assert!(
            found.total > 300 && found.passed >= 200,
            "{} of {}",
            found.passed,
            found.total
        );
        assert_eq!(found.failed, Vec::<String>::new());
    });
}

#[test]
fn a_group_behind_the_director_does_what_the_suite_asks() {
    story(300, || async {
        let room = Room::with(&settings(3)).await;
        let found = suite("director", &room.director.address).await;
        assert!(
            found.total > 300 && found.passed >= 200,
            "{} of {}",
            found.passed,
            found.total
        );
        assert_eq!(found.failed, Vec::<String>::new());
    });
}

#[test]
fn members_by_chance_do_what_the_suite_asks() {
    story(300, || async {
        let group = Group::start(&settings(3)).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let addresses = group.addresses();
        let scatter = tokio::spawn(scatter(listener, addresses));
        let found = suite("random-member", &address).await;
        scatter.abort();
        assert!(
            found.total > 300 && found.passed > 100,
            "{} of {}",
            found.passed,
            found.total
        );
    });
}

/// Sends every request to a member by chance: each has a connection of its own, which the server is asked
/// to close after the answer.
async fn scatter(listener: TcpListener, addresses: Vec<String>) {
    let mut chance = Chance::new(1);
    let mut requests = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = accepted.unwrap();
                let address = addresses[chance.below(addresses.len())].clone();
                requests.spawn(async move {
                    // Either end may leave when it likes.
                    let _ended = tokio::time::timeout(Duration::from_secs(60), pass(client, &address)).await;
                });
            }
            Some(_ended) = requests.join_next() => {}
        }
    }
}

async fn pass(mut client: TcpStream, address: &str) -> std::io::Result<()> {
    let mut head = Vec::new();
    let end = loop {
        if let Some(at) = head.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 2;
        }
        if client.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    };
    let text = String::from_utf8_lossy(&head[..end]).into_owned();
    let lines = text
        .split_inclusive("\r\n")
        .filter(|l| !l.to_ascii_lowercase().starts_with("connection:"));
    let mut request: Vec<u8> = lines.collect::<String>().into_bytes();
    request.extend_from_slice(b"Connection: close\r\n");
    request.extend_from_slice(&head[end..]);
    let mut server = TcpStream::connect(address).await?;
    server.write_all(&request).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
