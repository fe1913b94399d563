//! Licences, sources and banned crates of everything in Cargo.lock that a Linux build takes in.
//!
//! What `cargo deny check bans licenses sources` would say, without building a tool of four hundred
//! crates for it on every fresh machine.

use director_tests::cargo;
use director_tests::licence::Licence;

const ALLOWED: &[&str] = &[
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "CC0-1.0",
    "MPL-2.0",
];

/// TLS is rustls; the boundary is plain C data.
const BANNED: &[&str] = &[
    "openssl",
    "openssl-sys",
    "native-tls",
    "abi_stable",
    "stabby",
];

#[test]
fn every_dependency_has_a_licence_that_ours_can_live_with() {
    let mut wrong = Vec::new();
    for package in cargo::everything().unwrap() {
        let Some(text) = &package.licence else {
            wrong.push(format!("{} names no licence", package.name));
            continue;
        };
        match Licence::parse(text) {
            Ok(licence) if licence.met_by(&|one| ALLOWED.contains(&one)) => {}
            Ok(_) => wrong.push(format!("{}: `{text}`", package.name)),
            Err(mistake) => wrong.push(format!("{}: `{text}`: {mistake}", package.name)),
        }
    }
    assert!(
        wrong.is_empty(),
        "licences to look at:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_dependency_comes_from_the_registry_and_none_is_banned() {
    for package in cargo::everything().unwrap() {
        if let Some(source) = &package.source {
            assert!(
                source.starts_with("registry+"),
                "{} comes from {source}",
                package.name
            );
        }
        assert!(
            !BANNED.contains(&package.name.as_str()),
            "{} is banned",
            package.name
        );
    }
}

#[test]
fn no_dependency_of_a_workspace_crate_has_a_wildcard_for_a_version() {
    for package in cargo::workspace().unwrap() {
        for dependency in &package.dependencies {
            assert!(
                dependency.is_local || dependency.requirement != "*",
                "{} takes any version of {}",
                package.name,
                dependency.name
            );
        }
    }
}
