//! Reads a NAR as a stream of events: strictly, in bounded memory, without recursion.

use std::io::{self, BufReader, Read};

use super::{MAX_DEPTH, MAX_TARGET_LEN, Packed, ReadError, is_entry_name, token};
use crate::{echo::echo_bytes, listing::Builder};

/// Longer than every word of the format; where one is expected, nothing longer is read.
const MAX_WORD_LEN: u64 = 32;

/// Takes what a NAR holds, in its order. The root has an empty name.
pub trait Visitor {
    /// A folder begins; what follows is in it, until [`Visitor::leave`].
    fn directory(&mut self, name: &[u8]) -> io::Result<()>;

    /// A folder ends.
    fn leave(&mut self) -> io::Result<()>;

    /// A file. Of `contents`, what is not read is skipped.
    fn file(&mut self, name: &[u8], file: FileHead, contents: &mut dyn Read) -> io::Result<()>;

    /// A symlink.
    fn symlink(&mut self, name: &[u8], target: &[u8]) -> io::Result<()>;
}

/// What a NAR says of a file before its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileHead {
    /// Whether its owner may execute it.
    pub executable: bool,
    /// Its size in bytes.
    pub size: u64,
    /// Where its contents begin in the NAR.
    pub nar_offset: u64,
}

/// Reads a NAR, which must end where `reader` does. Returns its size.
pub fn read<R: Read, V: Visitor + ?Sized>(reader: R, visitor: &mut V) -> Result<u64, ReadError> {
    let mut reader = BufReader::with_capacity(64 << 10, reader);
    let size = read_prefix(&mut reader, visitor)?;
    let mut byte = [0];
    match reader.read_exact(&mut byte) {
        Ok(()) => Err(ReadError::Trailing(size)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(size),
        Err(source) => Err(ReadError::Read { offset: size, source }),
    }
}

/// Reads a NAR and not a byte more. Reads in small pieces: give it a buffered reader.
pub fn read_prefix<R: Read, V: Visitor + ?Sized>(reader: R, visitor: &mut V) -> Result<u64, ReadError> {
    let mut input = Input { reader, offset: 0 };
    if !matches!(input.string(MAX_WORD_LEN), Ok(magic) if magic == token::MAGIC) {
        return Err(ReadError::Magic);
    }
    // One element for each open folder: the name of its last entry.
    let mut folders: Vec<Vec<u8>> = Vec::new();
    let mut entered = read_node(&mut input, b"", visitor)?;
    loop {
        if entered {
            if folders.len() >= MAX_DEPTH {
                return Err(ReadError::TooDeep);
            }
            folders.push(Vec::new());
        }
        let Some(last) = folders.last_mut() else {
            return Ok(input.offset);
        };
        let word = input.string(MAX_WORD_LEN)?;
        entered = match word.as_slice() {
            token::CLOSE => {
                folders.pop();
                visitor.leave().map_err(|source| input.visitor(source))?;
                false
            }
            token::ENTRY => {
                input.expect(token::OPEN, "'('")?;
                input.expect(token::NAME, "'name'")?;
                *last = input.name(last)?;
                input.expect(token::NODE, "'node'")?;
                let name = last.clone();
                read_node(&mut input, &name, visitor)?
            }
            _ => return Err(input.word("'entry' or ')'", &word)),
        };
        if !entered && !folders.is_empty() {
            input.expect(token::CLOSE, "')'")?;
        }
    }
}

/// Reads a file or symlink to its end, or the beginning of a folder: then the answer is true.
fn read_node<R: Read, V: Visitor + ?Sized>(
    input: &mut Input<R>,
    name: &[u8],
    visitor: &mut V,
) -> Result<bool, ReadError> {
    input.expect(token::OPEN, "'('")?;
    input.expect(token::TYPE, "'type'")?;
    let kind = input.string(MAX_WORD_LEN)?;
    match kind.as_slice() {
        token::DIRECTORY => {
            visitor.directory(name).map_err(|source| input.visitor(source))?;
            return Ok(true);
        }
        token::REGULAR => read_file(input, name, visitor)?,
        token::SYMLINK => {
            input.expect(token::TARGET, "'target'")?;
            let target = input.string(MAX_TARGET_LEN as u64)?;
            if target.is_empty() || target.contains(&0) {
                return Err(ReadError::Target {
                    offset: input.offset,
                    target: echo_bytes(&target),
                });
            }
            visitor
                .symlink(name, &target)
                .map_err(|source| input.visitor(source))?;
        }
        _ => return Err(input.word("'regular', 'directory' or 'symlink'", &kind)),
    }
    input.expect(token::CLOSE, "')'")?;
    Ok(false)
}

fn read_file<R: Read, V: Visitor + ?Sized>(
    input: &mut Input<R>,
    name: &[u8],
    visitor: &mut V,
) -> Result<(), ReadError> {
    let mut word = input.string(MAX_WORD_LEN)?;
    let executable = word == token::EXECUTABLE;
    if executable {
        input.expect(b"", "an empty string")?;
        word = input.string(MAX_WORD_LEN)?;
    }
    if word != token::CONTENTS {
        return Err(input.word("'contents'", &word));
    }
    let size = input.number()?;
    let head = FileHead {
        executable,
        size,
        nar_offset: input.offset,
    };
    let mut contents = Contents {
        input,
        left: size,
        failed: None,
    };
    let outcome = visitor.file(name, head, &mut contents);
    if let Some(source) = contents.failed.take() {
        return Err(ReadError::Read {
            offset: contents.input.offset,
            source,
        });
    }
    outcome.map_err(|source| contents.input.visitor(source))?;
    contents.skip_rest()?;
    input.padding(size)
}

struct Input<R> {
    reader: R,
    offset: u64,
}

impl<R: Read> Input<R> {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), ReadError> {
        let offset = self.offset;
        self.reader
            .read_exact(bytes)
            .map_err(|source| ReadError::Read { offset, source })?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn number(&mut self) -> Result<u64, ReadError> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn string(&mut self, limit: u64) -> Result<Vec<u8>, ReadError> {
        let offset = self.offset;
        let length = self.number()?;
        if length > limit {
            return Err(ReadError::TooLong {
                offset,
                length,
                limit,
            });
        }
        let mut text = vec![0; length as usize];
        self.fill(&mut text)?;
        self.padding(length)?;
        Ok(text)
    }

    fn padding(&mut self, length: u64) -> Result<(), ReadError> {
        let mut bytes = [0; 8];
        let bytes = &mut bytes[..token::padding(length)];
        self.fill(bytes)?;
        if bytes.iter().all(|byte| *byte == 0) {
            Ok(())
        } else {
            Err(ReadError::Padding { offset: self.offset })
        }
    }

    fn expect(&mut self, expected: &[u8], described: &'static str) -> Result<(), ReadError> {
        let got = self.string(MAX_WORD_LEN)?;
        if got == expected {
            Ok(())
        } else {
            Err(self.word(described, &got))
        }
    }

    fn name(&mut self, last: &[u8]) -> Result<Vec<u8>, ReadError> {
        let name = self.string(super::MAX_NAME_LEN as u64)?;
        if !is_entry_name(&name) {
            return Err(ReadError::Name {
                offset: self.offset,
                name: echo_bytes(&name),
            });
        }
        if name.as_slice() <= last {
            return Err(ReadError::Unsorted {
                offset: self.offset,
                name: echo_bytes(&name),
            });
        }
        Ok(name)
    }

    fn word(&self, expected: &'static str, got: &[u8]) -> ReadError {
        ReadError::Word {
            offset: self.offset,
            expected,
            got: echo_bytes(got),
        }
    }

    const fn visitor(&self, source: io::Error) -> ReadError {
        ReadError::Visitor {
            offset: self.offset,
            source,
        }
    }
}

/// The contents of one file. Remembers a failure of the input, so that it is not taken for the visitor's.
struct Contents<'i, R> {
    input: &'i mut Input<R>,
    left: u64,
    failed: Option<io::Error>,
}

impl<R: Read> Contents<'_, R> {
    fn skip_rest(&mut self) -> Result<(), ReadError> {
        io::copy(self, &mut io::sink()).map_err(|source| ReadError::Read {
            offset: self.input.offset,
            source,
        })?;
        Ok(())
    }
}

impl<R: Read> Read for Contents<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let wanted = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        match self.input.reader.read(&mut bytes[..wanted]) {
            Ok(0) => {
                self.failed = Some(io::ErrorKind::UnexpectedEof.into());
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            Ok(got) => {
                self.left -= got as u64;
                self.input.offset += got as u64;
                Ok(got)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                self.failed = Some(error);
                Err(kind.into())
            }
        }
    }
}

struct Lister(Builder);

impl Visitor for Lister {
    fn directory(&mut self, name: &[u8]) -> io::Result<()> {
        self.0.directory(name);
        Ok(())
    }

    fn leave(&mut self) -> io::Result<()> {
        self.0.leave();
        Ok(())
    }

    fn file(&mut self, name: &[u8], file: FileHead, _: &mut dyn Read) -> io::Result<()> {
        self.0.regular(name, file.executable, file.size, file.nar_offset);
        Ok(())
    }

    fn symlink(&mut self, name: &[u8], target: &[u8]) -> io::Result<()> {
        self.0.symlink(name, target);
        Ok(())
    }
}

/// Reads a NAR to its end for its size and listing.
pub fn listing_of<R: Read>(reader: R) -> Result<Packed, ReadError> {
    let mut lister = Lister(Builder::default());
    let nar_size = read(reader, &mut lister)?;
    Ok(Packed {
        nar_size,
        listing: lister.0.finish(),
    })
}
