//! `entries::rules` as a fuzz target.
#![cfg_attr(fuzzing, no_main)]

niks3_server_fuzz::target!(rules);
