//! Numbers of bytes as people write them: `64MiB`.

/// The most that a setting may say.
pub(super) const MOST: u64 = 1 << 40;

const UNITS: [(&str, u32); 5] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];

/// Reads `64MiB`, `64 MiB` or `67108864`; `None` for anything else.
pub(super) fn parse(text: &str) -> Option<u64> {
    let (digits, shift) = UNITS
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?.trim_end(), *shift)))
        .unwrap_or((text, 0));
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Writes it with the largest unit that goes in without a rest.
pub(super) fn format(size: u64) -> String {
    let fits = |(_, shift): &&(&str, u32)| size.is_multiple_of(1 << shift);
    match UNITS.iter().find(fits) {
        Some((unit, shift)) if size > 0 => format!("{}{unit}", size >> shift),
        Some(_) | None => size.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_are_powers_of_1024_and_nothing_else_is_a_size() {
        assert_eq!(parse("64MiB"), Some(64 << 20));
        assert_eq!(parse("1 GiB"), Some(1 << 30));
        assert_eq!(parse("12"), Some(12));
        assert_eq!(parse("0"), Some(0));
        for wrong in [
            "",
            "MiB",
            "-1",
            "+1",
            "1.5GiB",
            "64MB",
            "64mib",
            "x",
            "1 2",
            "99999999999TiB",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(format(64 << 20), "64MiB");
        assert_eq!(format(0), "0");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(size in any::<u64>()) {
            prop_assert_eq!(parse(&format(size)), Some(size));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _read = parse(&text);
        }
    }
}
