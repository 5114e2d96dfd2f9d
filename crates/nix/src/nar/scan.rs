//! Reads a NAR that comes in pieces: as strictly as [`super::read`], without a thread that waits for more.

use super::{MAX_DEPTH, MAX_NAME_LEN, MAX_TARGET_LEN, ReadError, is_entry_name, token};
use crate::{echo::echo_bytes, listing::ListingWriter};

/// Longer than every word of the format; where one is expected, nothing longer is read.
const MAX_WORD_LEN: u64 = 32;

/// Where in the grammar a scanner is: what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Magic,
    NodeOpen,
    Type,
    Kind,
    EntryOrClose,
    EntryOpen,
    NameWord,
    Name,
    NodeWord,
    TargetWord,
    Target,
    ContentsOrExecutable,
    Executable,
    ContentsWord,
    Length,
    Contents,
    Padding,
    NodeClose,
    EntryClose,
    End,
}

/// Takes a NAR piece by piece, and writes its listing meanwhile.
///
/// Its memory does not depend on the NAR, except for the text of the listing that nobody has taken.
#[derive(Debug)]
pub struct Scanner {
    state: State,
    offset: u64,
    /// What came of a string whose end has not.
    pending: Vec<u8>,
    /// The name of the last entry of each open folder; those beyond `depth` are spare.
    names: Vec<Vec<u8>>,
    depth: usize,
    executable: bool,
    /// Bytes of the contents that have not come.
    left: u64,
    /// Bytes of padding after the contents.
    padding: usize,
    root: Option<RootFile>,
    listing: ListingWriter,
}

/// What a scanner comes across, in the order of the NAR. Names are empty for the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A directory begins.
    Directory {
        /// Name of the entry.
        name: &'a [u8],
    },
    /// The directory that began last ends.
    Leave,
    /// A symbolic link.
    Symlink {
        /// Name of the entry.
        name: &'a [u8],
        /// Where it points.
        target: &'a [u8],
    },
    /// A file begins.
    Regular {
        /// Name of the entry.
        name: &'a [u8],
        /// Whether its owner may execute it.
        executable: bool,
        /// Bytes of its contents.
        size: u64,
    },
    /// The next bytes of the contents of that file, at least one.
    Contents {
        /// Whether the file is the root.
        is_root: bool,
        /// The bytes.
        bytes: &'a [u8],
    },
}

/// What the root of a NAR is, when it is a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootFile {
    /// Whether its owner may execute it.
    pub executable: bool,
    /// Its size in bytes.
    pub size: u64,
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            state: State::Magic,
            offset: 0,
            pending: Vec::new(),
            names: Vec::new(),
            depth: 0,
            executable: false,
            left: 0,
            padding: 0,
            root: None,
            listing: ListingWriter::default(),
        }
    }
}

impl Scanner {
    /// Takes the next bytes. When the root is a file, its contents go to `root_file` as well.
    pub fn push(&mut self, bytes: &[u8], root_file: &mut impl FnMut(&[u8])) -> Result<(), ReadError> {
        self.scan(bytes, &mut |event| {
            if let Event::Contents { is_root: true, bytes } = event {
                root_file(bytes);
            }
        })
    }

    /// Takes the next bytes, and says what they are.
    pub fn scan(&mut self, mut bytes: &[u8], found: &mut impl FnMut(Event<'_>)) -> Result<(), ReadError> {
        while !bytes.is_empty() {
            match self.state {
                State::End => return Err(ReadError::Trailing(self.offset)),
                State::Contents => {
                    let taken = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                    let (now, later) = bytes.split_at(taken);
                    found(Event::Contents {
                        is_root: self.depth == 0,
                        bytes: now,
                    });
                    self.offset += taken as u64;
                    self.left -= taken as u64;
                    if self.left == 0 {
                        self.state = self.after_contents();
                    }
                    bytes = later;
                }
                _ => bytes = self.token(bytes, found)?,
            }
        }
        Ok(())
    }

    /// Ends the NAR: its size.
    pub fn finish(&mut self) -> Result<u64, ReadError> {
        if self.state == State::Magic {
            return Err(ReadError::Magic);
        }
        if self.state != State::End {
            return Err(ReadError::Read {
                offset: self.offset + self.pending_read(),
                source: std::io::ErrorKind::UnexpectedEof.into(),
            });
        }
        self.listing.finish();
        Ok(self.offset)
    }

    /// Bytes of a string that has not come whole which [`super::read`] would have read: its length, and its text.
    fn pending_read(&self) -> u64 {
        let Some(length) = self.pending.first_chunk::<8>() else {
            return 0;
        };
        let text_end = 8 + u64::from_le_bytes(*length);
        if self.pending.len() as u64 >= text_end {
            text_end
        } else {
            8
        }
    }

    /// The root, when it is a file and its contents have begun.
    #[must_use]
    pub const fn root_file(&self) -> Option<RootFile> {
        self.root
    }

    /// What was written of the listing so far; complete after [`Self::finish`].
    pub const fn listing(&mut self) -> &mut ListingWriter {
        &mut self.listing
    }

    const fn after_contents(&self) -> State {
        if self.padding > 0 {
            State::Padding
        } else {
            State::NodeClose
        }
    }

    /// How many bytes the next token has, as far as `known` says: a number, padding, or a string.
    fn token_len(&self, known: &[u8]) -> Result<usize, ReadError> {
        let limit = match self.state {
            State::Length => return Ok(8),
            State::Padding => return Ok(self.padding),
            State::Name => MAX_NAME_LEN as u64,
            State::Target => MAX_TARGET_LEN as u64,
            _ => MAX_WORD_LEN,
        };
        let Some(length) = known.first_chunk::<8>() else {
            return Ok(8);
        };
        let length = u64::from_le_bytes(*length);
        if length > limit {
            return Err(match self.state {
                State::Magic => ReadError::Magic,
                _ => ReadError::TooLong {
                    offset: self.offset,
                    length,
                    limit,
                },
            });
        }
        Ok(8 + (length as usize) + token::padding(length))
    }

    /// Takes a token, or as much of one as there is; gives back the rest.
    fn token<'b>(
        &mut self,
        bytes: &'b [u8],
        found: &mut impl FnMut(Event<'_>),
    ) -> Result<&'b [u8], ReadError> {
        if self.pending.is_empty() {
            let wanted = self.token_len(bytes)?;
            if bytes.len() >= wanted {
                let (token, rest) = bytes.split_at(wanted);
                self.whole(token, found)?;
                return Ok(rest);
            }
        }
        let wanted = self.token_len(&self.pending)?;
        let (now, rest) = bytes.split_at(bytes.len().min(wanted - self.pending.len()));
        self.pending.extend_from_slice(now);
        // The length of a string has come, and says how much follows.
        if self.pending.len() == self.token_len(&self.pending)? {
            let token = std::mem::take(&mut self.pending);
            let taken = self.whole(&token, found);
            self.pending = token;
            self.pending.clear();
            taken?;
        }
        Ok(rest)
    }

    /// Goes on by one token.
    fn whole(&mut self, token: &[u8], found: &mut impl FnMut(Event<'_>)) -> Result<(), ReadError> {
        if self.state == State::Length {
            self.offset += 8;
            let size = token
                .first_chunk::<8>()
                .map_or(0, |size| u64::from_le_bytes(*size));
            self.file(size, found);
            return Ok(());
        }
        if self.state == State::Padding {
            self.offset += token.len() as u64;
            self.zero(token)?;
            self.state = State::NodeClose;
            return Ok(());
        }
        let (length, rest) = token.split_at(8);
        let length = length
            .first_chunk::<8>()
            .map_or(0, |length| u64::from_le_bytes(*length));
        let (text, padding) = rest.split_at(length as usize);
        self.offset += token.len() as u64;
        if self.zero(padding).is_err() {
            return Err(match self.state {
                State::Magic => ReadError::Magic,
                _ => ReadError::Padding { offset: self.offset },
            });
        }
        self.string(text, found)
    }

    fn zero(&self, padding: &[u8]) -> Result<(), ReadError> {
        if padding.iter().all(|byte| *byte == 0) {
            Ok(())
        } else {
            Err(ReadError::Padding { offset: self.offset })
        }
    }

    fn string(&mut self, text: &[u8], found: &mut impl FnMut(Event<'_>)) -> Result<(), ReadError> {
        self.state = match self.state {
            State::Magic if text == token::MAGIC => State::NodeOpen,
            State::Magic => return Err(ReadError::Magic),
            State::NodeOpen => self.expect(text, token::OPEN, "'('", State::Type)?,
            State::Type => self.expect(text, token::TYPE, "'type'", State::Kind)?,
            State::Kind => match text {
                token::DIRECTORY => return self.enter(found),
                token::REGULAR => State::ContentsOrExecutable,
                token::SYMLINK => State::TargetWord,
                _ => return Err(self.word("'regular', 'directory' or 'symlink'", text)),
            },
            State::EntryOrClose => match text {
                token::ENTRY => State::EntryOpen,
                token::CLOSE => {
                    self.depth -= 1;
                    self.listing.leave();
                    found(Event::Leave);
                    self.after_node()
                }
                _ => return Err(self.word("'entry' or ')'", text)),
            },
            State::EntryOpen => self.expect(text, token::OPEN, "'('", State::NameWord)?,
            State::NameWord => self.expect(text, token::NAME, "'name'", State::Name)?,
            State::Name => return self.name(text),
            State::NodeWord => self.expect(text, token::NODE, "'node'", State::NodeOpen)?,
            State::TargetWord => self.expect(text, token::TARGET, "'target'", State::Target)?,
            State::Target => return self.symlink(text, found),
            State::ContentsOrExecutable => {
                self.executable = text == token::EXECUTABLE;
                match text {
                    token::EXECUTABLE => State::Executable,
                    token::CONTENTS => State::Length,
                    _ => return Err(self.word("'contents'", text)),
                }
            }
            State::Executable => self.expect(text, b"", "an empty string", State::ContentsWord)?,
            State::ContentsWord => self.expect(text, token::CONTENTS, "'contents'", State::Length)?,
            State::NodeClose => {
                let next = self.after_node();
                self.expect(text, token::CLOSE, "')'", next)?
            }
            State::EntryClose => self.expect(text, token::CLOSE, "')'", State::EntryOrClose)?,
            State::Length | State::Contents | State::Padding | State::End => State::End,
        };
        Ok(())
    }

    const fn after_node(&self) -> State {
        if self.depth == 0 {
            State::End
        } else {
            State::EntryClose
        }
    }

    fn enter(&mut self, found: &mut impl FnMut(Event<'_>)) -> Result<(), ReadError> {
        if self.depth >= MAX_DEPTH {
            return Err(ReadError::TooDeep);
        }
        let name = entry_name(&self.names, self.depth);
        self.listing.directory(name);
        found(Event::Directory { name });
        if self.names.len() == self.depth {
            self.names.push(Vec::new());
        }
        self.names[self.depth].clear();
        self.depth += 1;
        self.state = State::EntryOrClose;
        Ok(())
    }

    fn name(&mut self, name: &[u8]) -> Result<(), ReadError> {
        if !is_entry_name(name) {
            return Err(ReadError::Name {
                offset: self.offset,
                name: echo_bytes(name),
            });
        }
        let last = &mut self.names[self.depth - 1];
        if name <= last.as_slice() {
            return Err(ReadError::Unsorted {
                offset: self.offset,
                name: echo_bytes(name),
            });
        }
        last.clear();
        last.extend_from_slice(name);
        self.state = State::NodeWord;
        Ok(())
    }

    fn symlink(&mut self, target: &[u8], found: &mut impl FnMut(Event<'_>)) -> Result<(), ReadError> {
        if target.is_empty() || target.contains(&0) {
            return Err(ReadError::Target {
                offset: self.offset,
                target: echo_bytes(target),
            });
        }
        let name = entry_name(&self.names, self.depth);
        self.listing.symlink(name, target);
        found(Event::Symlink { name, target });
        self.state = State::NodeClose;
        Ok(())
    }

    fn file(&mut self, size: u64, found: &mut impl FnMut(Event<'_>)) {
        let name = entry_name(&self.names, self.depth);
        let executable = self.executable;
        self.listing.regular(name, executable, size, Some(self.offset));
        found(Event::Regular {
            name,
            executable,
            size,
        });
        if self.depth == 0 {
            self.root = Some(RootFile {
                executable: self.executable,
                size,
            });
        }
        self.left = size;
        self.padding = token::padding(size);
        self.state = if size > 0 {
            State::Contents
        } else {
            State::NodeClose
        };
    }

    fn expect(
        &self,
        text: &[u8],
        expected: &[u8],
        described: &'static str,
        next: State,
    ) -> Result<State, ReadError> {
        if text == expected {
            Ok(next)
        } else {
            Err(self.word(described, text))
        }
    }

    fn word(&self, expected: &'static str, got: &[u8]) -> ReadError {
        ReadError::Word {
            offset: self.offset,
            expected,
            got: echo_bytes(got),
        }
    }
}

/// The name of the node that is being read; empty for the root.
fn entry_name(names: &[Vec<u8>], depth: usize) -> &[u8] {
    match depth {
        0 => b"",
        depth => &names[depth - 1],
    }
}
