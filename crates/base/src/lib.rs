//! What every floor of the server stands on: how work fails, what is counted and logged, what a push may have, and what
//! is done with NARs and signatures. It knows neither database nor object store.

pub mod compression;
pub mod error;
pub mod json_cursor;
pub mod metrics;
pub mod nar_contents;
pub mod open_files;
pub mod push_limits;
pub mod realisation;
pub mod signing;
pub mod telemetry;
