//! A whole group by seed: the shipped rules of 3 to 5 servers, on simulated disks and links, with users
//! behind directors; and a checker of what the design promises.
//!
//! Each rule has the fault that needs it, so each is switched off once, and then the checker has to find
//! something. `WEBFS_SIM_SEEDS=5000 cargo test -p webfs --test sim` runs more seeds than the default;
//! `WEBFS_SIM_SEED=20047 WEBFS_SIM_TRACE=1 cargo test -p webfs --test sim lost -- --nocapture` looks into
//! one.

#![allow(clippy::unwrap_used, clippy::expect_used)] // this is a test all through
#![allow(clippy::wildcard_enum_match_arm, missing_docs, unreachable_pub)]

mod check;
mod host;
mod plan;
mod rng;
mod users;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use webfs::core::{Answer, Output, Rules, Ticket};
use webfs::cursor::Position;
use webfs::server::ReadLimits;

use host::Fault;
use plan::Plan;
use world::World;

/// What a run found, by kind, with the first of each.
type Faults = BTreeMap<&'static str, (usize, String)>;

fn run(seed: u64, plan: &Plan) -> Faults {
    let mut world = World::new(seed, plan.clone());
    let length = plan.length;
    world.run(length);
    world.heal();
    world.run(length + Duration::from_secs(8));
    for user in &world.users {
        if !user.writer.idle() {
            let what = format!("user {}", user.number);
            world.history.bad("writer stuck", || what);
        }
    }
    judge(&mut world);
    if std::env::var("WEBFS_SIM_TRACE").is_ok() {
        trace(&world);
    }
    world.history.faults
}

/// Everything that happened, and what each disk holds, for whoever looks into a seed.
fn trace(world: &World) {
    for note in &world.history.notes {
        println!("{note}");
    }
    for (host, at) in world.hosts.iter().enumerate() {
        let entries = at.log.iter().map(|entry| {
            let was: Vec<String> = entry.was.iter().map(ToString::to_string).collect();
            let uid = host::uid_of(&entry.payload);
            format!("{uid}={}<{}{}", entry.name, entry.before, was.join("~"))
        });
        println!("host {host}: {}", entries.collect::<Vec<_>>().join(" "));
    }
    for user in &world.users {
        println!("user {}: {:?}", user.number, user.reader.got);
    }
}

fn judge(world: &mut World) {
    let mut there: Option<BTreeSet<u64>> = None;
    let mut tails = BTreeSet::new();
    for host in 0..world.hosts.len() {
        let (all, tail) = read_all(world, host);
        let set: BTreeSet<u64> = all.iter().copied().collect();
        if set.len() < all.len() {
            world
                .history
                .bad("shown twice", || format!("to a new reader at host {host}"));
        }
        tails.insert(tail.split('_').next().map(ToOwned::to_owned));
        if there.as_ref().is_some_and(|other| *other != set) {
            world
                .history
                .bad("servers differ", || format!("host {host}"));
        }
        there.get_or_insert(set);
    }
    if tails.len() > 1 {
        world.history.bad("servers differ", || format!("{tails:?}"));
    }
    let there = there.unwrap_or_default();
    world.history.judge_servers(&there);
    for user in &world.users {
        world
            .history
            .judge_reader(user.number, &user.reader.got, &there);
    }
}

/// All that a new reader gets at a server, and the tail.
fn read_all(world: &mut World, host: usize) -> (Vec<u64>, String) {
    let room = world.room.clone();
    let limits = ReadLimits {
        bytes: usize::MAX,
        entries: usize::MAX,
        stable_only: false,
    };
    let now = webfs::core::Now {
        since_start: world.now,
        wall: 0,
    };
    let Some(core) = world.hosts[host].core.as_mut() else {
        return (Vec::new(), "down".to_owned());
    };
    core.read(now, Ticket(0), &room, Position::Start, None, limits);
    let found = core.outputs().into_iter().find_map(|output| match output {
        Output::Answer { ticket, result } => (ticket == Ticket(0)).then_some(result),
        _ => None,
    });
    match found {
        Some(Ok(Answer::Read(reading))) => {
            let entries = reading.entries.iter();
            let all = entries
                .map(|picked| world.hosts[host].load(&picked.payload))
                .collect();
            (all, reading.next.to_string())
        }
        other => (Vec::new(), format!("{other:?}")),
    }
}

/// The seed to look into, instead of all.
fn only() -> Option<u64> {
    let given = std::env::var("WEBFS_SIM_SEED").ok()?;
    Some(given.parse().expect("WEBFS_SIM_SEED is a number"))
}

/// The seeds to run: `short`, or what the environment says.
fn seeds(short: u64) -> u64 {
    let given = std::env::var("WEBFS_SIM_SEEDS").ok();
    given.map_or(short, |given| {
        given.parse().expect("WEBFS_SIM_SEEDS is a number")
    })
}

/// Runs seeds of a plan that has to be clean.
fn clean(name: &str, first: u64, count: u64, plan: &Plan) {
    let mut found = Vec::new();
    let all = only().map_or(first..first + count, |seed| seed..seed + 1);
    for seed in all {
        let faults = run(seed, plan);
        if !faults.is_empty() {
            println!("{name}: seed {seed}: {faults:?}");
            found.push(seed);
        }
    }
    assert!(
        found.is_empty(),
        "{name}: {} of {count} seeds: {found:?}",
        found.len()
    );
}

/// Runs seeds of a plan with a rule off until the checker finds one of `kinds`.
fn caught(name: &str, most: u64, plan: &Plan, kinds: &[&str]) {
    for seed in 0..most {
        let faults = run(seed, plan);
        if kinds.iter().any(|kind| faults.contains_key(kind)) {
            println!("{name}: found after {} seeds: {faults:?}", seed + 1);
            return;
        }
    }
    panic!("{name}: nothing of {kinds:?} in {most} seeds: the checker proves nothing");
}

#[test]
fn all_rules_kills_power_and_partitions() {
    clean("crashes", 0, seeds(40), &Plan::default());
}

/// What no acknowledgement was lost of is shown once by its names alone, without any key, while servers
/// that are up reach each other. (Cut off, a server serves a reader that has seen more after 200 ms; then
/// it takes the director's keys to leave out what only the other side knows to be the same.)
#[test]
fn names_alone_suffice_where_acknowledgements_came() {
    let plan = Plan {
        keys: false,
        partitions: false,
        ..Plan::default()
    };
    clean("names alone", 40_000, seeds(30), &plan);
}

#[test]
fn all_rules_two_down_and_directors_that_die() {
    let plan = Plan {
        max_down: 2,
        directors_die: true,
        readers_change: true,
        ..Plan::default()
    };
    clean("two down", 10_000, seeds(30), &plan);
}

#[test]
fn all_rules_and_lost_disks() {
    let plan = Plan {
        faults: &[Fault::Kill, Fault::Power, Fault::Disk, Fault::Damage],
        ..Plan::default()
    };
    clean("lost disks", 20_000, seeds(30), &plan);
}

#[test]
fn all_rules_and_lying_disks() {
    let plan = Plan {
        faults: &[Fault::Kill, Fault::Lying],
        ..Plan::default()
    };
    clean("lying disks", 30_000, seeds(30), &plan);
}

#[test]
fn without_names_something_is_shown_twice() {
    let plan = Plan {
        rules: Rules {
            names: false,
            ..Rules::default()
        },
        keys: false,
        partitions: false,
        ..Plan::default()
    };
    caught("names", 60, &plan, &["shown twice"]);
}

#[test]
fn without_the_former_name_on_a_resend_it_is_shown_twice() {
    let plan = Plan {
        was: false,
        keys: false,
        partitions: false,
        ..Plan::default()
    };
    caught("was", 100, &plan, &["shown twice"]);
}

#[test]
fn without_the_cursor_on_writes_an_answer_comes_before_its_question() {
    let plan = Plan {
        rules: Rules {
            min_offset: false,
            ..Rules::default()
        },
        ..Plan::default()
    };
    caught("min-offset", 60, &plan, &["answer before question"]);
}

#[test]
fn without_apply_order_an_answer_comes_before_its_question() {
    let plan = Plan {
        rules: Rules {
            apply_order: false,
            ..Rules::default()
        },
        ..Plan::default()
    };
    caught("apply order", 60, &plan, &["answer before question"]);
}

#[test]
fn without_the_outbox_a_lost_disk_loses_what_was_acknowledged() {
    let plan = Plan {
        outbox: false,
        faults: &[Fault::Disk],
        ..Plan::default()
    };
    caught("outbox", 60, &plan, &["acknowledged, lost"]);
}

#[test]
fn without_leaps_a_lying_disk_loses_for_readers() {
    let plan = Plan {
        rules: Rules {
            leap: false,
            ..Rules::default()
        },
        faults: &[Fault::Kill, Fault::Lying],
        ..Plan::default()
    };
    caught(
        "leap",
        200,
        &plan,
        &["reader lost", "acknowledged, lost", "servers differ"],
    );
}

#[test]
fn without_syncing_first_a_power_cut_loses_what_was_acknowledged() {
    let plan = Plan {
        rules: Rules {
            durable_first: false,
            ..Rules::default()
        },
        outbox: false,
        faults: &[Fault::Power],
        ..Plan::default()
    };
    caught("durable first", 60, &plan, &["acknowledged, lost"]);
}

#[test]
fn a_stable_view_that_is_a_filter_loses_for_its_readers() {
    let plan = Plan {
        rules: Rules {
            stable_prefix: false,
            ..Rules::default()
        },
        stable_readers: 2,
        ..Plan::default()
    };
    caught("stable prefix", 60, &plan, &["reader lost"]);
}
