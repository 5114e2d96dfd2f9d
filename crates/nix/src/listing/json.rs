//! As much JSON as a listing needs: strings may hold any bytes, and nesting costs no stack.

use super::ListingError;

/// Writes a string with the escapes that Nix writes; bytes from 0x20 on stand for themselves.
pub(super) fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Reads JSON token by token.
pub(super) struct Lexer<'j> {
    json: &'j [u8],
    at: usize,
}

impl<'j> Lexer<'j> {
    pub(super) const fn new(json: &'j [u8]) -> Self {
        Self { json, at: 0 }
    }

    pub(super) const fn wrong(&self, expected: &'static str) -> ListingError {
        ListingError::Json {
            offset: self.at,
            expected,
        }
    }

    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.json.get(self.at) {
            self.at += 1;
        }
        self.json.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    pub(super) fn open_object(&mut self) -> Result<(), ListingError> {
        if self.take(b'{') {
            Ok(())
        } else {
            Err(self.wrong("'{'"))
        }
    }

    pub(super) fn end(&mut self) -> Result<(), ListingError> {
        if self.peek().is_none() {
            Ok(())
        } else {
            Err(self.wrong("the end"))
        }
    }

    /// The key of the next member of the object, up to its colon; `None` where the object ends.
    pub(super) fn next_key(&mut self, first: &mut bool) -> Result<Option<Vec<u8>>, ListingError> {
        if self.take(b'}') {
            return Ok(None);
        }
        if !std::mem::replace(first, false) && !self.take(b',') {
            return Err(self.wrong("',' or '}'"));
        }
        let key = self.string()?;
        if self.take(b':') {
            Ok(Some(key))
        } else {
            Err(self.wrong("':'"))
        }
    }

    pub(super) fn string(&mut self) -> Result<Vec<u8>, ListingError> {
        if !self.take(b'"') {
            return Err(self.wrong("a string"));
        }
        let mut out = Vec::new();
        loop {
            let rest = &self.json[self.at..];
            let plain = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            let plain = plain.ok_or_else(|| self.wrong("the end of a string"))?;
            out.extend_from_slice(&rest[..plain]);
            self.at += plain;
            match rest[plain] {
                b'"' => {
                    self.at += 1;
                    return Ok(out);
                }
                b'\\' => self.escape(&mut out)?,
                _ => return Err(self.wrong("no control character in a string")),
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), ListingError> {
        let escaped = self.json.get(self.at + 1).copied();
        out.push(match escaped {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => return self.unicode_escape(out),
            _ => return Err(self.wrong("an escape")),
        });
        self.at += 2;
        Ok(())
    }

    fn unicode_escape(&mut self, out: &mut Vec<u8>) -> Result<(), ListingError> {
        let unit = self.code_unit()?;
        let units = if matches!(unit, 0xd800..0xdc00) {
            vec![unit, self.code_unit()?]
        } else {
            vec![unit]
        };
        match char::decode_utf16(units).next() {
            Some(Ok(character)) => {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                Ok(())
            }
            _ => Err(self.wrong("a character, not half of one")),
        }
    }

    fn code_unit(&mut self) -> Result<u16, ListingError> {
        let digits = self
            .json
            .get(self.at..self.at + 6)
            .and_then(|escape| escape.strip_prefix(b"\\u"));
        let unit = digits.and_then(|digits| {
            digits.iter().try_fold(0u16, |unit, digit| {
                Some(unit << 4 | char::from(*digit).to_digit(16)? as u16)
            })
        });
        let unit = unit.ok_or_else(|| self.wrong("'\\u' and four hexadecimal digits"))?;
        self.at += 6;
        Ok(unit)
    }

    pub(super) fn number(&mut self) -> Result<u64, ListingError> {
        self.peek();
        let rest = &self.json[self.at..];
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = str::from_utf8(&rest[..length])
            .ok()
            .and_then(|digits| digits.parse().ok());
        let number = number.ok_or_else(|| self.wrong("a number below 2^64"))?;
        self.at += length;
        Ok(number)
    }

    pub(super) fn boolean(&mut self) -> Result<bool, ListingError> {
        self.peek();
        for (word, value) in [("true", true), ("false", false)] {
            if self.json[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.wrong("'true' or 'false'"))
    }

    /// Passes over a value of any kind. Looks at strings and brackets only.
    pub(super) fn skip(&mut self) -> Result<(), ListingError> {
        let mut depth = 0usize;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.string()?;
                }
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b',' | b':') if depth > 0 => self.at += 1,
                Some(byte) if byte.is_ascii_alphanumeric() || byte == b'-' => {
                    let word = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                    self.at += self.json[self.at..].iter().take_while(word).count();
                }
                _ => return Err(self.wrong("a value")),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}
