//! Checks everything that a reader of a Nix binary cache relies on: narinfos, NARs, signatures, references,
//! listings, pins, realisations and logs.
//!
//! It is the oracle of niks3's tests, so it shares no code with niks3: the formats are written down here a second
//! time, from Nix's documentation and source.

mod base32;
mod bucket;
mod check;
mod content_address;
mod nar;
mod narinfo;
mod objects;
mod realisation;
mod report;
mod signature;

pub use bucket::{Bucket, Folder, Http, S3, S3Location};
pub use check::{Options, check};
pub use report::{Finding, Kind, Report};
pub use signature::PublicKey;
