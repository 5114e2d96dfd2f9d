//! The words of the NAR format.

pub(super) const MAGIC: &[u8] = b"nix-archive-1";
pub(super) const OPEN: &[u8] = b"(";
pub(super) const CLOSE: &[u8] = b")";
pub(super) const TYPE: &[u8] = b"type";
pub(super) const REGULAR: &[u8] = b"regular";
pub(super) const EXECUTABLE: &[u8] = b"executable";
pub(super) const CONTENTS: &[u8] = b"contents";
pub(super) const DIRECTORY: &[u8] = b"directory";
pub(super) const ENTRY: &[u8] = b"entry";
pub(super) const NAME: &[u8] = b"name";
pub(super) const NODE: &[u8] = b"node";
pub(super) const SYMLINK: &[u8] = b"symlink";
pub(super) const TARGET: &[u8] = b"target";

/// How many zero bytes follow a string of this length.
pub(super) const fn padding(length: u64) -> usize {
    ((8 - length % 8) % 8) as usize
}
