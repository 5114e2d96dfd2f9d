#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| niks3_server_fuzz::entries::rules(bytes));
