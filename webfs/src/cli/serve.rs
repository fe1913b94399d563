//! `webfs serve`: one server of a group.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

use crate::core::Rules;
use crate::http::{self, Settings};
use crate::letter::ServerId;
use crate::server::{Durability, Fatal, Owner, Server, ServerConfig};

use super::{CliError, print_line};

/// How long requests may take to end once the server is told to stop, and then the server itself.
const GRACE: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
Examples:
  webfs serve --id a --data /var/lib/webfs --alone
  webfs serve --id a --listen 10.0.0.1:7100 --data /var/lib/webfs --join 10.0.0.2:7100,10.0.0.3:7100

A server prints one line when it listens. It ends on SIGTERM or SIGINT, with its last entry on disk.";

/// Flags of `webfs serve`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Serve {
    /// This server's id: one to five letters a-z, unique in its group, for ever
    #[arg(long)]
    id: ServerId,
    /// Where clients and the other servers reach it; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:4437")]
    listen: String,
    /// Where it keeps what it stores; made when it is not there
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The other servers of the group; its own address may be among them
    #[arg(long, value_name = "HOST:PORT,...", value_delimiter = ',')]
    join: Vec<String>,
    /// How often gathered entries go to the other servers; a plain number is milliseconds, 0 is at once
    #[arg(long, value_name = "TIME", default_value = "300ms", value_parser = time)]
    interval: Duration,
    /// What an acknowledgement waits for: disk outlives a power cut, memory only the process
    #[arg(long, value_enum, default_value_t = DurabilityArg::Disk)]
    durability: DurabilityArg,
    /// The group is this server alone
    #[arg(long, conflicts_with = "join")]
    alone: bool,
    /// How long a long-poll waits
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = time)]
    long_poll: Duration,
    /// End when standard input does: a program that starts servers takes them with it, however it ends
    #[arg(long)]
    until_stdin_closes: bool,
    /// Switch a rule off, to show that a checker finds the fault that the rule is there for
    #[arg(
        long,
        value_name = "RULE",
        value_enum,
        value_delimiter = ',',
        hide = true
    )]
    without: Vec<RuleArg>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum RuleArg {
    /// An entry is not delivered to a reader whose cursor covers any of its names.
    Names,
    /// A start leaps over every index that may have been used.
    Leap,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum DurabilityArg {
    Disk,
    Memory,
}

impl Serve {
    pub(super) async fn run(self) -> Result<(), CliError> {
        let listener = TcpListener::bind(&self.listen).await.map_err(|error| {
            CliError::Failed(format!("cannot listen on {}: {error}", self.listen))
        })?;
        let address = self.address(&listener)?;
        let config = self.config(address.clone());
        let settings = Settings {
            long_poll: self.long_poll,
            max_body: config.limits.append,
            ..Settings::default()
        };
        for rule in &self.without {
            tracing::warn!(
                ?rule,
                "a rule is switched off: messages may be lost, or shown twice"
            );
        }
        let ending = Ending::watch(self.until_stdin_closes)?;
        let (server, owner) = Server::start(config)
            .await
            .map_err(|error| CliError::Failed(error.to_string()))?;
        let line = format!(
            "webfs {} listening on {address}, data {}",
            self.id,
            self.data.display()
        );
        print_line(line.as_bytes())?;
        serve(listener, server, owner, settings, ending).await
    }

    /// The address as others know it: the host as it was given, the port as it is.
    fn address(&self, listener: &TcpListener) -> Result<String, CliError> {
        let bound = listener
            .local_addr()
            .map_err(|error| CliError::Failed(format!("no address: {error}")))?;
        let host = self.listen.rsplit_once(':').map(|(host, _port)| host);
        Ok(match host {
            Some(host) => format!("{host}:{}", bound.port()),
            None => bound.to_string(),
        })
    }

    fn config(&self, listen: String) -> ServerConfig {
        ServerConfig {
            // `--join ''` is what a group of one comes down to when a program starts it.
            join: self
                .join
                .iter()
                .filter(|address| !address.is_empty())
                .cloned()
                .collect(),
            interval: self.interval,
            durability: match self.durability {
                DurabilityArg::Disk => Durability::Disk,
                DurabilityArg::Memory => Durability::Memory,
            },
            alone: self.alone,
            rules: Rules {
                names: !self.without.contains(&RuleArg::Names),
                leap: !self.without.contains(&RuleArg::Leap),
                ..Rules::default()
            },
            ..ServerConfig::new(self.id, listen, &self.data)
        }
    }
}

/// Serves until it is told to end, or has to end by itself.
async fn serve(
    listener: TcpListener,
    server: Server,
    mut owner: Owner,
    settings: Settings,
    mut ending: Ending,
) -> Result<(), CliError> {
    let (stop, stopped) = watch::channel(false);
    let http = http::serve(listener, server, settings, stopped, GRACE);
    tokio::pin!(http);
    let result: Result<(), Fatal> = tokio::select! {
        // Ends by itself only when it is stopped.
        _aborted = &mut http => return Ok(()),
        fatal = owner.failed() => Err(fatal),
        reason = ending.next() => {
            tracing::info!(reason, "stopping");
            Ok(())
        }
    };
    // The receiver is held by `http`.
    let _gone = stop.send(true);
    let aborted = http.await;
    if aborted > 0 {
        tracing::warn!(aborted, "connections did not end in time");
    }
    owner.stop(GRACE).await;
    result.map_err(|fatal| CliError::Failed(fatal.to_string()))
}

/// What tells the server to end.
struct Ending {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    stdin: Option<oneshot::Receiver<()>>,
}

impl Ending {
    fn watch(stdin: bool) -> Result<Self, CliError> {
        let signal = |kind| {
            signal(kind).map_err(|error| CliError::Failed(format!("no signal handler: {error}")))
        };
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            stdin: stdin.then(end_of_stdin).transpose()?,
        })
    }

    /// Returns the reason. Cancel safe.
    async fn next(&mut self) -> &'static str {
        let stdin = async {
            match &mut self.stdin {
                Some(ended) => {
                    let _ended = ended.await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            () = stdin => "standard input ended",
        }
    }
}

/// Watches standard input from a thread of its own, which ends with it or with the process: a blocking
/// read cannot be called off.
fn end_of_stdin() -> Result<oneshot::Receiver<()>, CliError> {
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || {
            // Whatever is sent is not for us; an error is an end too.
            let _copied = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            // Nobody listens when the server ends by itself.
            let _nobody = ended.send(());
        })
        .map_err(|error| CliError::Failed(format!("no thread for standard input: {error}")))?;
    Ok(end)
}

/// A time: `300ms`, `2s`, or milliseconds.
fn time(text: &str) -> Result<Duration, String> {
    let (number, per_second) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, false),
        (None, Some(number)) => (number, true),
        (None, None) => (text, false),
    };
    let number: u32 = number
        .parse()
        .map_err(|_| format!("{text:?} is no time: 300ms, 2s and 300 are"))?;
    Ok(match per_second {
        true => Duration::from_secs(number.into()),
        false => Duration::from_millis(number.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_milliseconds_unless_they_say_otherwise() {
        assert_eq!(time("300ms"), Ok(Duration::from_millis(300)));
        assert_eq!(time("20"), Ok(Duration::from_millis(20)));
        assert_eq!(time("0"), Ok(Duration::ZERO));
        assert_eq!(time("2s"), Ok(Duration::from_secs(2)));
        for bad in ["", "s", "ms", "-1", "1.5s", "1m", "1 s", "99999999999"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
