//! Checks one `[services.NAME]`.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use director_recovery::Limits;

use super::settings::{NodeSource, ServiceSettings, SpawnSettings};
use super::table::{Located, Table};
use super::tls;
use crate::health::standing::HealthSettings;
use crate::host::{SpoolBounds, Timeouts};
use crate::spawn::command;

/// Bounds of most durations: nothing shorter is a timeout, nothing longer is one that anybody awaits.
const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

/// Resends allowed by default: 20 % of the requests, and 10 a second.
const BUDGET: (f64, u32) = (0.2, 10);
/// Share of nodes that must stay up for another to be ejected.
const PANIC_THRESHOLD: f64 = 0.5;
/// Sessions at once.
const MAX_SESSIONS: u32 = 10_000;
/// How long sessions may go on after a stop was asked for.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// Checks the table. `None` only after a mistake was noted.
pub(super) fn check(name: &str, mut table: Table<'_>) -> Option<ServiceSettings> {
    check_name(name, &table);
    let plugin = plugin(&mut table);
    let listen = listen(&mut table);
    let nodes = nodes(&mut table);
    let timeouts = timeouts(&mut table);
    let limits = limits(&mut table);
    let spool = spool(&mut table);
    let (budget_share, budget_per_second) = budget(&mut table);
    let health = health(&mut table);
    let panic_threshold = table.share("panic_threshold", PANIC_THRESHOLD);
    let max_sessions = table.count("max_sessions", MAX_SESSIONS, 1..=1_000_000);
    let stop_grace = table.duration("stop_grace", STOP_GRACE, Duration::ZERO..=LONG);
    let tls = tls::towards_clients(&mut table);
    let node_tls = tls::towards_nodes(&mut table);
    let options = options(&mut table);
    table.finish();
    Some(ServiceSettings {
        name: name.to_owned(),
        plugin: plugin?,
        listen: listen?,
        any_port: false,
        nodes: nodes?,
        max_sessions,
        stop_grace,
        timeouts,
        limits,
        spool,
        budget_share,
        budget_per_second,
        health,
        panic_threshold,
        tls: tls.ok()?,
        node_tls: node_tls.ok()?,
        options,
    })
}

/// A name becomes a directory and a label, so it has to be plain.
fn check_name(name: &str, table: &Table<'_>) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        table.mistake_here(format_args!(
            "found the name {name:?}, right would be 1 to 64 letters, digits, `-` and `_`"
        ));
    }
}

fn plugin(table: &mut Table<'_>) -> Option<String> {
    const RIGHT: &str = "a plugin's name or the path of its library, such as \"./libmine.so\"";
    let given = table.has("plugin");
    match table.text("plugin", RIGHT) {
        Some(plugin) if plugin.value.is_empty() => {
            table.mistake("plugin", format_args!("found \"\", right would be {RIGHT}"));
            None
        }
        Some(plugin) => Some(plugin.value.to_owned()),
        None => {
            if !given {
                table.missing("plugin", RIGHT);
            }
            None
        }
    }
}

fn listen(table: &mut Table<'_>) -> Option<SocketAddr> {
    let given = table.has("listen");
    let address = address(table, "listen");
    if !given {
        table.missing("listen", ADDRESS);
    }
    address
}

const ADDRESS: &str = "an IP address and a port, such as \"127.0.0.1:7070\"";

/// An address to listen at. `None` when the key is absent, or after a mistake was noted.
pub(super) fn address(table: &mut Table<'_>, name: &'static str) -> Option<SocketAddr> {
    let text = table.text(name, ADDRESS)?.value;
    match text.parse() {
        Ok(address) => Some(address),
        Err(_no_address) => {
            table.mistake(
                name,
                format_args!("found {text:?}, right would be {ADDRESS}"),
            );
            None
        }
    }
}

fn nodes(table: &mut Table<'_>) -> Option<NodeSource> {
    const RIGHT: &str = "a list of addresses, such as [\"10.0.0.1:7100\", \"10.0.0.2:7100\"]";
    let (listed, spawned) = (table.has("nodes"), table.has("spawn"));
    let list = table.texts("nodes", RIGHT);
    let spawn = table.table("spawn");
    match (list, spawn) {
        (Some(_), Some(spawn)) => {
            table.mistake(
                "nodes",
                "found both `nodes` and `spawn`, right would be one of them",
            );
            spawn_settings(spawn);
            None
        }
        (None, Some(spawn)) => spawn_settings(spawn).map(NodeSource::Spawn),
        (Some(list), None) => static_nodes(table, list, RIGHT).map(NodeSource::Static),
        (None, None) => {
            if !listed && !spawned {
                table.missing("nodes", format_args!("{RIGHT}, or a table `spawn`"));
            }
            None
        }
    }
}

fn static_nodes(
    table: &Table<'_>,
    list: Vec<Located<'_, &str>>,
    right: &str,
) -> Option<Vec<(String, SocketAddr)>> {
    if list.is_empty() {
        if table.is_empty_array("nodes") {
            table.mistake(
                "nodes",
                format_args!("found an empty list, right would be {right}"),
            );
        }
        return None;
    }
    let count = list.len();
    let mut nodes: Vec<(String, SocketAddr)> = Vec::new();
    for entry in list {
        let name = entry.value;
        let address = match address_of(name) {
            Ok(address) => address,
            Err(why) => {
                table.mistake_at(&entry, format_args!("found {name:?}, {why}"));
                continue;
            }
        };
        if nodes.iter().any(|(_, known)| *known == address) {
            table.mistake_at(
                &entry,
                format_args!("found {name:?} a second time, right would be each node once"),
            );
            continue;
        }
        nodes.push((name.to_owned(), address));
    }
    (nodes.len() == count).then_some(nodes)
}

/// A node's address. A host name is looked up now, once.
fn address_of(text: &str) -> Result<SocketAddr, String> {
    const RIGHT: &str = "right would be an address and a port, such as \"10.0.0.1:7100\"";
    let (host, port) = text.rsplit_once(':').ok_or(RIGHT)?;
    let port: u16 = port.parse().map_err(|_no_port| RIGHT)?;
    if host.is_empty() || port == 0 {
        return Err(RIGHT.to_owned());
    }
    match text.to_socket_addrs() {
        Ok(mut addresses) => addresses
            .next()
            .ok_or_else(|| String::from("which has no address")),
        Err(error) => Err(format!("which cannot be looked up: {error}; {RIGHT}")),
    }
}

fn spawn_settings(mut table: Table<'_>) -> Option<SpawnSettings> {
    const RIGHT: &str =
        "a program and its arguments, such as [\"my-server\", \"--port\", \"{port}\"]";
    let default = SpawnSettings::default();
    let count = table.count("count", default.count, 1..=command::MOST);
    let data = table
        .text("data", "a directory")
        .map(|text| text.value.into());
    let given = table.has("command");
    let parts = table.texts("command", RIGHT);
    if parts.is_none() && !given {
        table.missing("command", RIGHT);
    }
    let parts = parts.unwrap_or_default();
    let mut sound = !parts.is_empty();
    if parts.is_empty() && table.is_empty_array("command") {
        table.mistake(
            "command",
            format_args!("found an empty list, right would be {RIGHT}"),
        );
    }
    for part in &parts {
        if let Err(unknown) = command::check(part.value) {
            sound = false;
            table.mistake_at(part, unknown);
        }
    }
    let command = parts.iter().map(|part| part.value.to_owned()).collect();
    table.finish();
    sound.then_some(SpawnSettings {
        command,
        count,
        data,
    })
}

fn timeouts(table: &mut Table<'_>) -> Timeouts {
    let default = Timeouts::default();
    Timeouts {
        connect: table.duration("connect_timeout", default.connect, SHORT..=LONG),
        silence: table.duration("silence", default.silence, SHORT..=LONG),
        stall: table.duration("stall_timeout", default.stall, SHORT..=LONG),
        cut_grace: table.duration("cut_grace", default.cut_grace, Duration::ZERO..=LONG),
        cleanup: table.duration("cleanup_timeout", default.cleanup, SHORT..=LONG),
        probe: table.duration("probe_timeout", default.probe, SHORT..=LONG),
        rest: table.duration("rest_timeout", default.rest, SHORT..=LONG),
    }
}

fn limits(table: &mut Table<'_>) -> Limits {
    let default = Limits::default();
    Limits {
        attempts: table.count("attempts", default.attempts, 1..=10_000),
        within: table.duration("within", default.within, SHORT..=LONG),
        ..default
    }
}

fn spool(table: &mut Table<'_>) -> SpoolBounds {
    let default = SpoolBounds::default();
    SpoolBounds {
        memory: table.size("spool_memory", default.memory),
        disk: table.size("spool_disk", default.disk),
    }
}

fn budget(table: &mut Table<'_>) -> (f64, u32) {
    let Some(mut budget) = table.table("budget") else {
        return BUDGET;
    };
    let share = budget.share("share", BUDGET.0);
    let per_second = budget.count("per_second", BUDGET.1, 0..=1_000_000);
    budget.finish();
    (share, per_second)
}

fn health(table: &mut Table<'_>) -> HealthSettings {
    let default = HealthSettings::default();
    HealthSettings {
        trial_wait: table.duration("trial_wait", default.trial_wait, SHORT..=LONG),
        trial_wait_max: table.duration("trial_wait_max", default.trial_wait_max, SHORT..=LONG),
        slow_start: table.duration("slow_start", default.slow_start, Duration::ZERO..=LONG),
        breaker_failures: table.count("breaker_failures", default.breaker_failures, 1..=1_000_000),
        breaker_wait: table.duration("breaker_wait", default.breaker_wait, SHORT..=LONG),
        breaker_wait_max: table.duration(
            "breaker_wait_max",
            default.breaker_wait_max,
            SHORT..=LONG,
        ),
        busy_wait: table.duration("busy_wait", default.busy_wait, Duration::ZERO..=LONG),
    }
}

/// The plugin's own settings; only the plugin knows what is right in them.
fn options(table: &mut Table<'_>) -> serde_json::Value {
    let empty = || serde_json::Value::Object(serde_json::Map::new());
    let Some(raw) = table.raw("options") else {
        return empty();
    };
    if raw.as_dict().is_none() {
        table.mistake("options", "found no table, right would be a table");
        return empty();
    }
    serde_json::to_value(raw).unwrap_or_else(|error| {
        table.mistake("options", format_args!("cannot be said in JSON: {error}"));
        empty()
    })
}
