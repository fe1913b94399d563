//! `director proxy`: serves clients.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use director_core::config::{Config, Flags, Written};
use director_core::run::{self, Notice, RunError};

use crate::{BUILT_IN, log, say};

const EXAMPLES: &str = "\
Examples:
  director proxy --service chat
  director proxy --service chat --listen 127.0.0.1:8080
  director proxy --config director.toml --log debug

Without --config it is a built-in config: the service `chat`, with three WebFS servers on this machine.
Every setting can also be given in the environment: DIRECTOR_SERVICES__CHAT__LISTEN=127.0.0.1:8080.
On SIGTERM or SIGINT it accepts no more clients and lets sessions end; a second one ends it at once.";

/// Flags of `director proxy`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Proxy {
    /// The config file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only this service of it; may be given several times
    #[arg(long = "service", value_name = "NAME")]
    services: Vec<String>,
    /// Where the service listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where the admin listener is: a unix socket's path or a loopback address
    #[arg(long, value_name = "PATH|ADDRESS")]
    admin: Option<String>,
    /// Where spawned servers and plugins keep their data
    #[arg(long, value_name = "DIR")]
    state_dir: Option<String>,
    /// Threads that serve sessions; 0 is one a core
    #[arg(long, value_name = "COUNT")]
    threads: Option<u32>,
    /// What is logged: error, warn, info, debug, trace, or a filter such as director_core=debug
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

impl Proxy {
    /// Runs it to its end.
    pub(crate) fn run(self) -> ExitCode {
        let written = match &self.config {
            Some(path) => Written::File(path),
            None => Written::BuiltIn(BUILT_IN),
        };
        let flags = Flags {
            services: self.services,
            listen: self.listen,
            admin: self.admin,
            state_dir: self.state_dir,
            threads: self.threads,
            log: self.log,
        };
        let config = match Config::load(written, &flags) {
            Ok(config) => config,
            Err(mistakes) => return say::mistakes(&mistakes, say::USAGE),
        };
        if let Err(error) = log::start(&config.settings.log) {
            return say::mistakes(&[log_mistake(&config, &error)], say::USAGE);
        }
        let director = match std::env::current_exe() {
            Ok(path) => path,
            Err(error) => return say::failure(&error),
        };
        let built_in = self.config.is_none();
        let ran = run::run(&config, &director, move |notice| tell(notice, built_in));
        match ran {
            Ok(()) => ExitCode::SUCCESS,
            Err(RunError::Mistakes(mistakes)) => say::mistakes(&mistakes, say::USAGE),
            Err(RunError::CannotListen(mistakes)) => say::mistakes(&mistakes, 1),
            Err(error) => say::failure(&error),
        }
    }
}

/// A log filter that is none.
pub(crate) fn log_mistake(
    config: &Config,
    error: &dyn std::error::Error,
) -> director_core::config::Mistake {
    let text = format!(
        "found {:?}, right would be a log filter, such as \"info\" ({error})",
        config.settings.log
    );
    config.mistake_at(&["log"], &text)
}

/// One line a notice. The built-in config's service has a page to look at.
fn tell(notice: &Notice<'_>, built_in: bool) {
    match notice {
        Notice::Listening {
            service,
            address,
            instead_of,
        } => match instead_of {
            Some(wanted) => say::line(format_args!(
                "service {service} listening on {address}, because another program listens on {wanted}"
            )),
            None => say::line(format_args!("service {service} listening on {address}")),
        },
        Notice::ListeningTls { service, address } => say::line(format_args!(
            "service {service} listening with TLS on {address}"
        )),
        Notice::Admin { place } => say::line(format_args!("admin listening on {place}")),
        Notice::Started(node) => say::line(format_args!(
            "node {} pid {} listening on {}, data {}",
            node.id,
            node.pid().unwrap_or_default(),
            node.address,
            node.data.display()
        )),
        Notice::Ready { address, .. } if built_in => {
            say::line(format_args!("open http://{address}/"))
        }
        Notice::Ready { .. } => {}
        Notice::Stopping => say::line("stopping; once more to stop at once"),
    }
}
