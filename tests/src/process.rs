//! A program under test: its lines, its signals, its end. None outlives its [`Program`].

use std::collections::VecDeque;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Lines of stderr that are kept, and shown when something was waited for in vain.
const KEPT: usize = 400;

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    name: String,
    pid: Pid,
    child: Child,
    stdin: Option<ChildStdin>,
    out: Arc<Lines>,
    err: Arc<Lines>,
    readers: [JoinHandle<()>; 2],
}

#[derive(Debug, Default)]
struct Lines {
    kept: Mutex<VecDeque<String>>,
    more: Notify,
}

impl Program {
    /// Starts it with stdin, stdout and stderr piped. `name` is for messages.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, mut command: Command) -> io::Result<Self> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("{name}: {:?}: {error}", command.as_std().get_program()),
            )
        })?;
        let pid = child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let pid = pid.ok_or_else(|| io::Error::other(format!("{name} has no process id")))?;
        let (out, err) = (Arc::<Lines>::default(), Arc::<Lines>::default());
        let readers = [
            tokio::spawn(gather(child.stdout.take(), Arc::clone(&out), usize::MAX)),
            tokio::spawn(gather(child.stderr.take(), Arc::clone(&err), KEPT)),
        ];
        let stdin = child.stdin.take();
        Ok(Self {
            name: name.to_owned(),
            pid,
            child,
            stdin,
            out,
            err,
            readers,
        })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Takes the next line of stdout in which `needle` stands, passing over those before it.
    ///
    /// # Errors
    /// When none came in time, or the program ended without one; with the end of stderr.
    ///
    /// # Cancel safety
    /// Nothing is lost but the lines passed over.
    pub async fn line_with(&mut self, needle: &str, within: Duration) -> io::Result<String> {
        let out = Arc::clone(&self.out);
        let search = async {
            loop {
                let more = out.more.notified();
                let found = {
                    let mut kept = lock(&out.kept);
                    std::iter::from_fn(|| kept.pop_front()).find(|line| line.contains(needle))
                };
                if found.is_some() || self.readers[0].is_finished() && lock(&out.kept).is_empty() {
                    return found;
                }
                // The last line and the end may come between the look and the wait.
                let _looked_again = tokio::time::timeout(Duration::from_millis(50), more).await;
            }
        };
        match tokio::time::timeout(within, search).await {
            Ok(Some(line)) => Ok(line),
            Ok(None) => Err(self.trouble(&format!("ended without a line with `{needle}`"))),
            Err(_) => Err(self.trouble(&format!("said no `{needle}` within {within:?}"))),
        }
    }

    /// All lines of stdout that were not taken yet.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        lock(&self.out.kept).iter().cloned().collect()
    }

    /// The end of stderr.
    #[must_use]
    pub fn stderr(&self) -> String {
        lock(&self.err.kept)
            .iter()
            .map(|line| format!("{line}\n"))
            .collect()
    }

    /// An error that says what was wrong, and what the program said.
    #[must_use]
    pub fn trouble(&self, what: &str) -> io::Error {
        let (name, stderr) = (&self.name, self.stderr());
        io::Error::other(format!(
            "{name} (pid {}) {what}; its stderr:\n{stderr}",
            self.pid()
        ))
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        kill_process(self.pid, signal).map_err(Into::into)
    }

    /// `kill -9`, and waits for the end, which takes no time of the program's own.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn kill(&mut self) -> io::Result<()> {
        self.signal(Signal::KILL)?;
        self.child.wait().await.map(|_status| ())
    }

    /// Types a line into its stdin.
    ///
    /// # Errors
    /// When its stdin is closed.
    pub async fn type_line(&mut self, line: &str) -> io::Result<()> {
        let stdin = self
            .stdin
            .as_mut()
            .ok_or_else(|| io::Error::other("its stdin is closed"))?;
        stdin.write_all(format!("{line}\n").as_bytes()).await?;
        stdin.flush().await
    }

    /// Closes its stdin: the end of whoever started it, as the program sees it.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it has not ended in time.
    pub async fn ended(&mut self, within: Duration) -> io::Result<ExitStatus> {
        let Ok(status) = tokio::time::timeout(within, self.child.wait()).await else {
            return Err(self.trouble(&format!("had not ended after {within:?}")));
        };
        for reader in &mut self.readers {
            // A grandchild may hold the pipe open; what was said until then is enough.
            let _late = tokio::time::timeout(Duration::from_secs(1), reader).await;
        }
        status
    }

    /// Whether it has ended already.
    ///
    /// # Errors
    /// When its state cannot be asked.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        self.child.try_wait().map(|status| status.is_some())
    }

    /// Open descriptors.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn descriptors(&self) -> io::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.pid()))?.count())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        for reader in &self.readers {
            reader.abort();
        }
    }
}

/// Whether a process with this id is there (a zombie is not).
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // pid (name) state ...; the name may hold anything.
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// Sends a signal to a process that this one did not start itself.
///
/// # Errors
/// When there is no such process.
pub fn signal(pid: u32, signal: Signal) -> io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("no process id"))?;
    kill_process(pid, signal).map_err(Into::into)
}

/// Asks `holds` every 10 ms until it says yes.
///
/// # Errors
/// When it never did, with `what` was waited for.
pub async fn until(
    what: &str,
    within: Duration,
    mut holds: impl FnMut() -> bool,
) -> io::Result<()> {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(within, wait).await;
    waited.map_err(|_| io::Error::other(format!("not within {within:?}: {what}")))
}

async fn gather(pipe: Option<impl AsyncRead + Unpin>, lines: Arc<Lines>, most: usize) {
    let Some(pipe) = pipe else { return };
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    while let Ok(1..) = pipe.read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        line.clear();
        {
            let mut kept = lock(&lines.kept);
            if kept.len() >= most {
                kept.pop_front();
            }
            kept.push_back(text);
        }
        lines.more.notify_waiters();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
