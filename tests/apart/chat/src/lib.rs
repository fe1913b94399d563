//! The chat plugin as a stranger builds it: the same code under a runtime and an allocator of its own.
//!
//! Its tokio is another version than the director's, with other features, and is really used: each
//! session passes through a channel to a thread of a runtime that the director knows nothing of.

use director_chat::Chat;
use director_sdk::{
    Client, ConfigMistake, Director, Failure, FailureRow, Host, Links, Load, NodeStream, Protocol,
    Report, async_trait,
};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

director_sdk::export_plugin!(Apart);

/// The chat, and a runtime beside it.
pub struct Apart {
    chat: Chat,
    greeter: mpsc::UnboundedSender<oneshot::Sender<Vec<u8>>>,
    _runtime: Runtime,
}

#[async_trait]
impl Protocol for Apart {
    type Config = <Chat as Protocol>::Config;
    const NAME: &'static str = Chat::NAME;
    const LINKS: Links = Chat::LINKS;

    fn create(config: Self::Config, host: Host) -> Result<Self, Vec<ConfigMistake>> {
        let chat = Chat::create(config, host)?;
        // Neither I/O nor time: what a plugin's own runtime may have.
        let runtime = Builder::new_multi_thread().worker_threads(1).build();
        let runtime = runtime.map_err(|error| vec![ConfigMistake::new("", error.to_string())])?;
        let (greeter, mut asked) = mpsc::unbounded_channel::<oneshot::Sender<Vec<u8>>>();
        runtime.spawn(async move {
            while let Some(answer) = asked.recv().await {
                // Made by this thread, dropped by the host's: both by this library's allocator.
                let _gone = answer.send(vec![7; 4096]);
            }
        });
        Ok(Self {
            chat,
            greeter,
            _runtime: runtime,
        })
    }

    fn failures() -> &'static [FailureRow] {
        Chat::failures()
    }

    async fn serve(&self, client: Client, director: Director) -> Result<(), Failure> {
        let (ask, answer) = oneshot::channel();
        let asked = self.greeter.send(ask).is_ok();
        // The waker that wakes this comes from the host, and is called on the other runtime's thread.
        let greeted = answer.await.map(|bytes| bytes.len());
        assert_eq!((asked, greeted), (true, Ok(4096)), "the runtime apart");
        self.chat.serve(client, director).await
    }

    async fn probe(&self, node: &mut NodeStream) -> Result<Load, Failure> {
        self.chat.probe(node).await
    }

    async fn watch(&self, node: &mut NodeStream, report: Report) -> Failure {
        self.chat.watch(node, report).await
    }

    async fn run(&self, director: Director) {
        self.chat.run(director).await;
    }
}
