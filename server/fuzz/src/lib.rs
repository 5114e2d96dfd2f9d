//! What the fuzz targets run; the tests of the crate run the same on stable Rust.

pub mod entries;
