//! Numbers for things that a plugin may name but must not hold.
//!
//! A number says what kind of thing it names, on which thread, in which place, and how often that
//! place was given before. So one that is used too late, twice, for another kind of thing or on
//! another thread names nothing; it never names another's. A place whose count is used up is
//! not given again.

/// What a number names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Task = 1,
    Stream,
    Timer,
    Relay,
    Chain,
    Ticket,
    Connect,
    Listener,
    Spool,
    Confirm,
}

/// Why a number names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Void {
    /// It never did, or not any more.
    Gone,
    /// It belongs to another thread.
    Thread,
}

const PLACE_BITS: u32 = 24;
const TIME_BITS: u32 = 22;
const THREAD_BITS: u32 = 14;
const TIME_SHIFT: u32 = PLACE_BITS;
const THREAD_SHIFT: u32 = PLACE_BITS + TIME_BITS;
const KIND_SHIFT: u32 = PLACE_BITS + TIME_BITS + THREAD_BITS;
const LAST_TIME: u32 = (1 << TIME_BITS) - 1;

/// Threads that may ever hold numbers in one process.
pub(crate) const THREADS: u16 = (1 << THREAD_BITS) - 1;

const fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// The kind that `number` claims to be of.
pub(crate) fn kind_of(number: u64) -> Option<Kind> {
    [
        Kind::Task,
        Kind::Stream,
        Kind::Timer,
        Kind::Relay,
        Kind::Chain,
        Kind::Ticket,
        Kind::Connect,
        Kind::Listener,
        Kind::Spool,
        Kind::Confirm,
    ]
    .into_iter()
    .find(|kind| number >> KIND_SHIFT == u64::from(*kind as u8))
}

/// Things of one kind on one thread.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    kind: Kind,
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place<T> {
    /// How often this place was given before; from 1, so that no number is 0 in its lower half.
    time: u32,
    thing: Option<T>,
}

impl<T> Slab<T> {
    pub(crate) const fn new(kind: Kind) -> Self {
        Self {
            kind,
            places: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Keeps what `make` makes of its own number; `None` when there is no place left.
    pub(crate) fn insert(&mut self, thread: u16, make: impl FnOnce(u64) -> T) -> Option<u64> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.places.len()).ok()?;
                if u64::from(index) > mask(PLACE_BITS) {
                    return None;
                }
                self.places.push(Place {
                    time: 1,
                    thing: None,
                });
                index
            }
        };
        let place = self.places.get_mut(index as usize)?;
        let number = (u64::from(self.kind as u8) << KIND_SHIFT)
            | (u64::from(thread) << THREAD_SHIFT)
            | (u64::from(place.time) << TIME_SHIFT)
            | u64::from(index);
        place.thing = Some(make(number));
        Some(number)
    }

    /// What `number` names.
    ///
    /// # Errors
    ///
    /// [`Void`] when it names nothing on the thread `thread`.
    pub(crate) fn get(&self, thread: u16, number: u64) -> Result<&T, Void> {
        let index = self.index(thread, number)?;
        self.places
            .get(index)
            .and_then(|place| place.thing.as_ref())
            .ok_or(Void::Gone)
    }

    /// Takes out what `number` names; the number is void from now on.
    ///
    /// # Errors
    ///
    /// [`Void`] when it names nothing on the thread `thread`.
    pub(crate) fn remove(&mut self, thread: u16, number: u64) -> Result<T, Void> {
        let index = self.index(thread, number)?;
        let place = self.places.get_mut(index).ok_or(Void::Gone)?;
        let thing = place.thing.take().ok_or(Void::Gone)?;
        if place.time < LAST_TIME {
            place.time += 1;
            self.free.push(index as u32);
        }
        Ok(thing)
    }

    /// All that is kept.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().filter_map(|place| place.thing.as_ref())
    }

    /// How many things are kept.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    fn index(&self, thread: u16, number: u64) -> Result<usize, Void> {
        if number >> KIND_SHIFT != u64::from(self.kind as u8) {
            return Err(Void::Gone);
        }
        if (number >> THREAD_SHIFT) & mask(THREAD_BITS) != u64::from(thread) {
            return Err(Void::Thread);
        }
        let index = (number & mask(PLACE_BITS)) as usize;
        let time = (number >> TIME_SHIFT) & mask(TIME_BITS);
        match self.places.get(index) {
            Some(place) if u64::from(place.time) == time => Ok(index),
            Some(_) | None => Err(Void::Gone),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_used_twice_names_nothing_the_second_time() {
        let mut slab = Slab::new(Kind::Stream);
        let first = slab.insert(1, |_| "first").unwrap();
        assert_eq!(slab.remove(1, first), Ok("first"));
        assert_eq!(slab.remove(1, first), Err(Void::Gone));
        let second = slab.insert(1, |_| "second").unwrap();
        assert_ne!(first, second, "the place is the same, the number is not");
        assert_eq!(slab.get(1, first), Err(Void::Gone));
        assert_eq!(slab.get(1, second), Ok(&"second"));
    }

    #[test]
    fn a_number_of_another_thread_or_kind_is_told_apart() {
        let mut streams = Slab::new(Kind::Stream);
        let timers: Slab<()> = Slab::new(Kind::Timer);
        let number = streams.insert(1, |_| ()).unwrap();
        assert_eq!(streams.get(2, number), Err(Void::Thread));
        assert_eq!(timers.get(1, number), Err(Void::Gone));
        assert_eq!(kind_of(number), Some(Kind::Stream));
        assert_eq!(kind_of(0), None);
        assert_eq!(streams.get(1, 0), Err(Void::Gone));
        assert_eq!(streams.get(1, u64::MAX), Err(Void::Gone));
    }

    #[test]
    fn a_place_whose_times_are_used_up_is_not_given_again() {
        let mut slab = Slab::new(Kind::Task);
        slab.insert(1, |_| ()).unwrap();
        slab.places[0].time = LAST_TIME;
        let last = (1 << KIND_SHIFT) | (1 << THREAD_SHIFT) | (u64::from(LAST_TIME) << TIME_SHIFT);
        assert_eq!(slab.remove(1, last), Ok(()));
        let next = slab.insert(1, |_| ()).unwrap();
        assert_eq!(next & mask(PLACE_BITS), 1);
        assert_eq!(slab.len(), 1);
    }

    proptest! {
        /// Any order of inserts, looks and removals, with live, stale and invented numbers, agrees
        /// with a map from every number ever given.
        #[test]
        fn agrees_with_a_map(steps in prop::collection::vec((0u8..4, any::<prop::sample::Index>(), any::<u64>()), 1..400)) {
            let mut slab = Slab::new(Kind::Ticket);
            let mut model: HashMap<u64, Option<u64>> = HashMap::new();
            let mut given: Vec<u64> = Vec::new();
            for (step, (what, which, invented)) in steps.into_iter().enumerate() {
                let known = (!given.is_empty()).then(|| given[which.index(given.len())]);
                match (what, known) {
                    (0 | 1, _) => {
                        let number = slab.insert(7, |_| step as u64).unwrap();
                        prop_assert!(model.insert(number, Some(step as u64)).is_none(), "a number was given twice");
                        given.push(number);
                    }
                    (2, Some(number)) => {
                        let there = model.get_mut(&number).and_then(Option::take);
                        prop_assert_eq!(slab.remove(7, number).ok(), there);
                    }
                    (_, Some(number)) => {
                        prop_assert_eq!(slab.get(7, number).ok().copied(), model[&number]);
                        let invented = number ^ (1 << (invented % 64));
                        prop_assert_eq!(slab.get(7, invented).ok().copied(), model.get(&invented).copied().flatten());
                    }
                    (_, None) => prop_assert!(slab.get(7, invented).is_err()),
                }
            }
            prop_assert_eq!(slab.len(), model.values().flatten().count());
        }
    }
}
