//! Two people in a room, and servers that die under them: their live reads go on in the same response.

use std::time::Duration;

use director_tests::group;
use director_tests::process::{self, Program};
use director_tests::programs;
use tokio::process::Command;

use crate::bounded::{story, story_in_own_network};
use crate::room::{Room, Visitor, post};

/// Far above what is promised (the failover run measures that); what hangs is found all the same.
const SOON: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    Kill,
    RefusedRestart,
    Stop,
    Drop,
}

/// Each of some faults three times; after each, what ann says reaches both, once.
async fn chatting_under(fault: Fault) {
    let hosts = fault == Fault::Drop;
    let mut room = Room::with(&group::Settings {
        hosts,
        ..group::Settings::default()
    })
    .await;
    let address = room.director.address.clone();
    let mut ann = Visitor::enter(&address).await;
    let mut bob = Visitor::enter(&address).await;
    let mut said = Vec::new();
    let mut in_mid_answer = 0;
    for round in 0..3 {
        room.all_up().await;
        let before = format!("before {round}");
        post(&address, "ann", &before).await;
        ann.sees(&before, SOON).await;
        bob.sees(&before, SOON).await;
        let used = room.in_use().await;
        in_mid_answer += 1; // both have been shown something, and at least one of them hangs on it
        let node = &mut room.group.nodes[used];
        match fault {
            Fault::Kill | Fault::RefusedRestart => node.kill().await.unwrap(),
            Fault::Stop => node.stop().unwrap(),
            Fault::Drop => node.host.as_ref().unwrap().cut().await.unwrap(),
        }
        let after = format!("after {round}");
        post(&address, "bob", &after).await;
        ann.sees(&after, SOON).await;
        bob.sees(&after, SOON).await;
        said.extend([before, after]);
        match fault {
            Fault::Kill => node.start().await.unwrap(),
            Fault::RefusedRestart => {
                let file = node.data.with_extension("file");
                std::fs::write(&file, "no directory").unwrap();
                let mut refused = node.spawn(&file).unwrap();
                let status = refused.ended(SOON).await.unwrap();
                assert!(
                    !status.success() && !refused.stderr().is_empty(),
                    "{status}"
                );
                node.start().await.unwrap();
            }
            Fault::Stop => node.cont().unwrap(),
            Fault::Drop => node.host.as_ref().unwrap().heal().await.unwrap(),
        }
    }
    assert_eq!(ann.shown, said, "all, once, in order");
    assert_eq!(bob.shown, said);
    println!("{in_mid_answer} of 3 faults in mid-answer");
    room.all_up().await;
    said.sort();
    for number in 0..3 {
        let said: Vec<&str> = said.iter().map(String::as_str).collect();
        crate::group::holds(&room.group, number, &said).await;
    }
}

#[test]
fn two_people_do_not_notice_a_killed_server() {
    story(120, || chatting_under(Fault::Kill));
}

#[test]
fn two_people_do_not_notice_a_server_that_may_not_start_again() {
    story(120, || chatting_under(Fault::RefusedRestart));
}

#[test]
fn two_people_do_not_notice_a_server_that_fell_silent() {
    story(120, || chatting_under(Fault::Stop));
}

#[test]
fn two_people_do_not_notice_a_server_whose_packets_vanish() {
    let name = "chat::two_people_do_not_notice_a_server_whose_packets_vanish";
    story_in_own_network(name, 120, || chatting_under(Fault::Drop));
}

#[test]
fn curl_reads_on_when_its_server_is_killed() {
    story(60, || async {
        let mut room = Room::open(3).await;
        room.post("one").await;
        let mut command = Command::new("curl");
        command.args([
            "--silent",
            "--no-buffer",
            &format!("{}?offset=-1&live=sse", room.url()),
        ]);
        let mut curl = Program::start("curl", command).unwrap();
        curl.line_with("\"one\"", SOON).await.unwrap();
        let used = room.in_use().await;
        room.group.nodes[used].kill().await.unwrap();
        let mut post = Command::new("curl");
        post.args([
            "--silent",
            "--fail",
            "-H",
            "Content-Type: application/json",
            "--data",
        ]);
        post.arg("{\"from\":\"c\",\"text\":\"two\",\"at\":\"2026-01-01T00:00:00Z\"}")
            .arg(room.url());
        let mut post = Program::start("curl", post).unwrap();
        assert!(
            post.ended(SOON).await.unwrap().success(),
            "{}",
            post.stderr()
        );
        curl.line_with("\"two\"", SOON).await.unwrap();
        assert!(!curl.has_ended().unwrap(), "it is still the same curl");
    });
}

#[test]
fn terminals_chat_on_when_their_server_is_killed() {
    story(60, || async {
        let mut room = Room::open(3).await;
        let terminal = |name: &str| {
            let mut command = Command::new(programs::director().unwrap());
            command.args(["webfs", "chat", &room.url(), "--as", name]);
            Program::start(name, command).unwrap()
        };
        let (mut ann, mut bob) = (terminal("ann"), terminal("bob"));
        ann.type_line("hello bob").await.unwrap();
        bob.line_with("hello bob", SOON).await.unwrap();
        let used = room.in_use().await;
        room.group.nodes[used].kill().await.unwrap();
        bob.type_line("hello ann").await.unwrap();
        ann.line_with("hello ann", SOON).await.unwrap();
        ann.close_stdin();
        assert!(ann.ended(SOON).await.unwrap().success());
    });
}

#[test]
fn a_message_acknowledged_by_a_server_whose_disk_is_lost_at_once_is_kept() {
    story(120, || async {
        let mut room = Room::open(3).await;
        let address = room.director.address.clone();
        let mut ann = Visitor::enter(&address).await;
        let mut said = Vec::new();
        for round in 0..5 {
            room.all_up().await;
            // The first after a quiet time goes at once; these follow it, and wait for the interval.
            for part in 0..5 {
                let text = format!("{round}.{part}");
                post(&address, "bob", &text).await;
                said.push(text);
            }
            let used = room.in_use().await;
            let node = &mut room.group.nodes[used];
            node.kill().await.unwrap();
            node.remove_data().unwrap();
            ann.sees(&format!("{round}.4"), SOON).await;
            node.start().await.unwrap();
        }
        room.all_up().await;
        let mut shown = ann.shown.clone();
        shown.sort();
        assert_eq!(shown, said, "all, once");
        for number in 0..3 {
            let said: Vec<&str> = said.iter().map(String::as_str).collect();
            crate::group::holds(&room.group, number, &said).await;
        }
    });
}

#[test]
fn a_director_that_is_told_to_stop_lets_its_clients_go_and_leaves_nothing() {
    story(60, || async {
        let mut room = Room::open(1).await;
        let mut ann = Visitor::enter(&room.director.address).await;
        room.post("one").await;
        ann.sees("one", SOON).await;
        room.director
            .program
            .signal(rustix::process::Signal::TERM)
            .unwrap();
        let status = room
            .director
            .program
            .ended(Duration::from_secs(20))
            .await
            .unwrap();
        assert!(
            status.success(),
            "{status}: {}",
            room.director.program.stderr()
        );
        let pid = room.director.program.pid();
        process::until("it is gone", SOON, || !process::is_alive(pid))
            .await
            .unwrap();
    });
}
