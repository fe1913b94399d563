//! Hosts and a client for tests: a host with a login, a shell and a little program, as telnetd shows them; a client
//! as telnet is, whose terminal is the emulator.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm
)]

pub mod client;
pub mod host;
pub mod user;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use director_sdk::testing::{Limits, World};
use director_telnet::Telnet;

/// The service's options in most tests.
pub const SCRIPT: &str = r#""login": {"script": [
    {"expect": "login: $", "send": "joe"}, {"expect": "Password: $", "send": "sesame"}]}"#;

/// A world with `hosts` hosts, `a`, `b` and so on, and the plugin.
pub fn world(world: &World, hosts: &[&str], options: &str) -> Rc<RefCell<host::Common>> {
    let within = Duration::from_secs(120);
    world.limits(
        Limits {
            within,
            ..Limits::default()
        },
        0.2,
        1000,
    );
    let common = Rc::new(RefCell::new(host::Common::default()));
    world.start::<Telnet>(options).unwrap();
    for name in hosts {
        let (name, common) = ((*name).to_owned(), Rc::clone(&common));
        let again = name.clone();
        world.node(&again, move |wire| {
            host::serve(wire, name.clone(), Rc::clone(&common))
        });
    }
    common
}
