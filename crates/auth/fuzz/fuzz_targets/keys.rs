//! `entries::keys` as a fuzz target.
#![cfg_attr(fuzzing, no_main)]

niks3_auth_fuzz::target!(keys);
