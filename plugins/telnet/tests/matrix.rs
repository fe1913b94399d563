//! The kill matrix: a session cut at bytes of every connection to a host, both ways, by every fault; and a second fault
//! during the recovery. Whatever happens, the user gets the work done, in the directory that was left, with options
//! and screen as without a fault; no host does a command more often than it was typed; and nobody is logged in again
//! who has logged out.
//!
//! The short form takes every so-manieth byte, others for each seed: `TELNET_MATRIX=1` takes every byte,
//! `TELNET_PAIRS=1000` so many pairs of faults a scene, and `TELNET_SEED=2` is another sample.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod model;

use std::collections::BTreeSet;
use std::time::Duration;

use director_sdk::testing::{Cut, World, every_call, every_poll, some_cuts, two_cuts};

use model::SCRIPT;
use model::user::User;

/// Not [`Cut::Garbage`]: a terminal's bytes have no checksum. Not [`Cut::Stall`], which only a mark finds out: see
/// `stories.rs`.
const FAULTS: [Cut; 4] = [Cut::Reset, Cut::End, Cut::Silence, Cut::Kill];

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number is right"))
}

/// What is the same with a fault and without.
#[derive(Debug, PartialEq)]
struct Seen {
    host: BTreeSet<u8>,
    own: BTreeSet<u8>,
    alternate: bool,
    cwd: Option<Vec<u8>>,
    /// What the client's terminal has echoed by itself.
    echoed: Vec<u8>,
}

fn work<F>(world: &World, options: &str, talk: F) -> Seen
where
    F: AsyncFn(&mut User),
{
    let options = format!("{{{SCRIPT}, \"eof\": \"failure\"{options}}}");
    let common = model::world(world, &["a", "b", "c"], &options);
    common.borrow_mut().hook = true;
    let seen = world.run(async {
        let mut user = User::new(world);
        user.client.until_line("$ ").await;
        talk(&mut user).await;
        let (host, own) = (user.client.host.clone(), user.client.own.clone());
        let seen = Seen {
            host,
            own,
            alternate: user.client.screen.alternate(),
            cwd: user.client.screen.cwd().map(<[u8]>::to_vec),
            echoed: user.client.echoed.clone(),
        };
        user.leaves().await;
        (seen, common.borrow().logins.len(), user.typed)
    });
    world.pass(Duration::from_secs(30));
    let (seen, logins, typed) = seen;
    let common = common.borrow();
    assert_eq!(
        common.logins.len(),
        logins,
        "logged in again after a logout\n{}",
        world.story()
    );
    for (line, times) in &typed {
        let done = common.done.iter().filter(|(_, done)| done == line).count();
        assert!(
            done <= *times,
            "{line} was typed {times} times, done {done} times"
        );
    }
    seen
}

fn sweep(name: &str, stride: u64, scene: impl Fn(&World) -> Seen) {
    let seed = number("TELNET_SEED").unwrap_or(1);
    let swept = some_cuts(
        seed,
        &FAULTS,
        number("TELNET_MATRIX").unwrap_or(stride),
        &scene,
    );
    println!("{name}, seed {seed}: {swept:?}");
    assert!(
        swept.runs > 30 && swept.switches > swept.runs as u64 / 2,
        "{swept:?}"
    );
    let pairs = number("TELNET_PAIRS").unwrap_or(150);
    let swept = two_cuts(seed, &FAULTS, pairs as usize, &scene);
    println!("{name}, seed {seed}, twice: {swept:?}");
}

fn a_day(world: &World) -> Seen {
    work(world, "", async |user| {
        user.does("cd /srv/data", ":/srv/data$ ").await;
        user.does("pwd", "/srv/data\r\n").await;
        user.does("echo one two", "one two\r\n").await;
    })
}

#[test]
fn work_at_the_prompt() {
    sweep("prompt", 7, a_day);
}

#[test]
fn a_host_is_declared_down_between_two_awaits() {
    let swept = every_poll(1, a_day, |world| {
        model::world(world, &["a", "b", "c"], &format!("{{{SCRIPT}}}"));
        world.run(async {
            let mut user = User::new(world);
            while !user.client.has_ended && !user.client.screen.line().ends_with("$ ") {
                user.client.hear().await;
            }
            user.client.enter("exit").await;
            user.client.until_end().await;
        });
    });
    println!("{swept:?}");
    assert!(swept.switches > 5, "{swept:?}");
}

#[test]
fn each_operation_on_a_host_s_stream_fails_once() {
    let swept = every_call(1, a_day);
    println!("{swept:?}");
    assert!(swept.switches > 5, "{swept:?}");
}
