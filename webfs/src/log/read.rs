//! Single entries, read back by the place that the log gave out: payloads that memory gave up.

use std::io;
use std::sync::{Arc, PoisonError};

use super::Names;
use super::disk::{self, Disk, DiskFile};
use super::format::{self, Framed};
use crate::core::Place;
use crate::entry::{Entry, MAX_ENTRY};

/// Reads single entries back. Clones are cheap; calls block.
pub struct Reader<D: Disk> {
    pub(super) disk: Arc<D>,
    pub(super) names: Arc<Names>,
}

impl<D: Disk> Clone for Reader<D> {
    fn clone(&self) -> Self {
        Self {
            disk: Arc::clone(&self.disk),
            names: Arc::clone(&self.names),
        }
    }
}

impl<D: Disk> Reader<D> {
    /// The entries at places that the log gave out.
    ///
    /// # Errors
    /// Says in words what could not be read.
    pub fn read(&self, places: &[Place]) -> Result<Vec<Entry>, String> {
        let mut open: Option<(u32, D::File)> = None;
        let mut entries = Vec::with_capacity(places.len());
        for &at in places {
            let (segment, offset) = ((at.0 >> 32) as u32, at.0 & u64::from(u32::MAX));
            let told = |why: &dyn std::fmt::Display| {
                format!("log segment {segment}, offset {offset}: {why}")
            };
            if open.as_ref().is_none_or(|&(number, _)| number != segment) {
                let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
                let name = names.get(&segment).copied();
                drop(names);
                let name = name.ok_or_else(|| told(&"no such segment"))?;
                let file = self.disk.open(&name.to_string()).map_err(|e| told(&e))?;
                open = Some((segment, file));
            }
            if let Some((_, file)) = &open {
                entries.push(entry_at(file, offset).map_err(|why| told(&why))?);
            }
        }
        Ok(entries)
    }
}

/// Most entries are shorter than this, so one read mostly does.
const FIRST_READ: usize = 4096;

fn entry_at(file: &impl DiskFile, offset: u64) -> Result<Entry, String> {
    let told = |error: io::Error| error.to_string();
    let mut bytes = disk::read(file, FIRST_READ, offset).map_err(told)?;
    let need = format::framed_len(&bytes).ok_or("its length is missing")?;
    if need > format::ENTRY_HEADER + MAX_ENTRY {
        return Err("its length is damaged".to_owned());
    }
    if let Some(more) = need.checked_sub(bytes.len()) {
        let rest = disk::read(file, more, offset + bytes.len() as u64).map_err(told)?;
        bytes.extend(rest);
    }
    let framed = Framed::at(&bytes).ok_or("it ends early")?;
    if !framed.is_whole() {
        return Err("its checksum does not fit".to_owned());
    }
    Entry::decode(framed.bytes).map_err(|error| error.to_string())
}
