//! Words about options, of two ends that may want anything.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| director_telnet::nvt::fuzzed::negotiation(bytes));
