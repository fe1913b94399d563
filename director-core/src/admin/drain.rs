//! `POST /drain` and `/undrain`: the one thing that the admin listener changes, at its unix socket alone.

use hyper::StatusCode;
use serde::Deserialize;

use super::Told;
use crate::cluster::ClosedBy;

/// The longest order, in bytes.
pub(super) const LONGEST: usize = 4096;

/// Which node is meant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    service: String,
    /// Its name, or its address.
    node: String,
}

/// Carries an order out. Returns what to answer.
pub(super) fn obey(told: &Told, order: &[u8], drains: bool) -> (StatusCode, String) {
    let Order { service, node } = match serde_json::from_slice(order) {
        Ok(order) => order,
        Err(error) => {
            let right = r#"right would be {"service": "..", "node": ".."}"#;
            return (StatusCode::BAD_REQUEST, format!("{error}; {right}\n"));
        }
    };
    let services = || told.services.iter();
    let Some(at) = services().find(|at| at.settings.name == service) else {
        let names: Vec<&str> = services().map(|at| at.settings.name.as_str()).collect();
        let text = format!(
            "found the service {service:?}, right would be one of: {}\n",
            names.join(", ")
        );
        return (StatusCode::NOT_FOUND, text);
    };
    let nodes = at.cluster.nodes();
    let meant =
        |name: &str, address: std::net::SocketAddr| name == node || address.to_string() == node;
    let Some(found) = nodes.iter().find(|of| meant(&of.name, of.address)) else {
        let names: Vec<&str> = nodes.iter().map(|of| of.name.as_str()).collect();
        let text = format!(
            "found the node {node:?}, right would be one of: {}\n",
            names.join(", ")
        );
        return (StatusCode::NOT_FOUND, text);
    };
    let changed = at.cluster.drain(found, ClosedBy::Operator, drains);
    let how = match (drains, changed) {
        (true, true) => "takes no new sessions from now on",
        (true, false) => "took no new sessions before",
        (false, true) => "takes new sessions again",
        (false, false) => "was not drained",
    };
    let text = format!(
        "{} of {service} {how}: {} sessions are on it, it is {}\n",
        found.name,
        found.in_flight(),
        found.standing().as_str()
    );
    (StatusCode::OK, text)
}
