//! The README's first command, on a machine that has never seen it: nothing but a state directory.

use std::path::Path;
use std::time::Duration;

use director_tests::director::address_in;
use director_tests::folder::Folder;
use director_tests::http;
use director_tests::process::{self, Program, is_alive};
use director_tests::programs;
use rustix::process::Signal;
use tokio::process::Command;

use crate::bounded::story;
use crate::room::{Visitor, post};

const SOON: Duration = Duration::from_secs(20);

struct First {
    director: Program,
    address: String,
    pids: Vec<u32>,
}

/// `director proxy --service chat` in a home of its own.
async fn first_command(home: &Path) -> First {
    let mut command = Command::new(programs::director().unwrap());
    command
        .args(["proxy", "--service", "chat"])
        .env("HOME", home)
        .env_remove("XDG_STATE_HOME");
    let mut director = Program::start("director", command).unwrap();
    let mut pids = Vec::new();
    for _ in 0..3 {
        let line = director.line_with(" pid ", SOON).await.unwrap();
        assert!(
            address_in(&line).is_some() || line.contains("127.0.0.1:"),
            "a node has an address: {line}"
        );
        pids.push(pid_in(&line));
    }
    let line = director.line_with("http://", SOON).await.unwrap();
    let (_, after) = line.split_once("http://").unwrap();
    let address = after.split(['/', ' ', ',']).next().unwrap().to_owned();
    First {
        director,
        address,
        pids,
    }
}

fn pid_in(line: &str) -> u32 {
    let (_, after) = line
        .split_once(" pid ")
        .unwrap_or_else(|| panic!("no pid in `{line}`"));
    after.split([' ', ',']).next().unwrap().parse().unwrap()
}

/// It serves: the director prints its lines before all nodes have joined.
async fn serves(address: &str) {
    let until = tokio::time::Instant::now() + SOON;
    loop {
        let answer = http::ask(
            address,
            "GET",
            "/v1/stream/rooms/lobby?offset=-1",
            &[],
            None,
        )
        .await;
        match answer {
            Ok(answer) if answer.status() == 200 => return,
            other => assert!(tokio::time::Instant::now() < until, "{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn one_command_starts_a_chat_and_a_killed_server_comes_back() {
    story(120, || async {
        let home = Folder::fresh("home").unwrap();
        let mut first = first_command(home.path()).await;
        assert!(first.pids.iter().all(|pid| is_alive(*pid)));
        serves(&first.address).await;
        let page = http::ask(&first.address, "GET", "/", &[], None)
            .await
            .unwrap();
        assert_eq!(page.status(), 200);
        assert!(
            page.header("content-type")
                .is_some_and(|t| t.starts_with("text/html"))
        );
        let mut ann = Visitor::enter(&first.address).await;
        for pid in first.pids.clone() {
            let before = format!("before {pid}");
            post(&first.address, "bob", &before).await;
            ann.sees(&before, SOON).await;
            process::signal(pid, Signal::KILL).unwrap();
            let after = format!("after {pid}");
            post(&first.address, "bob", &after).await;
            ann.sees(&after, SOON).await;
            let line = first.director.line_with(" pid ", SOON).await.unwrap();
            let again = pid_in(&line);
            assert_ne!(again, pid, "{line}");
            assert!(is_alive(again));
            all_joined(&line).await;
        }
        assert_eq!(ann.shown.len(), 6, "all, once: {:?}", ann.shown);
    });
}

/// The node of a line has joined its group again.
async fn all_joined(line: &str) {
    let address = address_in(line).unwrap_or_else(|| panic!("no address in `{line}`"));
    let until = tokio::time::Instant::now() + SOON;
    loop {
        let health = http::ask(&address, "GET", "/.well-known/webfs/health", &[], None).await;
        if health.as_ref().is_ok_and(|answer| answer.status() == 200) {
            return;
        }
        assert!(tokio::time::Instant::now() < until, "{health:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn the_servers_end_with_their_director_however_it_ends() {
    story(120, || async {
        for signal in [Signal::KILL, Signal::TERM] {
            let home = Folder::fresh("home").unwrap();
            let mut first = first_command(home.path()).await;
            serves(&first.address).await;
            first.director.signal(signal).unwrap();
            let status = first.director.ended(SOON).await.unwrap();
            assert_eq!(status.success(), signal == Signal::TERM, "{status}");
            let gone = || first.pids.iter().all(|pid| !is_alive(*pid));
            process::until("the servers are gone", SOON, gone)
                .await
                .unwrap();
        }
    });
}

#[test]
fn what_was_said_is_there_after_a_new_start() {
    story(120, || async {
        let home = Folder::fresh("home").unwrap();
        let mut first = first_command(home.path()).await;
        serves(&first.address).await;
        post(&first.address, "ann", "for tomorrow").await;
        first.director.signal(Signal::TERM).unwrap();
        first.director.ended(SOON).await.unwrap();
        let again = first_command(home.path()).await;
        serves(&again.address).await;
        let mut bob = Visitor::enter(&again.address).await;
        bob.sees("for tomorrow", SOON).await;
    });
}
