//! Starts one node, starts it again when it dies, and ends it with the director.

use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::BufReader;
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{SpawnError, Spawned, lines};
use crate::chance;
use crate::host::Stop;

/// First wait before a node is started again; it doubles.
const WAIT: Duration = Duration::from_millis(100);
/// Longest such wait.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// A node that ran this long was a good one: the waits begin anew.
const GOOD: Duration = Duration::from_secs(10);
/// How long it may take to end once its standard input has.
const GRACE: Duration = Duration::from_secs(3);
/// How long its outputs are read after it has ended.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A process, with the pipe that holds it.
struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    since: Instant,
    /// Carry its outputs into our log.
    logs: JoinSet<()>,
    /// The last line of them.
    last: Arc<Mutex<String>>,
}

impl Running {
    /// Waits for its last words and returns the last line of them. Whoever inherited its outputs may hold
    /// them open: not for long.
    async fn last_words(&mut self) -> String {
        let all = async { while self.logs.join_next().await.is_some() {} };
        let _in_time = tokio::time::timeout(LAST_WORDS, all).await;
        self.logs.shutdown().await;
        std::mem::take(&mut *self.last.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Keeps one node running until `stop`, then ends it: its standard input is closed, and after three
/// seconds it is killed. `started` is told at every start, the first one included.
///
/// # Errors
/// [`SpawnError::NoStart`], only of the first start; later ones are tried again.
///
/// # Cancel safety
/// Dropping the future kills the process.
pub async fn supervise(
    node: Arc<Spawned>,
    started: impl Fn(&Spawned),
    stop: Stop,
) -> Result<(), SpawnError> {
    let mut running = Some(start(&node).map_err(|source| SpawnError::NoStart {
        node: format!("{}/{}", node.service, node.id),
        program: node.command.first().cloned().unwrap_or_default(),
        source,
    })?);
    started(&node);
    let mut wait = WAIT;
    loop {
        if let Some(process) = &mut running {
            let status = tokio::select! {
                () = stop.stopping() => break,
                status = process.child.wait() => status,
            };
            node.pid.store(0, Ordering::Relaxed);
            let last = process.last_words().await;
            // Whoever was killed had no last words.
            let killed = status.as_ref().is_ok_and(|status| status.code().is_none());
            let last = if killed { String::new() } else { last };
            let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            let (service, id) = (node.service.as_str(), node.id.as_str());
            tracing::warn!(
                service,
                node = id,
                how,
                last,
                "a spawned node ended; it is started again"
            );
            if process.since.elapsed() >= GOOD {
                wait = WAIT;
            }
        }
        tokio::select! {
            () = stop.stopping() => return Ok(()),
            () = tokio::time::sleep(wait.mul_f64(0.75 + 0.5 * chance::share())) => {}
        }
        wait = wait.saturating_mul(2).min(WAIT_MAX);
        running = match start(&node) {
            Ok(running) => {
                started(&node);
                Some(running)
            }
            Err(error) => {
                let (service, id) = (node.service.as_str(), node.id.as_str());
                tracing::warn!(service, node = id, %error, "a spawned node does not start");
                None
            }
        };
    }
    if let Some(running) = running {
        end(&node, running).await;
    }
    Ok(())
}

fn start(node: &Arc<Spawned>) -> std::io::Result<Running> {
    let mut parts = node.command.iter();
    let program = parts
        .next()
        .ok_or_else(|| std::io::Error::other("the command is empty"))?;
    let mut child = Command::new(program)
        .args(parts)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Control-C in a terminal is meant for the director, which then ends its nodes in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let mut logs = JoinSet::new();
    let last = Arc::default();
    if let Some(stderr) = child.stderr.take() {
        logs.spawn(log(
            Arc::clone(node),
            Arc::clone(&last),
            BufReader::new(stderr),
        ));
    }
    if let Some(stdout) = child.stdout.take() {
        logs.spawn(log(
            Arc::clone(node),
            Arc::clone(&last),
            BufReader::new(stdout),
        ));
    }
    node.pid.store(child.id().unwrap_or(0), Ordering::Relaxed);
    node.starts.fetch_add(1, Ordering::Relaxed);
    Ok(Running {
        stdin: child.stdin.take(),
        child,
        since: Instant::now(),
        logs,
        last,
    })
}

/// Carries one output into the log, until whoever holds it is gone.
async fn log<R>(node: Arc<Spawned>, last: Arc<Mutex<String>>, output: R)
where
    R: tokio::io::AsyncBufRead + Unpin,
{
    lines::each(output, |line| {
        let (service, id) = (node.service.as_str(), node.id.as_str());
        // Its own levels are not ours to know; most programs write these two words.
        if line.contains("WARN") || line.contains("ERROR") {
            tracing::warn!(target: "director::spawned", "{service}/{id}: {line}");
        } else {
            tracing::debug!(target: "director::spawned", "{service}/{id}: {line}");
        }
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        line.clone_into(&mut last);
    })
    .await;
}

/// Ends the process and waits for it.
async fn end(node: &Spawned, mut running: Running) {
    drop(running.stdin.take());
    let ended = tokio::time::timeout(GRACE, running.child.wait()).await;
    let (service, id) = (node.service.as_str(), node.id.as_str());
    if ended.is_err() {
        tracing::warn!(
            service,
            node = id,
            "a spawned node does not end; it is killed"
        );
        if let Err(error) = running.child.kill().await {
            tracing::warn!(service, node = id, %error, "a spawned node cannot be killed");
        }
    }
    let _nobody_asks = running.last_words().await;
    node.pid.store(0, Ordering::Relaxed);
}
