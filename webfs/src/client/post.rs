//! Writes that may be sent again: the protocol's idempotent producer.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use tokio::time::{self, Instant};

use super::{ClientError, Connection, Url, good, text_of, whole};

/// The waits between two attempts: the first, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// What an append was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// `Stream-Next-Offset`.
    pub offset: Option<String>,
    /// An earlier attempt had been stored already.
    pub repeated: bool,
}

/// Appends to one stream, in order, each exactly once however often it is sent.
pub struct Poster {
    url: Url,
    content_type: HeaderValue,
    producer: String,
    epoch: u64,
    seq: u64,
    patience: Duration,
    connection: Option<Connection>,
}

impl Poster {
    /// A producer of its own, by chance. An append that is answered by nobody is given up after `patience`.
    ///
    /// # Errors
    /// When the content type cannot be sent, or the system gives no random bytes.
    pub fn new(url: Url, content_type: &str, patience: Duration) -> Result<Self, ClientError> {
        let unsendable = |error: &dyn std::fmt::Display| ClientError::Unsendable(error.to_string());
        let content_type =
            HeaderValue::from_str(content_type).map_err(|error| unsendable(&error))?;
        let chance = getrandom::u64().map_err(|error| unsendable(&error))?;
        Ok(Self {
            url,
            content_type,
            producer: format!("cli-{chance:016x}"),
            epoch: 0,
            seq: 0,
            patience,
            connection: None,
        })
    }

    /// Appends one body, and sends it again until it is answered.
    ///
    /// # Errors
    /// When the server refuses it, which also says that it is not stored; or when nobody answered in time,
    /// which leaves that open.
    ///
    /// # Cancel safety
    /// Dropped midway, it may have been stored.
    pub async fn post(&mut self, body: Bytes) -> Result<Posted, ClientError> {
        let until = Instant::now() + self.patience;
        let mut wait = FIRST_WAIT;
        loop {
            match self.attempt(body.clone()).await {
                Ok(posted) => {
                    self.seq += 1;
                    return Ok(posted);
                }
                Err(error) => {
                    self.connection = None;
                    if !error.may_pass() || Instant::now() + wait > until {
                        self.give_up();
                        return Err(error);
                    }
                    tracing::debug!(%error, "sent again");
                    time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    /// What was given up may be stored all the same: the next append must not pass for a repeat of it.
    fn give_up(&mut self) {
        self.epoch += 1;
        self.seq = 0;
    }

    async fn attempt(&mut self, body: Bytes) -> Result<Posted, ClientError> {
        let headers = self.headers()?;
        let mut connection = match self.connection.take().filter(Connection::is_open) {
            Some(connection) => connection,
            None => Connection::open(&self.url).await?,
        };
        let target = self.url.target("");
        let sent = connection.send(Method::POST, &target, headers, body);
        let response = good(sent.await?).await?;
        let posted = Posted {
            offset: text_of(response.headers(), "stream-next-offset").map(str::to_owned),
            repeated: response.status() == StatusCode::NO_CONTENT,
        };
        whole(response.into_body()).await?;
        self.connection = Some(connection);
        Ok(posted)
    }

    fn headers(&self) -> Result<HeaderMap, ClientError> {
        let producer = HeaderValue::from_str(&self.producer)
            .map_err(|error| ClientError::Unsendable(error.to_string()))?;
        Ok(HeaderMap::from_iter([
            (CONTENT_TYPE, self.content_type.clone()),
            (HeaderName::from_static("producer-id"), producer),
            (
                HeaderName::from_static("producer-epoch"),
                HeaderValue::from(self.epoch),
            ),
            (
                HeaderName::from_static("producer-seq"),
                HeaderValue::from(self.seq),
            ),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn request(listener: &TcpListener) -> (TcpStream, String) {
        let (mut io, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"hello") {
            assert!(io.read_buf(&mut read).await.unwrap() > 0);
        }
        (io, String::from_utf8(read).unwrap())
    }

    fn sequence(request: &str) -> Vec<&str> {
        let lines = request.lines();
        lines
            .filter(|line| line.starts_with("producer-epoch") || line.starts_with("producer-seq"))
            .collect()
    }

    #[tokio::test]
    async fn what_follows_a_write_that_nobody_answered_is_no_repeat_of_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/stream/a", listener.local_addr().unwrap());
        let server = async {
            let (io, first) = request(&listener).await;
            drop(io); // stored, perhaps
            let (mut io, second) = request(&listener).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            io.write_all(answer).await.unwrap();
            (first, second, io)
        };
        let client = async {
            let mut poster = Poster::new(url.parse().unwrap(), "text/plain", Duration::ZERO)?;
            assert!(poster.post("hello".into()).await.is_err());
            poster.post("hello".into()).await
        };
        let both = async { tokio::join!(server, client) };
        let ((first, second, _io), posted) =
            time::timeout(Duration::from_secs(20), both).await.unwrap();
        assert!(!posted.unwrap().repeated);
        assert_eq!(sequence(&first), ["producer-epoch: 0", "producer-seq: 0"]);
        assert_eq!(sequence(&second), ["producer-epoch: 1", "producer-seq: 0"]);
    }
}
