//! NARs of one file with their listings, for tests that need no Nix.

use crate::api::nar_of;

/// Where the contents of a file begin that is not executable: after five strings and their own length.
const CONTENTS: usize = 96;

/// The NAR of a file, and its listing.
#[must_use]
pub fn of_file(contents: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let listing = format!(
        "{{\"root\":{{\"executable\":false,\"narOffset\":{CONTENTS},\"size\":{},\"type\":\"regular\"}},\"version\":1}}",
        contents.len()
    );
    (nar_of(contents), listing.into_bytes())
}
