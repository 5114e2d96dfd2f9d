//! Nix formats, pure: store paths, narinfo, signatures, NAR; and the patterns of rules.
//!
//! Every parser takes hostile input: it bounds what it reads, never panics, and says what is wrong with
//! which input. Only `nar::dump` and `nar::restore` touch a file system; nothing here is asynchronous.

#![forbid(unsafe_code)]

pub mod base32;
pub mod ca;
pub mod debug_info;
pub mod derivation;
mod echo;
mod entry;
pub mod glob;
pub mod hash;
pub mod listing;
pub mod nar;
pub mod narinfo;
pub mod realisation;
pub mod self_references;
pub mod signature;
pub mod store_path;
