//! The plugin on a network in memory, cut at every byte between it and its nodes.

#![forbid(unsafe_code)]

mod model;

use director_sdk::testing::{Cut, World, every_poll, some_cuts};
use model::client::Client;

/// Not [`Cut::Garbage`]: HTTP has no digest of a body, so a node that sends other bytes than it was asked to
/// is believed where they still make sense. Where they do not, `stories.rs` shows what happens.
const SURVIVED: [Cut; 5] = [Cut::Reset, Cut::End, Cut::Silence, Cut::Stall, Cut::Kill];

/// Two appends and a read: every message once, in order, whatever breaks.
fn appends(world: &World) -> (Vec<u16>, String) {
    model::start(world, "{}");
    world.run(async {
        let mut client = Client::new(world);
        let mut statuses = Vec::new();
        for n in 1..=2 {
            statuses.push(client.append(&format!(r#"{{"n":{n}}}"#)).await.status);
        }
        let history = client.history().await;
        (statuses, format!("{history:?}"))
    })
}

#[test]
fn no_cut_of_an_append_or_a_read_is_seen() {
    let swept = some_cuts(1, &SURVIVED, 17, |world| {
        let seen = appends(world);
        assert_eq!(seen.0, [204, 204]);
        seen
    });
    println!("{swept:?}");
    assert!(swept.switches > 100, "{swept:?}");
}

/// A live read of what another client appends meanwhile.
fn live(world: &World) -> String {
    // The writer waits for the reader, and a stalled connection is found out after 35 s.
    model::start(world, r#"{"client_timeout": 600}"#);
    world.run(async {
        let mut writer = Client::new(world);
        writer.append(r#"[{"n":1},{"n":2}]"#).await;
        let mut reader = Client::live(world, "-1").await;
        let mut seen = reader.messages(2).await;
        for n in 3..=4 {
            writer.append(&format!(r#"{{"n":{n}}}"#)).await;
            seen.extend(reader.messages(1).await);
        }
        format!("{seen:?}")
    })
}

#[test]
fn no_cut_of_a_live_read_is_seen() {
    let swept = some_cuts(2, &SURVIVED, 61, live);
    println!("{swept:?}");
    assert!(swept.mid_answer > swept.runs / 3, "{swept:?}");
    assert!(swept.switches > 100, "{swept:?}");
}

#[test]
fn no_death_between_two_awaits_is_seen_and_a_cancelled_session_leaves_nothing() {
    let swept = every_poll(3, appends, |world| {
        model::start(world, "{}");
        world.run(async {
            let mut client = Client::new(world);
            let head = "POST /v1/stream/rooms/x HTTP/1.1\r\nHost: d\r\nContent-Length: 1\r\n\r\n1";
            // Cancelled, it sees a reset.
            let _ = client.0.write_all(head.as_bytes()).await;
            let _ = client.0.read_line().await;
        });
    });
    println!("{swept:?}");
}
