//! Transfers of the model server: the data connection beside the control connection.

use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use director_sdk::testing::{Wire, WireListener};
use futures_util::future::{Either, select};

use super::server::{Quirk, Server};
use super::session::{DataEnd, Session};

/// How long a server waits for its data connection.
const PATIENCE: Duration = Duration::from_secs(60);

/// What goes over the data connection.
pub(super) enum Job {
    Send(Vec<u8>),
    Receive {
        path: Vec<u8>,
        at: usize,
        ascii: bool,
    },
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    Broken,
    NoConnection,
    /// The data connection's TLS did not resume a session.
    Unprotected,
    Aborted,
    /// It goes, and says so.
    Leaving,
    /// Its last word is said.
    Said,
}

/// What came while a server waited for its data connection.
enum Awaited {
    Data(io::Result<Wire>),
    Abort,
    Late,
}

impl Session {
    /// Opens the data connection, says `opening`, and does the job; hears ABOR and STAT meanwhile.
    pub(super) async fn transfer(&mut self, job: Job, opening: &str) -> io::Result<Outcome> {
        self.quirk = None;
        let end = std::mem::replace(&mut self.data, DataEnd::None);
        let data = match end {
            DataEnd::None => return Ok(Outcome::NoConnection),
            DataEnd::Active(port) => self.control.connect(port).await,
            DataEnd::Passive(listener) => match self.accept(listener).await? {
                Awaited::Data(data) => data,
                Awaited::Late => return Ok(Outcome::NoConnection),
                Awaited::Abort => return Ok(Outcome::Aborted),
            },
        };
        let Ok(mut data) = data else {
            return Ok(Outcome::NoConnection);
        };
        self.quirk = self.server.quirk.take();
        let style = self.server.settings.style;
        match self.quirk {
            Some(Quirk::DataFirst) => {
                let outcome = perform(&self.server, data, job).await;
                self.say(opening).await?;
                return Ok(outcome);
            }
            Some(Quirk::WordFirst) => {
                let said = format!("{opening}\r\n{}", style.transferred());
                self.say(said).await?;
                perform(&self.server, data, job).await;
                return Ok(Outcome::Said);
            }
            Some(Quirk::NoData) => {
                self.say(style.transferred()).await?;
                return Ok(Outcome::Said);
            }
            Some(Quirk::NoMark) => {}
            Some(Quirk::TwoMarks) => self.say(format!("{opening}\r\n{opening}")).await?,
            Some(Quirk::LeavesAtMark) => return Ok(Outcome::Leaving),
            Some(Quirk::Leaves(at)) => {
                self.server.trips.set(Some(at));
                self.say(opening).await?;
            }
            Some(Quirk::TwoWords | Quirk::LateWord | Quirk::NoWord | Quirk::LeavesAtEnd) | None => {
                self.say(opening).await?;
            }
        }
        if self.private {
            match data.start_tls(None).await {
                Ok(tls) if tls.resumed || !self.server.settings.require_reuse => {}
                Ok(_) => return Ok(Outcome::Unprotected),
                Err(_) => return Ok(Outcome::Broken),
            }
        }
        let server = Rc::clone(&self.server);
        let leaves = matches!(self.quirk, Some(Quirk::Leaves(_)));
        let mut work = pin!(perform_or_leave(&server, data, job, leaves));
        loop {
            let heard = {
                let line = pin!(self.control.line());
                match select(&mut work, line).await {
                    Either::Left((outcome, _)) => return Ok(outcome),
                    Either::Right((line, _)) => line?,
                }
            };
            match heard {
                // A server whose client has gone does not go on.
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(line) if is_abort(&line) => return Ok(Outcome::Aborted),
                Some(line) if line.eq_ignore_ascii_case(b"STAT") => {
                    self.say("211 A transfer is running.").await?;
                }
                Some(_) => self.say("503 A transfer is running.").await?,
            }
        }
    }

    /// Waits for the data connection; an ABOR ends the wait.
    async fn accept(&mut self, mut listener: WireListener) -> io::Result<Awaited> {
        let mut accept = pin!(listener.accept());
        let mut patience = pin!(self.control.sleep(PATIENCE));
        loop {
            let heard = {
                let line = pin!(self.control.line());
                match select(&mut accept, select(line, &mut patience)).await {
                    Either::Left((data, _)) => return Ok(Awaited::Data(data)),
                    Either::Right((Either::Right(_), _)) => return Ok(Awaited::Late),
                    Either::Right((Either::Left((line, _)), _)) => line?,
                }
            };
            match heard {
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(line) if is_abort(&line) => return Ok(Awaited::Abort),
                Some(_) => self.say("503 Bad sequence of commands.").await?,
            }
        }
    }
}

fn is_abort(line: &[u8]) -> bool {
    line.eq_ignore_ascii_case(b"ABOR")
}

async fn perform(server: &Server, data: Wire, job: Job) -> Outcome {
    perform_or_leave(server, data, job, false).await
}

/// `leaves`: it ends its data properly where it breaks off.
async fn perform_or_leave(server: &Server, mut data: Wire, job: Job, leaves: bool) -> Outcome {
    let done = match job {
        Job::Send(bytes) => send(server, &mut data, &bytes).await,
        Job::Receive { path, at, ascii } => receive(server, &mut data, &path, at, ascii).await,
    };
    match done {
        Ok(()) => Outcome::Done,
        Err(_) if leaves => {
            data.close();
            Outcome::Leaving
        }
        Err(_) => {
            data.reset();
            Outcome::Broken
        }
    }
}

async fn pause(server: &Server, data: &Wire, bytes: usize) {
    if let Some(rate) = std::num::NonZeroU64::new(server.settings.rate) {
        data.sleep(Duration::from_micros(bytes as u64 * 1_000_000 / rate.get()))
            .await;
    }
}

async fn send(server: &Server, data: &mut Wire, bytes: &[u8]) -> io::Result<()> {
    let (trips, stumbles) = (server.trips.take(), server.stumbles.take());
    let most = trips.or(stumbles).unwrap_or(bytes.len()).min(bytes.len());
    for piece in bytes[..most].chunks(server.settings.piece) {
        data.write_all(piece).await?;
        pause(server, data, piece.len()).await;
    }
    if trips.is_some() {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    data.close();
    let lingers = server.lingers.get();
    if !lingers.is_zero() {
        data.sleep(lingers).await;
    }
    if stumbles.is_some() {
        // What the peer saw is a proper end; what the reply says is not.
        data.read(&mut [0]).await?;
        return Err(io::ErrorKind::Other.into());
    }
    Ok(())
}

async fn receive(
    server: &Server,
    data: &mut Wire,
    path: &[u8],
    mut at: usize,
    ascii: bool,
) -> io::Result<()> {
    let mut most = server.trips.take();
    let mut piece = vec![0; server.settings.piece];
    // A CR at the end of a piece waits for what follows it.
    let mut cr = false;
    loop {
        let n = data.read(&mut piece).await?;
        let end = n == 0;
        let mut bytes = piece[..n].to_vec();
        if ascii {
            bytes = from_network(&bytes, &mut cr, end);
        }
        server.tree.borrow_mut().write(path, at, &bytes);
        at += bytes.len();
        if end {
            data.close();
            return Ok(());
        }
        pause(server, data, n).await;
        if let Some(left) = most {
            if left < n {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            most = Some(left - n);
        }
    }
}

/// CRLF to LF.
fn from_network(bytes: &[u8], cr: &mut bool, end: bool) -> Vec<u8> {
    let mut kept = Vec::new();
    for byte in bytes {
        if std::mem::take(cr) && *byte != b'\n' {
            kept.push(b'\r');
        }
        if *byte == b'\r' {
            *cr = true;
        } else {
            kept.push(*byte);
        }
    }
    if end && std::mem::take(cr) {
        kept.push(b'\r');
    }
    kept
}
