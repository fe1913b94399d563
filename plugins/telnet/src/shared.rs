//! What all sessions of an instance share.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use director_sdk::{ConfigMistake, Host, NodeId};
use regex_lite::Regex;

use crate::login::{Line, script};
use crate::nvt::options::Policy;
use crate::options::{Login, Options};

/// One an instance.
pub(crate) struct Shared {
    /// The service's options.
    pub(crate) options: Options,
    /// Which options of Telnet may be spoken of.
    pub(crate) policy: Policy,
    /// What the cursor's line looks like at a prompt.
    pub(crate) prompt: Regex,
    /// The service's own login.
    pub(crate) script: Option<Vec<Line>>,
    /// Hosts that have been seen to talk first.
    talkers: Mutex<BTreeSet<NodeId>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    /// For a fresh instance. Reads the secrets of the login.
    ///
    /// # Errors
    ///
    /// Every mistake in the options at once.
    pub(crate) fn new(options: Options, _host: &Host) -> Result<Self, Vec<ConfigMistake>> {
        let mut mistakes = options.mistakes();
        let script = match &options.login {
            Some(Login::Script(script)) => match script::made(script) {
                Ok(lines) => Some(lines),
                Err(found) => {
                    mistakes.extend(found);
                    None
                }
            },
            Some(Login::Word(_)) | None => None,
        };
        let prompt = match Regex::new(&options.prompt) {
            Ok(prompt) if mistakes.is_empty() => prompt,
            Ok(_) | Err(_) => return Err(mistakes),
        };
        Ok(Self {
            policy: Policy::new(options.resumable, &options.pass),
            options,
            prompt,
            script,
            talkers: Mutex::default(),
        })
    }

    /// Notes that a host talks before it is asked.
    pub(crate) fn talks_first(&self, node: NodeId) {
        self.with_talkers(|talkers| talkers.insert(node));
    }

    /// Whether a host has been seen to talk before it was asked.
    pub(crate) fn is_talker(&self, node: NodeId) -> bool {
        self.with_talkers(|talkers| talkers.contains(&node))
    }

    fn with_talkers<R>(&self, with: impl FnOnce(&mut BTreeSet<NodeId>) -> R) -> R {
        // What is in there is whole at any time, whoever has panicked.
        with(&mut self.talkers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
