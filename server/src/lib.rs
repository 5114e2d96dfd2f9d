//! The niks3 server: it says where to upload, signs what has arrived, keeps track
//! of everything. Readers never need it.

pub mod app;
pub mod auth;
pub mod catalog;
pub mod clock;
pub mod compression;
pub mod config;
pub mod error;
pub mod fsck;
mod gate;
pub mod gc;
pub mod http;
pub mod import;
pub mod landing;
pub mod metrics;
pub mod open_files;
pub mod ownership;
mod pages;
pub mod pin_name;
pub mod pins;
pub mod push;
mod reload;
pub mod runs;
pub mod serve;
pub mod signing;
pub mod start;
pub mod storage;
pub mod tasks;
pub mod tls;
pub mod verification;
pub mod watchdog;
