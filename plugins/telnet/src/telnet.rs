//! The plugin itself: an instance of it serves the clients of one service.

use std::sync::Arc;

use director_sdk::{
    Client, ConfigMistake, Director, Failure, FailureRow, Host, Links, Load, NodeStream, Protocol,
    Report, async_trait,
};

use crate::live::serve;
use crate::options::Options;
use crate::shared::Shared;
use crate::{failures, watch};

/// Telnet in front of a cluster of hosts.
#[derive(Debug)]
pub struct Telnet {
    shared: Arc<Shared>,
}

#[async_trait]
impl Protocol for Telnet {
    type Config = Options;
    const NAME: &'static str = "telnet";
    /// A connection to a host is its user's.
    const LINKS: Links = Links::Exclusive;

    fn create(options: Options, host: Host) -> Result<Self, Vec<ConfigMistake>> {
        let shared = Arc::new(Shared::new(options, &host)?);
        Ok(Self { shared })
    }

    fn failures() -> &'static [FailureRow] {
        &failures::ROWS
    }

    async fn serve(&self, client: Client, director: Director) -> Result<(), Failure> {
        serve::serve(&self.shared, client, &director).await
    }

    async fn probe(&self, node: &mut NodeStream) -> Result<Load, Failure> {
        watch::probe(&self.shared, node).await
    }

    async fn watch(&self, node: &mut NodeStream, report: Report) -> Failure {
        watch::watch(&self.shared, node, &report).await
    }
}
