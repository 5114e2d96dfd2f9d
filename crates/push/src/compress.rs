//! zstd, the same bytes on every machine: what comes out depends on the contents and the level, not on the number of cores.

use std::io;

use zstd::zstd_safe::{
    CCtx, CParameter, InBuffer, OutBuffer, ResetDirective, get_error_name, zstd_sys::ZSTD_EndDirective,
};

/// The level where size, speed and memory balance.
pub const DEFAULT_LEVEL: i32 = 3;
/// NARs from this size on are compressed by several threads each.
pub const THREADED_FROM: u64 = 64 * 1024 * 1024;
/// What one thread of several compresses at a time. Part of what decides the bytes.
const JOB_SIZE: u32 = 8 * 1024 * 1024;
const SCRATCH: usize = 128 * 1024;

/// Names all that decides the bytes of a NAR of this size, so that an upload is resumed only by the same ones.
#[must_use]
pub fn fingerprint(level: i32, nar_size: u64) -> String {
    let version = zstd::zstd_safe::version_string();
    let kind = if nar_size >= THREADED_FROM { "mt" } else { "st" };
    format!("zstd-{version}-l{level}-{kind}")
}

/// A compressor whose tables and buffers are used for one NAR after the other.
pub struct Compressor {
    context: CCtx<'static>,
    level: i32,
    threads: u32,
    scratch: Vec<u8>,
}

impl Compressor {
    /// A compressor that uses this many threads for big NARs.
    #[must_use]
    pub fn new(level: i32, threads: u32) -> Self {
        Self {
            context: CCtx::create(),
            level,
            threads: threads.max(1),
            scratch: Vec::with_capacity(SCRATCH),
        }
    }

    /// Begins a new frame for `nar_size` bytes; what was unfinished is dropped.
    pub fn begin(&mut self, nar_size: u64) -> io::Result<()> {
        let context = &mut self.context;
        context
            .reset(ResetDirective::SessionAndParameters)
            .map_err(error)?;
        context
            .set_parameter(CParameter::CompressionLevel(self.level))
            .map_err(error)?;
        // The NAR hash and the file hash say more than a checksum of 32 bits.
        context
            .set_parameter(CParameter::ChecksumFlag(false))
            .map_err(error)?;
        if nar_size >= THREADED_FROM {
            // One worker already makes other bytes than none: never none here, however few the cores.
            context
                .set_parameter(CParameter::NbWorkers(self.threads))
                .map_err(error)?;
            context
                .set_parameter(CParameter::JobSize(JOB_SIZE))
                .map_err(error)?;
        }
        context.set_pledged_src_size(Some(nar_size)).map_err(error)?;
        Ok(())
    }

    /// Compresses `bytes`; what comes out goes to `sink`.
    pub fn write(&mut self, bytes: &[u8], sink: &mut impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut input = InBuffer::around(bytes);
        while input.pos() < bytes.len() {
            self.step(&mut input, ZSTD_EndDirective::ZSTD_e_continue, sink)?;
        }
        Ok(())
    }

    /// Ends the frame. Fewer bytes than announced are an error.
    pub fn finish(&mut self, sink: &mut impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut input = InBuffer::around(&[]);
        while self.step(&mut input, ZSTD_EndDirective::ZSTD_e_end, sink)? > 0 {}
        Ok(())
    }

    fn step(
        &mut self,
        input: &mut InBuffer<'_>,
        end: ZSTD_EndDirective,
        sink: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<usize> {
        self.scratch.clear();
        let mut output = OutBuffer::around(&mut self.scratch);
        let left = self
            .context
            .compress_stream2(&mut output, input, end)
            .map_err(error)?;
        if !self.scratch.is_empty() {
            sink(&self.scratch)?;
        }
        Ok(left)
    }
}

fn error(code: usize) -> io::Error {
    io::Error::other(format!("zstd: {}", get_error_name(code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text that compresses, but not to nothing, and is the same each time.
    fn sample(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        (0..len)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                b"etaoin shrdlu\n\0"[(state >> 60) as usize % 15]
            })
            .collect()
    }

    fn compressed(compressor: &mut Compressor, bytes: &[u8], chunk: usize) -> Vec<u8> {
        let mut result = Vec::new();
        let mut sink = |piece: &[u8]| {
            result.extend_from_slice(piece);
            Ok(())
        };
        compressor.begin(bytes.len() as u64).unwrap();
        for piece in bytes.chunks(chunk) {
            compressor.write(piece, &mut sink).unwrap();
        }
        compressor.finish(&mut sink).unwrap();
        result
    }

    #[test]
    fn what_is_compressed_comes_back() {
        let mut compressor = Compressor::new(DEFAULT_LEVEL, 2);
        for len in [0, 1, 1000, 300_000, 5_000_000] {
            let bytes = sample(len);
            let packed = compressed(&mut compressor, &bytes, 65_536);
            assert_eq!(zstd::decode_all(&packed[..]).unwrap(), bytes);
        }
    }

    #[test]
    fn bytes_depend_neither_on_the_chunks_nor_on_what_was_compressed_before() {
        let bytes = sample(3_000_000);
        let first = compressed(&mut Compressor::new(DEFAULT_LEVEL, 1), &bytes, 1 << 20);
        let mut used = Compressor::new(DEFAULT_LEVEL, 1);
        for chunk in [1000, 4096, 131_072, 999_999, 1 << 22] {
            assert!(compressed(&mut used, &bytes, chunk) == first, "chunks of {chunk}");
            compressed(&mut used, &sample(12_345), 77);
        }
        used.begin(1 << 20).unwrap();
        used.write(&bytes[..1000], &mut |_| Ok(())).unwrap();
        assert!(
            compressed(&mut used, &bytes, 1 << 20) == first,
            "after an unfinished frame"
        );
    }

    #[test]
    fn bytes_of_big_nars_do_not_depend_on_the_number_of_threads() {
        let bytes = sample(THREADED_FROM as usize + 12_345);
        let one = compressed(&mut Compressor::new(1, 1), &bytes, 1 << 20);
        let four = compressed(&mut Compressor::new(1, 4), &bytes, 300_001);
        assert!(one == four);
    }

    #[test]
    fn fewer_or_more_bytes_than_announced_are_an_error() {
        let mut compressor = Compressor::new(DEFAULT_LEVEL, 1);
        let mut sink = |_: &[u8]| Ok(());
        compressor.begin(10).unwrap();
        compressor.write(b"short", &mut sink).unwrap();
        assert!(compressor.finish(&mut sink).is_err());
        compressor.begin(3).unwrap();
        let more = compressor
            .write(b"longer", &mut sink)
            .and_then(|()| compressor.finish(&mut sink));
        assert!(more.is_err());
    }
}
