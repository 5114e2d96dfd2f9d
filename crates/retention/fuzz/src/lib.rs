//! What the fuzz targets run; the tests of the crate run the same on stable Rust.

pub mod entries;
pub use niks3_nix_fuzz::run;

/// Makes a fuzz target of one of the [`entries`].
#[macro_export]
macro_rules! target {
    ($entry:ident) => {
        $crate::run!($crate::entries::$entry);
    };
}
