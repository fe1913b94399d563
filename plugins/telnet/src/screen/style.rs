//! How a cell looks, and the tables that let a cell be eight bytes.
//!
//! A cell names its style and its combining marks by number. Both tables grow with what is shown and
//! are swept when they are full: what no cell names any more goes.

use std::collections::HashMap;

/// A colour as SGR names it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Color {
    /// The terminal's own (SGR 39, 49).
    #[default]
    Default,
    /// One of 256; 0 to 15 are those of SGR 30 to 37 and 90 to 97.
    Indexed(u8),
    /// Red, green, blue.
    Rgb(u8, u8, u8),
}

/// What SGR set: colours and attributes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Style {
    /// Of the character.
    pub foreground: Color,
    /// Behind it.
    pub background: Color,
    /// The sum of [`Style::BOLD`] and its like.
    pub attributes: u16,
}

impl Style {
    /// SGR 1.
    pub const BOLD: u16 = 1;
    /// SGR 2.
    pub const DIM: u16 = 1 << 1;
    /// SGR 3.
    pub const ITALIC: u16 = 1 << 2;
    /// SGR 4; its kinds (4:2, 4:3 ...) and its own colour are not told apart.
    pub const UNDERLINE: u16 = 1 << 3;
    /// SGR 5 and 6.
    pub const BLINK: u16 = 1 << 4;
    /// SGR 7.
    pub const INVERSE: u16 = 1 << 5;
    /// SGR 8.
    pub const HIDDEN: u16 = 1 << 6;
    /// SGR 9.
    pub const STRIKE: u16 = 1 << 7;
    /// SGR 53.
    pub const OVERLINE: u16 = 1 << 8;

    /// Whether all of `attributes` are set.
    #[must_use]
    pub fn has(self, attributes: u16) -> bool {
        self.attributes & attributes == attributes
    }

    /// What an erased cell takes over: the background alone, as xterm does.
    pub(super) fn erased(self) -> Self {
        Self {
            background: self.background,
            ..Self::default()
        }
    }
}

/// A style by number. Number 0 is the default one.
#[derive(Debug, Clone)]
pub(super) struct Styles {
    list: Vec<Style>,
    /// Only filled once a look through the list would be slow.
    index: HashMap<Style, u16>,
}

/// From this many styles on they are found by hash.
const INDEXED_FROM: usize = 24;

impl Styles {
    pub(super) fn new() -> Self {
        Self {
            list: vec![Style::default()],
            index: HashMap::new(),
        }
    }

    pub(super) fn get(&self, number: u16) -> Style {
        self.list
            .get(usize::from(number))
            .copied()
            .unwrap_or_default()
    }

    /// The number of `style` if it has one.
    pub(super) fn find(&self, style: Style) -> Option<u16> {
        if self.list.len() < INDEXED_FROM {
            let at = self.list.iter().position(|known| *known == style)?;
            return u16::try_from(at).ok();
        }
        self.index.get(&style).copied()
    }

    /// Numbers a style that has none yet; `None` if there are `limit` already.
    pub(super) fn add(&mut self, style: Style, limit: usize) -> Option<u16> {
        if self.list.len() >= limit {
            return None;
        }
        let number = u16::try_from(self.list.len()).ok()?;
        self.list.push(style);
        if self.list.len() == INDEXED_FROM {
            self.reindex();
        } else if self.list.len() > INDEXED_FROM {
            self.index.insert(style, number);
        }
        Some(number)
    }

    /// Keeps the styles that `used` marks and returns the new number of each old one.
    pub(super) fn keep(&mut self, used: &[bool]) -> Vec<u16> {
        let mut numbers = vec![0; self.list.len()];
        let mut kept = Vec::new();
        for (at, style) in self.list.iter().enumerate() {
            if at == 0 || used.get(at).copied().unwrap_or(false) {
                numbers[at] = u16::try_from(kept.len()).unwrap_or(0);
                kept.push(*style);
            }
        }
        self.list = kept;
        self.index = HashMap::new();
        if self.list.len() >= INDEXED_FROM {
            self.reindex();
        }
        numbers
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Bytes on the heap.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.list.capacity() * size_of::<Style>()
            + self.index.capacity() * (size_of::<(Style, u16)>() + 1)
    }

    fn reindex(&mut self) {
        self.index = (0u16..).zip(&self.list).map(|(n, s)| (*s, n)).collect();
    }
}

/// A character with combining marks: at most 22 bytes of UTF-8.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cluster {
    bytes: [u8; Self::SIZE],
    len: u8,
}

impl Cluster {
    const SIZE: usize = 22;

    pub(super) fn new(base: char) -> Self {
        let mut bytes = [0; Self::SIZE];
        let len = base.encode_utf8(&mut bytes).len();
        Self {
            bytes,
            len: u8::try_from(len).unwrap_or(0),
        }
    }

    /// Adds a mark. One too many is dropped: a column of marks is an attack, not a language.
    pub(super) fn push(&mut self, mark: char) {
        let len = usize::from(self.len);
        if len + 4 >= Self::SIZE {
            return;
        }
        let added = mark.encode_utf8(&mut self.bytes[len..]).len();
        self.len = u8::try_from(len + added).unwrap_or(self.len);
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}
