//! What a host and a client have agreed on, as whoever stands between them sees it.

use super::bits::Bits;
use crate::nvt::Verb;

/// Who performs an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Performer {
    /// The host: it says WILL, the client DO.
    Host,
    /// The client: it says WILL, the host DO.
    Client,
}

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    Host,
    Client,
}

impl Speaker {
    /// Who performs the option of which this speaker says `verb`.
    pub(crate) fn performer(self, verb: Verb) -> Performer {
        match (self, verb.is_about_speaker()) {
            (Self::Host, true) | (Self::Client, false) => Performer::Host,
            (Self::Host, false) | (Self::Client, true) => Performer::Client,
        }
    }
}

/// The last words of both about each option.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// Of options that the host performs: its WILL, and the client's DO.
    host: [Bits; 2],
    /// Of options that the client performs: its WILL, and the host's DO.
    client: [Bits; 2],
}

impl Agreed {
    /// `speaker` has said so. A no takes the other's word away as well: RFC 854 has no other answer to it.
    pub(crate) fn observe(&mut self, speaker: Speaker, verb: Verb, option: u8) {
        let words = match speaker.performer(verb) {
            Performer::Host => &mut self.host,
            Performer::Client => &mut self.client,
        };
        let [performs, permits] = words;
        if !verb.is_positive() {
            performs.set(option, false);
            permits.set(option, false);
        } else if verb.is_about_speaker() {
            performs.set(option, true);
        } else {
            permits.set(option, true);
        }
    }

    /// Whether both have agreed.
    pub(crate) fn is_on(&self, performer: Performer, option: u8) -> bool {
        let [performs, permits] = match performer {
            Performer::Host => &self.host,
            Performer::Client => &self.client,
        };
        performs.has(option) && permits.has(option)
    }

    /// Both have agreed, or no longer, by whatever words.
    pub(crate) fn set(&mut self, performer: Performer, option: u8, is_on: bool) {
        let words = match performer {
            Performer::Host => &mut self.host,
            Performer::Client => &mut self.client,
        };
        words.iter_mut().for_each(|word| word.set(option, is_on));
    }
}

/// What a host has to say to a client that stands at `old`, so that it stands at `new`.
pub(crate) fn difference(old: &Agreed, new: &Agreed) -> Vec<(Verb, u8)> {
    let mut words = Vec::new();
    for option in 0..=u8::MAX {
        let host = new.is_on(Performer::Host, option);
        if host != old.is_on(Performer::Host, option) {
            words.push((Verb::of_performer(host), option));
        }
        let client = new.is_on(Performer::Client, option);
        if client != old.is_on(Performer::Client, option) {
            words.push((Verb::of_other(client), option));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_have_to_agree() {
        let mut agreed = Agreed::default();
        agreed.observe(Speaker::Host, Verb::Will, 1);
        assert!(!agreed.is_on(Performer::Host, 1));
        agreed.observe(Speaker::Client, Verb::Do, 1);
        assert!(agreed.is_on(Performer::Host, 1) && !agreed.is_on(Performer::Client, 1));
        agreed.observe(Speaker::Client, Verb::Dont, 1);
        assert!(!agreed.is_on(Performer::Host, 1));
        agreed.observe(Speaker::Host, Verb::Do, 31);
        agreed.observe(Speaker::Client, Verb::Wont, 31);
        agreed.observe(Speaker::Client, Verb::Will, 31);
        assert!(!agreed.is_on(Performer::Client, 31));
    }

    proptest! {
        #[test]
        fn the_difference_leads_from_one_to_the_other(
            old in prop::collection::vec((any::<bool>(), any::<u8>()), 0..40),
            new in prop::collection::vec((any::<bool>(), any::<u8>()), 0..40),
        ) {
            let made = |on: &[(bool, u8)]| {
                let mut agreed = Agreed::default();
                for (host, option) in on {
                    let performer = if *host { Performer::Host } else { Performer::Client };
                    agreed.set(performer, *option, true);
                }
                agreed
            };
            let (mut old, new) = (made(&old), made(&new));
            for (verb, option) in difference(&old, &new) {
                old.observe(Speaker::Host, verb, option);
                let answer = match verb {
                    Verb::Will => Verb::Do,
                    Verb::Wont => Verb::Dont,
                    Verb::Do => Verb::Will,
                    Verb::Dont => Verb::Wont,
                };
                old.observe(Speaker::Client, answer, option);
            }
            prop_assert!(difference(&old, &new).is_empty());
        }
    }
}
