//! `/status`: what the director is doing now, as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Told;
use crate::agent::AgentState;
use crate::cluster::{ClosedBy, Node};
use crate::host;
use crate::metrics::host_counts;
use crate::service::Service;

/// The whole of it.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    pid: u32,
    version: &'static str,
    stopping: bool,
    /// Descriptors that the process holds, this answer's connection among them.
    open_files: Option<usize>,
    services: Vec<ServiceStatus>,
    /// Live objects of the plugin host.
    host: BTreeMap<&'static str, usize>,
}

#[derive(Debug, Serialize)]
struct ServiceStatus {
    name: String,
    plugin: String,
    plugin_version: String,
    listen: String,
    sessions: usize,
    refused: u64,
    /// Resends that the budget still allows.
    budget_left: f64,
    nodes: Vec<NodeStatus>,
    session_list: Vec<SessionStatus>,
}

#[derive(Debug, Serialize)]
struct NodeStatus {
    name: String,
    address: String,
    standing: &'static str,
    load: Option<f64>,
    /// Its weight of now: the configured one, as far as its agent lets it.
    weight: f64,
    /// What its agent says, if it has one that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<AgentStatus>,
    /// Who keeps new sessions from it: `operator`, `agent`.
    closed_by: Vec<&'static str>,
    in_flight: usize,
    /// Sessions that have used it since the start.
    entered: u64,
    /// Of a spawned node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    starts: Option<u64>,
}

#[derive(Debug, Serialize)]
struct AgentStatus {
    /// It was not heard when it was last asked; what it said before may still hold.
    silent: bool,
    /// Since when, in seconds.
    heard_before: Option<f64>,
    percent: u32,
    max_sessions: Option<u32>,
    takes: bool,
    works: bool,
    reason: Option<String>,
}

fn agent_status(node: &Node) -> AgentStatus {
    let AgentState {
        percent,
        most,
        takes,
        works,
        reason,
        heard_at,
        silent,
    } = node.agent();
    let before = |at| node.now().saturating_sub(at).as_secs_f64();
    AgentStatus {
        silent,
        heard_before: heard_at.map(before),
        percent,
        max_sessions: most,
        takes,
        works,
        reason,
    }
}

#[derive(Debug, Serialize)]
struct SessionStatus {
    session: u64,
    peer: String,
    /// Addresses of the nodes that it has links to.
    links: Vec<String>,
}

/// Gathers it.
pub(super) fn of(told: &Told) -> Status {
    let sessions = host::sessions();
    Status {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION"),
        stopping: told.stop.is_stopping(),
        open_files: std::fs::read_dir("/proc/self/fd").ok().map(Iterator::count),
        services: told
            .services
            .iter()
            .map(|service| service_status(service, &sessions))
            .collect(),
        host: host_counts(&host::counts()).into_iter().collect(),
    }
}

fn service_status(service: &Service, sessions: &[host::SessionStanding]) -> ServiceStatus {
    let cluster = &service.cluster;
    let nodes = cluster.nodes();
    let library = service.instance.library();
    let plugin = library.describe();
    ServiceStatus {
        name: service.settings.name.clone(),
        plugin: plugin.name.clone(),
        plugin_version: plugin.version.clone(),
        listen: service.address.to_string(),
        sessions: service.seats.taken(),
        refused: service.seats.refused(),
        budget_left: cluster.budget().left(cluster.now()),
        nodes: nodes
            .iter()
            .map(|node| {
                let spawned = service
                    .spawned
                    .iter()
                    .find(|spawned| spawned.id == node.name);
                NodeStatus {
                    name: node.name.clone(),
                    address: node.address.to_string(),
                    standing: node.standing().as_str(),
                    load: node.load(),
                    weight: node.weight_now(),
                    agent: service.settings.agent.map(|_asked| agent_status(node)),
                    closed_by: node.closed_by().into_iter().map(ClosedBy::as_str).collect(),
                    in_flight: node.in_flight(),
                    entered: node.entered(),
                    pid: spawned.and_then(|spawned| spawned.pid()),
                    starts: spawned.map(|spawned| spawned.starts()),
                }
            })
            .collect(),
        session_list: sessions
            .iter()
            .filter(|session| session.service == service.settings.name)
            .map(|session| SessionStatus {
                session: session.session,
                peer: session.peer.to_string(),
                links: session
                    .links
                    .iter()
                    .filter_map(|id| nodes.get(*id as usize))
                    .map(|node| node.address.to_string())
                    .collect(),
            })
            .collect(),
    }
}
