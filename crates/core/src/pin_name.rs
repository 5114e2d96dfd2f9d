//! Names of pins.

use std::fmt;
use std::str::FromStr;

/// Letters, digits, `.`, `_`, `-`; at most 256; neither `.` nor `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PinName(String);

impl FromStr for PinName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if text.is_empty()
            || text.len() > 256
            || !text.bytes().all(allowed)
            || text.bytes().all(|byte| byte == b'.')
        {
            return Err(
                "a pin's name has 1 to 256 letters, digits, '.', '_' or '-', and not dots alone".into(),
            );
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for PinName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
