use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::entry::tests::{any_entry, any_name};

fn any_cut() -> impl Strategy<Value = Cut> {
    vec(any_name(), 0..5).prop_map(|names| names.into_iter().collect())
}

fn any_path() -> impl Strategy<Value = crate::path::StreamPath> {
    "[a-z]{1,9}(/[a-z]{1,9}){0,2}".prop_map(|path| path.parse().unwrap())
}

fn any_hello() -> impl Strategy<Value = Hello> {
    (
        "[a-z]{1,5}",
        any::<u64>(),
        "[a-z0-9.:]{0,40}",
        any::<bool>(),
    )
        .prop_map(|(id, session, address, fresh)| Hello {
            id: id.parse().unwrap(),
            session,
            address,
            fresh,
        })
}

fn any_message() -> impl Strategy<Value = Message> {
    let letter = || option::of(any_name().prop_map(|name| name.letter));
    let stream =
        (any_path(), any::<u32>(), any_cut()).prop_map(|(path, generation, cut)| StreamCut {
            path,
            generation,
            cut,
        });
    prop_oneof![
        (letter(), any::<u64>(), 0..=MAX_INDEX).prop_map(|(letter, start, top)| Message::Known {
            letter,
            start,
            top,
        }),
        (vec(stream, 0..6), any::<bool>())
            .prop_map(|(streams, last)| Message::Synced { streams, last }),
        vec(any_entry(), 1..5).prop_map(|entries| {
            let shipped = |entry| Shipped { entry, place: None };
            Message::Entries(entries.into_iter().map(shipped).collect())
        }),
        (any::<u64>(), option::of(any_path()))
            .prop_map(|(nonce, path)| Message::Pull { nonce, path }),
        any::<u64>().prop_map(|nonce| Message::Pulled { nonce }),
        (letter(), any::<u64>(), any::<u32>(), any::<bool>()).prop_map(
            |(letter, start, load, leaving)| Message::Status {
                identity: letter.map(|letter| Identity { letter, start }),
                load,
                leaving,
            }
        ),
    ]
}

/// The bodies of all frames in these bytes.
fn bodies(bytes: Vec<u8>) -> Result<Vec<Bytes>, ReadError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut reader = FrameReader::new(bytes.as_slice());
        let mut bodies = Vec::new();
        let all = async {
            loop {
                match reader.next().await {
                    Ok(body) => bodies.push(body),
                    Err(ReadError::Ended) => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(5), all)
            .await
            .unwrap()?;
        Ok(bodies)
    })
}

fn spelled(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(message, &mut bytes).unwrap();
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_said_is_heard(messages in vec(any_message(), 1..5), hello in any_hello()) {
        let mut bytes = Vec::new();
        encode_hello(&hello, &mut bytes);
        messages.iter().for_each(|message| encode(message, &mut bytes).unwrap());
        let heard = bodies(bytes).unwrap();
        prop_assert_eq!(decode_hello(&heard[0]).unwrap(), hello);
        let heard: Vec<Message> = heard[1..].iter().map(|body| decode(body).unwrap()).collect();
        prop_assert_eq!(format!("{heard:?}"), format!("{messages:?}"));
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(body in vec(any::<u8>(), 0..200), kind in 0u8..8) {
        let mut body = body;
        body.insert(0, kind);
        if let Ok(message) = decode(&body) {
            // A cut may come with its letters in another order; everything else has one spelling.
            if kind != SYNCED {
                prop_assert_eq!(&spelled(&message)[FRAME_HEADER..], body.as_slice());
            }
        }
        let _either = decode_hello(&body);
        let _either = bodies(body);
    }

    #[test]
    fn a_damaged_frame_is_noticed(
        message in any_message(), at in any::<prop::sample::Index>(), bits in 1u8..,
    ) {
        let mut bytes = spelled(&message);
        let at = at.index(bytes.len());
        bytes[at] ^= bits;
        // A damaged length may ask for more than there is: then nothing comes.
        prop_assert!(bodies(bytes).map_or(true, |bodies| bodies.is_empty()));
    }
}

#[test]
fn long_messages_go_in_frames_of_bounded_length() {
    let entry = |payload: usize, index| {
        let mut entry = crate::entry::tests::small();
        entry.name.index = index;
        entry.before = index - 1;
        entry.payload = vec![b'x'; payload].into();
        Shipped { entry, place: None }
    };
    let entries: Vec<Shipped> = (1..=20_000)
        .map(|index| {
            entry(
                if index % 5_000 == 0 {
                    crate::entry::MAX_PAYLOAD
                } else {
                    1
                },
                index,
            )
        })
        .collect();
    let bodies = bodies(spelled(&Message::Entries(entries))).unwrap();
    assert!(bodies.len() > 5 && bodies.iter().all(|body| body.len() <= MAX_BODY));
    let mut next = 1;
    for body in bodies {
        let Message::Entries(heard) = decode(&body).unwrap() else {
            panic!("another message")
        };
        for one in heard {
            assert_eq!(one.entry.name.index, next);
            next += 1;
        }
    }
    assert_eq!(next, 20_001);
}

#[test]
fn the_last_of_many_streams_comes_last() {
    let streams: Vec<StreamCut> = (0..2_000)
        .map(|number| StreamCut {
            path: format!("{}/{number}", "x".repeat(200)).parse().unwrap(),
            generation: 0,
            cut: Cut::default(),
        })
        .collect();
    let bodies = bodies(spelled(&Message::Synced {
        streams,
        last: true,
    }))
    .unwrap();
    assert!(bodies.len() > 1);
    let mut total = 0;
    for (at, body) in bodies.iter().enumerate() {
        let Message::Synced { streams, last } = decode(body).unwrap() else {
            panic!("another message")
        };
        total += streams.len();
        assert_eq!(last, at + 1 == bodies.len());
    }
    assert_eq!(total, 2_000);
}

#[test]
fn what_is_too_long_or_of_another_version_is_refused() {
    let mut long = u32::try_from(MAX_BODY + 1).unwrap().to_le_bytes().to_vec();
    long.extend([0; 4]);
    let refused = bodies(long).unwrap_err();
    assert!(
        matches!(refused, ReadError::Bad(BadFrame::TooLong(_))),
        "{refused}"
    );
    assert_eq!(decode_hello(&[HELLO, 2]), Err(BadFrame::Version(2)));
    assert_eq!(decode_hello(&[STATUS]), Err(BadFrame::Kind(STATUS)));
    assert!(matches!(decode(&[7]), Err(BadFrame::Kind(7))));
    assert!(matches!(decode(&[ENTRIES]), Err(BadFrame::Field(_))));
}
