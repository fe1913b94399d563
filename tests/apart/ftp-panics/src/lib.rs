//! The FTP plugin as it is, until its test says so: then it panics, in the middle of whatever it does.
//!
//! What says so is a file `panic` in the service's state directory, which every session looks for every few
//! milliseconds. The panic comes out of the same poll that carries the session's transfer.

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use director_ftp::Ftp;
use director_sdk::{
    Client, ConfigMistake, Director, Failure, FailureRow, Host, Links, Load, NodeStream, Protocol,
    Report, async_trait,
};

director_sdk::export_plugin!(FtpPanics);

/// The FTP plugin, and the file that it looks for.
pub struct FtpPanics {
    ftp: Ftp,
    sign: PathBuf,
}

#[async_trait]
impl Protocol for FtpPanics {
    type Config = <Ftp as Protocol>::Config;
    const NAME: &'static str = "ftp";
    const LINKS: Links = Ftp::LINKS;

    fn create(config: Self::Config, host: Host) -> Result<Self, Vec<ConfigMistake>> {
        let sign = host.state_dir().join("panic");
        let ftp = Ftp::create(config, host)?;
        Ok(Self { ftp, sign })
    }

    fn failures() -> &'static [FailureRow] {
        Ftp::failures()
    }

    async fn serve(&self, client: Client, director: Director) -> Result<(), Failure> {
        let looking = async {
            while !self.sign.exists() {
                director.sleep(Duration::from_millis(5)).await;
            }
        };
        let mut looking = pin!(looking);
        let mut serving = pin!(self.ftp.serve(client, director.clone()));
        std::future::poll_fn(|context| {
            if looking.as_mut().poll(context).is_ready() {
                panic!("as asked, in {}", Ftp::NAME);
            }
            serving.as_mut().poll(context)
        })
        .await
    }

    async fn probe(&self, node: &mut NodeStream) -> Result<Load, Failure> {
        self.ftp.probe(node).await
    }

    async fn watch(&self, node: &mut NodeStream, report: Report) -> Failure {
        self.ftp.watch(node, report).await
    }
}
