//! What the command line says, and how it ends.

// What these tests share is no test itself, so the lints' exception for tests does not reach it.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A directory of its own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("director-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, text: &str) -> PathBuf {
        let path = self.0.join("director.toml");
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn director() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_director"));
    command.env_remove("NO_COLOR");
    command
}

fn lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The lines on stderr and the exit status.
fn told(output: &Output) -> (Vec<String>, Option<i32>) {
    (lines(&output.stderr), output.status.code())
}

const THREE_MISTAKES: &str = "threads = \"two\"
[services.echo]
plugin = \"echo\"
listen = \"here\"
nodes = []
";

#[test]
fn three_mistakes_are_three_lines_and_status_2() {
    let folder = Folder::new("three");
    let file = folder.file(THREE_MISTAKES);
    for command in ["check", "proxy"] {
        let output = director()
            .arg(command)
            .arg("--config")
            .arg(&file)
            .output()
            .unwrap();
        let (lines, code) = told(&output);
        assert_eq!(lines.len(), 3, "{lines:#?}");
        for (line, place) in lines.iter().zip([
            ":1:1: threads: ",
            ":4:1: services.echo.listen: ",
            ":5:1: services.echo.nodes: ",
        ]) {
            assert!(line.contains(place), "{line}");
        }
        assert_eq!((code, output.stdout.len()), (Some(2), 0));
    }
}

#[test]
fn a_mistake_in_the_environment_names_its_variable() {
    let folder = Folder::new("environment");
    let file = folder.file(
        "[services.echo]\nplugin = \"echo\"\nlisten = \"127.0.0.1:0\"\nnodes = [\"127.0.0.1:1\"]\n",
    );
    let output = director()
        .args(["check", "--config"])
        .arg(&file)
        .env("DIRECTOR_SERVICES__ECHO__LISTEN", "nowhere")
        .env("DIRECTOR_THREDS", "2")
        .output()
        .unwrap();
    let (lines, code) = told(&output);
    assert_eq!(
        lines,
        [
            "environment variable DIRECTOR_SERVICES__ECHO__LISTEN: services.echo.listen: found \"nowhere\", right would be an IP address and a port, such as \"127.0.0.1:7070\"",
            "environment variable DIRECTOR_THREDS: threds: found an unknown key, right would be `threads`",
        ]
    );
    assert_eq!(code, Some(2));
}

#[test]
fn the_environment_wins_over_the_file_and_flags_over_both() {
    let folder = Folder::new("order");
    let file = folder.file("log = \"a=b=c\"\n[services.echo]\nplugin = \"/no/such.so\"\nlisten = \"127.0.0.1:0\"\nnodes = [\"127.0.0.1:1\"]\n");
    let run = |variable: &str, flags: &[&str]| {
        let output = director()
            .args(["proxy", "--state-dir"])
            .arg(&folder.0)
            .arg("--config")
            .arg(&file)
            .args(flags)
            .env("DIRECTOR_LOG", variable)
            .output()
            .unwrap();
        told(&output)
    };
    let (lines, code) = run("x=y=z", &[]);
    assert!(
        lines[0].starts_with("environment variable DIRECTOR_LOG: log: found \"x=y=z\""),
        "{lines:?}"
    );
    assert_eq!(code, Some(2));
    let (lines, _) = run("x=y=z", &["--log", "p=q=r"]);
    assert!(
        lines[0].starts_with("flag --log: log: found \"p=q=r\""),
        "{lines:?}"
    );
    // With a good filter it comes as far as the plugin.
    let (lines, code) = run("x=y=z", &["--log", "error"]);
    let wanted = format!(
        "{}:3:1: services.echo.plugin: there is no plugin \"/no/such.so\"; looked for /no/such.so",
        file.display()
    );
    assert_eq!((lines, code), (vec![wanted], Some(2)));
}

#[test]
fn a_file_that_is_no_plugin_is_told() {
    let folder = Folder::new("no-plugin");
    let library = folder.0.join("libmine.so");
    std::fs::write(&library, "no library at all").unwrap();
    let file = folder.file(&format!(
        "[services.echo]\nplugin = {library:?}\nlisten = \"127.0.0.1:0\"\nnodes = [\"127.0.0.1:1\"]\n"
    ));
    let output = director()
        .args(["check", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    let (lines, code) = told(&output);
    assert_eq!((lines.len(), code), (1, Some(2)), "{lines:?}");
    assert!(
        lines[0].contains(":2:1: services.echo.plugin: "),
        "{lines:?}"
    );
    let output = director()
        .args(["plugin", "inspect"])
        .arg(&library)
        .output()
        .unwrap();
    let (lines, code) = told(&output);
    assert_eq!((lines.len(), code), (1, Some(1)), "{lines:?}");
}

#[test]
fn a_service_that_is_not_there_is_told() {
    let output = director()
        .args(["proxy", "--service", "chet"])
        .output()
        .unwrap();
    let wanted = vec![String::from(
        "flag --service: found \"chet\", right would be one of the config's services: chat",
    )];
    assert_eq!(told(&output), (wanted, Some(2)));
}

#[test]
fn nobody_at_the_admin_socket_is_told() {
    let folder = Folder::new("nobody");
    let output = director()
        .args(["status", "--state-dir"])
        .arg(&folder.0)
        .output()
        .unwrap();
    let (lines, code) = told(&output);
    assert_eq!((lines.len(), code), (1, Some(1)), "{lines:?}");
    assert!(
        lines[0].contains("admin.sock: no director answers there"),
        "{lines:?}"
    );
    let output = director()
        .args(["status", "--admin", "10.0.0.1:1"])
        .output()
        .unwrap();
    assert_eq!(told(&output).1, Some(2));
}

#[test]
fn a_taken_admin_address_is_told_before_anything_is_served() {
    let beside =
        PathBuf::from(env!("CARGO_BIN_EXE_director")).with_file_name("libdirector_chat.so");
    assert!(
        beside.is_file(),
        "{} is not there: cargo build",
        beside.display()
    );
    let folder = Folder::new("taken");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = |flags: &[&str]| {
        let output = director()
            .args([
                "proxy",
                "--service",
                "chat",
                "--log",
                "error",
                "--state-dir",
            ])
            .arg(&folder.0)
            .args(flags)
            .output()
            .unwrap();
        assert!(output.stdout.is_empty());
        told(&output)
    };
    let wanted = format!(
        "flag --listen: services.chat.listen: found {address:?}, but another program listens there already; stop it, or choose another address or port 0"
    );
    assert_eq!(run(&["--listen", &address]), (vec![wanted], Some(1)));
    let wanted = format!(
        "director: the admin listener: found {address:?}, but another program listens there already; stop it, or choose another address or port 0"
    );
    assert_eq!(
        run(&["--listen", "127.0.0.1:0", "--admin", &address]),
        (vec![wanted], Some(1))
    );
}

#[test]
fn help_has_examples() {
    for command in [
        vec![],
        vec!["proxy"],
        vec!["check"],
        vec!["status"],
        vec!["plugin", "inspect"],
    ] {
        let output = director().args(&command).arg("--help").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            text.contains("Examples:\n  director "),
            "{command:?}: {text}"
        );
        assert_eq!(output.status.code(), Some(0));
    }
}
