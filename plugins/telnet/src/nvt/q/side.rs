//! One option on one side: the six states of RFC 1143 section 7.

/// State of one option on one side. It is the same table whether we perform the option (WILL and WONT
/// are ours) or the peer does (DO and DONT are), so words are only positive or negative here.
///
/// The RFC's queue bit is part of the state: `...Opposite` is its OPPOSITE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Side {
    /// Off; every option begins so.
    #[default]
    No,
    /// On.
    Yes,
    /// We said the negative, and wait for the answer.
    WantNo,
    /// We said the negative, and want it on again as soon as the answer is here.
    WantNoOpposite,
    /// We said the positive, and wait for the answer.
    WantYes,
    /// We said the positive, and want it off again as soon as the answer is here.
    WantYesOpposite,
}

impl Side {
    /// The peer said the positive or the negative; `allow` is whether we let the option be on. Returns
    /// what is to be said in answer, if anything: only changes are answered.
    pub const fn receive(&mut self, positive: bool, allow: bool) -> Option<bool> {
        let (next, answer) = match (*self, positive) {
            (Self::No, true) if allow => (Self::Yes, Some(true)),
            (Self::No, true) => (Self::No, Some(false)),
            (Self::Yes, false) => (Self::No, Some(false)),
            (Self::WantNoOpposite, false) => (Self::WantYes, Some(true)),
            (Self::WantYesOpposite, true) => (Self::WantNo, Some(false)),
            // A positive word in answer to a negative one is the peer's error; the RFC takes it so.
            (Self::WantNoOpposite, true) | (Self::Yes | Self::WantYes, true) => (Self::Yes, None),
            (Self::WantNo, true | false)
            | (Self::No | Self::WantYes | Self::WantYesOpposite, false) => (Self::No, None),
        };
        *self = next;
        answer
    }

    /// We want the option on, or off. Returns what is to be said, if anything.
    pub const fn ask(&mut self, on: bool) -> Option<bool> {
        let (next, word) = match (*self, on) {
            (Self::No, true) => (Self::WantYes, Some(true)),
            (Self::Yes, false) => (Self::WantNo, Some(false)),
            (Self::WantNo | Self::WantNoOpposite, true) => (Self::WantNoOpposite, None),
            (Self::WantNo | Self::WantNoOpposite, false) => (Self::WantNo, None),
            (Self::WantYes | Self::WantYesOpposite, true) => (Self::WantYes, None),
            (Self::WantYes | Self::WantYesOpposite, false) => (Self::WantYesOpposite, None),
            (Self::No, false) => (Self::No, None),
            (Self::Yes, true) => (Self::Yes, None),
        };
        *self = next;
        word
    }

    /// Whether both ends agreed that it is on.
    #[must_use]
    pub const fn is_on(self) -> bool {
        matches!(self, Self::Yes)
    }

    /// Whether nobody waits for an answer.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::No | Self::Yes)
    }
}
