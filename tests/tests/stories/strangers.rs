//! Clients that are not ours: the protocol's stock client and a browser, while servers die.
//!
//! Their scripts are in `tests/node`; each says `{"step":"first"}` when its first message came back, and
//! ends with `{"ok":true}` when every message came once and in order.

use std::time::Duration;

use director_tests::cargo;
use director_tests::process::Program;
use tokio::process::Command;

use crate::bounded::story;
use crate::room::Room;

/// Starts a script against the director.
fn script(room: &Room, name: &str, settings: &[(&str, &str)]) -> Program {
    let folder = cargo::root().join("tests/node");
    assert!(
        folder.join("node_modules").is_dir(),
        "the npm packages are missing: tests/run install"
    );
    let mut command = Command::new("node");
    command
        .arg(name)
        .current_dir(folder)
        .env("DS_URL", format!("http://{}", room.director.address));
    command.envs(settings.iter().copied());
    Program::start(name, command).unwrap()
}

/// Kills the node in use `kills` times while the script goes on; then the script has to have been content.
async fn content_under_kills(name: &str, settings: &[(&str, &str)], kills: usize) {
    let mut room = Room::open(3).await;
    let mut client = script(&room, name, settings);
    client
        .line_with("\"first\"", Duration::from_secs(60))
        .await
        .unwrap();
    for _ in 0..kills {
        room.all_up().await;
        let used = room.in_use().await;
        let node = &mut room.group.nodes[used];
        node.kill().await.unwrap();
        node.start().await.unwrap();
    }
    assert!(
        !client.has_ended().unwrap(),
        "it ended before the kills did: {:?}",
        client.lines()
    );
    let said = client
        .line_with("\"ok\"", Duration::from_secs(120))
        .await
        .unwrap();
    assert!(said.contains("\"ok\":true"), "{name}: {said}");
}

#[test]
fn the_stock_client_notices_nothing_by_events() {
    let settings = [
        ("DS_LIVE", "sse"),
        ("DS_COUNT", "400"),
        ("DS_PAUSE_MS", "20"),
    ];
    story(180, || {
        content_under_kills("stock-client.mjs", &settings, 2)
    });
}

#[test]
fn the_stock_client_notices_nothing_by_long_poll() {
    let settings = [
        ("DS_LIVE", "long-poll"),
        ("DS_COUNT", "400"),
        ("DS_PAUSE_MS", "20"),
    ];
    story(180, || {
        content_under_kills("stock-client.mjs", &settings, 2)
    });
}

#[test]
fn a_message_typed_in_one_page_is_read_in_another_while_servers_die() {
    let settings = [
        ("DS_COUNT", "30"),
        ("DS_PAUSE_MS", "200"),
        ("DEADLINE_MS", "120000"),
    ];
    story(180, || content_under_kills("browser.mjs", &settings, 2));
}
