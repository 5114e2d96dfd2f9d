//! Which entries of folders NARs and listings may have.

/// How many folders within folders a NAR may have: beyond what a path of `PATH_MAX` bytes can name.
pub const MAX_DEPTH: usize = 4096;
/// The longest name of a folder entry; no file system that Nix runs on takes longer ones.
pub const MAX_NAME_LEN: usize = 1024;

/// Whether a folder in a NAR may have an entry of this name.
pub(crate) fn is_entry_name(name: &[u8]) -> bool {
    (1..=MAX_NAME_LEN).contains(&name.len())
        && !matches!(name, b"." | b"..")
        && !name.iter().any(|byte| matches!(byte, b'/' | 0))
}
