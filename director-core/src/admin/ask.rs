//! Asks a running director.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::header::HOST;
use hyper::http::request::Builder;
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
    /// It says no.
    #[error("the director refuses ({0}): {1}")]
    Refused(u16, String),
    /// It answers something else.
    #[error("the director's answer makes no sense: {0}")]
    Garbled(String),
}

/// Asks the director at `address` for `path`, such as `/status`.
///
/// # Errors
/// [`AskError`].
pub async fn ask(address: &AdminAddress, path: &str) -> Result<Bytes, AskError> {
    exchange(address, Request::get(path), Bytes::new()).await
}

/// Tells the director at `address` to do something, such as `/drain`, by a body in JSON.
///
/// # Errors
/// [`AskError`]; [`AskError::Refused`] with the director's own words.
pub async fn order(
    address: &AdminAddress,
    path: &str,
    body: &serde_json::Value,
) -> Result<Bytes, AskError> {
    exchange(address, Request::post(path), body.to_string().into()).await
}

async fn exchange(
    address: &AdminAddress,
    request: Builder,
    body: Bytes,
) -> Result<Bytes, AskError> {
    tokio::time::timeout(WITHIN, exchanged(address, request, body))
        .await
        .unwrap_or(Err(AskError::Late))
}

async fn exchanged(
    address: &AdminAddress,
    request: Builder,
    body: Bytes,
) -> Result<Bytes, AskError> {
    fn garbled(error: impl std::fmt::Display) -> AskError {
        AskError::Garbled(error.to_string())
    }
    let stream = Stream::connect(address)
        .await
        .map_err(AskError::NoDirector)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(garbled)?;
    let request = request
        .header(HOST, "director")
        .body(Full::new(body))
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
            let words = String::from_utf8_lossy(&body).trim_end().to_owned();
            Err(AskError::Refused(status.as_u16(), words))
        }
    };
    tokio::pin!(asked, connection);
    tokio::select! {
        answer = &mut asked => answer,
        // The connection may end with the answer already in hand.
        _ended = &mut connection => asked.await,
    }
}
