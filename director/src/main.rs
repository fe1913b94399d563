//! The command line: proxy, check, status, drain, undrain, plugin inspect, webfs.
//!
//! Exit status: 0 when it did what was asked, 1 when it failed, 2 when it was asked wrongly (a mistake in
//! the config is that too).

#![forbid(unsafe_code)]

mod check;
mod drain;
mod log;
mod plugin;
mod proxy;
mod running;
mod say;
mod status;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The config that is used without `--config`.
const BUILT_IN: &str = include_str!("built_in.toml");

const EXAMPLES: &str = "\
Examples:
  director proxy --service chat              start three servers and a chat on this machine
  director proxy --config director.toml      serve what the file says
  director check --config director.toml      tell every mistake in it
  director status                            what the director of this user is doing now
  director webfs chat http://127.0.0.1:7070/v1/stream/rooms/lobby --as ann";

/// Makes a cluster of peer servers look like one server that never fails.
#[derive(Debug, Parser)]
#[command(name = "director", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve clients until SIGTERM or SIGINT
    Proxy(proxy::Proxy),
    /// Tell every mistake in a config, and start nothing
    Check(check::Check),
    /// Ask a running director what it is doing
    Status(status::Status),
    /// Have a node of a running director take no new sessions
    Drain(drain::Drain),
    /// Have it take them again
    Undrain(drain::Drain),
    /// Look at plugins
    Plugin {
        #[command(subcommand)]
        command: plugin::Plugin,
    },
    /// Run WebFS servers, and talk to them
    Webfs {
        #[command(subcommand)]
        command: webfs::cli::Command,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Proxy(proxy) => proxy.run(),
        Command::Check(check) => check.run(),
        Command::Status(status) => status.run(),
        Command::Drain(drain) => drain.run("/drain"),
        Command::Undrain(drain) => drain.run("/undrain"),
        Command::Plugin { command } => command.run(),
        Command::Webfs { command } => webfs::cli::run(command),
    }
}
