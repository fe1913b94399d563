//! A line of an agent: read or refused, and nothing of a control character comes out of it.
#![no_main]

use director_core::agent::line::parse;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(said) = parse(bytes) {
        let reason = said.reason.unwrap_or_default();
        assert!(!reason.chars().any(char::is_control), "{reason:?}");
    }
});
