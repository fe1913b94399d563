//! What the server tells of itself and its group.

use super::state::Core;
use crate::server::{Group, Member};

/// What is counted, for `/metrics`.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) released: u64,
    pub(super) gone: u64,
    pub(super) producer_faults: u64,
    pub(super) logged_again: u64,
    pub(super) fetched_back: u64,
    pub(super) pulls: u64,
    pub(super) gaps: u64,
    pub(super) shipped: u64,
    pub(super) shipped_out_of_order: u64,
}

impl Core {
    /// The group as this server sees it.
    #[must_use]
    pub fn group(&self) -> Group {
        let own = Member {
            id: Some(self.settings.id),
            identity: self.identity,
            address: self.settings.listen.clone(),
            up: true,
            load: self.load,
            leaving: self.leaving,
        };
        let others = self.peers.iter().zip(&self.settings.peers);
        let mut members: Vec<Member> = others
            .filter(|(peer, _)| !peer.itself)
            .map(|(peer, address)| Member {
                id: peer.id,
                identity: peer.identity,
                address: address.clone(),
                up: peer.up,
                load: peer.load,
                leaving: peer.leaving,
            })
            .collect();
        members.sort_by(|one, other| one.address.cmp(&other.address));
        members.insert(0, own);
        let view = self.view;
        Group { view, members }
    }

    /// Live reads and writes under way, as the group's view tells them.
    pub fn set_load(&mut self, load: u32) {
        self.load = load;
    }

    /// Whether this server takes no new work.
    pub fn set_leaving(&mut self, leaving: bool) {
        self.view += u64::from(self.leaving != leaving);
        self.leaving = leaving;
    }

    /// Counters for `/metrics`: name and value.
    #[must_use]
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        let of = &self.counters;
        let entries: usize = self.rooms.iter().map(|room| room.replica.len()).sum();
        vec![
            ("webfs_entries", entries as u64),
            ("webfs_streams", self.rooms.len() as u64),
            ("webfs_payload_bytes_in_memory", self.in_memory_bytes as u64),
            ("webfs_writes_released_total", of.released),
            ("webfs_cursors_gone_total", of.gone),
            ("webfs_producer_faults_total", of.producer_faults),
            ("webfs_entries_logged_again_total", of.logged_again),
            ("webfs_entries_fetched_back_total", of.fetched_back),
            ("webfs_pulls_total", of.pulls),
            ("webfs_gaps_total", of.gaps),
            ("webfs_entries_shipped_total", of.shipped),
        ]
    }
}
