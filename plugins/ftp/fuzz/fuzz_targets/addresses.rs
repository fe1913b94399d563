//! Addresses of data connections, as commands and replies write them.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| director_ftp::fuzzed::addresses(bytes));
