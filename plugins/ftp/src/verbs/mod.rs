//! The commands, one file each.

use async_trait::async_trait;
use director_sdk::Failure;

use crate::control::conversation::Conversation;

mod cwd;
mod eprt;
mod epsv;
mod feat;
mod list;
mod mlsd;
mod nlst;
mod noop;
mod pass;
mod pasv;
mod port;
mod pwd;
mod quit;
mod rest;
mod retr;
mod syst;
mod r#type;
mod user;

/// One command of the client's.
#[async_trait]
pub(crate) trait Verb: Sync {
    /// Its name, in capitals.
    fn name(&self) -> &'static str;

    /// Whether it has an argument; 501 otherwise.
    fn argument(&self) -> Argument;

    /// Whether it may come before the login; 530 otherwise.
    fn before_login(&self) -> bool {
        false
    }

    /// Performs it, and says its reply. `argument` is empty when there is none.
    ///
    /// # Errors
    ///
    /// The session cannot go on: its streams are reset.
    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure>;
}

/// Whether a command has an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Argument {
    /// It has none.
    None,
    /// It may have one.
    Optional,
    /// It has one.
    Required,
}

/// Every command that is known, those that are refused included.
static VERBS: &[&dyn Verb] = &[
    &cwd::Cwd,
    &eprt::Eprt,
    &epsv::Epsv,
    &feat::Feat,
    &list::List,
    &mlsd::Mlsd,
    &nlst::Nlst,
    &noop::Noop,
    &pass::Pass,
    &pasv::Pasv,
    &port::Port,
    &pwd::Pwd,
    &quit::Quit,
    &rest::Rest,
    &retr::Retr,
    &syst::Syst,
    &r#type::Type,
    &user::User,
];

/// The command of a name in capitals.
pub(crate) fn find(name: &str) -> Option<&'static dyn Verb> {
    VERBS.iter().find(|verb| verb.name() == name).copied()
}
