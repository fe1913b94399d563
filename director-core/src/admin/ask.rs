//! Asks a running director.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::header::HOST;
use hyper_util::rt::TokioIo;

use super::listen::Stream;
use crate::config::AdminAddress;

/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(5);
/// The longest answer, in bytes.
const LONGEST: usize = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens there.
    #[error("no director answers there: {0}")]
    NoDirector(io::Error),
    /// It does not answer in time.
    #[error("the director has not answered within 5 s")]
    Late,
    /// It answers something else.
    #[error("the director's answer makes no sense: {0}")]
    Garbled(String),
}

/// Asks the director at `address` for `path`, such as `/status`.
///
/// # Errors
/// [`AskError`].
pub async fn ask(address: &AdminAddress, path: &str) -> Result<Bytes, AskError> {
    tokio::time::timeout(WITHIN, exchange(address, path))
        .await
        .unwrap_or(Err(AskError::Late))
}

async fn exchange(address: &AdminAddress, path: &str) -> Result<Bytes, AskError> {
    fn garbled(error: impl std::fmt::Display) -> AskError {
        AskError::Garbled(error.to_string())
    }
    let stream = Stream::connect(address)
        .await
        .map_err(AskError::NoDirector)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(garbled)?;
    let request = Request::get(path)
        .header(HOST, "director")
        .body(Empty::<Bytes>::new())
        .map_err(garbled)?;
    let asked = async {
        let response = sender.send_request(request).await.map_err(garbled)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST)
            .collect()
            .await
            .map_err(garbled)?
            .to_bytes();
        if status.is_success() {
            Ok(body)
        } else {
            Err(garbled(format_args!("{status} to {path}")))
        }
    };
    tokio::pin!(asked, connection);
    tokio::select! {
        answer = &mut asked => answer,
        // The connection may end with the answer already in hand.
        _ended = &mut connection => asked.await,
    }
}
