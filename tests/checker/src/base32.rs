//! Nix's base 32: the digits stand for groups of five bits, the last group first.

use std::fmt::Write as _;

const DIGITS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Decodes exactly `N` bytes. Digits of another alphabet, another length and bits beyond the last byte are refused.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != (N * 8).div_ceil(5) {
        return None;
    }
    let mut bytes = [0; N];
    for (place, digit) in text.bytes().rev().enumerate() {
        let value = DIGITS.iter().position(|other| *other == digit)?;
        let (byte, bit) = (place * 5 / 8, place * 5 % 8);
        let shifted = value << bit;
        bytes[byte] |= u8::try_from(shifted & 0xff).ok()?;
        let rest = u8::try_from(shifted >> 8).ok()?;
        match bytes.get_mut(byte + 1) {
            Some(next) => *next |= rest,
            None if rest != 0 => return None,
            None => {}
        }
    }
    Some(bytes)
}

/// Encodes bytes.
pub fn encode(bytes: &[u8]) -> String {
    (0..(bytes.len() * 8).div_ceil(5))
        .rev()
        .map(|place| {
            let (byte, bit) = (place * 5 / 8, place * 5 % 8);
            let next = bytes.get(byte + 1).copied().unwrap_or_default();
            let pair = u16::from(bytes[byte]) | u16::from(next) << 8;
            char::from(DIGITS[usize::from(pair >> bit & 31)])
        })
        .collect()
}

/// Hexadecimal digits of bytes.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    #[test]
    fn it_reads_what_nix_writes() {
        // nix-hash --type sha256 --to-base32 $(printf '' | sha256sum)
        let empty: [u8; 32] = Sha256::digest(b"").into();
        let text = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
        assert_eq!(super::decode(text), Some(empty));
        assert_eq!(super::encode(&empty), text);
    }

    #[test]
    fn it_refuses_what_nix_would_not_write() {
        let text = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
        for wrong in [
            text.replacen('0', "z", 1),
            text.replacen('m', "e", 1),
            text.to_uppercase(),
            text[1..].to_owned(),
        ] {
            assert_eq!(super::decode::<32>(&wrong), None, "{wrong}");
        }
    }
}
