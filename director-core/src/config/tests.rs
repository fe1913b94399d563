//! Configs and what is said about them.

use std::io::Write;

use super::*;
use crate::host::Timeouts;

/// A file of its own, gone at the end.
struct File(PathBuf);

impl File {
    fn of(text: &str) -> Self {
        let name = format!(
            "director-config-{}-{:x}.toml",
            std::process::id(),
            crate::chance::number()
        );
        let path = std::env::temp_dir().join(name);
        std::fs::File::create_new(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

fn load(text: &str) -> Result<Settings, Vec<String>> {
    load_with(text, &Flags::default())
}

/// Mistakes are returned without the file's directory.
fn load_with(text: &str, flags: &Flags) -> Result<Settings, Vec<String>> {
    let file = File::of(text);
    let prefix = file.0.display().to_string();
    Config::load(Written::File(&file.0), flags)
        .map(|config| config.settings)
        .map_err(|mistakes| {
            mistakes
                .iter()
                .map(|mistake| mistake.to_string().replace(&prefix, "FILE"))
                .collect()
        })
}

const LEAST: &str = r#"
[services.echo]
plugin = "echo"
listen = "127.0.0.1:7"
nodes = ["127.0.0.1:8"]
"#;

#[test]
fn only_a_built_in_config_may_take_any_port() {
    let built_in = |flags| Config::load(Written::BuiltIn(LEAST), &flags).unwrap();
    assert!(built_in(Flags::default()).settings.services[0].any_port);
    let asked = Flags {
        listen: Some(String::from("127.0.0.1:7")),
        ..Flags::default()
    };
    assert!(!built_in(asked).settings.services[0].any_port);
    let told = Config::load(Written::BuiltIn("threads = 1"), &Flags::default()).unwrap_err();
    assert!(
        told[0]
            .to_string()
            .starts_with("built-in config: services: "),
        "{told:?}"
    );
}

#[test]
fn least_is_enough_and_the_rest_is_default() {
    let settings = load(LEAST).unwrap();
    let echo = &settings.services[0];
    assert_eq!(echo.timeouts, Timeouts::default());
    assert_eq!(echo.limits, director_recovery::Limits::default());
    assert_eq!(echo.options, serde_json::json!({}));
    assert!(!echo.any_port);
    assert_eq!(
        settings.admin,
        AdminAddress::Unix(admin_socket(&settings.state_dir))
    );
}

#[test]
fn three_mistakes_are_three_lines() {
    let told = load(
        r#"[services.echo]
plugin = "echo"
lisen = "127.0.0.1:7"
listen = "localhost"
nodes = []
"#,
    )
    .unwrap_err();
    assert_eq!(
        told,
        [
            "FILE:4:1: services.echo.listen: found \"localhost\", right would be an IP address and a port, such as \"127.0.0.1:7070\"",
            "FILE:5:1: services.echo.nodes: found an empty list, right would be a list of addresses, such as [\"10.0.0.1:7100\", \"10.0.0.2:7100\"]",
            "FILE:3:1: services.echo.lisen: found an unknown key, right would be `listen`",
        ]
    );
}

/// What is added to the least config, and what is said about it.
const MISTAKES: &[(&str, &str)] = &[
    (
        "silence = 500",
        "FILE:6:1: services.echo.silence: found 500, right would be a duration with its unit, such as \"500ms\"",
    ),
    (
        "silence = \"0s\"",
        "FILE:6:1: services.echo.silence: found \"0s\", right would be from \"1ms\" to \"1h\"",
    ),
    (
        "attempts = 0",
        "FILE:6:1: services.echo.attempts: found 0, right would be a whole number from 1 to 10000",
    ),
    (
        "attempts = -1",
        "FILE:6:1: services.echo.attempts: found -1, right would be a whole number from 1 to 10000",
    ),
    (
        "attempts = 1.5",
        "FILE:6:1: services.echo.attempts: found 1.5, right would be a whole number from 1 to 10000",
    ),
    (
        "attempts = 99999999999999999999999",
        "FILE:6:1: services.echo.attempts: found \"99999999999999999999999\", right would be a whole number from 1 to 10000",
    ),
    (
        "budget = 1",
        "FILE:6:1: services.echo.budget: found 1, right would be a table, [services.echo.budget]",
    ),
    (
        "budget = { share = 20 }",
        "FILE:6:12: services.echo.budget.share: found 20, right would be a share from 0 to 1, such as 0.2",
    ),
    (
        "budget = { shares = 0.2 }",
        "FILE:6:12: services.echo.budget.shares: found an unknown key, right would be `share`",
    ),
    (
        "options = 3",
        "FILE:6:1: services.echo.options: found no table, right would be a table",
    ),
    (
        "zzzzzzzz = 3",
        "FILE:6:1: services.echo.zzzzzzzz: found an unknown key, right would be one of: plugin, listen, nodes",
    ),
    (
        "[services.echo.spawn]\ncommand = [\"{port}\"]",
        "FILE:4:1: services.echo.nodes: found both `nodes` and `spawn`, right would be one of them",
    ),
    (
        "[services.two]\nplugin = \"echo\"\nlisten = \"127.0.0.1:7\"\nnodes = [\"127.0.0.1:9\"]",
        "FILE:8:1: services.two.listen: found \"127.0.0.1:7\", which is the address of the service `echo` too",
    ),
    (
        "[services.\"a b\"]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"\nnodes = [\"127.0.0.1:9\"]",
        "FILE:6:11: services.a b: found the name \"a b\"",
    ),
    (
        "[services.two]\nlisten = \"127.0.0.1:0\"\nnodes = [\"127.0.0.1:9\"]",
        "FILE:6:11: services.two.plugin: found nothing, right would be a plugin's name",
    ),
    (
        "[services.two]\nplugin = 3\nlisten = \"127.0.0.1:0\"\nnodes = [\"127.0.0.1:9\"]",
        "FILE:7:1: services.two.plugin: found 3, right would be a plugin's name",
    ),
    (
        "[services.two]\nplugin = \"\"\nlisten = \"127.0.0.1:0\"\nnodes = [\"127.0.0.1:9\"]",
        "FILE:7:1: services.two.plugin: found \"\"",
    ),
    (
        "[services.two]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"",
        "FILE:6:11: services.two.nodes: found nothing, right would be a list of addresses",
    ),
    (
        "[services.two]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"\nnodes = [\"127.0.0.1:9\",\n  \"127.0.0.1\"]",
        "FILE:10:3: services.two.nodes.1: found \"127.0.0.1\", right would be an address and a port",
    ),
    (
        "[services.two]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"\nnodes = [\"127.0.0.1:0\"]",
        "FILE:9:10: services.two.nodes.0: found \"127.0.0.1:0\", right would be an address and a port",
    ),
    (
        "[services.two]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"\nnodes = [\"127.0.0.1:1\", \"127.0.0.1:1\"]",
        "FILE:9:25: services.two.nodes.1: found \"127.0.0.1:1\" a second time",
    ),
    (
        "[services.two]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"\nnodes = [8]",
        "FILE:9:10: services.two.nodes.0: found 8, right would be a text",
    ),
    (
        "[services.two]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"\nnodes = [{weight = 2}]",
        "FILE:9:10: services.two.nodes.0.address: found nothing, right would be an address and a port",
    ),
    (
        "[services.two]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"\nnodes = [{address = \"127.0.0.1:1\", weight = 1001}]",
        "FILE:9:36: services.two.nodes.0.weight: found 1001, right would be a whole number from 0 to 1000",
    ),
    (
        "[services.two]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"\nnodes = [{address = \"127.0.0.1:1\", wieght = 1}]",
        "FILE:9:36: services.two.nodes.0.wieght: found an unknown key, right would be `weight`",
    ),
    (
        "[services.two]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"\nnodes = [{address = \"127.0.0.1:1\", max_sessions = 0}]",
        "FILE:9:36: services.two.nodes.0.max_sessions: found 0, right would be a whole number from 1",
    ),
    (
        "[services.two]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"\nnodes = [{address = \"here\"}]",
        "FILE:9:11: services.two.nodes.0.address: found \"here\", right would be an address and a port",
    ),
    (
        "[services.two]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"\nnodes = [\"127.0.0.1:2\", {address = \"127.0.0.1:2\"}]",
        "FILE:9:25: services.two.nodes.1: found \"127.0.0.1:2\" a second time",
    ),
    (
        "[services.two]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"\nnodes = [{address = \"127.0.0.1:1\", weight = 0}]",
        "FILE:9:1: services.two.nodes: found a weight of 0 at every node",
    ),
    (
        "[services.two]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"\nnodes = [\"127.0.0.1:1\"]\nbalance = \"best\"",
        "FILE:10:1: services.two.balance: found \"best\", right would be \"least-load\" or \"hash\"",
    ),
    (
        "[services.two]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"\nnodes = [\"127.0.0.1:1\"]\ntcp_keepalive = \"1ms\"",
        "FILE:10:1: services.two.tcp_keepalive: found \"1ms\", right would be from \"1s\"",
    ),
    (
        "[services.two]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"\nnodes = [\"127.0.0.1:1\"]\nagent = {}",
        "FILE:10:1: services.two.agent.port: found nothing, right would be the agents' port",
    ),
    (
        "[services.two]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"\nnodes = [\"127.0.0.1:1\"]\nagent = {port = 0}",
        "FILE:10:10: services.two.agent.port: found 0, right would be a whole number from 1 to 65535",
    ),
    (
        "[services.two]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"\nnodes = [\"127.0.0.1:1\"]\nagent = {port = 1, every = \"1ms\"}",
        "FILE:10:20: services.two.agent.every: found \"1ms\", right would be from \"100ms\"",
    ),
    (
        "[services.two]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"\nnodes = [\"127.0.0.1:1\"]\nagent = 9999",
        "FILE:10:1: services.two.agent: found 9999, right would be a table",
    ),
    (
        "[services.two]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"\nspawn = {}",
        "FILE:9:1: services.two.spawn.command: found nothing, right would be a program",
    ),
    (
        "[services.two]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"\nspawn = {command = []}",
        "FILE:9:10: services.two.spawn.command: found an empty list",
    ),
    (
        "[services.two]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"\nspawn = {command = [\"{prot}\"]}",
        "FILE:9:21: services.two.spawn.command.0: found the placeholder {prot}, right would be one of {director}",
    ),
    (
        "[services.two]\nplugin = \"x\"\nlisten = \"127.0.0.1:0\"\nspawn = {count = 99, command = [\"x\"]}",
        "FILE:9:10: services.two.spawn.count: found 99, right would be a whole number from 1 to 26",
    ),
    (
        "[admin]\nlisten = \"0.0.0.0:80\"",
        "FILE:7:1: admin.listen: found \"0.0.0.0:80\", right would be the path of a unix socket, or a loopback address",
    ),
    ("[admin]\nlisten = 80", "FILE:7:1: admin.listen: found 80"),
    (
        "[plugins]\npath = \"/x\"",
        "FILE:7:1: plugins.path: found \"/x\", right would be a list of directories",
    ),
    (
        "[thread]",
        "FILE:6:2: thread: found an unknown key, right would be `threads`",
    ),
    ("nodes = []", "FILE:6:1: no valid TOML: duplicate key"),
    ("x = \"", "FILE:6:6: no valid TOML"),
];

#[test]
fn each_mistake_names_its_line_its_key_and_what_would_be_right() {
    for (added, wanted) in MISTAKES {
        let told = load(&format!(
            "{}{added}\n",
            LEAST.trim_start().to_owned() + "\n"
        ))
        .expect_err(added);
        assert_eq!(told.len(), 1, "{added}: {told:#?}");
        assert!(
            told[0].starts_with(wanted),
            "{added}:\n   {}\nnot {wanted}",
            told[0]
        );
    }
}

#[test]
fn a_syntax_error_hides_no_other() {
    let told = load("a = = 1\nb = \nc = 3").unwrap_err();
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(
        told[0].starts_with("FILE:1:") && told[1].starts_with("FILE:2:"),
        "{told:#?}"
    );
}

#[test]
fn no_services_and_no_file_are_told() {
    let told = load("threads = 1").unwrap_err();
    assert_eq!(
        told,
        ["FILE: services: found nothing, right would be at least one table [services.NAME]"]
    );
    let told = load("services = {}").unwrap_err();
    assert_eq!(told.len(), 1, "{told:#?}");
    let missing = Config::load(
        Written::File(Path::new("/nowhere/at/all.toml")),
        &Flags::default(),
    );
    let told = missing.unwrap_err();
    assert!(
        told[0]
            .to_string()
            .starts_with("/nowhere/at/all.toml: cannot be read: "),
        "{told:?}"
    );
}

#[test]
fn flags_win_and_their_mistakes_name_them() {
    let flags = Flags {
        listen: Some(String::from("127.0.0.1:99")),
        threads: Some(3),
        admin: Some(String::from("127.0.0.1:0")),
        state_dir: Some(String::from("/s")),
        log: Some(String::from("debug")),
        ..Flags::default()
    };
    let settings = load_with(LEAST, &flags).unwrap();
    assert_eq!(settings.services[0].listen.port(), 99);
    assert_eq!(settings.threads.get(), 3);
    assert_eq!(
        settings.admin,
        AdminAddress::Tcp("127.0.0.1:0".parse().unwrap())
    );
    assert_eq!(settings.state_dir, Path::new("/s"));
    assert_eq!(settings.log, "debug");

    let flags = Flags {
        listen: Some(String::from("7070")),
        ..Flags::default()
    };
    let told = load_with(LEAST, &flags).unwrap_err();
    assert!(
        told[0].starts_with("flag --listen: services.echo.listen: found \"7070\""),
        "{told:?}"
    );
    let flags = Flags {
        services: vec![String::from("ecko")],
        ..Flags::default()
    };
    let told = load_with(LEAST, &flags).unwrap_err();
    assert_eq!(
        told,
        ["flag --service: found \"ecko\", right would be one of the config's services: echo"]
    );
}

#[test]
fn options_reach_the_plugin_and_its_mistakes_their_line() {
    let text = format!(
        "{LEAST}[services.echo.options]\nwithout = [\"outbox\"]\n\n[services.echo.options.deep]\nlevel = 3\n"
    );
    let file = File::of(&text);
    let config = Config::load(Written::File(&file.0), &Flags::default()).unwrap();
    assert_eq!(
        config.settings.services[0].options,
        serde_json::json!({"without": ["outbox"], "deep": {"level": 3}})
    );
    let mistake = config.mistake("echo", &["options", "deep", "level"], "found 3");
    let wanted = format!(
        "{}:10:1: services.echo.options.deep.level: found 3",
        file.0.display()
    );
    assert_eq!(mistake.to_string(), wanted);
    let missing = config.mistake("echo", &["options", "depth"], "found nothing");
    let wanted = format!(
        "{}:6:16: services.echo.options.depth: found nothing",
        file.0.display()
    );
    assert_eq!(missing.to_string(), wanted);
}

#[test]
fn sizes_are_read_and_what_is_none_is_a_mistake() {
    let service = |line: &str| {
        format!(
            "[services.x]\nplugin = \"x\"\nlisten = \"127.0.0.1:1\"\nnodes = [\"127.0.0.1:2\"]\n{line}\n"
        )
    };
    let settings = load(&service("spool_memory = 4096\nspool_disk = \"2 GiB\"")).unwrap();
    let spool = settings.services[0].spool;
    assert_eq!((spool.memory, spool.disk), (4096, 2 << 30));
    for wrong in ["\"64MB\"", "-1", "\"2TiB\"", "true", "1.5"] {
        let told = load(&service(&format!("spool_disk = {wrong}"))).unwrap_err();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("such as \"1GiB\""), "{told:?}");
    }
}

/// What is added to the least config as tables, and what is said about it.
#[test]
fn mistakes_about_tls_have_their_lines() {
    let cases: &[(&str, &[&str])] = &[
        (
            "[services.echo.tls]\nlisten = \"990\"",
            &[
                "services.echo.tls.certificate: found nothing, right would be a certificate chain (PEM)",
                "services.echo.tls.key: found nothing, right would be the certificate's private key (PEM)",
                "FILE:7:1: services.echo.tls.listen: found \"990\", right would be an IP address and a port, such as \"127.0.0.1:7070\"",
            ],
        ),
        (
            "[services.echo.tls]\ncertificate = 1\nkey = \"\"\ncert = \"a\"",
            &[
                "FILE:7:1: services.echo.tls.certificate: found 1, right would be a certificate chain (PEM)",
                "FILE:8:1: services.echo.tls.key: found \"\", right would be the certificate's private key (PEM)",
                "FILE:9:1: services.echo.tls.cert: found an unknown key, right would be one of: certificate, key, listen",
            ],
        ),
        (
            "[services.echo.tls]\ncertificate = \"a\"\nkey = \"b\"\nlisten = \"127.0.0.1:7\"",
            &[
                "FILE:9:1: services.echo.tls.listen: found \"127.0.0.1:7\", which is the address of the service `echo` too, right would be another",
            ],
        ),
        (
            "[services.echo.node_tls]\nfirst = \"yes\"",
            &[
                "services.echo.node_tls.ca: found nothing, right would be the file of the authorities that are trusted (PEM), or `verify = false`",
                "FILE:7:1: services.echo.node_tls.first: found \"yes\", right would be true or false",
            ],
        ),
        (
            "[services.echo.node_tls]\nverify = false\nca = \"a\"\nserver_name = \"a b\"",
            &[
                "FILE:7:1: services.echo.node_tls.verify: found false beside `ca`, right would be one of them",
                "FILE:9:1: services.echo.node_tls.server_name: found \"a b\", right would be a host's name or an IP address",
            ],
        ),
        (
            "tls = 1\nnode_tls = []",
            &[
                "FILE:6:1: services.echo.tls: found 1, right would be a table, [services.echo.tls]",
                "FILE:7:1: services.echo.node_tls: found an array, right would be a table, [services.echo.node_tls]",
            ],
        ),
    ];
    for (added, said) in cases {
        let told = load(&format!("{LEAST}{added}\n")).unwrap_err();
        assert_eq!(told.len(), said.len(), "{added}: {told:?}");
        for (told, said) in told.iter().zip(*said) {
            assert!(told.ends_with(said), "{added}:\n{told}\n{said}");
            assert!(told.starts_with("FILE:"), "{told}");
        }
    }
}

#[test]
fn tls_is_read_as_it_is_written() {
    let settings = load(&format!(
        "{LEAST}[services.echo.tls]\ncertificate = \"/a\"\nkey = \"/b\"\nlisten = \"127.0.0.1:990\"\n\
         [services.echo.node_tls]\nverify = false\nserver_name = \"nodes.example\"\nfirst = true\n"
    ));
    let echo = settings.unwrap().services.remove(0);
    let tls = echo.tls.unwrap();
    assert_eq!(tls.certificate, Path::new("/a"));
    assert_eq!(tls.key, Path::new("/b"));
    assert_eq!(tls.listen, Some(([127, 0, 0, 1], 990).into()));
    let nodes = echo.node_tls.unwrap();
    assert_eq!(nodes.trust, crate::tls::Trust::Anybody);
    assert_eq!(nodes.server_name.as_deref(), Some("nodes.example"));
    assert!(nodes.first);
}

fn docs(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(file)
}

#[test]
fn the_documented_defaults_are_the_defaults() {
    let documented = Config::load(Written::File(&docs("director.toml")), &Flags::default());
    let documented = documented.unwrap().settings;
    let least = r#"
        [services.chat]
        plugin = "chat"
        listen = "127.0.0.1:7070"
        nodes = ["127.0.0.1:7100", "127.0.0.1:7101"]
        [services.local]
        plugin = "chat"
        listen = "127.0.0.1:7080"
        spawn = { command = ["{director}", "webfs", "serve", "--id", "{id}", "--listen", "{address}",
            "--data", "{data}", "--join", "{peers}", "--until-stdin-closes"] }
    "#;
    assert_eq!(documented, load(least).unwrap());
}

/// All keys of a table, as the mistake about an unknown one names them.
fn keys_of(text: &str) -> Vec<String> {
    let told = load(text).unwrap_err();
    let list = told.iter().find_map(|line| line.split_once("one of: "));
    let (_, keys) = list.unwrap_or_else(|| panic!("{told:?}"));
    keys.split(", ").map(str::to_owned).collect()
}

#[test]
fn every_setting_is_documented() {
    let file = std::fs::read_to_string(docs("director.toml")).unwrap();
    let page = std::fs::read_to_string(docs("configuration.md")).unwrap();
    let strange = "zzzzzzzzzzzzzzzzzzzz = 0";
    let mut count = 0;
    for (table, prefix) in [
        ("", ""),
        ("[admin]", "admin."),
        ("[plugins]", "plugins."),
        ("[services.x]", ""),
        ("[services.x.budget]", "budget."),
        ("[services.x.spawn]", ""),
        ("[services.x.agent]", "agent."),
        ("[services.x.tls]", ""),
        ("[services.x.node_tls]", ""),
    ] {
        for key in keys_of(&format!("{table}\n{strange}\n")) {
            count += 1;
            // Tables are shown as such.
            let shown = [
                format!("{key} = "),
                format!("[{key}]"),
                format!("[services.chat.{key}]"),
                format!("[services.local.{key}]"),
            ];
            assert!(
                shown.iter().any(|shown| file.contains(shown)) || key == "services",
                "{table} {key}"
            );
            let told = [
                format!("`{prefix}{key}`"),
                format!("`{key}."),
                format!("[services.NAME.{key}]"),
            ];
            assert!(
                told.iter().any(|told| page.contains(told)) || key == "services",
                "{table} {key}"
            );
        }
    }
    assert!(count > 45, "{count}");
}
