//! The client's end of a data connection.
//!
//! `PASV`, `EPSV`, `PORT` and `EPRT` leave a [`ClientEnd`]; the next transfer takes it and makes a
//! [`ClientData`] of it, which stays open however often the transfer changes its node.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::time::Duration;

use director_sdk::{ClientStream, ClientTls, Director, Elapsed, Failure, Kind, Listener, Who};

/// How long a client may take to make its data connection. It has asked for the transfer, so it is
/// about to.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the client's last command about data connections left: good for one transfer.
#[derive(Debug, Default)]
pub(crate) enum ClientEnd {
    /// Nothing: a transfer is answered with 425.
    #[default]
    Nowhere,
    /// We listen.
    Passive(Listener<ClientStream>),
    /// The client listens at this port.
    Active(u16),
}

/// A connection that is being made.
type Connecting = Pin<Box<dyn Future<Output = io::Result<ClientStream>> + Send>>;

impl ClientEnd {
    /// Listens beside the control connection, for its client alone, in place of whatever was before.
    /// The port is bound when this returns, so a reply may name it.
    ///
    /// # Errors
    ///
    /// No port of the range is free, or the host allows no more listeners.
    pub(crate) fn listen(
        &mut self,
        director: &Director,
        control: &ClientStream,
        ports: RangeInclusive<u16>,
    ) -> io::Result<SocketAddr> {
        // What was before makes room first: it may hold the only port of the range.
        *self = Self::Nowhere;
        let listener = director.listen(control, ports, Who::Peer)?;
        let address = listener.address();
        *self = Self::Passive(listener);
        Ok(address)
    }

    /// The data connection of a transfer that begins now; `None` when the client has said nothing of
    /// where to. `tls` says how the connection is protected, if it is, and whether it must resume the
    /// control connection's session; `patience` how long the client may take nothing.
    pub(crate) fn take(
        &mut self,
        director: &Director,
        control: &ClientStream,
        (tls, reuse): (Option<ClientTls>, bool),
        patience: Duration,
    ) -> Option<ClientData> {
        let state = match std::mem::take(self) {
            Self::Nowhere => return None,
            Self::Passive(listener) => State::Listening(listener),
            Self::Active(port) => State::Connecting(Box::pin(director.connect(control, port))),
        };
        Some(ClientData {
            state,
            tls,
            reuse,
            patience,
        })
    }
}

/// The client's data connection of one transfer. Dropped, it is reset: only
/// [`close`](Self::close) says that all is well.
pub(crate) struct ClientData {
    state: State,
    /// The handshake that is still to come.
    tls: Option<ClientTls>,
    /// It must resume the control connection's session.
    reuse: bool,
    /// How long the client may take nothing.
    patience: Duration,
}

enum State {
    Listening(Listener<ClientStream>),
    Connecting(Connecting),
    Open(ClientStream),
    /// It could not be made.
    Failed,
}

impl ClientData {
    /// Waits until the connection is there; at once when it is.
    ///
    /// # Errors
    ///
    /// 425, by the client: it did not come, or could not be reached. The link is as it was.
    ///
    /// # Cancel safety
    ///
    /// It may be called again.
    pub(crate) async fn connected(&mut self, director: &Director) -> Result<(), Failure> {
        let made = match &mut self.state {
            State::Listening(listener) => director.timeout(PATIENCE, listener.accept()).await,
            State::Connecting(connecting) => director.timeout(PATIENCE, connecting).await,
            State::Open(_) => return Ok(()),
            State::Failed => return Err(not_made("it failed before")),
        };
        self.state = State::Failed;
        match made {
            Ok(Ok(stream)) => {
                self.state = State::Open(stream);
                Ok(())
            }
            Ok(Err(error)) => Err(not_made(&error.to_string())),
            Err(elapsed) => Err(not_made(&elapsed.to_string())),
        }
    }

    /// The stream, protected as the client has asked: after the mark (150), for clients begin their
    /// handshake when they have seen it.
    ///
    /// # Errors
    ///
    /// By the client: 425 when there is no connection or its handshake failed, 522 when the session
    /// of the control connection was to be reused and was not (RFC 4217 §10.2).
    pub(crate) async fn stream(
        &mut self,
        director: &Director,
    ) -> Result<&mut ClientStream, Failure> {
        let State::Open(stream) = &mut self.state else {
            return Err(not_made("it was never made"));
        };
        let Some(tls) = self.tls.take() else {
            return Ok(stream);
        };
        let begun = director.timeout(PATIENCE, stream.start_tls(tls)).await;
        let wrong = match begun {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(elapsed) => Some(elapsed.to_string()),
        };
        if let Some(wrong) = wrong {
            let why = stream.trouble().unwrap_or(wrong);
            let code = if self.reuse { 522 } else { 425 };
            return Err(by_client(
                code,
                format!("TLS on the data connection: {why}"),
            ));
        }
        Ok(stream)
    }

    /// How long the client may take nothing.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Ends a connection over which nothing went, and nothing will: no file was begun on it.
    ///
    /// # Errors
    ///
    /// The client is gone, or does not take the end.
    pub(crate) async fn refuse(self, director: &Director) -> Result<(), Failure> {
        match self.state {
            State::Open(stream) => end(stream, director, self.patience).await,
            State::Listening(_) | State::Connecting(_) | State::Failed => Ok(()),
        }
    }

    /// Says the end of the file, once the client's side has taken all of it.
    ///
    /// # Errors
    ///
    /// The client is gone, or takes nothing.
    pub(crate) async fn close(mut self, director: &Director) -> Result<(), Failure> {
        self.stream(director).await?;
        match self.state {
            State::Open(stream) => end(stream, director, self.patience).await,
            State::Listening(_) | State::Connecting(_) | State::Failed => {
                Err(not_made("it was never made"))
            }
        }
    }
}

/// Flushes and closes, for as long as the client takes something.
async fn end(
    mut stream: ClientStream,
    director: &Director,
    patience: Duration,
) -> Result<(), Failure> {
    loop {
        let before = stream.info().accepted;
        let ending = async {
            stream.flush().await?;
            stream.close().await
        };
        match director.timeout(patience, ending).await {
            Ok(ended) => return Ok(ended?),
            Err(Elapsed) if stream.info().accepted == before => {
                return Err(takes_nothing(patience));
            }
            Err(Elapsed) => {}
        }
    }
}

/// The client is there, and takes nothing of what it has asked for.
pub(crate) fn takes_nothing(patience: Duration) -> Failure {
    let detail = format!("the client took nothing for {patience:?}");
    Failure::new(Kind::ClientGone, detail).by_client()
}

fn not_made(why: &str) -> Failure {
    by_client(425, format!("no data connection to the client: {why}")).fit()
}

fn by_client(code: u32, detail: String) -> Failure {
    Failure::new(Kind::ClientGone, detail)
        .by_client()
        .with_code(code)
}
