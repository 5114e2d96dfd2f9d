#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| niks3_nix_fuzz::entries::restore(bytes));
