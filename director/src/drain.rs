//! `director drain` and `undrain`: a node of a running director takes no new sessions, or takes them again.

use std::process::ExitCode;

use clap::Args;
use director_core::admin;

use crate::running::Running;
use crate::say;

const EXAMPLES: &str = "\
Examples:
  director drain 10.0.0.1:23 --service telnet
  director status --config director.toml       how many sessions are on it yet
  director undrain 10.0.0.1:23 --service telnet

Sessions on a node that drains stay until they end, or until the service's drain_deadline moves them.
A drain lasts until it is undone or the director ends. Exit status: 1 when nobody answers, or there is no such
node.";

/// Flags of both.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Drain {
    /// The node, by its name in `director status` or its address
    #[arg(value_name = "NODE")]
    node: String,
    /// Its service
    #[arg(long, value_name = "NAME")]
    service: String,
    #[command(flatten)]
    running: Running,
}

impl Drain {
    /// Says so to the director, and prints what it answers.
    pub(crate) fn run(self, path: &'static str) -> ExitCode {
        let order = serde_json::json!({ "service": self.service, "node": self.node });
        let asked = self
            .running
            .ask(|address| async move { admin::order(&address, path, &order).await });
        match asked {
            Ok(answer) => {
                say::line(String::from_utf8_lossy(&answer).trim_end());
                ExitCode::SUCCESS
            }
            Err(code) => code,
        }
    }
}
