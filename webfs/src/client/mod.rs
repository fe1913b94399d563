//! A small client of the protocol, for the command line: one connection at a time, reads that go on
//! where they were lost, writes that may be sent again.

pub mod events;
mod follow;
mod post;
mod url;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{self, Instant};

use crate::stream::ContentType;

pub use follow::{Follow, Update};
pub use post::{Posted, Poster};
pub use url::{BadUrl, Url};

/// How long connecting, and waiting for an answer's head, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long "not now" is taken for an answer, and the wait before asking again.
const NOT_NOW: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);
/// Most bytes of an answer that is read whole.
const MAX_BODY: usize = 64 << 20;
/// Most bytes shown of an error's text.
const MAX_ERROR: usize = 4096;

/// What went wrong, and with whom.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection.
    #[error("cannot connect to {authority}: {source}")]
    Connect {
        /// `host:port`.
        authority: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The connection was lost, or what came over it is no HTTP.
    #[error("the connection was lost: {0}")]
    Lost(#[from] hyper::Error),
    /// Nothing came in time.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
    /// What was to be sent cannot be a request.
    #[error("this cannot be sent: {0}")]
    Unsendable(String),
    /// The server said no.
    #[error("{status}: {text}")]
    Refused {
        /// The answer's status.
        status: StatusCode,
        /// What it said about it.
        text: String,
    },
    /// The server said something that the protocol has no place for.
    #[error("the answer makes no sense: {0}")]
    Garbled(String),
}

impl ClientError {
    /// Whether the same request may be answered well a little later, or by another server.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Lost(_) | Self::Late => true,
            Self::Refused { status, .. } => {
                status.is_server_error() && *status != StatusCode::NOT_IMPLEMENTED
            }
            Self::Unsendable(_) | Self::Garbled(_) => false,
        }
    }
}

/// One connection to a server.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    authority: String,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// [`ClientError::Connect`], [`ClientError::Late`].
    pub async fn open(url: &Url) -> Result<Self, ClientError> {
        let authority = url.authority();
        let stream = time::timeout(PATIENCE, TcpStream::connect(&authority))
            .await
            .map_err(|_elapsed| ClientError::Late)?;
        let stream = stream.map_err(|source| ClientError::Connect {
            authority: authority.clone(),
            source,
        })?;
        // Only a matter of speed.
        let _unsupported = stream.set_nodelay(true);
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
        });
        Ok(Self {
            sender,
            authority,
            task,
        })
    }

    /// Whether it can take another request.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Sends a request and waits for the head of its answer, whatever its status. The answer before has
    /// to be read to its end.
    ///
    /// # Errors
    /// When the connection is lost or nothing comes in time.
    pub async fn send(
        &mut self,
        method: Method,
        target: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, ClientError> {
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, &self.authority)
            .body(Full::new(body))
            .map_err(|error| ClientError::Unsendable(error.to_string()))?;
        request.headers_mut().extend(headers);
        let exchange = async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        };
        Ok(time::timeout(PATIENCE, exchange)
            .await
            .map_err(|_elapsed| ClientError::Late)??)
    }

    /// Asks for something that changes nothing, and takes a good answer only. A server that says "not
    /// now" (it is joining its group, say) is asked again for a few seconds.
    ///
    /// # Errors
    /// When the connection is lost, nothing comes in time, or the server says no.
    pub async fn ask(
        &mut self,
        method: Method,
        target: &str,
    ) -> Result<Response<Incoming>, ClientError> {
        let until = Instant::now() + NOT_NOW;
        loop {
            let sent = self.send(method.clone(), target, HeaderMap::new(), Bytes::new());
            match good(sent.await?).await {
                Err(error) if error.may_pass() && Instant::now() < until => {
                    time::sleep(PAUSE).await;
                }
                answered => return answered,
            }
        }
    }
}

/// Reads a body whole.
///
/// # Errors
/// When the connection is lost, or there is more than 64 MiB.
pub async fn whole(body: Incoming) -> Result<Bytes, ClientError> {
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => match error.downcast::<hyper::Error>() {
            Ok(error) => Err(ClientError::Lost(*error)),
            Err(error) => Err(ClientError::Garbled(error.to_string())),
        },
    }
}

/// Takes a good answer, and reads the text of any other.
///
/// # Errors
/// [`ClientError::Refused`] with what the server said.
pub async fn good(response: Response<Incoming>) -> Result<Response<Incoming>, ClientError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let limited = Limited::new(response.into_body(), MAX_ERROR).collect();
    let text = match time::timeout(PATIENCE, limited).await {
        Ok(Ok(body)) => String::from_utf8_lossy(&body.to_bytes()).trim().to_owned(),
        Ok(Err(_)) | Err(_) => "(and its reason could not be read)".to_owned(),
    };
    Err(ClientError::Refused { status, text })
}

/// Asks for a stream's type.
///
/// # Errors
/// When the server cannot be asked, or has no such stream.
pub async fn content_type(url: &Url) -> Result<ContentType, ClientError> {
    let mut connection = Connection::open(url).await?;
    let response = connection.ask(Method::HEAD, &url.target("")).await?;
    type_of(response.headers())
}

/// The type that an answer says its stream has.
///
/// # Errors
/// [`ClientError::Garbled`] when it says none.
pub fn type_of(headers: &HeaderMap) -> Result<ContentType, ClientError> {
    let text = text_of(headers, CONTENT_TYPE.as_str())
        .ok_or_else(|| ClientError::Garbled("no content-type".to_owned()))?;
    text.parse()
        .map_err(|_| ClientError::Garbled(format!("content-type {text:?}")))
}

/// A header's text; `None` when it is not there, or no text.
#[must_use]
pub fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
