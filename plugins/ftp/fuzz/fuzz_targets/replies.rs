//! What a node may say on its control connection.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| director_ftp::fuzzed::replies(bytes));
