//! The command line of the long runs.

#![forbid(unsafe_code)]

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bench::failover::report::{Bars, Report};
use bench::failover::run::{self, Settings};
use clap::{Parser, Subcommand};
use director_tests::network;

/// Long runs against the built programs.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Kills the servers of a chat under traffic, judges what its clients saw, and measures how long they
    /// waited. Ends with 1 when a promise was not kept.
    Failover(Failover),
}

#[derive(Parser)]
struct Failover {
    /// Repeats the plan of an earlier run; by chance otherwise.
    #[arg(long)]
    seed: Option<u64>,
    /// Faults: kills, silent deaths and refused restarts, by the seed.
    #[arg(long, default_value_t = 100)]
    kills: usize,
    /// Milliseconds between propagations.
    #[arg(long, default_value_t = 300)]
    interval: u64,
    /// Clients that write.
    #[arg(long, default_value_t = 5)]
    writers: u16,
    /// Clients that read.
    #[arg(long, default_value_t = 20)]
    readers: usize,
    /// Messages a second, of all writers together.
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// Drops the node's packets instead of killing it, in a network namespace (takes root).
    #[arg(long)]
    drop: bool,
    /// Every so many-th restart finds the data directory removed; 0 for none.
    #[arg(long, default_value_t = 10)]
    wipe_every: usize,
    /// Switches a rule off, to see that the judge finds what it should.
    #[arg(long, value_parser = ["outbox", "names", "min-offset", "leap"])]
    without: Vec<String>,
    /// The most that the gap after a kill may be at p99, in milliseconds.
    #[arg(long, default_value_t = 250)]
    gap_kill: u64,
    /// The same after a silent death.
    #[arg(long, default_value_t = 1000)]
    gap_silent: u64,
    /// Another chat plugin than the one beside this program.
    #[arg(long)]
    plugin: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let Command::Failover(arguments) = Arguments::parse().command;
    match failover(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether every promise was kept.
fn failover(arguments: &Failover) -> std::io::Result<bool> {
    if arguments.drop && !network::is_own() {
        if !network::may_make_one() {
            return Err(std::io::Error::other(
                "--drop makes a network namespace, which takes root",
            ));
        }
        let mut inside = network::in_own_network(&std::env::current_exe()?);
        return Err(inside.args(std::env::args_os().skip(1)).exec());
    }
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => getrandom::u64().map_err(|error| std::io::Error::other(error.to_string()))? >> 32,
    };
    let settings = Settings {
        seed,
        faults: arguments.kills,
        interval: Duration::from_millis(arguments.interval),
        writers: arguments.writers,
        readers: arguments.readers,
        rate: arguments.rate,
        drop: arguments.drop,
        wipe_every: arguments.wipe_every,
        without: arguments.without.clone(),
        plugin: arguments.plugin.clone(),
    };
    if !arguments.json {
        println!(
            "bench failover --seed {seed} --kills {}: running",
            arguments.kills
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(run::run(&settings))?;
    let bars = Bars {
        kill: Duration::from_millis(arguments.gap_kill),
        silent: Duration::from_millis(arguments.gap_silent),
    };
    let report = Report::new(settings, outcome, bars);
    if !report.failures.is_empty() {
        report.keep_details()?;
    }
    if arguments.json {
        println!("{:#}", report.json());
    } else {
        print!("{}", report.table());
        for failure in &report.failures {
            println!("FAILED: {failure}");
        }
        println!(
            "{}",
            if report.failures.is_empty() {
                "every promise was kept"
            } else {
                "not every promise was kept"
            }
        );
    }
    Ok(report.failures.is_empty())
}
