//! Bounded, escaped quotes of hostile input for error messages.

const LIMIT: usize = 80;

/// The beginning of `input`, escaped, with an ellipsis where it was cut.
pub(crate) fn echo(input: &str) -> String {
    let mut out: String = input.chars().take(LIMIT).flat_map(char::escape_debug).collect();
    if input.chars().nth(LIMIT).is_some() {
        out.push('…');
    }
    out
}

/// As [`echo`], for bytes that need not be UTF-8.
pub(crate) fn echo_bytes(input: &[u8]) -> String {
    let cut = &input[..input.len().min(LIMIT * 4 + 4)];
    echo(&String::from_utf8_lossy(cut))
}
