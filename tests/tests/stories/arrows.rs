//! Who may depend on whom (ARCHITECTURE.md, "The crates"), and what the core must not know.
//!
//! Any dependency counts: normal, for tests, for builds. Words are looked for in code and in string
//! literals; comments may speak of a protocol as an example, and so may tests.

use std::collections::BTreeSet;
use std::path::Path;

use director_tests::cargo::{self, Kind};
use director_tests::source;

/// An arrow, and whether it may only be drawn by a feature that is off by default.
const ARROWS: &[(&str, &str, bool)] = &[
    ("director", "director-core", false),
    ("director", "webfs", false),
    ("director-core", "director-abi", false),
    ("director-core", "director-recovery", false),
    ("director-sdk", "director-abi", false),
    ("director-sdk", "director-recovery", true), // the test kit
    ("director-chat", "director-sdk", false),
    ("director-ftp", "director-sdk", false),
    ("director-telnet", "director-sdk", false),
    ("director-fetch", "director-sdk", false),
    ("bench", "director-tests", false), // how programs are started and asked: no program's own code
];

/// Crates that know no protocol, and the one folder of them that may speak HTTP: the admin listener.
const GENERAL: &[&str] = &["director-core", "director-recovery", "director-abi"];
const ADMIN: &str = "director-core/src/admin";

/// Words of protocols and plugins.
const WORDS: &[&str] = &[
    "http",
    "https",
    "hyper",
    "sse",
    "ftp",
    "ftps",
    "telnet",
    "webfs",
    "chat",
    "durable",
    "websocket",
];

#[test]
fn the_crates_depend_on_each_other_as_the_architecture_says() {
    let packages = cargo::workspace().unwrap();
    let members: BTreeSet<&str> = packages.iter().map(|p| p.name.as_str()).collect();
    let mut wrong = Vec::new();
    for package in &packages {
        for dependency in &package.dependencies {
            // A crate's own tests may turn on its own features by depending on itself.
            if !members.contains(dependency.name.as_str()) || dependency.name == package.name {
                continue;
            }
            let arrow = ARROWS
                .iter()
                .find(|(from, to, _)| *from == package.name && *to == dependency.name);
            let good = match arrow {
                Some((_, _, true)) => dependency.optional && dependency.kind == Kind::Normal,
                Some((_, _, false)) => true,
                None => false,
            };
            if !good {
                wrong.push(format!(
                    "{} -> {} ({:?}{})",
                    package.name,
                    dependency.name,
                    dependency.kind,
                    if dependency.optional {
                        ", optional"
                    } else {
                        ""
                    },
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "arrows that ARCHITECTURE.md does not have:\n{}",
        wrong.join("\n")
    );
    for (from, to, _) in ARROWS {
        assert!(
            members.contains(from) && members.contains(to),
            "the arrow {from} -> {to} names a crate that is not there"
        );
    }
}

#[test]
fn what_is_optional_for_the_test_kit_is_off_by_default() {
    let packages = cargo::workspace().unwrap();
    let sdk = packages.iter().find(|p| p.name == "director-sdk").unwrap();
    assert!(
        !sdk.default_features().contains("testing")
            && !sdk.default_features().contains("director-recovery"),
        "an author's plugin would contain the engine: {:?}",
        sdk.default_features()
    );
}

#[test]
fn the_core_knows_no_protocol() {
    let root = cargo::root();
    let mut found = Vec::new();
    for general in GENERAL {
        for file in source::files(&root.join(general).join("src")).unwrap() {
            if file.ends_with("tests.rs") {
                continue; // `#[cfg(test)] mod tests;`
            }
            let short = file.strip_prefix(&root).unwrap().display().to_string();
            let text = std::fs::read_to_string(&file).unwrap();
            let code = match file.extension().is_some_and(|e| e == "rs") {
                true => source::without_comments_and_tests(&text),
                false => text,
            };
            for (line, word) in source::words(&code) {
                let speaks = matches!(word.as_str(), "http" | "hyper");
                if WORDS.contains(&word.as_str()) && !(speaks && short.starts_with(ADMIN)) {
                    found.push(format!("{short}:{line}: `{word}`"));
                }
            }
        }
    }
    assert!(
        found.is_empty(),
        "the core speaks of a protocol:\n{}",
        found.join("\n")
    );
}

#[test]
fn a_plugin_has_no_runtime_and_no_sockets_of_its_own() {
    // What a plugin links, by its manifest; `plugin_is_apart.rs` looks at what was built.
    const FOREIGN: &[&str] = &[
        "tokio",
        "mio",
        "socket2",
        "async-std",
        "smol",
        "async-io",
        "hyper-util",
    ];
    let packages = cargo::workspace().unwrap();
    for name in ["director-chat", "director-ftp", "director-fetch"] {
        let plugin = packages.iter().find(|p| p.name == name).unwrap();
        for dependency in plugin
            .dependencies
            .iter()
            .filter(|d| d.kind == Kind::Normal)
        {
            assert!(
                !FOREIGN.contains(&dependency.name.as_str()),
                "{name} depends on {}",
                dependency.name
            );
        }
    }
}

#[test]
fn nothing_but_the_glue_is_unsafe() {
    let root = cargo::root();
    let glue: &[&str] = &[
        "director-sdk/src",
        "director-abi/src",
        "director-core/src/host",
    ];
    const USES: &[&str] = &["{", "fn ", "impl ", "impl<", "extern ", "trait ", "("];
    let mut found = Vec::new();
    for package in cargo::workspace().unwrap() {
        let folder = Path::new(&package.manifest).parent().unwrap().to_path_buf();
        for file in source::rust_files(&folder).unwrap() {
            let short = file.strip_prefix(&root).unwrap().display().to_string();
            if glue.iter().any(|g| short.starts_with(g)) {
                continue;
            }
            let code = source::without_comments_and_tests(&std::fs::read_to_string(&file).unwrap());
            let line = code.lines().position(|line| {
                line.match_indices("unsafe").any(|(at, word)| {
                    let of_a_name = line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
                    let rest = line[at + word.len()..].trim_start();
                    !of_a_name && USES.iter().any(|u| rest.starts_with(u))
                })
            });
            if let Some(line) = line {
                found.push(format!("{short}:{}", line + 1));
            }
        }
    }
    assert!(
        found.is_empty(),
        "unsafe outside the glue:\n{}",
        found.join("\n")
    );
}
