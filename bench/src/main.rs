//! The command line of the long runs.

#![forbid(unsafe_code)]

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bench::failover::report::{Bars, Report};
use bench::failover::run::{self, Settings};
use bench::ftp::figures::{self, Size};
use bench::ftp::report::{Figure, json, table};
use bench::ftp::{scale, switch};
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
    /// Measures FTP directly, through the director, through HAProxy and through ProFTPD's mod_proxy, in one
    /// run (takes root; `bench/install` installs the peers). Ends with 1 when a bar was missed.
    Ftp(Ftp),
}

#[derive(Parser)]
struct Ftp {
    /// Which figures.
    #[arg(long, value_parser = ["ways", "switch", "scale"], default_values = ["ways", "switch", "scale"])]
    only: Vec<String>,
    /// Paired rounds of each figure.
    #[arg(long, default_value_t = 21)]
    rounds: usize,
    /// MiB of the big file.
    #[arg(long, default_value_t = 1024)]
    mib: usize,
    /// Small files.
    #[arg(long, default_value_t = 2000)]
    small: usize,
    /// Sessions held at once for the memory of one.
    #[arg(long, default_value_t = 500)]
    sessions: usize,
    /// Switches of each kind.
    #[arg(long, default_value_t = 100)]
    switches: usize,
    /// How often each client of the scale figure fetches its file.
    #[arg(long, default_value_t = 40)]
    times: usize,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
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
    let done = match Arguments::parse().command {
        Command::Failover(arguments) => failover(&arguments),
        Command::Ftp(arguments) => measure_ftp(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs this program again in a network of its own, if it has none yet. Returns when it has.
fn in_own_network(why: &str) -> std::io::Result<()> {
    if network::is_own() {
        return Ok(());
    }
    if !network::may_make_one() {
        return Err(std::io::Error::other(format!(
            "{why} makes a network namespace, which takes root"
        )));
    }
    let mut inside = network::in_own_network(&std::env::current_exe()?);
    Err(inside.args(std::env::args_os().skip(1)).exec())
}

/// Whether every bar was met.
fn measure_ftp(arguments: &Ftp) -> std::io::Result<bool> {
    in_own_network("bench ftp")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let size = Size {
        rounds: arguments.rounds,
        big: arguments.mib << 20,
        small: arguments.small,
        sessions: arguments.sessions,
    };
    let mut figures = Vec::new();
    for what in &arguments.only {
        if !arguments.json {
            println!("bench ftp: {what}: running");
        }
        let measured = runtime.block_on(async {
            match what.as_str() {
                "ways" => figures::all(size).await,
                "switch" => switch::all(arguments.switches).await,
                _the_parser_knows_no_other => scale::all(arguments.times).await,
            }
        })?;
        if !arguments.json {
            print!("{}", table(&measured));
        }
        figures.extend(measured);
    }
    if arguments.json {
        println!("{:#}", json(&figures));
    }
    Ok(figures.iter().all(Figure::met))
}

/// Whether every promise was kept.
fn failover(arguments: &Failover) -> std::io::Result<bool> {
    if arguments.drop {
        in_own_network("--drop")?;
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
