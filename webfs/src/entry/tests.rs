use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::letter::Letter;
use crate::stream::MAX_COUNT;

/// Any entry that may be.
pub(crate) fn any_entry() -> impl Strategy<Value = Entry> {
    let place = ("[a-z0-9]{1,9}(/[a-z0-9]{1,9}){0,3}", any::<u32>());
    let who = (
        any_name(),
        any::<u64>(),
        vec(any_name(), 0..=Append::MAX_WAS),
    );
    let writer = (
        option::of("[!-~]{1,128}"),
        option::of(("[!-~]{1,128}", 0..=MAX_COUNT, 0..=MAX_COUNT)),
        option::of("[ -~]{1,256}"),
    );
    let what = (
        0u8..3,
        1..=u32::MAX,
        vec(any::<u8>(), 1..300),
        any::<bool>(),
    );
    (place, who, writer, what).prop_map(|((path, generation), who, writer, what)| {
        let (name, before, was) = who;
        let (request, producer, stream_seq) = writer;
        let (kind, count, payload, empty) = what;
        let kind = Kind::from_number(kind).unwrap();
        let empty = kind == Kind::Delete || empty && kind == Kind::Create;
        Entry {
            path: path.parse().unwrap(),
            generation,
            name,
            before: before % name.index,
            accepted_at: before,
            request: request.map(|text| text.parse().unwrap()),
            producer: producer.map(|(id, epoch, seq)| Producer {
                id: id.parse().unwrap(),
                epoch,
                seq,
            }),
            stream_seq: stream_seq.map(|text| text.parse().unwrap()),
            was,
            count: if empty { 0 } else { count },
            kind,
            content_type: (kind == Kind::Create).then(ContentType::json),
            payload: if empty { Bytes::new() } else { payload.into() },
        }
    })
}

pub(crate) fn any_name() -> impl Strategy<Value = Name> {
    let letter = "[a-z]{1,5}([1-9][0-9]{0,2})?".prop_map(|text| text.parse::<Letter>().unwrap());
    (letter, 1..=MAX_INDEX).prop_map(|(letter, index)| letter.name(index))
}

fn spelled(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::new();
    entry.encode(&mut bytes).unwrap();
    bytes
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(entry in any_entry()) {
        let bytes = spelled(&entry);
        prop_assert!(bytes.len() <= MAX_ENTRY && bytes.len() <= entry.weight());
        let read = Entry::decode(&bytes).unwrap();
        prop_assert_eq!(read, entry);
    }

    #[test]
    fn any_bytes_are_an_entry_or_an_error(bytes in vec(any::<u8>(), 0..400)) {
        if let Ok(entry) = Entry::decode(&bytes) {
            prop_assert_eq!(spelled(&entry), bytes);
        }
    }

    #[test]
    fn a_damaged_entry_is_another_entry_or_an_error(
        entry in any_entry(), at in any::<prop::sample::Index>(), bits in 1u8..,
    ) {
        let mut bytes = spelled(&entry);
        let at = at.index(bytes.len());
        bytes[at] ^= bits;
        if let Ok(other) = Entry::decode(&bytes) {
            prop_assert_eq!(spelled(&other), bytes);
        }
    }

    #[test]
    fn no_beginning_of_an_entry_is_one(entry in any_entry(), at in any::<prop::sample::Index>()) {
        let bytes = spelled(&entry);
        let cut = at.index(bytes.len());
        prop_assert!(Entry::decode(&bytes[..cut]).is_err());
    }
}

pub(crate) fn small() -> Entry {
    Entry {
        path: "rooms/lobby".parse().unwrap(),
        generation: 0,
        name: "a.80".parse().unwrap(),
        before: 79,
        accepted_at: 1_700_000_000_000,
        request: None,
        producer: None,
        stream_seq: None,
        was: Vec::new(),
        count: 1,
        kind: Kind::Append,
        content_type: None,
        payload: Bytes::from_static(b"{}"),
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let bad = |change: fn(&mut Entry)| {
        let mut entry = small();
        change(&mut entry);
        let mut bytes = Vec::new();
        let refused = entry.encode(&mut bytes).unwrap_err();
        assert!(bytes.is_empty());
        refused
    };
    assert_eq!(bad(|e| e.name.index = 0), BadEntry::Index(0));
    assert!(matches!(bad(|e| e.before = 80), BadEntry::Before { .. }));
    assert_eq!(bad(|e| e.was = vec![e.name; 9]), BadEntry::Was(9));
    assert!(matches!(bad(|e| e.count = 0), BadEntry::Count { .. }));
    assert_eq!(
        bad(|e| e.kind = Kind::Create),
        BadEntry::Shape(Kind::Create)
    );
    assert_eq!(
        bad(|e| e.kind = Kind::Delete),
        BadEntry::Shape(Kind::Delete)
    );
    let long = bad(|e| e.payload = vec![0; MAX_PAYLOAD + 1].into());
    assert_eq!(long, BadEntry::Payload(MAX_PAYLOAD + 1));
}

#[test]
fn other_versions_kinds_and_flags_are_refused() {
    let with = |at: usize, byte: u8| {
        let mut bytes = spelled(&small());
        bytes[at] = byte;
        Entry::decode(&bytes).unwrap_err()
    };
    assert_eq!(with(0, 2), BadEntry::Version(2));
    assert_eq!(with(1, 3), BadEntry::Kind(3));
    assert_eq!(with(3, 0x80), BadEntry::Flags(0x8000));
    assert_eq!(
        Entry::decode(&vec![0; MAX_ENTRY + 1]),
        Err(BadEntry::TooLarge(MAX_ENTRY + 1))
    );
}
