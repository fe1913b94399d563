//! A plugin's code is in its library and nowhere else, and a plugin opens no socket.

use std::path::Path;
use std::process::Command;

use director_tests::programs;

/// What `nm` says of a file.
fn nm(arguments: &[&str], file: &Path) -> String {
    let output = Command::new("nm")
        .args(arguments)
        .arg(file)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "nm {}: {}",
        file.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Symbols of functions of a crate, by their mangled names.
fn functions_of(crate_name: &str, symbols: &str) -> usize {
    let mangled = format!("{}{crate_name}", crate_name.len());
    symbols
        .lines()
        .filter(|line| line.contains(&mangled))
        .count()
}

#[test]
fn no_plugins_code_is_in_the_director() {
    let director = nm(&[], &programs::director().unwrap());
    assert!(
        functions_of("director_core", &director) > 100,
        "nm finds the code that is there"
    );
    let plugins = [
        ("director_chat", programs::chat_plugin()),
        ("director_fetch", programs::fetch_plugin()),
    ];
    for (name, library) in plugins {
        let library = nm(&[], &library.unwrap());
        assert!(
            functions_of(name, &library) > 10,
            "nm finds {name} in its own library"
        );
        assert_eq!(
            functions_of(name, &director),
            0,
            "{name} is in the director"
        );
    }
    assert_eq!(
        functions_of("director_sdk", &director),
        0,
        "the SDK is in the director"
    );
}

#[test]
fn the_director_does_not_ask_the_loader_for_a_plugin() {
    let director = programs::director().unwrap();
    let output = Command::new("ldd").arg(&director).output().unwrap();
    let needed = String::from_utf8(output.stdout).unwrap();
    assert!(needed.contains("libc.so"), "{needed}");
    assert!(!needed.contains("libdirector"), "{needed}");
}

#[test]
fn a_plugin_imports_nothing_that_opens_a_socket() {
    const SOCKETS: &[&str] = &[
        "socket",
        "socketpair",
        "connect",
        "bind",
        "listen",
        "accept",
        "accept4",
        "getaddrinfo",
        "send",
        "sendto",
        "sendmsg",
        "recv",
        "recvfrom",
        "recvmsg",
        "epoll_create",
        "epoll_create1",
        "epoll_ctl",
        "epoll_wait",
        "dlopen",
    ];
    let imports = |file: &Path| -> Vec<String> {
        let symbols = nm(&["-D", "--undefined-only"], file);
        let names = symbols
            .lines()
            .filter_map(|line| line.split_whitespace().last());
        names
            .map(|name| name.split('@').next().unwrap_or_default().to_owned())
            .collect()
    };
    let director = imports(&programs::director().unwrap());
    assert!(
        director.iter().any(|name| name == "socket"),
        "nm finds a socket where there is one"
    );
    let plugins = [
        programs::chat_plugin().unwrap(),
        programs::fetch_plugin().unwrap(),
        programs::apart("libpanics.so").unwrap(),
    ];
    for plugin in plugins {
        for import in imports(&plugin) {
            assert!(
                !SOCKETS.contains(&import.as_str()),
                "{} imports {import}",
                plugin.display()
            );
        }
    }
}

#[test]
fn a_plugin_exports_its_descriptor_and_nothing_else() {
    for plugin in [
        programs::chat_plugin().unwrap(),
        programs::fetch_plugin().unwrap(),
    ] {
        let symbols = nm(&["-D", "--defined-only"], &plugin);
        let names: Vec<&str> = symbols
            .lines()
            .filter_map(|line| line.split_whitespace().last())
            .collect();
        assert_eq!(names, ["director_plugin_v1"], "{}", plugin.display());
    }
}

#[test]
fn the_plugin_apart_has_another_tokio_and_another_allocator() {
    let apart = nm(&[], &programs::apart("libchat_apart.so").unwrap());
    assert!(functions_of("tokio", &apart) > 10, "its own tokio is in it");
    assert!(
        apart
            .lines()
            .any(|line| line.ends_with(" mi_malloc_aligned") || line.ends_with(" mi_malloc"))
    );
    let lock =
        |path: &str| std::fs::read_to_string(director_tests::cargo::root().join(path)).unwrap();
    let tokio = |lock: &str| {
        let (_, after) = lock.split_once("name = \"tokio\"\n").unwrap();
        after.lines().next().unwrap().to_owned()
    };
    assert_ne!(
        tokio(&lock("Cargo.lock")),
        tokio(&lock("tests/apart/Cargo.lock"))
    );
}
