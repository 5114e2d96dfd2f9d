//! `entries::policy` as a fuzz target.
#![cfg_attr(fuzzing, no_main)]

niks3_retention_fuzz::target!(policy);
