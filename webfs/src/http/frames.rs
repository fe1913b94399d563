//! Frames of live reads, made once and shared: readers at the same position get the same bytes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::cursor::Cursor;
use crate::letter::Name;
use crate::path::StreamPath;
use crate::server::{Identity, Slice};

use super::sse::{self, Control, ForDirector};

/// Most frames kept. Readers of one room ask within moments of each other.
const MAX_FRAMES: usize = 1024;
/// Most bytes kept, all frames and the names they are found by together.
const MAX_BYTES: usize = 8 << 20;

/// All that a frame's bytes depend on. The names stand for the payloads: in one generation, which
/// `next` has in it, a name never means two.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    path: StreamPath,
    next: Cursor,
    /// Each with whether it is stable, which only a director is told.
    names: Box<[(Name, bool)]>,
    up_to_date: bool,
    stream_cursor: u64,
    director: Option<(Identity, Cursor)>,
}

/// The frames made last.
#[derive(Default)]
pub(crate) struct Frames(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    frames: HashMap<Arc<Key>, Bytes>,
    oldest_first: VecDeque<Arc<Key>>,
    bytes: usize,
}

impl Frames {
    /// The data and control event of a slice; made only if nobody has asked for it before.
    pub(crate) fn frame(&self, path: &StreamPath, slice: &Slice, control: &Control<'_>) -> Bytes {
        let director = control.director;
        let names = slice.entries.iter();
        let key = Key {
            path: path.clone(),
            next: slice.next.clone(),
            names: names
                .map(|entry| (entry.name, director.is_some() && entry.stable))
                .collect(),
            up_to_date: control.up_to_date,
            stream_cursor: control.stream_cursor,
            director: director.map(|ForDirector { server, stable }| (server, stable.clone())),
        };
        if let Some(frame) = self.kept().frames.get(&key) {
            return frame.clone();
        }
        let frame = sse::slice(slice, control);
        self.kept().keep(key, frame.clone());
        frame
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn keep(&mut self, key: Key, frame: Bytes) {
        let size = weight(&key, &frame);
        if size > MAX_BYTES / 8 {
            return;
        }
        let key = Arc::new(key);
        if self.frames.insert(key.clone(), frame).is_some() {
            return; // two readers made it at once
        }
        self.bytes += size;
        self.oldest_first.push_back(key);
        while self.oldest_first.len() > MAX_FRAMES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.oldest_first.pop_front() else {
                return;
            };
            if let Some(frame) = self.frames.remove(&oldest) {
                self.bytes -= weight(&oldest, &frame);
            }
        }
    }
}

/// Bytes that a kept frame takes: of many short entries the names are the greater part.
fn weight(key: &Key, frame: &Bytes) -> usize {
    frame.len() + size_of_val(&*key.names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Delivery;

    fn one_of(index: u64, size: usize) -> Slice {
        slice_of(index, 1, size)
    }

    /// A slice of `count` entries.
    fn slice_of(index: u64, count: usize, size: usize) -> Slice {
        let name: Name = format!("a.{index}").parse().unwrap();
        let entry = Delivery {
            name,
            payload: vec![b'x'; size].into(),
            count: 1,
            accepted_at: 0,
            request: None,
            producer: None,
            stable: false,
        };
        Slice {
            content_type: "text/plain".parse().unwrap(),
            entries: vec![entry; count],
            next: format!("{index:016}_g0-a.{index}").parse().unwrap(),
            up_to_date: true,
            stable: Cursor::default(),
        }
    }

    fn control(slice: &Slice) -> Control<'_> {
        Control {
            next: &slice.next,
            stream_cursor: 7,
            up_to_date: true,
            director: None,
        }
    }

    #[test]
    fn readers_at_one_position_share_their_bytes() {
        let frames = Frames::default();
        let path = "rooms/a".parse().unwrap();
        let slice = one_of(1, 10);
        let first = frames.frame(&path, &slice, &control(&slice));
        let again = frames.frame(&path, &slice, &control(&slice));
        assert_eq!(first.as_ptr(), again.as_ptr());
        let elsewhere = frames.frame(&"rooms/b".parse().unwrap(), &slice, &control(&slice));
        assert_ne!(first.as_ptr(), elsewhere.as_ptr());
        let later = Control {
            stream_cursor: 8,
            ..control(&slice)
        };
        assert_ne!(frames.frame(&path, &slice, &later), first);
    }

    #[test]
    fn it_is_bounded_by_number_and_by_bytes() {
        let frames = Frames::default();
        let path = "rooms/a".parse().unwrap();
        let kinds = [
            (3000, 1, 10),
            (100, 1, 500_000),
            (4, 1, 2 << 20),
            (300, 4096, 1),
        ];
        for (count, entries, size) in kinds {
            for index in 1..=count {
                let slice = slice_of(index, entries, size);
                frames.frame(&path, &slice, &control(&slice));
                let kept = frames.kept();
                assert!(kept.bytes <= MAX_BYTES && kept.frames.len() <= MAX_FRAMES);
                assert_eq!(kept.frames.len(), kept.oldest_first.len());
                let of = |(key, frame): (&Arc<Key>, &Bytes)| {
                    frame.len() + key.names.len() * size_of::<(Name, bool)>()
                };
                assert_eq!(kept.frames.iter().map(of).sum::<usize>(), kept.bytes);
            }
        }
    }
}
