//! The control connection: the dialogue with the client, and the session that it makes.

mod beside;
pub(crate) mod conversation;
pub(crate) mod exchange;
pub(crate) mod failures;
pub(crate) mod feat;
pub(crate) mod line;
pub(crate) mod link;
pub(crate) mod lockout;
pub(crate) mod login;
pub(crate) mod replier;
pub(crate) mod reply;
pub(crate) mod state;
pub(crate) mod walk;

#[cfg(test)]
mod tests;
