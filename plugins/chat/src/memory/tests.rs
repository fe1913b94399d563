use super::*;

const NOW: Duration = Duration::ZERO;

fn memory(without: Without) -> Arc<Memory> {
    let bounds = Bounds {
        streams: 8,
        keys: keys::Bounds {
            keys: 100,
            age: Duration::from_secs(600),
        },
        outbox: store::Bounds {
            memory: 1000,
            bytes: 1000,
            writes: 100,
        },
    };
    let memory = Memory::new(bounds, without, PathBuf::from("/nonexistent"));
    memory.seen(1, "a/1".parse().unwrap());
    memory.seen(2, "b/1".parse().unwrap());
    Arc::new(memory)
}

fn room(memory: &Memory, path: &str) -> Arc<Room> {
    memory.room(&StreamPath::plain(path).unwrap(), NOW)
}

/// A write that server `home` acknowledged as `name`.
fn acknowledge(memory: &Memory, room: &Room, name: &str, home: &str) -> Arc<Write> {
    let number = memory.number();
    let write = Arc::new(Write {
        number,
        target: String::new(),
        request: format!("d.{number}"),
        min: None,
        headers: hyper::HeaderMap::new(),
    });
    let as_ = Acknowledged {
        name: name.parse().unwrap(),
        home: home.parse().unwrap(),
        stamp: memory.stamp(),
        generation: 0,
    };
    memory.acknowledged(room, &write, &Bytes::from_static(b"body"), as_, NOW);
    write
}

fn writes(memory: &Memory) -> usize {
    memory.counts().3
}

fn is_told_of_doubts(memory: &Memory) -> bool {
    futures_util::FutureExt::now_or_never(memory.doubts()).is_some()
}

#[test]
fn a_failed_node_brings_its_writes_into_doubt_and_whoever_sends_them_is_alone() {
    let memory = memory(Without::default());
    let room = room(&memory, "rooms/x");
    let write = acknowledge(&memory, &room, "a.1", "a/1");
    assert!(memory.doubtful().is_empty() && !is_told_of_doubts(&memory));
    memory.failed(1);
    assert!(is_told_of_doubts(&memory));
    assert_eq!(memory.doubtful().len(), 1);
    assert!(matches!(
        memory.before(&room, write.number),
        Before::Nothing
    ));
    let Before::Send(claim) = memory.before(&room, u64::MAX) else {
        panic!("nothing to send");
    };
    assert_eq!(claim.body().unwrap(), &b"body"[..]);
    let Before::Wait(mut ended) = memory.before(&room, u64::MAX) else {
        panic!("two claims of one write");
    };
    assert_eq!(ended.try_recv(), Ok(None));
    drop(claim);
    assert_eq!(ended.try_recv(), Ok(Some(())));
    assert!(is_told_of_doubts(&memory), "it is still to be sent");
}

#[test]
fn what_is_stable_leaves_the_outbox_however_it_is_told() {
    let memory = memory(Without::default());
    let room = room(&memory, "rooms/x");
    acknowledge(&memory, &room, "a.1", "a/1");
    acknowledge(&memory, &room, "a.2", "a/1");
    assert_eq!(writes(&memory), 2);
    let stable: Cursor = "0000000000000001_g0-a.1".parse().unwrap();
    memory.told(&room, None, None, Some(&stable));
    assert_eq!(writes(&memory), 1);
    let stable: Cursor = "0000000000000002_g0-a.2".parse().unwrap();
    memory.stable(room.path(), &stable);
    assert_eq!(writes(&memory), 0);
    // Stable before the acknowledgement was seen: never kept.
    acknowledge(&memory, &room, "a.2", "a/1");
    assert_eq!(writes(&memory), 0);
}

#[test]
fn a_stream_deleted_or_made_anew_leaves_nothing_in_the_outbox() {
    let memory = memory(Without::default());
    let room = room(&memory, "rooms/x");
    acknowledge(&memory, &room, "a.1", "a/1");
    memory.deleted(&room);
    assert_eq!(writes(&memory), 0);
    memory.told(
        &room,
        None,
        Some(&"0000000000000001_g0-a.1".parse().unwrap()),
        None,
    );
    acknowledge(&memory, &room, "a.1", "a/1");
    memory.told(
        &room,
        None,
        Some(&"0000000000000001_g1-b.1".parse().unwrap()),
        None,
    );
    assert_eq!(writes(&memory), 0);
    assert_eq!(memory.min(&room, true, None).unwrap().generation, 1);
}

#[test]
fn rules_can_be_switched_off() {
    let memory = memory(Without {
        outbox: true,
        names: true,
        min_offset: true,
    });
    let room = room(&memory, "rooms/x");
    let write = acknowledge(&memory, &room, "a.1", "a/1");
    memory.told(
        &room,
        None,
        Some(&"0000000000000001_g0-a.1".parse().unwrap()),
        None,
    );
    memory.failed(1);
    assert!(memory.doubtful().is_empty());
    assert!(memory.min(&room, true, None).is_none());
    assert!(memory.known_names(&room, &write.request).is_empty());
}

#[test]
fn only_streams_that_nobody_needs_are_forgotten() {
    let memory = memory(Without::default());
    let held = room(&memory, "held");
    let kept = room(&memory, "kept");
    acknowledge(&memory, &kept, "a.1", "a/1");
    drop(kept);
    for n in 0..20 {
        room(&memory, &format!("idle{n}"));
    }
    assert!(memory.counts().0 <= 8);
    assert!(Arc::ptr_eq(&held, &room(&memory, "held")));
    assert_eq!(room(&memory, "kept").state().outbox.len(), 1);
}

#[test]
fn a_turn_given_up_while_waiting_is_nobodys_loss() {
    use futures_util::FutureExt as _;
    let memory = memory(Without::default());
    let room = room(&memory, "rooms/x");
    let first = memory.turn(&room, "p").now_or_never().unwrap();
    let mut second = Box::pin(memory.turn(&room, "p"));
    assert!((&mut second).now_or_never().is_none());
    let mut third = Box::pin(memory.turn(&room, "p"));
    assert!((&mut third).now_or_never().is_none());
    // The turn comes to the second, which is dropped before it hears of it.
    drop(first);
    drop(second);
    let third = third.now_or_never().expect("the turn was lost");
    drop(third);
    assert!(room.state().turns.is_empty());
}

#[test]
fn sent_again_and_answered_with_a_name_that_is_stable_leaves_the_outbox() {
    let memory = memory(Without::default());
    let room = room(&memory, "rooms/x");
    let write = acknowledge(&memory, &room, "a.1", "a/1");
    memory.failed(1);
    memory.told(
        &room,
        None,
        None,
        Some(&"0000000000000007_g0-b.7".parse().unwrap()),
    );
    // The server has it under a name that was never told here: its acknowledgement was lost.
    let as_ = Acknowledged {
        name: "b.5".parse().unwrap(),
        home: "b/1".parse().unwrap(),
        stamp: memory.stamp(),
        generation: 0,
    };
    memory.acknowledged(&room, &write, &Bytes::from_static(b"body"), as_, NOW);
    assert!(matches!(memory.before(&room, u64::MAX), Before::Nothing));
    assert_eq!(writes(&memory), 0);
}
