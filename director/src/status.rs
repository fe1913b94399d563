//! `director status`: asks a running director.

use std::process::ExitCode;

use clap::Args;
use director_core::admin;
use serde_json::Value;

use crate::running::Running;
use crate::say;

const EXAMPLES: &str = "\
Examples:
  director status
  director status --json
  director status --config director.toml
  director status --admin 127.0.0.1:7071

It asks where the director of this config, environment and user would listen. Exit status: 1 when nobody
answers there.";

/// Flags of `director status`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Status {
    #[command(flatten)]
    running: Running,
    /// As JSON, all of it
    #[arg(long)]
    json: bool,
}

impl Status {
    /// Asks, and prints the answer.
    pub(crate) fn run(self) -> ExitCode {
        let answer = match self
            .running
            .ask(|address| async move { admin::ask(&address, "/status").await })
        {
            Ok(answer) => answer,
            Err(code) => return code,
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
            "  {:<22} {:<22} {:<8} {:>8} {:>6} {:>10} {:>8}  {}",
            "node", "address", "standing", "load", "weight", "in flight", "pid", "agent"
        ));
        for node in list(&service["nodes"]) {
            lines.push(format!(
                "  {:<22} {:<22} {:<8} {:>8} {:>6} {:>10} {:>8}  {}",
                text(&node["name"]),
                text(&node["address"]),
                text(&node["standing"]),
                text(&node["load"]),
                text(&node["weight"]),
                text(&node["in_flight"]),
                text(&node["pid"]),
                agent(&node["agent"]),
            ));
        }
    }
    lines.join("\n")
}

/// What an agent says, in a word or two.
fn agent(says: &Value) -> String {
    if says.is_null() {
        return String::from("-");
    }
    let mut words = Vec::new();
    if says["silent"] == true {
        words.push(String::from("silent"));
    }
    if says["works"] == false {
        words.push(String::from("down"));
    }
    if says["takes"] == false {
        words.push(String::from("drain"));
    }
    if says["percent"] != 100 {
        words.push(format!("{}%", says["percent"]));
    }
    if let Some(reason) = says["reason"].as_str() {
        words.push(format!("({reason})"));
    }
    if words.is_empty() {
        words.push(String::from("up"));
    }
    words.join(" ")
}
