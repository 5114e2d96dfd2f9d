//! What the fuzz targets run; the tests of the crate run the same on stable Rust.

pub mod entries;

/// Makes a fuzz target of one of the [`entries`].
#[macro_export]
macro_rules! target {
    ($entry:ident) => {
        $crate::run!($crate::entries::$entry);
    };
}

/// Makes a fuzz target of a function that takes bytes, for cargo-fuzz. Any other build makes a program that runs the
/// function on each file in its arguments: it shows on stable Rust what an input does that the fuzzer has found.
#[macro_export]
macro_rules! run {
    ($entry:path) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $entry(bytes));

        #[cfg(not(fuzzing))]
        fn main() {
            for file in std::env::args_os().skip(1) {
                $entry(&std::fs::read(file).expect("a file to read"));
            }
        }
    };
}
