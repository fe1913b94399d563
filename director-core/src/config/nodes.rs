//! Where a service's nodes come from: a list, or processes of the director's own.

use std::net::{SocketAddr, ToSocketAddrs};

use super::settings::{NodeSource, SpawnSettings};
use super::table::{Element, Located, Table};
use crate::cluster::NodeSettings;
use crate::spawn::command;

const ADDRESS: &str = "an address and a port, such as \"10.0.0.1:7100\"";
/// The greatest weight.
const MOST_WEIGHT: u32 = 1_000;

/// Where a service's nodes come from. `None` only after a mistake was noted.
pub(super) fn read(table: &mut Table<'_>) -> Option<NodeSource> {
    const RIGHT: &str = "a list of addresses, such as [\"10.0.0.1:7100\", \"10.0.0.2:7100\"]";
    let (listed, spawned) = (table.has("nodes"), table.has("spawn"));
    let list = table.elements("nodes", RIGHT);
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
    list: Vec<Located<'_, Element<'_>>>,
    right: &str,
) -> Option<Vec<NodeSettings>> {
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
    let mut nodes: Vec<NodeSettings> = Vec::new();
    let mut heaviest = 0;
    for entry in list {
        let Some(node) = node(table, &entry) else {
            continue;
        };
        if nodes.iter().any(|known| known.address == node.address) {
            table.mistake_at(
                &entry,
                format_args!(
                    "found {:?} a second time, right would be each node once",
                    node.name
                ),
            );
            continue;
        }
        heaviest = heaviest.max(node.weight);
        nodes.push(node);
    }
    if nodes.len() < count {
        return None;
    }
    if heaviest == 0 {
        table.mistake(
            "nodes",
            "found a weight of 0 at every node, right would be one that gets sessions",
        );
        return None;
    }
    Some(nodes)
}

/// One node of the list: a text, or a table. `None` only after a mistake was noted.
fn node(table: &Table<'_>, entry: &Located<'_, Element<'_>>) -> Option<NodeSettings> {
    match entry.value {
        Element::Text(name) => match address_of(name) {
            Ok(address) => Some(NodeSettings::new(name, address)),
            Err(why) => {
                table.mistake_at(entry, format_args!("found {name:?}, {why}"));
                None
            }
        },
        Element::Table(dict) => {
            let mut of = table.inner(entry.key.clone(), dict);
            let given = of.has("address");
            let found = of.text("address", ADDRESS);
            if !given {
                of.missing("address", ADDRESS);
            }
            let weight = of.count("weight", 1, 0..=MOST_WEIGHT);
            let max_sessions = of.optional_count("max_sessions", 1..=1_000_000);
            let address = found.and_then(|found| match address_of(found.value) {
                Ok(address) => Some((found.value, address)),
                Err(why) => {
                    of.mistake_at(&found, format_args!("found {:?}, {why}", found.value));
                    None
                }
            });
            of.finish();
            let (name, address) = address?;
            Some(NodeSettings {
                weight,
                max_sessions,
                ..NodeSettings::new(name, address)
            })
        }
    }
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
