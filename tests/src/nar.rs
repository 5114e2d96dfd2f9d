//! NARs of one file, for tests that need no Nix.

fn string(text: &[u8]) -> Vec<u8> {
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// The NAR of a file, and its listing.
#[must_use]
pub fn of_file(contents: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let words = ["nix-archive-1", "(", "type", "regular", "contents"];
    let mut nar: Vec<u8> = words.iter().flat_map(|word| string(word.as_bytes())).collect();
    let offset = nar.len() + 8;
    nar.extend(string(contents));
    nar.extend(string(b")"));
    let listing = format!(
        "{{\"root\":{{\"narOffset\":{offset},\"size\":{},\"type\":\"regular\"}},\"version\":1}}",
        contents.len()
    );
    (nar, listing.into_bytes())
}
