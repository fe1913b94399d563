//! The plugin itself: an instance of it serves the clients of one service.

use std::sync::Arc;

use director_sdk::{
    Client, ConfigMistake, Director, Failure, FailureRow, Host, Links, Load, NodeStream, Protocol,
    Report, async_trait,
};

use crate::client::serve::serve;
use crate::memory::Memory;
use crate::options::Options;
use crate::shared::Shared;
use crate::{failures, outbox_task, watch};

/// HTTP and Durable Streams in front of a WebFS group.
#[derive(Debug)]
pub struct Chat {
    shared: Arc<Shared>,
}

#[async_trait]
impl Protocol for Chat {
    type Config = Options;
    const NAME: &'static str = "chat";
    const LINKS: Links = Links::Pooled;

    fn create(options: Options, host: Host) -> Result<Self, Vec<ConfigMistake>> {
        let mistakes = options.mistakes();
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        if !options.without.is_empty() {
            tracing::warn!(rules = ?options.without, "promises are broken: rules are switched off");
        }
        let directory = host.state_dir().join("outbox");
        let memory = Memory::new(options.bounds(), options.without(), directory);
        let shared = Shared {
            memory: Arc::new(memory),
            id: random_id(&host),
            options,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    fn failures() -> &'static [FailureRow] {
        &failures::ROWS
    }

    async fn serve(&self, client: Client, director: Director) -> Result<(), Failure> {
        serve(&self.shared, client, director).await
    }

    async fn probe(&self, node: &mut NodeStream) -> Result<Load, Failure> {
        watch::probe(&self.shared, node).await
    }

    async fn watch(&self, node: &mut NodeStream, report: Report) -> Failure {
        watch::watch(&self.shared, node, &report).await
    }

    async fn run(&self, director: Director) {
        outbox_task::run(&self.shared, &director).await;
    }
}

/// What tells this director from every other, now and later: request ids of two must never be equal.
fn random_id(host: &Host) -> String {
    let mut bytes = [0; 12];
    host.random(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
