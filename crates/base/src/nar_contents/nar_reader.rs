//! Reads a compressed NAR that comes in pieces: what its bytes are, and whether they are a NAR at all.

use std::fmt;
use std::io::{self, BufReader, Read, Write as _};

use niks3_nix::hash::{FileHash, NarHash};
use niks3_nix::nar::{Event, Scanner};
use sha2::{Digest as _, Sha256};
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

use super::content_hash::{ContentHash, Hasher, ModuloHasher, Subject, Wanted, WantedHash};
use super::git_object::GitHasher;
use super::occurrences::{OccurrenceScanner, Occurrences};
use super::{Verdict, VerifiedNar};
use crate::compression::{Packing, WINDOW_LOG_MAX};
use crate::push_limits::MAX_LISTING;

/// Memory of a decompressor while a NAR arrives, as a power of two, when many do at once: what levels up to 19 need.
const ARRIVING_WINDOW_LOG_MAX: u32 = 23;
/// Decompressed bytes that are hashed and scanned at a time.
const BUFFER: usize = 256 << 10;
/// Text of a listing that is held before it is compressed.
const LISTING_PIECE: usize = 64 << 10;
/// How hard the listing is compressed while it waits.
const LISTING_LEVEL: i32 = 1;

/// What makes bytes other than the NAR that they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// They are not what the name of the object says.
    FileHash(String),
    /// They cannot be decompressed.
    Compression(String),
    /// There is more in them than the NAR was said to have.
    TooLong {
        /// Bytes after which reading ended.
        most: u64,
    },
    /// What they hold is not a NAR.
    Grammar(String),
}

impl Flaw {
    /// As the database has it: the kind, a tab, and words.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::FileHash(why) => format!("file-hash\t{why}"),
            Self::Compression(why) => format!("compression\t{why}"),
            Self::TooLong { .. } => "nar-size\t".into(),
            Self::Grammar(why) => format!("nar\t{why}"),
        }
    }

    /// Reads that; `most` is the size after which reading ended.
    #[must_use]
    pub fn from_text(text: &str, most: u64) -> Self {
        let (kind, why) = text.split_once('\t').unwrap_or(("", text));
        match kind {
            "file-hash" => Self::FileHash(why.into()),
            "compression" => Self::Compression(why.into()),
            "nar-size" => Self::TooLong { most },
            _ => Self::Grammar(why.into()),
        }
    }

    /// Bytes after which reading ended, where that matters.
    #[must_use]
    pub const fn most(&self) -> u64 {
        match self {
            Self::TooLong { most } => *most,
            _ => 0,
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FileHash(why) => formatter.write_str(why),
            Self::Compression(why) => write!(formatter, "the upload cannot be decompressed: {why}"),
            Self::TooLong { most } => write!(formatter, "the upload holds more than {most} bytes"),
            Self::Grammar(why) => write!(formatter, "the upload holds no NAR: {why}"),
        }
    }
}

/// A NAR that was read.
#[derive(Debug, Clone)]
pub struct Nar {
    /// SHA-256 of the NAR.
    pub nar_hash: NarHash,
    /// Bytes of the NAR.
    pub nar_size: u64,
    /// The other hashes that were taken: the SHA-256 of the file when it holds one, and what was wanted.
    pub content_hashes: Vec<ContentHash>,
    /// The hash parts that were wanted.
    pub occurrences: Occurrences,
    /// Its listing.
    pub listing: PackedListing,
}

/// A listing that waits to be published.
#[derive(Debug, Clone, Default)]
pub struct PackedListing {
    /// JSON in zstd.
    pub packed: Vec<u8>,
    /// Bytes of the JSON.
    pub size: u64,
}

/// What an object holds.
#[derive(Debug, Clone)]
pub struct Contents {
    /// SHA-256 of its bytes.
    pub file_hash: FileHash,
    /// How many there are.
    pub file_size: u64,
    /// The NAR in it, or why there is none.
    pub nar: Result<Nar, Flaw>,
}

impl Contents {
    /// What that says of the object of a key with that hash, and the listing to publish.
    pub fn verdict(self, named: Option<FileHash>) -> (Verdict, PackedListing) {
        // Of what is flawed the rest was not read.
        if let Some(named) = named
            && named != self.file_hash
            && self.nar.is_ok()
        {
            let why = format!(
                "the upload has the SHA-256 {}, and not {}",
                self.file_hash.base32(),
                named.base32()
            );
            return (Err(Flaw::FileHash(why)), PackedListing::default());
        }
        match self.nar {
            Ok(nar) => {
                let verified = VerifiedNar {
                    nar_hash: nar.nar_hash,
                    nar_size: nar.nar_size,
                    content_hashes: nar.content_hashes,
                    occurrences: nar.occurrences,
                };
                (Ok(verified), nar.listing)
            }
            Err(flaw) => (Err(flaw), PackedListing::default()),
        }
    }
}

/// Reads a NAR of at most `most` bytes that is stored in any way that Nix reads, and finds out what is `wanted`. What
/// holds none is read to its end only if that is asked for.
///
/// # Errors
/// When the reader fails.
pub fn read_nar(
    reader: impl Read,
    packing: Packing,
    most: u64,
    wanted: &[Wanted],
    to_end: bool,
) -> io::Result<Contents> {
    let mut file = FileReader {
        inner: reader,
        sha256: Sha256::new(),
        size: 0,
        failure: None,
    };
    let nar = read_packed(&mut file, packing, most, wanted);
    if nar.is_ok() || to_end {
        io::copy(&mut file, &mut io::sink())?;
    }
    match file.failure {
        Some(failure) => Err(failure),
        None => Ok(Contents {
            file_hash: FileHash::from_bytes(file.sha256.finalize().into()),
            file_size: file.size,
            nar,
        }),
    }
}

fn read_packed(file: impl Read, packing: Packing, most: u64, wanted: &[Wanted]) -> Result<Nar, Flaw> {
    let unpacked = |error: io::Error| Flaw::Compression(error.to_string());
    let encoded = Box::new(BufReader::with_capacity(BUFFER, file));
    let compressed = packing.encoding.decoder(encoded).map_err(unpacked)?;
    let mut nar = packing.compression.decoder(compressed).map_err(unpacked)?;
    let mut hashed = Hashed::new(wanted);
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = nar.read(&mut buffer).map_err(unpacked)?;
        if count == 0 {
            return hashed.finish();
        }
        if count as u64 > most - hashed.size {
            return Err(Flaw::TooLong { most });
        }
        hashed.update(&buffer[..count])?;
    }
}

/// Hashes what is read.
struct FileReader<R> {
    inner: R,
    sha256: Sha256,
    size: u64,
    /// Why it could not be read.
    failure: Option<io::Error>,
}

impl<R: Read> Read for FileReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Ok(count) => {
                self.sha256.update(&buffer[..count]);
                self.size += count as u64;
                Ok(count)
            }
            Err(error) => {
                let kind = error.kind();
                self.failure = Some(error);
                Err(kind.into())
            }
        }
    }
}

/// Reads a NAR in zstd piece by piece. Its memory depends on the window of the compressor alone.
pub struct NarReader {
    /// Nothing where others hash the file.
    file: Option<Sha256>,
    file_size: u64,
    nar: Result<Unpacking, Flaw>,
}

impl fmt::Debug for NarReader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NarReader").finish_non_exhaustive()
    }
}

impl NarReader {
    /// Reads a NAR of at most `most` bytes, and finds out what is `wanted`.
    #[must_use]
    pub fn new(most: u64, wanted: &[Wanted]) -> Self {
        Self {
            file: Some(Sha256::new()),
            file_size: 0,
            nar: Unpacking::new(most, wanted, WINDOW_LOG_MAX),
        }
    }

    /// The same for what arrives: with less memory, and without the hash of the file, which is checked elsewhere.
    #[must_use]
    pub fn arriving(most: u64, wanted: &[Wanted]) -> Self {
        Self {
            file: None,
            file_size: 0,
            nar: Unpacking::new(most, wanted, ARRIVING_WINDOW_LOG_MAX),
        }
    }

    /// Takes the next bytes. What is wrong with them is known in the end.
    pub fn push(&mut self, bytes: &[u8]) {
        if let Some(file) = &mut self.file {
            file.update(bytes);
        }
        self.file_size += bytes.len() as u64;
        if let Ok(nar) = &mut self.nar
            && let Err(flaw) = nar.push(bytes)
        {
            self.nar = Err(flaw);
        }
    }

    /// Whether it is known already that the bytes are not what they should be.
    #[must_use]
    pub const fn is_flawed(&self) -> bool {
        self.nar.is_err()
    }

    /// What the bytes are.
    #[must_use]
    pub fn finish(self) -> Contents {
        Contents {
            file_hash: FileHash::from_bytes(self.file.unwrap_or_default().finalize().into()),
            file_size: self.file_size,
            nar: self.nar.and_then(Unpacking::finish),
        }
    }
}

struct Unpacking {
    zstd: DCtx<'static>,
    buffer: Box<[u8]>,
    /// All frames that began have ended, and there was one.
    between_frames: bool,
    most: u64,
    hashed: Hashed,
}

/// What is made of decompressed bytes.
struct Hashed {
    sha256: Sha256,
    size: u64,
    scanner: Scanner,
    file: Option<Sha256>,
    of_file: Vec<Hasher>,
    of_nar: Vec<Hasher>,
    modulo: Vec<ModuloHasher>,
    git: Vec<GitHasher>,
    occurrences: OccurrenceScanner,
    /// What does not fit into one piece is compressed on the way.
    listing: Option<zstd::stream::write::Encoder<'static, Vec<u8>>>,
    listing_size: u64,
}

fn unlisted(error: std::io::Error) -> Flaw {
    Flaw::Grammar(format!("it cannot be listed: {error}"))
}

fn zstd_error(code: usize) -> Flaw {
    Flaw::Compression(get_error_name(code).to_owned())
}

impl Unpacking {
    fn new(most: u64, wanted: &[Wanted], window_log_max: u32) -> Result<Self, Flaw> {
        let mut zstd = DCtx::create();
        zstd.set_parameter(DParameter::WindowLogMax(window_log_max))
            .map_err(zstd_error)?;
        // Most NARs are smaller than that.
        let buffer = usize::try_from(most.saturating_add(1)).unwrap_or(BUFFER);
        Ok(Self {
            zstd,
            buffer: vec![0; buffer.min(BUFFER)].into(),
            between_frames: false,
            most,
            hashed: Hashed::new(wanted),
        })
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Flaw> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut input = InBuffer::around(bytes);
        loop {
            // One byte more than there may be shows that there are more.
            let room = (self.most - self.hashed.size).saturating_add(1);
            let room = usize::try_from(room).unwrap_or(BUFFER).min(BUFFER);
            let before = input.pos();
            let (hint, produced) = {
                let mut output = OutBuffer::around(&mut self.buffer[..room]);
                let hint = self
                    .zstd
                    .decompress_stream(&mut output, &mut input)
                    .map_err(zstd_error)?;
                (hint, output.pos())
            };
            self.between_frames = hint == 0;
            if produced as u64 > self.most - self.hashed.size {
                return Err(Flaw::TooLong { most: self.most });
            }
            self.hashed.update(&self.buffer[..produced])?;
            let stuck = input.pos() == before && produced == 0;
            // A full buffer may have left more behind, but nothing follows a frame by itself.
            if input.pos() == bytes.len() && (produced < room || self.between_frames) || stuck {
                return Ok(());
            }
        }
    }

    fn finish(self) -> Result<Nar, Flaw> {
        if !self.between_frames {
            return Err(Flaw::Compression("it ends in the middle".into()));
        }
        self.hashed.finish()
    }
}

impl Hashed {
    fn new(wanted: &[Wanted]) -> Self {
        let hasher = |wanted: &WantedHash| Hasher::new(wanted.algorithm);
        let hashes = || {
            wanted.iter().filter_map(|wanted| match wanted {
                Wanted::Hash(wanted) => Some(wanted),
                Wanted::Occurrence(_) => None,
            })
        };
        let others = || hashes().filter(|wanted| !wanted.is_always_taken());
        let sought = wanted.iter().filter_map(|wanted| match wanted {
            Wanted::Occurrence(hash) => Some(*hash),
            Wanted::Hash(_) => None,
        });
        let of = |subject| {
            others()
                .filter(move |wanted| wanted.subject == subject)
                .filter_map(hasher)
                .collect()
        };
        let modulo = others().filter_map(|wanted| match wanted.subject {
            Subject::NarModulo(own) => Some(ModuloHasher::new(own, hasher(wanted)?)),
            _ => None,
        });
        let git = others().filter_map(|wanted| match wanted.subject {
            Subject::GitObject => GitHasher::new(wanted.algorithm),
            _ => None,
        });
        Self {
            sha256: Sha256::new(),
            size: 0,
            scanner: Scanner::default(),
            file: None,
            of_file: of(Subject::File),
            of_nar: of(Subject::Nar),
            modulo: modulo.collect(),
            git: git.collect(),
            occurrences: OccurrenceScanner::new(sought),
            listing: None,
            listing_size: 0,
        }
    }

    fn update(&mut self, bytes: &[u8]) -> Result<(), Flaw> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.size += bytes.len() as u64;
        self.sha256.update(bytes);
        for hasher in &mut self.of_nar {
            hasher.update(bytes);
        }
        for hasher in &mut self.modulo {
            hasher.update(bytes);
        }
        self.occurrences.update(bytes);
        let (file, of_file, git) = (&mut self.file, &mut self.of_file, &mut self.git);
        let mut found = |event: Event<'_>| {
            if let Event::Contents { is_root: true, bytes } = event {
                file.get_or_insert_with(Sha256::new).update(bytes);
                for hasher in of_file.iter_mut() {
                    hasher.update(bytes);
                }
            }
            for hasher in git.iter_mut() {
                hasher.update(event);
            }
        };
        self.scanner
            .scan(bytes, &mut found)
            .map_err(|error| Flaw::Grammar(error.to_string()))?;
        if self.scanner.listing().text().len() >= LISTING_PIECE {
            self.take_listing()?;
        }
        Ok(())
    }

    fn take_listing(&mut self) -> Result<(), Flaw> {
        let writer = self.scanner.listing();
        self.listing_size += writer.text().len() as u64;
        if self.listing_size > MAX_LISTING {
            return Err(Flaw::Grammar(format!(
                "its listing has more than {MAX_LISTING} bytes"
            )));
        }
        let encoder = match &mut self.listing {
            Some(encoder) => encoder,
            empty => {
                empty.insert(zstd::stream::write::Encoder::new(Vec::new(), LISTING_LEVEL).map_err(unlisted)?)
            }
        };
        encoder.write_all(writer.text()).map_err(unlisted)?;
        writer.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Nar, Flaw> {
        let nar_size = self.scanner.finish().map_err(|error| match error {
            niks3_nix::nar::ReadError::Read { offset, .. } => {
                Flaw::Grammar(format!("it ends too early, at byte {offset}"))
            }
            error => Flaw::Grammar(error.to_string()),
        })?;
        if self.listing.is_some() {
            self.take_listing()?;
        }
        let listing = match self.listing {
            Some(encoder) => encoder.finish(),
            None => {
                let text = self.scanner.listing().text();
                self.listing_size = text.len() as u64;
                zstd::bulk::compress(text, LISTING_LEVEL)
            }
        };
        let listing = PackedListing {
            packed: listing.map_err(unlisted)?,
            size: self.listing_size,
        };
        let mut content_hashes = Vec::new();
        let mut add = |subject, hash: Option<niks3_nix::hash::Hash>| {
            content_hashes.extend(hash.map(|hash| ContentHash { subject, hash }));
        };
        if self.scanner.root_file().is_some() {
            let file = self.file.unwrap_or_default();
            add(Subject::File, Hasher::Sha256(file).finish());
            for hasher in self.of_file {
                add(Subject::File, hasher.finish());
            }
        }
        for hasher in self.of_nar {
            add(Subject::Nar, hasher.finish());
        }
        for hasher in self.modulo {
            let own = hasher.own();
            let (now, with_positions) = hasher.finish();
            add(Subject::NarModulo(own), now);
            add(Subject::NarModuloWithPositions(own), with_positions);
        }
        for hasher in self.git {
            add(Subject::GitObject, hasher.finish());
        }
        Ok(Nar {
            nar_hash: NarHash::from_bytes(self.sha256.finalize().into()),
            nar_size,
            content_hashes,
            occurrences: self.occurrences.finish(),
            listing,
        })
    }
}
