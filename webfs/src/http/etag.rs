//! `ETag` of a catch-up read: from where to where.
//!
//! A cursor means the same on every server, so an answer's tag has no server's name in it, and a
//! revalidation at another server holds: the same entries, though that server may have another order.

use crate::cursor::{Cursor, Cut, Position};

/// The tag of what lies between `from` and `next`; `None` for a read of the tail, which is never cached.
pub(crate) fn etag(from: &Position, next: &Cursor) -> Option<String> {
    let from = match from {
        Position::Start => Cursor {
            generation: next.generation,
            cut: Cut::default(),
        },
        Position::After(cursor) => cursor.clone(),
        Position::Now | Position::Beyond => return None,
    };
    Some(format!("\"{from}:{next}\""))
}

/// Whether one of an `If-None-Match` header's tags is this one.
pub(crate) fn matches(if_none_match: &str, etag: &str) -> bool {
    if_none_match
        .split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_says_from_where_to_where() {
        let next: Cursor = "0000000000000137_g3-a.80-b.57".parse().unwrap();
        let start = etag(&Position::Start, &next).unwrap();
        assert_eq!(
            start,
            "\"0000000000000000_g3:0000000000000137_g3-a.80-b.57\""
        );
        assert_ne!(etag(&Position::After(next.clone()), &next).unwrap(), start);
        assert_eq!(etag(&Position::Now, &next), None);
    }

    #[test]
    fn any_tag_of_the_list_matches() {
        assert!(matches("\"a\"", "\"a\""));
        assert!(matches("\"b\", W/\"a\"", "\"a\""));
        assert!(matches("*", "\"a\""));
        assert!(!matches("\"b\"", "\"a\""));
        assert!(!matches("", "\"a\""));
    }
}
