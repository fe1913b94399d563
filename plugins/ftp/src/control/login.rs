//! The session of a client as a node must know it: greeted, logged in, restored.

use std::sync::Arc;

use async_trait::async_trait;
use director_sdk::{Director, Failure, Kind, NodeStream, Session};

use super::link::{Link, NOT_AVAILABLE};
use super::reply::{Degree, Reply};
use super::state::{Credentials, State};
use crate::shared::Shared;

/// What one client is to a node.
#[derive(Debug)]
pub(crate) struct Account {
    /// What is restored.
    pub(crate) state: State,
    /// The instance's.
    pub(crate) shared: Arc<Shared>,
}

#[async_trait]
impl Session for Account {
    type Link = Link;

    /// In this order: the greeting, HOST, USER, PASS, ACCT, CLNT, OPTS, LANG, CWD. Type, structure and mode
    /// follow when they matter ([`Link::bring`]).
    async fn establish(&mut self, node: NodeStream, _: &Director) -> Result<Link, Failure> {
        let mut link = Link::new(node);
        greeting(&mut link).await?;
        if let Some(host) = &self.state.host {
            told(&mut link, "HOST", host).await?;
        }
        if let Some(credentials) = self.state.login.credentials() {
            log_in(&mut link, credentials, self.state.login.is_in()).await?;
        }
        if self.state.login.is_in() {
            self.restore(&mut link).await?;
        }
        Ok(link)
    }
}

impl Account {
    /// A client of which nothing is known.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            state: State::default(),
            shared,
        }
    }

    /// What was said after the login.
    async fn restore(&self, link: &mut Link) -> Result<(), Failure> {
        if let Some(clnt) = &self.state.clnt {
            told(link, "CLNT", clnt).await?;
        }
        for (_, options) in &self.state.opts {
            told(link, "OPTS", options).await?;
        }
        if let Some(lang) = &self.state.lang {
            told(link, "LANG", lang).await?;
        }
        if let Some(umask) = &self.state.umask {
            told(link, "SITE UMASK", umask).await?;
        }
        if let Some(cwd) = &self.state.cwd {
            let reply = command(link, "CWD", cwd).await?;
            if !reply.is_complete() {
                let cwd = String::from_utf8_lossy(cwd);
                let detail = format!("the session is in {cwd}, the node says {reply}");
                return Err(Failure::new(Kind::Missing, detail).with_code(reply.code.into()));
            }
        }
        Ok(())
    }
}

/// Waits for the greeting: 220, perhaps after a 120 (RFC 959 section 5.4).
///
/// # Errors
///
/// [`Kind::Busy`] for a 421 or any other no, [`Kind::Garbled`] for what is no greeting.
pub(crate) async fn greeting(link: &mut Link) -> Result<Reply, Failure> {
    loop {
        let reply = link.next_reply().await?;
        let detail = || format!("the greeting is {reply}");
        match reply.degree() {
            Degree::Preliminary => {}
            Degree::Complete => return Ok(reply),
            Degree::Intermediate => return Err(Failure::new(Kind::Garbled, detail())),
            Degree::Transient | Degree::Permanent => {
                return Err(Failure::new(Kind::Busy, detail()).with_code(NOT_AVAILABLE.into()));
            }
        }
    }
}

/// Says who the client is. `accepted`: another node let it in, so a no is [`Kind::Diverged`]; each node is
/// asked once, so wrong secrets do not lock an account.
async fn log_in(link: &mut Link, credentials: &Credentials, accepted: bool) -> Result<(), Failure> {
    let mut reply = command(link, "USER", &credentials.user).await?;
    if reply.code == 331
        && let Some(pass) = &credentials.pass
    {
        reply = command(link, "PASS", pass).await?;
    }
    if reply.code == 332
        && let Some(acct) = &credentials.acct
    {
        reply = command(link, "ACCT", acct).await?;
    }
    let as_before = match reply.degree() {
        Degree::Complete => true,
        Degree::Intermediate => !accepted,
        Degree::Preliminary | Degree::Transient | Degree::Permanent => false,
    };
    if as_before {
        return Ok(());
    }
    let detail = format!("another node accepted the login, this one says {reply}");
    Err(Failure::new(Kind::Diverged, detail).with_code(reply.code.into()))
}

/// Repeats a command that a node accepted. A node that does not know it is no trouble: what it sets is the
/// client's convenience.
async fn told(link: &mut Link, verb: &str, argument: &[u8]) -> Result<(), Failure> {
    let reply = command(link, verb, argument).await?;
    if !reply.is_complete() {
        tracing::debug!(%reply, verb, "a node did not take what another took");
    }
    Ok(())
}

async fn command(link: &mut Link, verb: &str, argument: &[u8]) -> Result<Reply, Failure> {
    let mut line = zeroize::Zeroizing::new(Vec::with_capacity(verb.len() + 1 + argument.len()));
    line.extend_from_slice(verb.as_bytes());
    line.push(b' ');
    line.extend_from_slice(argument);
    link.command(&line).await
}
