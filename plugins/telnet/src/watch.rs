//! How the director asks a host whether it is well: by connecting, and by what a host says that talks first.
//!
//! A watch stays connected and asks DO TIMING-MARK (RFC 860) again and again, if the host talks Telnet and answers.
//! That is lighter than to connect again and again, for which telnetd would begin a process each time; and telnetd
//! begins no login before it has learnt the terminal's type, which a watch never tells. Nobody logs in for either.

use std::time::Duration;

use director_sdk::{Failure, Load, NodeStream, Report};
use futures_util::future::{Either, select};

use crate::failures;
use crate::shared::Shared;

/// Between two questions of a watch.
const PAUSE: Duration = Duration::from_secs(1);
/// How long an answer is waited for; a host that is not well is found out by a probe before.
const PATIENCE: Duration = Duration::from_secs(5);
/// A host that has said nothing for so long, nor ever before, is taken for one that waits to be spoken to.
const SPEECHLESS: Duration = Duration::from_millis(100);

/// RFC 854 and RFC 860.
const IAC: u8 = 255;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const TIMING_MARK: u8 = 6;

/// Whether the host is there: it takes connections, and says what it says first.
///
/// # Errors
///
/// [`failures::TURNED_AWAY`] when it ends the connection without a word.
pub(crate) async fn probe(shared: &Shared, node: &mut NodeStream) -> Result<Load, Failure> {
    // For how long a host that talks first may be silent, the director's bound on a probe says.
    if shared.is_talker(node.node()) && node.fill().await?.is_empty() {
        return Err(failures::ended(false));
    }
    node.close().await?;
    Ok(Load::UNKNOWN)
}

/// Stays with a host until its end, which is a sign of failure.
pub(crate) async fn watch(shared: &Shared, node: &mut NodeStream, report: &Report) -> Failure {
    match watching(shared, node, report).await {
        Err(failure) => failure,
    }
}

async fn watching(
    shared: &Shared,
    node: &mut NodeStream,
    report: &Report,
) -> Result<std::convert::Infallible, Failure> {
    let mut host = Heard::default();
    let greeted = host.hear(node, report.sleep(SPEECHLESS)).await?;
    if greeted {
        shared.talks_first(node.node());
    }
    report.load(Load::UNKNOWN);
    loop {
        node.due(false);
        host.pass(node, report.sleep(PAUSE)).await?;
        if host.asks && host.is_telnet {
            host.answered = false;
            node.write_all(&[IAC, DO, TIMING_MARK]).await?;
            // One that has answered before owes an answer. Of another it is not known whether it ever will.
            node.due(host.has_answered);
            host.pass_until_answer(node, report.sleep(PATIENCE)).await?;
            host.asks = host.answered || host.has_answered;
        }
        report.load(Load::UNKNOWN);
    }
}

/// What was heard of a watched host. Of what it says, only Telnet's own signs count.
#[derive(Debug)]
struct Heard {
    /// It has said IAC.
    is_telnet: bool,
    /// It is asked.
    asks: bool,
    answered: bool,
    has_answered: bool,
    /// The last bytes, in which an answer may have begun.
    last: [u8; 2],
}

impl Default for Heard {
    fn default() -> Self {
        Self {
            is_telnet: false,
            asks: true,
            answered: false,
            has_answered: false,
            last: [0; 2],
        }
    }
}

impl Heard {
    /// Waits for bytes, but not longer than for `until`. Whether some came.
    async fn hear(
        &mut self,
        node: &mut NodeStream,
        until: impl Future<Output = ()>,
    ) -> Result<bool, Failure> {
        let n = {
            let said = std::pin::pin!(node.fill());
            match select(said, std::pin::pin!(until)).await {
                Either::Left((said, _)) => {
                    let said = said?;
                    if said.is_empty() {
                        return Err(failures::ended(true));
                    }
                    self.note(said);
                    said.len()
                }
                Either::Right(((), _)) => return Ok(false),
            }
        };
        node.consume(n);
        Ok(true)
    }

    fn note(&mut self, said: &[u8]) {
        for byte in said {
            self.is_telnet |= *byte == IAC;
            let [iac, verb] = self.last;
            if iac == IAC && matches!(verb, WILL | WONT) && *byte == TIMING_MARK {
                (self.answered, self.has_answered) = (true, true);
            }
            self.last = [verb, *byte];
        }
    }

    /// Passes over what the host says until `until`.
    async fn pass(
        &mut self,
        node: &mut NodeStream,
        until: impl Future<Output = ()>,
    ) -> Result<(), Failure> {
        let mut until = std::pin::pin!(until);
        while self.hear(node, until.as_mut()).await? {}
        Ok(())
    }

    /// The same, but no longer than to its answer.
    async fn pass_until_answer(
        &mut self,
        node: &mut NodeStream,
        until: impl Future<Output = ()>,
    ) -> Result<(), Failure> {
        let mut until = std::pin::pin!(until);
        while !self.answered && self.hear(node, until.as_mut()).await? {}
        Ok(())
    }
}
