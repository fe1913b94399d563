//! One client, from its first byte to its last.

use std::sync::Arc;
use std::time::Duration;

use director_sdk::{Client, Director, Failure, Kind};

use super::begin;
use super::pump::Over;
use super::request::Live;
use super::terminal::Terminal;
use crate::shared::Shared;

/// How long a client may take for the last bytes.
const LAST: Duration = Duration::from_secs(5);

/// Serves a client until its user logs out, or no host is left.
///
/// # Errors
///
/// How the session failed.
pub(crate) async fn serve(
    shared: &Arc<Shared>,
    client: Client,
    director: &Director,
) -> Result<(), Failure> {
    let mut chain = director.chain(Terminal::new(client.stream, Arc::clone(shared)));
    let over = director.direct(&mut chain, &mut Live).await;
    let mut terminal = chain.into_session();
    let (text, result) = match over {
        Ok(Over::LoggedOut | Over::ClientLeft) => (None, Ok(())),
        Ok(Over::Idle) => (
            Some("[session ended: nothing was typed for too long]"),
            Ok(()),
        ),
        Ok(Over::Stopping) => (Some("[session ended: the service is stopping]"), Ok(())),
        Err(exception) if exception.kind == Kind::ClientGone => return Err(exception.into()),
        Err(exception) if !shared.options.resumable => return Err(exception.into()),
        Err(exception) => (
            Some("[session ended: no host can take it]"),
            Err(Failure::from(exception)),
        ),
    };
    let mut to_client = match text {
        Some(text) => begin::goodbye(&mut terminal, text),
        None => std::mem::take(&mut terminal.to_client),
    };
    let last = async {
        to_client.send_all(&mut terminal.client).await?;
        terminal.client.close().await
    };
    match director.timeout(LAST, last).await {
        Ok(Ok(())) => result,
        Ok(Err(error)) => result.and(Err(error.into())),
        Err(_elapsed) => result.and(Err(Failure::new(
            Kind::ClientGone,
            "the client does not read the session's last bytes",
        )
        .by_client())),
    }
}
