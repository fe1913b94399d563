//! A listing that is sent again by another node.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| director_ftp::fuzzed::again(bytes));
