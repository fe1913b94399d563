//! The kinds of terminal that a client can be, RFC 1091: it names one for each SEND, the one it likes
//! best first; the last is named twice, and then they begin again.

use super::text;

/// Most kinds of terminal that are remembered of a client.
pub const MAX_TYPES: usize = 16;
/// Longest name, RFC 1091.
pub const MAX_NAME: usize = 40;

/// What a client has said that its terminal is, in its own order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Types {
    names: Vec<Box<[u8]>>,
    /// The client has begun to repeat itself.
    whole: bool,
}

impl Types {
    /// Nothing is known yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            names: Vec::new(),
            whole: false,
        }
    }

    /// The client named `name`. Once it repeats itself the list is whole; a list without end is cut, and
    /// names nobody could use are left out.
    pub fn learn(&mut self, name: &[u8]) {
        if self.whole {
            return;
        }
        if self.names.len() == MAX_TYPES || self.names.iter().any(|known| **known == *name) {
            self.whole = true;
        } else if name.len() <= MAX_NAME && text::can_be_said(name) {
            self.names.push(name.into());
        }
    }

    /// The names, in the client's order.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.names.iter().map(|name| &**name)
    }

    /// The answer to a SEND of a host that has asked so often since the list began, which is counted
    /// on; `None` if the client never named any.
    #[must_use]
    pub fn answer(&self, asked: &mut usize) -> Option<&[u8]> {
        let at = (*asked).min(self.names.len().checked_sub(1)?);
        *asked = if *asked >= self.names.len() {
            0
        } else {
            *asked + 1
        };
        self.names.get(at).map(|name| &**name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learnt(said: &[&str]) -> Types {
        let mut types = Types::new();
        said.iter().for_each(|name| types.learn(name.as_bytes()));
        types
    }

    #[test]
    fn a_host_hears_them_in_the_order_of_the_client() {
        let types = learnt(&["XTERM", "VT220", "VT100", "VT100", "XTERM"]);
        let mut asked = 0;
        let mut heard = || String::from_utf8(types.answer(&mut asked).unwrap().to_vec()).unwrap();
        let all: Vec<_> = (0..6).map(|_| heard()).collect();
        assert_eq!(all, ["XTERM", "VT220", "VT100", "VT100", "XTERM", "VT220"]);
        assert_eq!(types.answer(&mut 0), Some(&b"XTERM"[..]));
    }

    #[test]
    fn one_that_begins_again_is_known_whole() {
        let types = learnt(&["A", "B", "A", "C"]);
        assert_eq!(types.names().collect::<Vec<_>>(), [b"A", b"B"]);
    }

    #[test]
    fn a_list_without_end_is_cut() {
        let mut types = Types::new();
        for number in 0..1000 {
            types.learn(format!("T{number}").as_bytes());
        }
        assert_eq!(types.names().count(), MAX_TYPES);
    }

    #[test]
    fn bad_names_are_left_out() {
        let types = learnt(&["", "-x", "a\u{1b}b", &"x".repeat(41)]);
        assert_eq!(types.answer(&mut 0), None);
    }
}
