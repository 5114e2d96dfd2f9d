//! What the server does, whoever asks for it: pushes, garbage collections, checks, pins, and who owns the bucket. It
//! knows neither HTTP nor options.

pub mod app;
pub mod cache_stats;
pub mod clock;
pub mod closures;
pub mod deletion;
pub mod deletion_waits;
pub mod fsck;
pub mod gc;
pub mod import;
pub mod lease;
pub mod listings;
mod object_group;
pub mod ownership;
pub mod paths;
pub mod pin_name;
pub mod pins;
pub mod policy_file;
pub mod push;
pub mod retention;
pub mod runs;
pub mod start_error;
mod tasks;
pub mod verification;
mod write_lock;
