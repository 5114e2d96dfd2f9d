//! `entries::hash` as a fuzz target.
#![cfg_attr(fuzzing, no_main)]

niks3_nix_fuzz::target!(hash);
