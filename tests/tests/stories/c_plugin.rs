//! A plugin in C, built by nothing but a C compiler, in the real director.

use std::process::Command;
use std::time::Duration;

use director_tests::cargo;
use director_tests::director::{self, Director};
use director_tests::fetch::{self, Download, Mirrors};
use director_tests::folder::Folder;

use crate::bounded::story;

#[test]
fn a_plugin_in_c_serves_clients() {
    story(60, || async {
        let folder = Folder::fresh("c").unwrap();
        let library = folder.join("libdirector_switch.so");
        let built = Command::new("cc")
            .current_dir(cargo::root())
            .args([
                "-std=c11",
                "-Wall",
                "-Werror",
                "-shared",
                "-fPIC",
                "-I",
                "director-abi/include",
                "-o",
            ])
            .arg(&library)
            .arg("examples/c/switch.c")
            .status()
            .unwrap();
        assert!(built.success());
        let mirrors = Mirrors::start(2, 10_000_000, false).await.unwrap();
        let settings = director::Settings {
            service: "switch".to_owned(),
            plugin: library,
            listen: director::LOOPBACK.to_owned(),
            nodes: mirrors
                .nodes
                .iter()
                .map(|node| node.address.clone())
                .collect(),
            more: String::new(),
            options: String::new(),
        };
        let director = Director::start(&settings).await.unwrap();
        director.all_up(Duration::from_secs(10)).await.unwrap();
        let before = director.steady(Duration::from_secs(10)).await.unwrap();
        for size in [0, 1, 70_000, 1_000_000] {
            let download = fetch::download(&director.address, size, |_| {})
                .await
                .unwrap();
            assert_eq!(download, Download::Whole);
        }
        let after = director
            .settled(&before, Duration::from_secs(10))
            .await
            .unwrap();
        assert_eq!(after, before);
    });
}
