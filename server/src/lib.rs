//! The niks3 server: it says where to upload, signs what has arrived, keeps track
//! of everything. Readers never need it.

pub mod app;
pub mod cache_stats;
pub mod clock;
pub mod config;
pub mod deletion;
pub mod fsck;
mod gate;
pub mod gc;
pub mod http;
pub mod import;
pub mod landing;
pub mod ownership;
mod pages;
pub mod pin_name;
pub mod pins;
pub mod push;
mod reload;
pub mod runs;
pub mod serve;
pub mod start;
pub mod start_error;
pub mod tasks;
pub mod tls;
pub mod verification;
pub mod watchdog;

pub use niks3_base::{
    compression, error, metrics, nar_contents, open_files, push_limits, realisation, signing, telemetry,
};
pub use {niks3_auth as auth, niks3_catalog as catalog, niks3_storage as storage};
