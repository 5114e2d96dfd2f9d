//! The niks3 server: it says where to upload, signs what has arrived, keeps track
//! of everything. Readers never need it.

pub mod config;
pub mod http;
pub mod import_command;
pub mod landing;
mod log_filter;
mod pages;
mod reload;
pub mod serve;
pub mod start;
mod start_retry;
mod store_rights;
pub mod tls;
pub mod watchdog;

pub use niks3_base::{
    compression, error, metrics, nar_contents, open_files, push_limits, realisation, signing, telemetry,
};
pub use niks3_core::{
    app, cache_stats, clock, closures, deletion, deletion_waits, fsck, gc, import, lease, listings,
    ownership, paths, pin_name, pins, policy_file, push, retention, runs, start_error, verification,
};
pub use {niks3_auth as auth, niks3_catalog as catalog, niks3_storage as storage};
