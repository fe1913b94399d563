//! Size of the window, RFC 1073: four bytes, columns and rows, high byte first.

/// Columns and rows of a terminal nobody has told the size of; of one that is told 0, too (RFC 1073).
pub const USUAL: Window = Window {
    columns: 80,
    rows: 24,
};
/// Most columns of a screen that is kept.
pub const MAX_COLUMNS: u16 = 512;
/// Most rows of a screen that is kept.
pub const MAX_ROWS: u16 = 256;

/// The size of a terminal's window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Characters in a row; 0 if it is not known.
    pub columns: u16,
    /// Rows; 0 if it is not known.
    pub rows: u16,
}

impl Window {
    /// What a payload says; `None` when it has not four bytes.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let &[a, b, c, d] = payload else {
            return None;
        };
        Some(Self {
            columns: u16::from_be_bytes([a, b]),
            rows: u16::from_be_bytes([c, d]),
        })
    }

    /// The payload that says it.
    #[must_use]
    pub const fn payload(self) -> [u8; 4] {
        let ([a, b], [c, d]) = (self.columns.to_be_bytes(), self.rows.to_be_bytes());
        [a, b, c, d]
    }

    /// The size of the screen that is kept for it: what is unknown is as usual, and what is absurd takes
    /// no more room than the bounds. A host is told what the client said, not this.
    #[must_use]
    pub fn kept(self) -> Self {
        let size = |told: u16, usual, most| if told == 0 { usual } else { told.min(most) };
        Self {
            columns: size(self.columns, USUAL.columns, MAX_COLUMNS),
            rows: size(self.rows, USUAL.rows, MAX_ROWS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let seen = |payload: &[u8]| {
            let window = Window::parse(payload)?;
            assert_eq!(window.payload(), payload);
            Some((window.kept().columns, window.kept().rows))
        };
        assert_eq!(seen(&[0, 132, 0, 43]), Some((132, 43)));
        assert_eq!(seen(&[0, 0, 0, 0]), Some((80, 24)));
        assert_eq!(seen(&[0, 0, 0, 1]), Some((80, 1)));
        assert_eq!(seen(&[255; 4]), Some((512, 256)));
        assert_eq!(seen(&[0, 80, 24]), None);
        assert_eq!(seen(&[0, 80, 0, 24, 0]), None);
    }
}
