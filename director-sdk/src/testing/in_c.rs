//! The example plugin in C, compiled and loaded as a library, on the network in memory.
#![allow(unsafe_code)]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use director_abi as abi;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use super::abi::{Plugin, enter};
use super::{Wire, World};
use crate::failure::Kind;

/// Compiles and loads `examples/c/switch.c`; the library is never unloaded.
fn switch() -> &'static abi::Descriptor {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let thread = format!("{:?}", std::thread::current().id());
    let name = format!("libdirector_switch-{}-{thread}.so", std::process::id());
    let library = std::env::temp_dir().join(name);
    let output = Command::new("cc")
        .args([
            "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-I",
        ])
        .arg(root.join("director-abi/include"))
        .arg("-o")
        .arg(&library)
        .arg(root.join("examples/c/switch.c"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // SAFETY: the library is ours, and has no constructors. Its descriptor is of ABI 1.0.
    let descriptor = unsafe {
        let loaded = Library::open(Some(&library), RTLD_NOW | RTLD_LOCAL).unwrap();
        let symbol = loaded.get::<*const abi::Descriptor>(abi::SYMBOL).unwrap();
        let descriptor = &*symbol.into_raw().cast::<abi::Descriptor>();
        std::mem::forget(loaded);
        descriptor
    };
    std::fs::remove_file(library).unwrap();
    descriptor
}

fn started(seed: u64) -> World {
    let world = World::seeded(seed);
    {
        let _entered = enter(&world.state);
        // SAFETY: the example keeps to the ABI; that is what is tested here.
        let (plugin, pooled) = unsafe { Plugin::load(switch(), "{}", "", None) }.unwrap();
        world.start_with(plugin, pooled);
    }
    for name in ["a", "b"] {
        world.node(name, echo);
    }
    world
}

async fn echo(mut wire: Wire) {
    while let Ok(line) = wire.read_line().await {
        if line.is_empty()
            || wire
                .write_all(line.to_uppercase().as_bytes())
                .await
                .is_err()
        {
            return;
        }
    }
}

#[test]
fn its_descriptor_is_what_the_header_says() {
    let descriptor = switch();
    assert_eq!(descriptor.magic, abi::MAGIC);
    assert_eq!(descriptor.size, size_of::<abi::Descriptor>());
    assert_eq!(descriptor.abi_major, abi::MAJOR);
    // SAFETY: constants of a library that stays loaded.
    let target = unsafe { crate::glue::layout::text(descriptor.target) };
    assert_eq!(target, abi::TARGET);
}

#[test]
fn it_switches_a_client_to_a_node_and_passes_both_ends_on() {
    let world = started(1);
    world.run(async {
        let mut client = world.connect();
        client.write_all(b"hello\n").await.unwrap();
        assert_eq!(client.read_line().await.unwrap(), "HELLO\n");
        world.sleep(Duration::from_secs(3600)).await;
        client.write_all(b"again\n").await.unwrap();
        client.close();
        assert_eq!(client.read_to_end().await.unwrap(), b"AGAIN\n");
    });
    assert!(world.probe("a").load.is_nan());
    let ended = world.ended();
    assert_eq!((ended[0].kind, ended[0].panicked), (None, false));
    assert_eq!(world.finish().counts, super::Counts::default());
}

#[test]
fn a_node_that_dies_before_a_word_was_said_is_replaced_and_after_it_is_not() {
    for seed in 0..20 {
        let world = started(seed);
        let met = world.run(async {
            let mut client = world.connect();
            world.sleep(Duration::from_millis(1)).await;
            world.kill("a");
            client.write_all(b"one\n").await.unwrap();
            let first = client.read_line().await.unwrap();
            assert_eq!(first, "ONE\n");
            world.kill("b");
            client.read_to_end().await.unwrap_err().kind()
        });
        assert_eq!(met, std::io::ErrorKind::ConnectionReset);
        let ended = world.ended();
        assert_eq!(ended[0].kind, Some(Kind::Lost), "{}", world.story());
        assert_eq!(world.finish().counts, super::Counts::default());
    }
}
