//! What nodes say about files: SIZE, MDTM, digests, FEAT.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| director_ftp::fuzzed::facts(bytes));
