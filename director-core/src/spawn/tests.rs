//! Real children under supervision.

use std::sync::Mutex;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::*;
use crate::host::Stopper;

/// A directory of its own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!(
            "director-spawn-{}-{:x}",
            std::process::id(),
            crate::chance::number()
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

const DEADLINE: Duration = Duration::from_secs(20);

fn sh(script: &str) -> SpawnSettings {
    SpawnSettings {
        command: ["/bin/sh", "-c", script].map(String::from).to_vec(),
        count: 1,
        data: None,
    }
}

fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < DEADLINE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[test]
fn a_plan_gives_each_node_its_own_and_all_the_others() {
    let folder = Folder::new();
    let settings = SpawnSettings {
        command: ["{director}", "{id}", "{address}", "{peers}", "{data}"]
            .map(String::from)
            .to_vec(),
        count: 3,
        data: None,
    };
    let nodes = plan("echo", &settings, Path::new("/bin/director"), &folder.0).unwrap();
    let [a, b, c] = nodes.as_slice() else {
        panic!("three")
    };
    assert!(a.address != b.address && b.address != c.address);
    assert!(
        nodes
            .iter()
            .all(|node| node.data.is_dir() && node.pid().is_none())
    );
    let wanted = [
        String::from("/bin/director"),
        String::from("b"),
        b.address.to_string(),
        format!("{},{}", a.address, c.address),
        folder.0.join("b").display().to_string(),
    ];
    assert_eq!(b.command, wanted);
}

#[tokio::test]
async fn a_killed_node_comes_back_at_its_place_and_all_end_with_the_stop() {
    let folder = Folder::new();
    // It ends with its standard input, as a node should.
    let nodes = plan(
        "echo",
        &sh("echo {port} >> {data}/starts; cat"),
        Path::new("/"),
        &folder.0,
    )
    .unwrap();
    let node = Arc::clone(&nodes[0]);
    let (stopper, stop) = Stopper::new();
    let (tell, told) = mpsc::channel();
    let running = tokio::spawn(supervise(
        Arc::clone(&node),
        move |node| tell.send(node.pid()).unwrap(),
        stop,
    ));
    let starts = node.data.join("starts");
    let lines = || {
        std::fs::read_to_string(&starts)
            .unwrap_or_default()
            .lines()
            .count()
    };
    until("it runs", || lines() == 1).await;
    let first = told.recv_timeout(DEADLINE).unwrap().unwrap();
    let pid = rustix::process::Pid::from_raw(first as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    until("it runs again", || lines() == 2).await;
    let second = told.recv_timeout(DEADLINE).unwrap().unwrap();
    assert!(first != second && !alive(first) && alive(second));
    assert_eq!((node.starts(), node.pid()), (2, Some(second)));
    let ports = std::fs::read_to_string(&starts).unwrap();
    let port = node.address.port();
    assert_eq!(ports, format!("{port}\n{port}\n"));
    stopper.stop();
    tokio::time::timeout(DEADLINE, running)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(!alive(second));
    assert_eq!(node.pid(), None);
}

#[tokio::test]
async fn a_node_that_will_not_end_is_killed() {
    let folder = Folder::new();
    let settings = sh("trap '' TERM INT HUP; echo x > {data}/up; while :; do sleep 1; done");
    let nodes = plan("echo", &settings, Path::new("/"), &folder.0).unwrap();
    let node = Arc::clone(&nodes[0]);
    let (stopper, stop) = Stopper::new();
    let running = tokio::spawn(supervise(Arc::clone(&node), |_| {}, stop));
    until("it runs", || node.data.join("up").exists()).await;
    let pid = node.pid().unwrap();
    stopper.stop();
    tokio::time::timeout(DEADLINE, running)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(!alive(pid));
}

#[tokio::test]
async fn a_node_that_keeps_dying_is_not_started_in_a_hurry() {
    let folder = Folder::new();
    let nodes = plan("echo", &sh("exit 3"), Path::new("/"), &folder.0).unwrap();
    let node = Arc::clone(&nodes[0]);
    let (stopper, stop) = Stopper::new();
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&times);
    let running = tokio::spawn(supervise(
        Arc::clone(&node),
        move |_| seen.lock().unwrap().push(Instant::now()),
        stop,
    ));
    until("four starts", || times.lock().unwrap().len() >= 4).await;
    stopper.stop();
    tokio::time::timeout(DEADLINE, running)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let times = times.lock().unwrap();
    // The waits are at least three quarters of 100, 200 and 400 ms.
    assert!(
        times[3] - times[0] >= Duration::from_millis(525),
        "{times:?}"
    );
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told() {
    let folder = Folder::new();
    let settings = SpawnSettings {
        command: vec![String::from("/no/such/program")],
        count: 1,
        data: None,
    };
    let nodes = plan("echo", &settings, Path::new("/"), &folder.0).unwrap();
    let (_stopper, stop) = Stopper::new();
    let told = supervise(Arc::clone(&nodes[0]), |_| {}, stop)
        .await
        .unwrap_err();
    assert_eq!(
        told.to_string(),
        "the program `/no/such/program` of node echo/a does not start"
    );
}
