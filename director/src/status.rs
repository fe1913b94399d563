//! `director status`: asks a running director.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use director_core::admin;
use director_core::config::{AdminAddress, Config, Flags, Mistake, Written};
use serde_json::Value;

use crate::{BUILT_IN, say};

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
    /// The director's config file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where its admin listener is, as it printed it
    #[arg(long, value_name = "PATH|ADDRESS")]
    admin: Option<String>,
    /// Its state directory, with its admin socket in it
    #[arg(long, value_name = "DIR")]
    state_dir: Option<String>,
    /// As JSON, all of it
    #[arg(long)]
    json: bool,
}

impl Status {
    /// Asks, and prints the answer.
    pub(crate) fn run(self) -> ExitCode {
        let address = match self.address() {
            Ok(address) => address,
            Err(mistakes) => return say::mistakes(&mistakes, say::USAGE),
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

    fn address(&self) -> Result<AdminAddress, Vec<Mistake>> {
        let written = match &self.config {
            Some(path) => Written::File(path),
            None => Written::BuiltIn(BUILT_IN),
        };
        // As the director printed it, the path of a socket has a prefix.
        let admin = self.admin.as_deref();
        let flags = Flags {
            admin: admin.map(|text| text.strip_prefix("unix:").unwrap_or(text).to_owned()),
            state_dir: self.state_dir.clone(),
            ..Flags::default()
        };
        Config::load(written, &flags).map(|config| config.settings.admin)
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
