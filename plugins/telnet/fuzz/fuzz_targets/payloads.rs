//! What the options say in subnegotiations.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| director_telnet::nvt::fuzzed::payloads(bytes));
