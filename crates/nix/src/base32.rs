//! Nix's base 32: its own alphabet, most significant digit first, one text for each byte string.

use crate::echo::echo;

const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

const INVALID: u8 = 0xff;

const DIGITS: [u8; 256] = {
    let mut table = [INVALID; 256];
    let mut i = 0;
    while i < ALPHABET.len() {
        table[ALPHABET[i] as usize] = i as u8;
        i += 1;
    }
    table
};

/// Why a text is not Nix base 32.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A character outside the alphabet.
    #[error("'{input}' is not Nix base32: '{character}' is not in its alphabet")]
    Character {
        /// The input, bounded.
        input: String,
        /// The first character that does not belong.
        character: char,
    },
    /// No byte string is written with that many characters.
    #[error("'{input}' is not Nix base32: no value is written with {length} characters")]
    Length {
        /// The input, bounded.
        input: String,
        /// Its length in bytes.
        length: usize,
    },
    /// The unused bits of the first digit are set.
    #[error("'{input}' is not Nix base32: bits beyond the last byte are set")]
    Padding {
        /// The input, bounded.
        input: String,
    },
}

/// The number of characters that `bytes` bytes take.
#[must_use]
pub const fn encoded_len(bytes: usize) -> usize {
    bytes / 5 * 8 + (bytes % 5 * 8).div_ceil(5)
}

/// Whether `byte` is a digit of Nix base 32.
#[must_use]
pub const fn is_digit(byte: u8) -> bool {
    DIGITS[byte as usize] != INVALID
}

/// Writes bytes as Nix base 32.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let length = encoded_len(bytes.len());
    let mut out = String::with_capacity(length);
    for digit in (0..length).rev() {
        let bit = digit * 5;
        let (index, shift) = (bit / 8, bit % 8);
        let low = u16::from(bytes[index]);
        let high = u16::from(bytes.get(index + 1).copied().unwrap_or(0));
        let value = ((high << 8 | low) >> shift) & 31;
        out.push(char::from(ALPHABET[usize::from(value)]));
    }
    out
}

/// Reads Nix base 32; refuses set padding bits, so that equal values have equal texts.
pub fn decode(text: &str) -> Result<Vec<u8>, DecodeError> {
    let digits = text.as_bytes();
    if let Some(character) = text.chars().find(|c| !c.is_ascii() || !is_digit(*c as u8)) {
        return Err(DecodeError::Character {
            input: echo(text),
            character,
        });
    }
    let length = digits.len() / 8 * 5 + digits.len() % 8 * 5 / 8;
    if encoded_len(length) != digits.len() {
        return Err(DecodeError::Length {
            input: echo(text),
            length: digits.len(),
        });
    }
    let mut out = vec![0u8; length];
    for (place, digit) in digits.iter().rev().enumerate() {
        let bit = place * 5;
        let (index, shift) = (bit / 8, bit % 8);
        let value = u16::from(DIGITS[usize::from(*digit)]) << shift;
        let [low, high] = value.to_le_bytes();
        out[index] |= low;
        match out.get_mut(index + 1) {
            Some(next) => *next |= high,
            None if high != 0 => return Err(DecodeError::Padding { input: echo(text) }),
            None => {}
        }
    }
    Ok(out)
}
