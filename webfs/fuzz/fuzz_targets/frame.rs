//! Any bytes are a message between servers that can be said again, or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use webfs::wire;

fuzz_target!(|body: &[u8]| {
    if let Ok(hello) = wire::decode_hello(body) {
        wire::encode_hello(&hello, &mut Vec::new());
    }
    if let Ok(message) = wire::decode(body) {
        let mut frame = Vec::new();
        wire::encode(&message, &mut frame).expect("what was decoded can be said");
        let again = wire::decode(&frame[wire::FRAME_HEADER..]).expect("and understood");
        assert_eq!(format!("{again:?}"), format!("{message:?}"));
    }
});
