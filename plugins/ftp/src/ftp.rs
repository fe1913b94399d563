//! The plugin itself: an instance of it serves the clients of one service.

use std::io::Read;
use std::sync::Arc;

use director_sdk::{
    Client, ConfigMistake, Director, Failure, FailureRow, Host, Links, Load, NodeStream, Protocol,
    Report, async_trait,
};
use zeroize::Zeroizing;

use crate::control::conversation::converse;
use crate::control::failures;
use crate::options::{LoginAs, Options};
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

    fn create(options: Options, host: Host) -> Result<Self, Vec<ConfigMistake>> {
        let mut mistakes = options.mistakes(host.has_certificate());
        let password = match password(&options.login) {
            Ok(password) => password,
            Err(mistake) => {
                mistakes.push(mistake);
                None
            }
        };
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Self {
            shared: Arc::new(Shared::new(options, password)),
        })
    }

    fn failures() -> &'static [FailureRow] {
        &failures::ROWS
    }

    async fn serve(&self, client: Client, director: Director) -> Result<(), Failure> {
        converse(&self.shared, client, director).await
    }

    async fn probe(&self, node: &mut NodeStream) -> Result<Load, Failure> {
        watch::probe(&self.shared, node).await
    }

    async fn watch(&self, node: &mut NodeStream, report: Report) -> Failure {
        watch::watch(&self.shared, node, &report).await
    }
}

/// Most bytes of the file of the service account's password.
const LONGEST_PASSWORD: usize = 4096;

/// The service account's PASS: the first line of its file. The one thing that an instance reads at its
/// making: a secret does not stand in a config.
fn password(login: &LoginAs) -> Result<Option<Zeroizing<Vec<u8>>>, ConfigMistake> {
    let LoginAs::Service { password_file, .. } = login else {
        return Ok(None);
    };
    let mistake = |found: String| {
        let message = format!(
            "{}: {found}; a file whose first line is the account's password is right",
            password_file.display()
        );
        ConfigMistake::new("login.password_file", message)
    };
    // Made at once, so that no copy is left where a smaller one stood.
    let mut text = Zeroizing::new(Vec::with_capacity(2 * LONGEST_PASSWORD));
    std::fs::File::open(password_file)
        .and_then(|file| {
            let most = LONGEST_PASSWORD as u64 + 1;
            file.take(most).read_to_end(&mut text)
        })
        .map_err(|error| mistake(error.to_string()))?;
    if text.len() > LONGEST_PASSWORD {
        return Err(mistake(format!(
            "more than {LONGEST_PASSWORD} bytes were found"
        )));
    }
    let end = text.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let end = end.unwrap_or(text.len());
    text.truncate(end);
    if text.is_empty() {
        return Err(mistake("an empty first line was found".to_owned()));
    }
    if text.contains(&0) {
        return Err(mistake("a NUL was found in it".to_owned()));
    }
    Ok(Some(text))
}
