//! Which names mean one message.
//!
//! A write accepted twice has two names. They are brought together by its request id, by its producer's
//! triple with the same bytes, and by the former names that a resend says (`was`), which count even when
//! no server holds an entry under them any more.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::entry::Entry;
use crate::letter::Name;
use crate::stream::{Producer, RequestId};

/// The names of one stream generation.
#[derive(Debug, Default)]
pub(super) struct Names {
    groups: Vec<Vec<Name>>,
    of: HashMap<Name, u32>,
    requests: HashMap<RequestId, Name>,
    triples: HashMap<Producer, Vec<(u64, Name)>>,
}

/// What putting an entry's name in found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    /// The group it is in, when its message has other names.
    pub(super) group: Option<u32>,
    /// Another message has the same producer triple.
    pub(super) fault: bool,
}

/// An entry with a producer's triple.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Twin {
    /// Its name.
    pub(super) name: Name,
    /// Its bytes are those asked for.
    pub(super) same_bytes: bool,
}

/// What two payloads of one triple are compared by.
fn digest(payload: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    payload.hash(&mut hasher);
    hasher.finish()
}

impl Names {
    /// Puts in an entry, with its payload. Without (it is logged again, and only the log has that), its
    /// former name says which message it is.
    pub(super) fn add(&mut self, entry: &Entry) -> Named {
        let mut named = Named::default();
        let mut same: Vec<Name> = entry.was.clone();
        if let Some(request) = &entry.request {
            let first = *self.requests.entry(request.clone()).or_insert(entry.name);
            same.push(first);
        }
        let here = entry.count == 0 || !entry.payload.is_empty();
        if let Some(triple) = entry.producer.as_ref().filter(|_| here) {
            let digest = digest(&entry.payload);
            let copies = self.triples.entry(triple.clone()).or_default();
            match copies.iter().find(|(other, _)| *other == digest) {
                Some(&(_, first)) => same.push(first),
                None => {
                    named.fault = !copies.is_empty();
                    copies.push((digest, entry.name));
                }
            }
        }
        same.retain(|name| *name != entry.name);
        for other in same {
            named.group = Some(self.join(entry.name, other));
        }
        if named.group.is_none() {
            named.group = self.of.get(&entry.name).copied();
        }
        named
    }

    /// The names of a group.
    pub(super) fn group(&self, group: u32) -> &[Name] {
        self.groups.get(group as usize).map_or(&[], Vec::as_slice)
    }

    /// All names of the message that has this one, if it has several.
    pub(super) fn others(&self, name: Name) -> &[Name] {
        self.of.get(&name).map_or(&[], |&group| self.group(group))
    }

    /// The group of a name.
    pub(super) fn group_of(&self, name: Name) -> Option<u32> {
        self.of.get(&name).copied()
    }

    /// The first entry here with this request id.
    pub(super) fn by_request(&self, request: &RequestId) -> Option<Name> {
        self.requests.get(request).copied()
    }

    /// The first entry here with this triple: one with these bytes if there is one.
    pub(super) fn by_triple(&self, triple: &Producer, payload: &[u8]) -> Option<Twin> {
        let copies = self.triples.get(triple)?;
        let digest = digest(payload);
        let same = copies.iter().find(|(other, _)| *other == digest);
        let &(_, name) = same.or(copies.first())?;
        let same_bytes = same.is_some();
        Some(Twin { name, same_bytes })
    }

    /// Makes two names those of one message; gives the group.
    fn join(&mut self, one: Name, other: Name) -> u32 {
        let (keep, gone) = match (self.group_of(one), self.group_of(other)) {
            (Some(keep), Some(gone)) if keep == gone => return keep,
            (Some(keep), Some(gone)) => (keep, self.take(gone)),
            (Some(keep), None) => (keep, vec![other]),
            (None, Some(keep)) => (keep, vec![one]),
            (None, None) => {
                self.groups.push(Vec::new());
                (
                    u32::try_from(self.groups.len() - 1).unwrap_or(u32::MAX),
                    vec![one, other],
                )
            }
        };
        for &name in &gone {
            self.of.insert(name, keep);
        }
        if let Some(group) = self.groups.get_mut(keep as usize) {
            group.extend(gone);
        }
        keep
    }

    fn take(&mut self, group: u32) -> Vec<Name> {
        self.groups
            .get_mut(group as usize)
            .map(std::mem::take)
            .unwrap_or_default()
    }
}
