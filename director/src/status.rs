//! `director status`: asks a running director.

use std::process::ExitCode;

use clap::Args;
use director_core::admin;
use director_core::config::{AdminAddress, admin_address, admin_socket, default_state_dir};
use serde_json::Value;

use crate::say;

const EXAMPLES: &str = "\
Examples:
  director status
  director status --json
  director status --admin 127.0.0.1:7071
  director status --state-dir /var/lib/director";

/// Flags of `director status`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Status {
    /// Where the director's admin listener is, as it printed it
    #[arg(long, value_name = "PATH|ADDRESS", conflicts_with = "state_dir")]
    admin: Option<String>,
    /// The director's state directory, with its admin socket in it
    #[arg(long, value_name = "DIR")]
    state_dir: Option<std::path::PathBuf>,
    /// As JSON, all of it
    #[arg(long)]
    json: bool,
}

impl Status {
    /// Asks, and prints the answer.
    pub(crate) fn run(self) -> ExitCode {
        let address = match self.address() {
            Ok(address) => address,
            Err(text) => {
                eprintln!("director: {text}");
                return ExitCode::from(say::USAGE);
            }
        };
        let runtime = match tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => return say::failure(&error),
        };
        let answer = match runtime.block_on(admin::ask(&address, "/status")) {
            Ok(answer) => answer,
            Err(error) => {
                let place = match &address {
                    AdminAddress::Unix(path) => path.display().to_string(),
                    AdminAddress::Tcp(address) => address.to_string(),
                };
                eprintln!("director: {place}: {}", say::chain(&error));
                return ExitCode::FAILURE;
            }
        };
        if self.json {
            say::line(String::from_utf8_lossy(&answer));
            return ExitCode::SUCCESS;
        }
        match serde_json::from_slice::<Value>(&answer) {
            Ok(status) => {
                say::line(table(&status));
                ExitCode::SUCCESS
            }
            Err(error) => say::failure(&error),
        }
    }

    fn address(&self) -> Result<AdminAddress, String> {
        if let Some(text) = &self.admin {
            let text = text.strip_prefix("unix:").unwrap_or(text);
            return admin_address(text)
                .map_err(|right| format!("--admin: found {text:?}, right would be {right}"));
        }
        let dir = self.state_dir.clone().or_else(default_state_dir);
        let dir = dir.ok_or("give --state-dir or --admin, because HOME is not set")?;
        Ok(AdminAddress::Unix(admin_socket(&dir)))
    }
}

/// For people: one line a service, one a node.
fn table(status: &Value) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::from("-"),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let stopping = match status["stopping"].as_bool() {
        Some(true) => ", stopping",
        Some(false) | None => "",
    };
    let mut lines = vec![format!(
        "director {}, pid {}{stopping}",
        text(&status["version"]),
        text(&status["pid"])
    )];
    for service in list(&status["services"]) {
        lines.push(format!(
            "service {} on {}: {} sessions, {} refused, {:.0} resends left",
            text(&service["name"]),
            text(&service["listen"]),
            text(&service["sessions"]),
            text(&service["refused"]),
            service["budget_left"].as_f64().unwrap_or_default(),
        ));
        lines.push(format!(
            "  {:<22} {:<22} {:<8} {:>8} {:>10} {:>8}",
            "node", "address", "standing", "load", "in flight", "pid"
        ));
        for node in list(&service["nodes"]) {
            lines.push(format!(
                "  {:<22} {:<22} {:<8} {:>8} {:>10} {:>8}",
                text(&node["name"]),
                text(&node["address"]),
                text(&node["standing"]),
                text(&node["load"]),
                text(&node["in_flight"]),
                text(&node["pid"]),
            ));
        }
    }
    lines.join("\n")
}
