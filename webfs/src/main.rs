//! The command line of WebFS by itself; `director webfs` offers the same.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;

/// WebFS: a group of file servers in which chat rooms are files.
#[derive(Parser)]
#[command(name = "webfs", version, arg_required_else_help = true)]
struct Args {
    #[command(subcommand)]
    command: webfs::cli::Command,
}

fn main() -> ExitCode {
    webfs::cli::run(Args::parse().command)
}
