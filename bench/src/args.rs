//! The arguments, as typed.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// A benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Benchmark {
    /// A real closure, cold and warm, beside zstd and nix copy.
    Push,
    /// Many small paths with latency before server and bucket.
    Small,
    /// One big NAR: the memory it takes.
    Large,
    /// The metadata of many paths, on SQLite and on PostgreSQL.
    Commit,
    /// Garbage collection of catalogues that grow, on SQLite and on PostgreSQL.
    Scale,
    /// Ways to call the zstd library over the NARs that `push` pushes.
    Zstd,
}

/// Measures niks3: CPU time, wall time and memory, with what they are compared to and what they should be.
#[derive(Debug, Parser)]
#[command(name = "niks3-bench", max_term_width = 100)]
pub(crate) struct Args {
    /// Store path whose closure `push` and `zstd` take [default: one is made of the files in /usr/lib].
    #[arg(long, value_name = "STOREPATH", env = "NIKS3_BENCH_CLOSURE")]
    pub(crate) closure: Option<String>,
    /// Nix store that the closure lies in, by the directory it is below [default: this system's].
    #[arg(long, value_name = "DIR", requires = "closure")]
    pub(crate) store: Option<PathBuf>,
    /// Directory with niks3 and niks3-server of another build: `push` and `commit` measure both in turns.
    #[arg(long, value_name = "DIR")]
    pub(crate) against: Option<PathBuf>,
    /// Run this benchmark alone; can be repeated.
    #[arg(long, value_name = "NAME", value_enum)]
    pub(crate) only: Vec<Benchmark>,
    /// Rounds of `push` and `small`; medians are shown.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// Bytes of the NAR of `large`; K, M and G are understood.
    #[arg(long, value_name = "SIZE", default_value = "5G", value_parser = size)]
    pub(crate) size: u64,
    /// Store paths of `small`.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) small_paths: u32,
    /// Store paths of `commit`.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) commit_paths: u32,
    /// Store paths of the catalogues of `scale`.
    #[arg(
        long,
        value_name = "N,…",
        default_value = "100000,300000,1000000",
        value_delimiter = ','
    )]
    pub(crate) scale_paths: Vec<u64>,
    /// Objects that `scale` lets be deleted.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub(crate) sweep_objects: u64,
    /// Milliseconds that latency adds to the round trip of each request of `small`.
    #[arg(long, value_name = "MS", default_value_t = 50)]
    pub(crate) latency: u64,
    /// Where temporary files go, a few times the bytes that are pushed [default: $TMPDIR, or /tmp].
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

fn size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "a size is a number of bytes, or of K, M or G".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("12"), Ok(12));
        assert_eq!(size("5G"), Ok(5 << 30));
        assert!(size("G").is_err());
        assert!(size("99999999999G").is_err());
    }
}
