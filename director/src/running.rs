//! The director that is asked, and how it is reached.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use director_core::admin::AskError;
use director_core::config::{AdminAddress, Config, Flags, Mistake, Written};

use crate::{BUILT_IN, say};

/// Flags that say which director is meant.
#[derive(Debug, Args)]
pub(crate) struct Running {
    /// The director's config file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where its admin listener is, as it printed it
    #[arg(long, value_name = "PATH|ADDRESS")]
    admin: Option<String>,
    /// Its state directory, with its admin socket in it
    #[arg(long, value_name = "DIR")]
    state_dir: Option<String>,
}

impl Running {
    /// Asks it.
    ///
    /// # Errors
    /// What to exit with, once it is told why.
    pub(crate) fn ask<A, F, T>(&self, ask: A) -> Result<T, ExitCode>
    where
        A: FnOnce(AdminAddress) -> F,
        F: Future<Output = Result<T, AskError>>,
    {
        let address = self
            .address()
            .map_err(|mistakes| say::mistakes(&mistakes, say::USAGE))?;
        let place = match &address {
            AdminAddress::Unix(path) => path.display().to_string(),
            AdminAddress::Tcp(address) => address.to_string(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| say::failure(&error))?;
        runtime.block_on(ask(address)).map_err(|error| {
            eprintln!("director: {place}: {}", say::chain(&error));
            ExitCode::FAILURE
        })
    }

    fn address(&self) -> Result<AdminAddress, Vec<Mistake>> {
        let written = match &self.config {
            Some(path) => Written::File(path),
            None => Written::BuiltIn(BUILT_IN),
        };
        // As the director printed it, the path of a socket has a prefix.
        let admin = self.admin.as_deref();
        let flags = Flags {
            admin: admin.map(|text| text.strip_prefix("unix:").unwrap_or(text).to_owned()),
            state_dir: self.state_dir.clone(),
            ..Flags::default()
        };
        Config::load(written, &flags).map(|config| config.settings.admin)
    }
}
