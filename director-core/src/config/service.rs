//! Checks one `[services.NAME]`.

use std::net::SocketAddr;
use std::time::Duration;

use director_recovery::Limits;

use super::settings::ServiceSettings;
use super::table::Table;
use super::tls;
use crate::agent::AgentSettings;
use crate::cluster::Balance;
use crate::health::standing::HealthSettings;
use crate::host::{SpoolBounds, Timeouts};

/// Bounds of most durations: nothing shorter is a timeout, nothing longer is one that anybody awaits.
const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);
/// Sessions may stay on a node that drains for a week.
const LONGEST_DRAIN: Duration = Duration::from_secs(7 * 24 * 3600);

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
    let nodes = super::nodes::read(&mut table);
    let balance = balance(&mut table);
    let agent = agent(&mut table);
    let timeouts = timeouts(&mut table);
    let limits = limits(&mut table);
    let spool = spool(&mut table);
    let (budget_share, budget_per_second) = budget(&mut table);
    let health = health(&mut table);
    let panic_threshold = table.share("panic_threshold", PANIC_THRESHOLD);
    let max_sessions = table.count("max_sessions", MAX_SESSIONS, 1..=1_000_000);
    let drain_deadline = table.optional_duration("drain_deadline", Duration::ZERO..=LONGEST_DRAIN);
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
        balance: balance?,
        agent: agent?,
        max_sessions,
        stop_grace,
        drain_deadline,
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

/// How nodes are chosen. `None` only after a mistake was noted.
fn balance(table: &mut Table<'_>) -> Option<Balance> {
    const RIGHT: &str = "\"least-load\" or \"hash\"";
    if !table.has("balance") {
        let _unset = table.text("balance", RIGHT);
        return Some(Balance::default());
    }
    let found = table.text("balance", RIGHT)?;
    match found.value {
        "least-load" => Some(Balance::LeastLoad),
        "hash" => Some(Balance::Hash),
        other => {
            table.mistake_at(
                &found,
                format_args!("found {other:?}, right would be {RIGHT}"),
            );
            None
        }
    }
}

/// How agents are asked; `Some(None)` when there are none. `None` only after a mistake was noted.
fn agent(table: &mut Table<'_>) -> Option<Option<AgentSettings>> {
    let given = table.has("agent");
    let Some(mut agent) = table.table("agent") else {
        return (!given).then_some(None);
    };
    if !agent.has("port") {
        agent.missing("port", "the agents' port, at each node's address");
    }
    let port = agent.optional_count("port", 1..=u32::from(u16::MAX));
    let every = agent.duration("every", Duration::from_secs(2), SECOND / 10..=LONG);
    let timeout = agent.duration("timeout", SECOND, SHORT..=LONG);
    let keep = agent.duration("keep", Duration::from_secs(30), Duration::ZERO..=LONG);
    agent.finish();
    Some(Some(AgentSettings {
        port: u16::try_from(port?).ok()?,
        every,
        timeout,
        keep,
    }))
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
        keepalive: table.duration("tcp_keepalive", default.keepalive, SECOND..=LONG),
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
