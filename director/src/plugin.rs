//! `director plugin ...`: looks at plugins.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use director_core::host::{self, Description};
use director_core::plugins;

use crate::say;

const EXAMPLES: &str = "\
Examples:
  director plugin inspect chat
  director plugin inspect ./libmine.so --json

The file is read, and no code of it runs. Exit status: 0 when this director would load it, 1 when not.";

/// `director plugin ...`.
#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    /// Tell what a plugin's library says of itself, without running it
    #[command(after_help = EXAMPLES)]
    Inspect {
        /// A library's path, or a plugin's name
        #[arg(value_name = "FILE|NAME")]
        file: PathBuf,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

impl Plugin {
    /// Does it.
    pub(crate) fn run(self) -> ExitCode {
        match self {
            Self::Inspect { file, json } => inspect(&file, json),
        }
    }
}

fn inspect(file: &Path, json: bool) -> ExitCode {
    let found = if file.is_file() {
        Ok(file.to_owned())
    } else {
        plugins::find(&file.to_string_lossy(), &[])
    };
    let file = match found {
        Ok(file) => file,
        Err(error) => return say::failure(&error),
    };
    let description = match host::inspect(&file) {
        Ok(description) => description,
        Err(error) => return say::failure(&error),
    };
    if json {
        say::line(as_json(&description));
    } else {
        say::line(as_text(&description));
    }
    match description.check() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => say::failure(&error),
    }
}

fn as_json(description: &Description) -> serde_json::Value {
    serde_json::json!({
        "path": description.path.display().to_string(),
        "name": description.name,
        "version": description.version,
        "sdk": description.sdk,
        "target": description.target,
        "abi_major": description.abi_major,
        "abi_minor": description.abi_minor,
        "min_host_minor": description.min_host_minor,
        "panics_unwind": description.panics_unwind,
        "pooled_links": description.pooled_links,
    })
}

fn as_text(description: &Description) -> String {
    let yes_no = |yes| if yes { "yes" } else { "no" };
    [
        ("file", description.path.display().to_string()),
        ("name", description.name.clone()),
        ("version", description.version.clone()),
        ("sdk", description.sdk.clone()),
        ("target", description.target.clone()),
        (
            "boundary",
            format!("{}.{}", description.abi_major, description.abi_minor),
        ),
        (
            "needs a host of",
            format!("{}.{}", description.abi_major, description.min_host_minor),
        ),
        (
            "panics unwind",
            yes_no(description.panics_unwind).to_owned(),
        ),
        (
            "links are pooled",
            yes_no(description.pooled_links).to_owned(),
        ),
    ]
    .map(|(name, value)| format!("{name:<17} {value}"))
    .join("\n")
}
