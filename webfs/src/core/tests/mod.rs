//! Stories of one and of two servers, told step by step.

#![allow(clippy::wildcard_enum_match_arm)] // an answer of the wrong kind fails the test

mod alone;
mod group;
mod replica;

use std::time::Duration;

use super::*;
use crate::cursor::{Cursor, Position};
use crate::server::{Append, Appended, Identity, ReadLimits, Refusal};

/// One server with a disk that is done at once, when asked.
pub(super) struct One {
    pub(super) core: Core,
    pub(super) now: Now,
    pub(super) log: Vec<crate::entry::Entry>,
    pub(super) sent: Vec<(PeerIndex, Message)>,
    pub(super) answers: Vec<(Ticket, Result<Answer, Refusal>)>,
    pub(super) stored: Option<Identity>,
    pub(super) wakes: usize,
    tickets: u64,
}

pub(super) fn settings(id: &str, peers: &[&str]) -> Settings {
    Settings {
        id: id.parse().unwrap(),
        listen: format!("{id}:1"),
        peers: peers.iter().map(|peer| format!("{peer}:1")).collect(),
        alone: peers.is_empty(),
        session: u64::from(id.as_bytes()[0]),
        interval: Duration::from_millis(300),
        append_limit: 1 << 20,
        memory: 1 << 20,
        rules: Rules::default(),
    }
}

pub(super) fn text(text: &str) -> Append {
    Append {
        payload: format!("\"{text}\"").into(),
        count: 1,
        ..Append::default()
    }
}

impl One {
    pub(super) fn new(settings: Settings) -> Self {
        Self::with(settings, Vec::new(), Recovered::default())
    }

    /// Starts with what an earlier start left.
    pub(super) fn with(
        settings: Settings,
        log: Vec<crate::entry::Entry>,
        recovered: Recovered,
    ) -> Self {
        let mut core = Core::new(settings);
        for (place, entry) in log.iter().enumerate() {
            core.recovered(entry.clone(), Place(place as u64 + 1));
        }
        let mut one = Self {
            core,
            now: Now {
                since_start: Duration::from_secs(1),
                wall: 1_000,
            },
            log,
            sent: Vec::new(),
            answers: Vec::new(),
            stored: recovered.identity,
            wakes: 0,
            tickets: 0,
        };
        one.core.start(one.now, recovered);
        one.run();
        one
    }

    /// Does what the core wants, but for syncing.
    pub(super) fn run(&mut self) {
        loop {
            let outputs = self.core.outputs();
            if outputs.is_empty() {
                return;
            }
            for output in outputs {
                match output {
                    Output::Log { entry, copy } => {
                        assert_eq!(copy, None);
                        entry.check().unwrap();
                        self.log.push(entry);
                    }
                    Output::Send { peer, message } => self.sent.push((peer, message)),
                    Output::Answer { ticket, result } => self.answers.push((ticket, result)),
                    Output::Wake(_) => self.wakes += 1,
                    Output::StoreIdentity(identity) => {
                        self.stored = Some(identity);
                        self.core.identity_stored(self.now, identity);
                    }
                    Output::Stable { .. } => {}
                    other @ (Output::Fatal(_) | Output::Disconnect { .. }) => panic!("{other:?}"),
                }
            }
        }
    }

    pub(super) fn sync(&mut self) {
        self.run();
        let places: Vec<Place> = (self.core.synced + 1..=self.log.len() as u64)
            .map(Place)
            .collect();
        self.core.durable(self.now, self.log.len() as u64, &places);
        self.run();
    }

    pub(super) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// The answer, if it has come.
    pub(super) fn take(&mut self, ticket: Ticket) -> Option<Result<Answer, Refusal>> {
        let at = self
            .answers
            .iter()
            .position(|(other, _)| *other == ticket)?;
        Some(self.answers.remove(at).1)
    }

    pub(super) fn append(&mut self, path: &str, append: Append) -> Ticket {
        let ticket = self.ticket();
        let path = path.parse().unwrap();
        self.core.append(self.now, ticket, &path, append);
        self.run();
        ticket
    }

    /// Appends and syncs.
    pub(super) fn add(&mut self, path: &str, append: Append) -> Result<Appended, Refusal> {
        let ticket = self.append(path, append);
        self.sync();
        match self.take(ticket).expect("an answer after the sync")? {
            Answer::Appended(appended) => Ok(appended),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn read(
        &mut self,
        path: &str,
        from: &str,
    ) -> Result<(Vec<String>, Cursor), Refusal> {
        let ticket = self.ticket();
        let (path, from) = (path.parse().unwrap(), from.parse::<Position>().unwrap());
        let limits = ReadLimits::default();
        self.core.read(self.now, ticket, &path, from, None, limits);
        self.run();
        match self.take(ticket).expect("a read that need not wait")? {
            Answer::Read(reading) => {
                let texts = reading.entries.iter().map(shown).collect();
                Ok((texts, reading.next))
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn follow(&mut self, path: &str, from: &str) -> Result<Follow, Refusal> {
        let ticket = self.ticket();
        let (path, from) = (path.parse().unwrap(), from.parse::<Position>().unwrap());
        self.core.follow(self.now, ticket, &path, from, None);
        self.run();
        match self.take(ticket).expect("a follow that need not wait")? {
            Answer::Following(follow) => Ok(follow),
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn shown(picked: &Picked) -> String {
    match &picked.payload {
        Payload::Here(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Payload::At { place, .. } => format!("@{}", place.0),
    }
}
