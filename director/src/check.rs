//! `director check`: every mistake in a config.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use director_core::config::{Config, Flags, Written};
use director_core::run;

use crate::{BUILT_IN, log, proxy, say};

const EXAMPLES: &str = "\
Examples:
  director check --config director.toml

Each mistake is one line on standard error: file, line, column, setting, what was found and what would be
right. Plugins are loaded, and check their own options. Exit status: 0 without a mistake, 2 with any.";

/// Flags of `director check`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Check {
    /// The config file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Check {
    /// Checks it.
    pub(crate) fn run(self) -> ExitCode {
        let written = match &self.config {
            Some(path) => Written::File(path),
            None => Written::BuiltIn(BUILT_IN),
        };
        let config = match Config::load(written, &Flags::default()) {
            Ok(config) => config,
            Err(mistakes) => return say::mistakes(&mistakes, say::USAGE),
        };
        let mut mistakes = Vec::new();
        if let Err(error) = log::start(&config.settings.log) {
            mistakes.push(proxy::log_mistake(&config, &error));
        }
        if let Err(more) = run::check(&config) {
            mistakes.extend(more);
        }
        if !mistakes.is_empty() {
            return say::mistakes(&mistakes, say::USAGE);
        }
        let names: Vec<&str> = config
            .settings
            .services
            .iter()
            .map(|service| service.name.as_str())
            .collect();
        let file = match &self.config {
            Some(path) => path.display().to_string(),
            None => String::from("built-in config"),
        };
        say::line(format_args!(
            "{file}: no mistake; services: {}",
            names.join(", ")
        ));
        ExitCode::SUCCESS
    }
}
