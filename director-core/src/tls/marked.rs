//! What a client is given to resume its TLS session, with a mark that tells whose session it was.
//!
//! rustls hands such a mark back for TLS 1.3 alone, so it is put around the session here: in a ticket,
//! and in what is kept for clients of TLS 1.2 that take none.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::server::{ProducesTickets, StoresServerSessions};

/// A mark: a client session's number.
pub(crate) type Mark = [u8; 8];

/// One connection's way to tickets and sessions.
#[derive(Debug)]
pub(crate) struct Marked {
    pub(super) tickets: Arc<dyn ProducesTickets>,
    pub(super) sessions: Arc<dyn StoresServerSessions>,
    /// Of what is given out.
    pub(super) own: Mark,
    /// Of what was presented last. A handshake looks no further once it has found what it resumes.
    pub(super) presented: Mutex<Option<Mark>>,
}

impl Marked {
    /// The mark of what was presented last, which is what was resumed if anything was.
    pub(crate) fn presented(&self) -> Option<Mark> {
        *self
            .presented
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn put_around(&self, session: &[u8]) -> Vec<u8> {
        [&self.own, session].concat()
    }

    fn take_off(&self, marked: &[u8]) -> Option<Vec<u8>> {
        let (mark, session) = marked.split_first_chunk()?;
        let mut presented = self
            .presented
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *presented = Some(*mark);
        Some(session.to_vec())
    }
}

impl ProducesTickets for Marked {
    fn enabled(&self) -> bool {
        self.tickets.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.tickets.lifetime()
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        self.tickets.encrypt(&self.put_around(session))
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.take_off(&self.tickets.decrypt(ticket)?)
    }
}

impl StoresServerSessions for Marked {
    fn put(&self, key: Vec<u8>, session: Vec<u8>) -> bool {
        self.sessions.put(key, self.put_around(&session))
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.take_off(&self.sessions.get(key)?)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.take_off(&self.sessions.take(key)?)
    }

    fn can_cache(&self) -> bool {
        self.sessions.can_cache()
    }
}
