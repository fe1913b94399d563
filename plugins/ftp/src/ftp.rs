//! The plugin itself: an instance of it serves the clients of one service.

use std::sync::Arc;

use director_sdk::{
    Client, ConfigMistake, Director, Failure, FailureRow, Host, Links, Load, NodeStream, Protocol,
    Report, async_trait,
};

use crate::control::conversation::converse;
use crate::control::failures;
use crate::options::Options;
use crate::shared::Shared;
use crate::watch;

/// FTP in front of a cluster of FTP servers.
#[derive(Debug)]
pub struct Ftp {
    shared: Arc<Shared>,
}

#[async_trait]
impl Protocol for Ftp {
    type Config = Options;
    const NAME: &'static str = "ftp";
    /// A control connection is its client's: who is logged in on it, where, and how.
    const LINKS: Links = Links::Exclusive;

    fn create(options: Options, _host: Host) -> Result<Self, Vec<ConfigMistake>> {
        let mistakes = options.mistakes();
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Self {
            shared: Arc::new(Shared { options }),
        })
    }

    fn failures() -> &'static [FailureRow] {
        &failures::ROWS
    }

    async fn serve(&self, client: Client, director: Director) -> Result<(), Failure> {
        converse(&self.shared, client, director).await
    }

    async fn probe(&self, node: &mut NodeStream) -> Result<Load, Failure> {
        watch::probe(node).await
    }

    async fn watch(&self, node: &mut NodeStream, report: Report) -> Failure {
        watch::watch(node, &report).await
    }
}
