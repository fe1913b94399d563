//! What another node's file says of an upload whose node was lost: done, to be gone on with and from
//! where, to be sent anew, or beyond help. Pure.
//!
//! Bytes are never acknowledged on a data connection: what sat in the pipe has left the client and
//! reached nobody. So a new node is asked for the file's size, and what it lacks is sent out of what
//! was kept. That is right only when what it has is the beginning of *this* upload. Before the
//! upload began, its node was asked what stood under the name; a file that is just as it was then is
//! the old one, and nothing is ever added to it.

use crate::down::proof::Modified;

/// What a node says of the file under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A file.
    File {
        /// Octets as they are stored (SIZE with TYPE I).
        size: u64,
        /// MDTM, where the node has it.
        modified: Option<Modified>,
    },
    /// No file.
    Nothing,
    /// The node does not answer such questions.
    Untold,
}

/// How an upload changes its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// STOR from this octet of the file on; 0 is the whole file.
    Store {
        /// REST.
        from: u64,
    },
    /// APPE.
    Append,
}

/// How far an upload has come, counted in octets of what the client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// How it changes its file.
    pub(crate) how: How,
    /// Octets are stored as they are sent.
    pub(crate) binary: bool,
    /// The first octet that is still kept.
    pub(crate) first: u64,
    /// Octets that the client sent; all from `first` on are kept.
    pub(crate) end: u64,
    /// The client has sent all.
    pub(crate) closed: bool,
    /// A node was told that these are all, so it may have stored the file. One that was not, or that said
    /// no, has not, whatever size its file has.
    pub(crate) told: bool,
    /// Ends of line among them: a node that stores text its own way drops as many CRs.
    pub(crate) lines: u64,
    /// A node that appended fell silent when it had been sent so many octets. When it wakes, it adds what it has
    /// not stored yet to the end of the file, whoever has written there meanwhile.
    pub(crate) late: Option<u64>,
}

/// What is to be done at another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Nothing: the file is there as the client sent it.
    Done,
    /// The same command again, and all octets.
    Whole,
    /// What the node's file lacks.
    Resume {
        /// The octet of the upload to go on with.
        from: u64,
        /// The file's size now: where that octet belongs.
        size: u64,
    },
    /// What would be needed is not kept, or nothing shows whose the node's octets are.
    Lost,
}

/// What to do at a node that has `after` under the name, where `before` stood when the upload began.
pub(crate) fn plan(progress: &Progress, before: &Seen, after: &Seen) -> Plan {
    let stored = stored(progress.how, before, after);
    if progress.closed
        && progress.told
        && stored.is_some_and(|(stored, _)| is_all(progress, stored))
    {
        return Plan::Done;
    }
    let nothing_to_come = |sent| stored.is_some_and(|(stored, _)| stored == sent);
    if !progress.late.is_none_or(nothing_to_come) {
        return Plan::Lost;
    }
    let whole = progress.first == 0;
    match (progress.how, stored) {
        // What was stored is cut off or overwritten with the same octets.
        (How::Store { .. }, _) if whole => Plan::Whole,
        (How::Append, Some((0, _))) if whole => Plan::Whole,
        (How::Store { .. } | How::Append, Some((from, size)))
            if progress.binary && (progress.first..=progress.end).contains(&from) =>
        {
            Plan::Resume { from, size }
        }
        (How::Store { .. } | How::Append, Some(_) | None) => Plan::Lost,
    }
}

/// Whether an upload of which all from the octet `first` on is kept can be gone on with when its node is lost, as far
/// as that is known beforehand; `before` stood under its name when it began.
pub(crate) fn can_go_on(how: How, binary: bool, first: u64, before: &Seen) -> bool {
    match (how, before) {
        // It is sent anew, whole.
        (How::Store { .. }, _) if first == 0 => true,
        (_, Seen::Untold) => false,
        (How::Append, _) if first == 0 => true,
        (How::Append | How::Store { from: 0 }, _) => binary,
        (How::Store { from }, Seen::File { size, .. }) => binary && *size == from,
        (How::Store { .. }, Seen::Nothing) => false,
    }
}

/// How many octets of this upload the node has, and the size of its file; `None` when that cannot be known.
fn stored(how: How, before: &Seen, after: &Seen) -> Option<(u64, u64)> {
    let Seen::File { size, .. } = after else {
        return None;
    };
    let before_it = match (how, before) {
        (_, Seen::Untold) => return None,
        // The old file was cut off when this one was begun; one that is as it was is still the old one.
        (How::Store { from: 0 }, before) => (!may_be_old(before, after)).then_some(0)?,
        // Where the upload began must have been the end: beyond it, whose octets these are is not known.
        (How::Store { from }, Seen::File { size, .. }) => (*size == from).then_some(from)?,
        (How::Store { .. }, Seen::Nothing) => return None,
        (How::Append, Seen::File { size, .. }) => *size,
        (How::Append, Seen::Nothing) => 0,
    };
    Some((size.checked_sub(before_it)?, *size))
}

/// Whether what is there now may be what was there before. Another node may have been asked then, which says times in
/// a zone of its own, less exactly, or not at all.
fn may_be_old(before: &Seen, after: &Seen) -> bool {
    match (before, after) {
        (
            Seen::File { size, modified },
            Seen::File {
                size: now,
                modified: changed,
            },
        ) => {
            let times = modified.as_ref().zip(changed.as_ref());
            size == now && times.is_none_or(|(before, after)| before.may_be(after))
        }
        (before, after) => before == after,
    }
}

/// Whether so many octets stored are all that the client sent.
fn is_all(progress: &Progress, stored: u64) -> bool {
    let converted = progress.end.checked_sub(progress.lines);
    stored == progress.end || !progress.binary && converted == Some(stored)
}

/// Counts ends of line (CRLF) in a text that comes in pieces.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lines {
    count: u64,
    after_cr: bool,
}

impl Lines {
    /// Takes the next piece.
    pub(crate) fn take(&mut self, piece: &[u8]) {
        for byte in piece {
            self.count += u64::from(self.after_cr && *byte == b'\n');
            self.after_cr = *byte == b'\r';
        }
    }

    /// How many there were.
    pub(crate) fn count(self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(time: u8) -> Option<Modified> {
        Modified::read(format!("202601051200{time:02}").as_bytes())
    }

    fn file(size: usize, time: u8) -> Seen {
        Seen::File {
            size: size as u64,
            modified: at(time),
        }
    }

    fn progress(how: How, first: u64, end: u64, closed: bool) -> Progress {
        Progress {
            how,
            binary: true,
            first,
            end,
            closed,
            told: closed,
            lines: 0,
            late: None,
        }
    }

    const WHOLE: How = How::Store { from: 0 };

    #[test]
    fn a_file_that_is_as_it_was_is_the_old_one() {
        // As large as the new one, and never touched: another 100 octets under the same name.
        let sent = progress(WHOLE, 40, 100, true);
        assert_eq!(plan(&sent, &file(100, 1), &file(100, 1)), Plan::Lost);
        assert_eq!(plan(&sent, &file(100, 1), &file(100, 2)), Plan::Done);
        assert_eq!(plan(&sent, &Seen::Nothing, &file(100, 2)), Plan::Done);
        assert_eq!(plan(&sent, &Seen::Untold, &file(100, 2)), Plan::Lost);
        let kept = progress(WHOLE, 0, 100, true);
        assert_eq!(plan(&kept, &file(100, 1), &file(100, 1)), Plan::Whole);
    }

    /// Servers say times as they like: not at all, with digits behind the point, in their own zone (vsftpd's
    /// `use_localtime`).
    #[test]
    fn a_file_whose_time_another_node_says_otherwise_may_be_the_old_one() {
        let timed = |time: &str| Seen::File {
            size: 100,
            modified: Modified::read(time.as_bytes()),
        };
        let old = timed("20260105120001");
        let sent = progress(WHOLE, 40, 100, true);
        for same in ["", "20260105120001.25", "20260105140001", "20260104223001"] {
            assert_eq!(plan(&sent, &old, &timed(same)), Plan::Lost, "{same}");
            assert_eq!(plan(&sent, &timed(same), &old), Plan::Lost, "{same}");
        }
        for new in ["20260105120002", "20260105140003.5"] {
            assert_eq!(plan(&sent, &old, &timed(new)), Plan::Done, "{new}");
        }
        // Of another size it is another file, whatever its time.
        assert_eq!(plan(&sent, &file(99, 1), &timed("")), Plan::Done);
    }

    #[test]
    fn a_node_that_was_not_told_the_end_has_not_stored_the_file() {
        let sent = Progress {
            told: false,
            ..progress(WHOLE, 40, 100, true)
        };
        let end = Plan::Resume {
            from: 100,
            size: 100,
        };
        assert_eq!(plan(&sent, &Seen::Nothing, &file(100, 2)), end);
    }

    #[test]
    fn what_was_forgotten_cannot_be_resumed_from() {
        let sent = progress(WHOLE, 40, 100, false);
        let resume = |from| Plan::Resume { from, size: from };
        assert_eq!(plan(&sent, &Seen::Nothing, &file(39, 2)), Plan::Lost);
        assert_eq!(plan(&sent, &Seen::Nothing, &file(40, 2)), resume(40));
        assert_eq!(plan(&sent, &Seen::Nothing, &file(100, 2)), resume(100));
        assert_eq!(plan(&sent, &Seen::Nothing, &file(101, 2)), Plan::Lost);
        assert_eq!(plan(&sent, &Seen::Nothing, &Seen::Nothing), Plan::Lost);
    }

    #[test]
    fn what_cannot_be_gone_on_with_is_known_beforehand() {
        let old = file(700, 1);
        for (how, binary, first, before, can) in [
            (WHOLE, true, 9, &Seen::Nothing, true),
            (WHOLE, false, 9, &Seen::Nothing, false),
            (WHOLE, false, 0, &Seen::Untold, true),
            (WHOLE, true, 9, &Seen::Untold, false),
            (How::Store { from: 700 }, true, 9, &old, true),
            (How::Store { from: 600 }, true, 9, &old, false),
            (How::Store { from: 600 }, true, 0, &old, true),
            (How::Append, true, 9, &old, true),
            (How::Append, false, 9, &old, false),
            (How::Append, true, 0, &Seen::Untold, false),
        ] {
            assert_eq!(
                can_go_on(how, binary, first, before),
                can,
                "{how:?} {first}"
            );
        }
    }

    #[test]
    fn an_append_counts_from_what_was_there() {
        let sent = progress(How::Append, 0, 10, true);
        assert_eq!(plan(&sent, &file(7, 1), &file(17, 2)), Plan::Done);
        assert_eq!(plan(&sent, &file(7, 1), &file(7, 1)), Plan::Whole);
        let part = Plan::Resume { from: 4, size: 11 };
        assert_eq!(plan(&sent, &file(7, 1), &file(11, 2)), part);
        assert_eq!(plan(&sent, &file(7, 1), &file(6, 2)), Plan::Lost);
        assert_eq!(plan(&sent, &Seen::Untold, &file(17, 2)), Plan::Lost);
    }

    #[test]
    fn nobody_goes_on_beside_a_silent_node_that_has_something_to_append() {
        let late = |how, first, sent, closed| Progress {
            late: Some(sent),
            ..progress(how, first, 10, closed)
        };
        let append = |sent, closed| late(How::Append, 0, sent, closed);
        let part = Plan::Resume { from: 4, size: 11 };
        assert_eq!(
            plan(&append(5, false), &file(7, 1), &file(11, 2)),
            Plan::Lost
        );
        assert_eq!(plan(&append(4, false), &file(7, 1), &file(11, 2)), part);
        assert_eq!(
            plan(&append(10, true), &file(7, 1), &file(17, 2)),
            Plan::Done
        );
        assert_eq!(
            plan(&append(0, false), &file(7, 1), &file(7, 1)),
            Plan::Whole
        );
        // Cut off and written anew, it would be added to as well.
        let store = late(WHOLE, 0, 5, false);
        assert_eq!(plan(&store, &Seen::Nothing, &file(4, 2)), Plan::Lost);
        assert_eq!(plan(&store, &Seen::Nothing, &file(5, 2)), Plan::Whole);
    }

    #[test]
    fn text_is_whole_in_either_form_and_never_resumed() {
        let text = |first| Progress {
            binary: false,
            lines: 3,
            ..progress(WHOLE, first, 30, true)
        };
        assert_eq!(plan(&text(9), &Seen::Nothing, &file(30, 2)), Plan::Done);
        assert_eq!(plan(&text(9), &Seen::Nothing, &file(27, 2)), Plan::Done);
        assert_eq!(plan(&text(9), &Seen::Nothing, &file(28, 2)), Plan::Lost);
        assert_eq!(plan(&text(0), &Seen::Nothing, &file(28, 2)), Plan::Whole);
    }

    #[test]
    fn ends_of_line_are_counted_across_pieces() {
        let mut lines = Lines::default();
        for piece in [&b"a\r"[..], b"\n\r\r\n", b"\n\rx\r\n"] {
            lines.take(piece);
        }
        assert_eq!(lines.count(), 3);
    }

    /// A file, and when it was last changed.
    type Stored = Option<(Vec<u8>, u8)>;

    fn seen(stored: &Stored) -> Seen {
        stored
            .as_ref()
            .map_or(Seen::Nothing, |(bytes, time)| file(bytes.len(), *time))
    }

    /// What a server makes of an upload's command and its first `n` octets.
    fn perform(old: &Stored, how: How, sent: &[u8]) -> Stored {
        let old = old.as_ref().map_or(&[][..], |(bytes, _)| bytes);
        let mut bytes = match how {
            How::Store { from: 0 } => Vec::new(),
            How::Store { .. } | How::Append => old.to_vec(),
        };
        let at = match how {
            How::Store { from } => from as usize,
            How::Append => bytes.len(),
        };
        bytes.resize(bytes.len().max(at + sent.len()), 0);
        bytes[at..at + sent.len()].copy_from_slice(sent);
        Some((bytes, 2))
    }

    proptest! {
        /// Whatever a lost server did of an upload and whatever is kept: what the plan leads to is the
        /// file that an unbroken upload would have made, or the plan is [`Plan::Lost`].
        #[test]
        fn no_plan_makes_another_file(
            old in prop::option::of(prop::collection::vec(0_u8..3, 0..12)),
            sent in prop::collection::vec(0_u8..3, 0..12),
            taken in 0_usize..12,
            reached in prop::option::of(0_usize..12),
            kept in 0_usize..12,
            how in 0_u64..4,
        ) {
            let old: Stored = old.map(|bytes| (bytes, 1));
            let length = old.as_ref().map_or(0, |(bytes, _)| bytes.len());
            let how = match how {
                0 => WHOLE,
                1 => How::Append,
                2 => How::Store { from: length as u64 },
                from => How::Store { from: from.min(length as u64) },
            };
            let end = taken.min(sent.len());
            let first = end.saturating_sub(kept);
            // `None`: the server was lost before it touched the file.
            let now = match reached {
                Some(n) => perform(&old, how, &sent[..n.min(end)]),
                None => old.clone(),
            };
            let progress = progress(how, first as u64, end as u64, end == sent.len());
            let right = perform(&old, how, &sent).map(|(bytes, _)| bytes);
            let made = match plan(&progress, &seen(&old), &seen(&now)) {
                Plan::Done => now.map(|(bytes, _)| bytes),
                Plan::Whole => perform(&now, how, &sent).map(|(bytes, _)| bytes),
                Plan::Resume { from, size } => {
                    prop_assert!(from >= first as u64 && from <= end as u64);
                    perform(&now, How::Store { from: size }, &sent[from as usize..])
                        .map(|(bytes, _)| bytes)
                }
                Plan::Lost => right.clone(),
            };
            prop_assert_eq!(made, right);
        }

        /// A ring of which no octet is forgotten always leads on, for STOR.
        #[test]
        fn what_is_all_kept_is_never_lost(size in prop::option::of(0_usize..20), end in 0_u64..20, closed: bool) {
            let after = size.map_or(Seen::Nothing, |size| file(size, 2));
            let sent = progress(WHOLE, 0, end, closed);
            prop_assert_ne!(plan(&sent, &file(3, 1), &after), Plan::Lost);
        }
    }
}
