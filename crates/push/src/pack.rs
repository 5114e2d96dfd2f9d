//! One store path to compressed pieces: hashed on the way in and out, refused when it is not what Nix recorded.

use std::{
    io::{self, Write},
    path::Path,
};

use bytes::Bytes;
use niks3_nix::{
    hash::{FileHash, NarHash},
    nar::{self, DumpError, DumpOptions},
};
use sha2::{Digest as _, Sha256};

use crate::{
    budget::{Budget, Reservation},
    compress::Compressor,
    stop::Stop,
};

/// A part has a number up to 10,000; some are kept for what compression adds.
const MAX_PARTS: u64 = 9000;

/// Compressed bytes whose checksums are known, ready to be sent.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) bytes: Bytes,
    pub(crate) sha256: FileHash,
    pub(crate) md5: Option<[u8; 16]>,
    /// How much of the NAR it stands for, for the progress bar.
    pub(crate) nar_bytes: u64,
    /// Given back when the piece has been sent.
    pub(crate) reservation: Reservation,
}

/// What came out.
#[derive(Debug)]
pub(crate) enum Packed {
    /// All of it in one piece.
    One(Piece),
    /// Pieces that were handed out one after the other.
    Parts { file_hash: FileHash, file_size: u64 },
}

/// Why a path could not be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The contents on disk are not those that were added to the store.
    #[error(
        "the contents of {path} have changed since it was added to the store ({how}); \
         `nix store repair {path}` may bring them back"
    )]
    Modified {
        /// The store path.
        path: String,
        /// What differs.
        how: String,
    },
    /// It cannot be read.
    #[error("cannot pack {path}: {message}")]
    Dump {
        /// The store path.
        path: String,
        /// Why.
        message: String,
    },
    /// Somebody else failed, or the user has had enough.
    #[error("stopped")]
    Stopped,
}

/// How pieces are made.
pub(crate) struct PackSettings {
    pub(crate) budget: Budget,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) stop: Stop,
    pub(crate) with_md5: bool,
    /// Fewest bytes of a part that the server takes, and most of what goes up in one piece.
    pub(crate) min_part_size: u64,
    /// How files are packed.
    pub(crate) dump: DumpOptions,
}

/// What Nix recorded of the path to pack.
pub(crate) struct Expected<'a> {
    pub(crate) full_path: &'a str,
    pub(crate) nar_hash: NarHash,
    pub(crate) nar_size: u64,
}

/// Bytes of a part, so that the whole fits into the number of parts there can be.
pub(crate) fn part_size(min_part_size: u64, nar_size: u64) -> u64 {
    let needed = (nar_size + nar_size / 100).div_ceil(MAX_PARTS);
    // Round numbers, so that a slightly other size is still the same upload.
    min_part_size
        .max(1)
        .max(needed.next_multiple_of(1024 * 1024) * u64::from(needed > min_part_size))
}

/// Packs `real_path`. Pieces go to `on_part`, unless all fits into a small one; also gives back the listing as JSON.
pub(crate) fn pack(
    settings: &PackSettings,
    compressor: &mut Compressor,
    expected: &Expected<'_>,
    real_path: &Path,
    on_part: &mut dyn FnMut(Piece) -> Result<(), PackError>,
) -> Result<(Packed, Vec<u8>), PackError> {
    let dump_error = |message: String| PackError::Dump {
        path: expected.full_path.to_owned(),
        message,
    };
    compressor
        .begin(expected.nar_size)
        .map_err(|error| dump_error(error.to_string()))?;
    let mut sink = NarSink {
        compressor,
        hasher: Sha256::new(),
        count: 0,
        limit: expected.nar_size,
        pieces: Pieces::new(settings, expected.nar_size, on_part)?,
    };
    let result = nar::dump(real_path, &mut sink, settings.dump);
    if let Some(failure) = sink.pieces.failure.take() {
        return Err(failure);
    }
    let modified = |how: String| PackError::Modified {
        path: expected.full_path.to_owned(),
        how,
    };
    let dumped = match result {
        Ok(dumped) => dumped,
        Err(DumpError::Write(_)) if sink.count > sink.limit => {
            return Err(modified(format!(
                "its NAR is larger than the {} bytes recorded",
                sink.limit
            )));
        }
        Err(error) => return Err(dump_error(with_cause(&error))),
    };
    if sink.count != expected.nar_size {
        return Err(modified(format!(
            "its NAR has {} bytes, not the {} recorded",
            sink.count, expected.nar_size
        )));
    }
    let nar_hash = NarHash::from_bytes(sink.hasher.finalize().into());
    if nar_hash != expected.nar_hash {
        return Err(modified(format!(
            "its NAR hash is {nar_hash}, not the {} recorded",
            expected.nar_hash
        )));
    }
    let (compressor, mut pieces) = (sink.compressor, sink.pieces);
    let ended = compressor.finish(&mut |bytes| pieces.push(bytes, sink.count));
    if let Some(failure) = pieces.failure.take() {
        return Err(failure);
    }
    ended.map_err(|error| dump_error(error.to_string()))?;
    Ok((pieces.finish(sink.count)?, dumped.listing.to_json()))
}

fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Takes the NAR: hashes it, compresses it, stops it when it becomes too long.
struct NarSink<'a> {
    compressor: &'a mut Compressor,
    hasher: Sha256,
    count: u64,
    limit: u64,
    pieces: Pieces<'a>,
}

impl Write for NarSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.count += bytes.len() as u64;
        if self.count > self.limit {
            return Err(io::Error::other("longer than recorded"));
        }
        // In steps that stay in the processor's cache between hash and compression.
        for chunk in bytes.chunks(128 * 1024) {
            self.hasher.update(chunk);
            let (pieces, count) = (&mut self.pieces, self.count);
            self.compressor.write(chunk, &mut |out| pieces.push(out, count))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Cuts what the compressor gives into pieces. Holds room for exactly one of them.
struct Pieces<'a> {
    settings: &'a PackSettings,
    on_part: &'a mut dyn FnMut(Piece) -> Result<(), PackError>,
    nar_size: u64,
    part_size: usize,
    current: Vec<u8>,
    reservation: Option<Reservation>,
    whole: Sha256,
    file_size: u64,
    handed_out: bool,
    nar_bytes_handed_out: u64,
    failure: Option<PackError>,
}

impl<'a> Pieces<'a> {
    fn new(
        settings: &'a PackSettings,
        nar_size: u64,
        on_part: &'a mut dyn FnMut(Piece) -> Result<(), PackError>,
    ) -> Result<Self, PackError> {
        let part_size = part_size(settings.min_part_size, nar_size);
        let mut pieces = Self {
            settings,
            on_part,
            nar_size,
            part_size: usize::try_from(part_size).unwrap_or(usize::MAX),
            current: Vec::new(),
            reservation: None,
            whole: Sha256::new(),
            file_size: 0,
            handed_out: false,
            nar_bytes_handed_out: 0,
            failure: None,
        };
        pieces.reserve()?;
        Ok(pieces)
    }

    /// Makes room for the next piece; nothing is held while it waits.
    fn reserve(&mut self) -> Result<(), PackError> {
        // What zstd adds to what it cannot compress is far below this.
        let most = self.nar_size.saturating_add(self.nar_size / 128 + 1024);
        let bytes = most.min(self.part_size as u64);
        let reservation = self
            .settings
            .runtime
            .block_on(self.settings.budget.reserve(bytes));
        self.reservation = Some(reservation.map_err(|_| PackError::Stopped)?);
        self.current = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
        Ok(())
    }

    fn push(&mut self, bytes: &[u8], nar_count: u64) -> io::Result<()> {
        self.try_push(bytes, nar_count).map_err(|failure| {
            self.failure = Some(failure);
            io::Error::other("no more pieces")
        })
    }

    fn try_push(&mut self, mut bytes: &[u8], nar_count: u64) -> Result<(), PackError> {
        if self.settings.stop.is_stopped() {
            return Err(PackError::Stopped);
        }
        while !bytes.is_empty() {
            // Only now is it certain that the full piece is not the last one.
            if self.current.len() == self.part_size {
                let piece = self.cut(nar_count);
                (self.on_part)(piece)?;
                self.handed_out = true;
                self.reserve()?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(self.part_size - self.current.len()));
            self.current.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn cut(&mut self, nar_count: u64) -> Piece {
        let mut bytes = std::mem::take(&mut self.current);
        bytes.shrink_to_fit();
        self.whole.update(&bytes);
        self.file_size += bytes.len() as u64;
        let sha256 = if self.handed_out || bytes.len() == self.part_size {
            FileHash::of(&bytes)
        } else {
            // The one and only piece: its hash is that of the file.
            FileHash::from_bytes(self.whole.clone().finalize().into())
        };
        let md5 = self.settings.with_md5.then(|| md5::Md5::digest(&bytes).into());
        let nar_bytes = nar_count - self.nar_bytes_handed_out;
        self.nar_bytes_handed_out = nar_count;
        let mut reservation = self
            .reservation
            .take()
            .unwrap_or_else(|| unreachable!("a piece has its room"));
        reservation.shrink(bytes.len() as u64);
        Piece {
            bytes: bytes.into(),
            sha256,
            md5,
            nar_bytes,
            reservation,
        }
    }

    fn finish(mut self, nar_count: u64) -> Result<Packed, PackError> {
        let piece = self.cut(nar_count);
        // The server takes more only in parts, be it a single one.
        let is_small = piece.bytes.len() as u64 <= self.settings.min_part_size;
        if !self.handed_out && is_small {
            return Ok(Packed::One(piece));
        }
        (self.on_part)(piece)?;
        let file_hash = FileHash::from_bytes(self.whole.finalize().into());
        Ok(Packed::Parts {
            file_hash,
            file_size: self.file_size,
        })
    }
}

#[cfg(test)]
mod tests;
