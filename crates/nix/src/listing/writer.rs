//! Writes a listing entry by entry, so that only the text is ever held.

use super::json;

/// Writes a listing as JSON in the order of a NAR: the root first, each folder before its entries.
///
/// The text is what [`super::Listing::to_json`] gives. It may be taken away piece by piece.
#[derive(Debug)]
pub struct ListingWriter {
    out: Vec<u8>,
    depth: usize,
    first: bool,
}

impl Default for ListingWriter {
    fn default() -> Self {
        Self {
            out: br#"{"version":1,"root":"#.to_vec(),
            depth: 0,
            first: true,
        }
    }
}

impl ListingWriter {
    /// Begins a folder; what follows is in it, until [`Self::leave`].
    pub fn directory(&mut self, name: &[u8]) {
        self.name(name);
        self.out.extend_from_slice(br#"{"type":"directory","entries":{"#);
        self.depth += 1;
        self.first = true;
    }

    /// Ends a folder.
    pub fn leave(&mut self) {
        self.out.extend_from_slice(b"}}");
        self.depth = self.depth.saturating_sub(1);
        self.first = false;
    }

    /// Adds a file; `nar_offset` is where its contents begin in the NAR.
    pub fn regular(&mut self, name: &[u8], executable: bool, size: u64, nar_offset: Option<u64>) {
        self.name(name);
        self.out.extend_from_slice(br#"{"type":"regular","size":"#);
        self.number(size);
        self.out.extend_from_slice(if executable {
            br#","executable":true"#.as_slice()
        } else {
            br#","executable":false"#
        });
        if let Some(offset) = nar_offset {
            self.out.extend_from_slice(br#","narOffset":"#);
            self.number(offset);
        }
        self.out.push(b'}');
    }

    /// Adds a symlink.
    pub fn symlink(&mut self, name: &[u8], target: &[u8]) {
        self.name(name);
        self.out.extend_from_slice(br#"{"type":"symlink","target":"#);
        json::write_string(&mut self.out, target);
        self.out.push(b'}');
    }

    /// Ends the text; the root must be complete.
    pub fn finish(&mut self) {
        self.out.push(b'}');
    }

    /// The text that was written since it was last cleared.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.out
    }

    /// Forgets that text, when it was written elsewhere.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    /// The text that was written since it was last cleared, as a value.
    #[must_use]
    pub fn into_text(self) -> Vec<u8> {
        self.out
    }

    fn name(&mut self, name: &[u8]) {
        if self.depth == 0 {
            return;
        }
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(b',');
        }
        json::write_string(&mut self.out, name);
        self.out.push(b':');
    }

    fn number(&mut self, number: u64) {
        use std::io::Write as _;
        // A Vec takes everything.
        let _ = write!(self.out, "{number}");
    }
}
