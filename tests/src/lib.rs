//! What the end-to-end tests in `tests/` share.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

pub mod api;
pub mod dice;
pub mod hostile;
pub mod nar;
pub mod on_service;
pub mod on_versions;
pub mod references;
pub mod requests;
pub mod tls_files;
