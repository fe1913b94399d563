//! Any bytes are an entry that is spelled in just these bytes, or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use webfs::entry::Entry;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(entry) = Entry::decode(bytes) {
        let mut again = Vec::new();
        entry
            .encode(&mut again)
            .expect("what was decoded is an entry");
        assert_eq!(again, bytes);
    }
});
