//! A set of options.

/// Options, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Bits([u64; 4]);

impl Bits {
    /// Whether `option` is in it.
    pub(crate) fn has(&self, option: u8) -> bool {
        let word = self.0.get(usize::from(option >> 6)).copied();
        word.unwrap_or_default() >> (option & 63) & 1 == 1
    }

    /// Puts `option` in, or takes it out.
    pub(crate) fn set(&mut self, option: u8, is_in: bool) {
        if let Some(word) = self.0.get_mut(usize::from(option >> 6)) {
            *word = *word & !(1 << (option & 63)) | u64::from(is_in) << (option & 63);
        }
    }
}
