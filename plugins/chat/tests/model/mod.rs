//! A WebFS group in memory, and a client of the director.

// Each test file uses what it needs of it.
#![allow(dead_code, unreachable_pub)]
// Outside of a `#[test]` function, but in a test all the same.
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod client;
pub mod group;
pub mod server;

use std::cell::RefCell;
use std::rc::Rc;

use director_chat::Chat;
use director_sdk::testing::World;

use group::{Group, SERVERS};
use server::{Faults, Shared};

/// Starts the plugin with three servers behind it.
pub fn start(world: &World, options: &str) -> (Shared, Rc<RefCell<Faults>>) {
    world.start::<Chat>(options).unwrap();
    let group: Shared = Rc::new(RefCell::new(Group::new()));
    let faults: Rc<RefCell<Faults>> = Rc::default();
    for (at, name) in SERVERS.iter().enumerate() {
        let (group, faults) = (Rc::clone(&group), Rc::clone(&faults));
        world.node(name, move |wire| {
            server::serve(at, Rc::clone(&group), Rc::clone(&faults), wire)
        });
    }
    // As the director does: a death that no request meets is heard of by these alone.
    SERVERS.iter().for_each(|name| world.watch(name));
    (group, faults)
}
