//! The compressions that Nix reads: of NARs, as narinfos name them, and of other objects, as `Content-Encoding` does.

use std::io::{self, BufRead, BufReader, Read};

use liblzma::stream::{CONCATENATED, Stream};

/// Most bytes of memory of an xz decoder: `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 128 << 20;
/// Memory of a zstd decoder, as a power of two: what `zstd` itself takes without being asked.
pub(crate) const WINDOW_LOG_MAX: u32 = 27;
/// Bytes that a brotli decoder reads at a time.
const BROTLI_BUFFER: usize = 16 << 10;

/// A compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Codec {
    /// Not compressed.
    #[default]
    None,
    /// Zstandard.
    Zstd,
    /// XZ.
    Xz,
    /// bzip2.
    Bzip2,
    /// gzip.
    Gzip,
    /// Brotli.
    Brotli,
}

/// How a NAR is stored: compressed, and perhaps encoded on top of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Packing {
    /// `Compression` of its narinfos.
    pub compression: Codec,
    /// `Content-Encoding` of the object.
    pub encoding: Codec,
}

impl Packing {
    /// As clients of this server upload NARs.
    pub const UPLOADED: Self = Self {
        compression: Codec::Zstd,
        encoding: Codec::None,
    };
}

impl Codec {
    /// The compression that a narinfo names, or the encoding that `Content-Encoding` does; `None` for one that is not
    /// supported.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word.trim().to_ascii_lowercase().as_str() {
            "" | "none" | "identity" => Self::None,
            "zstd" => Self::Zstd,
            "xz" => Self::Xz,
            "bzip2" => Self::Bzip2,
            "gzip" | "x-gzip" => Self::Gzip,
            "br" => Self::Brotli,
            _ => return None,
        })
    }

    /// As a narinfo names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Gzip => "gzip",
            Self::Brotli => "br",
        }
    }

    /// What the first bytes of a text tell, where nothing else does: brotli has no such mark, and no text of a binary
    /// cache begins with that of another.
    #[must_use]
    pub fn sniff(first: &[u8]) -> Self {
        const MARKS: [(&[u8], Codec); 4] = [
            (b"\x28\xb5\x2f\xfd", Codec::Zstd),
            (b"\xfd7zXZ\0", Codec::Xz),
            (b"\x1f\x8b\x08", Codec::Gzip),
            (b"BZh", Codec::Bzip2),
        ];
        let mark = MARKS.iter().find(|(mark, _)| first.starts_with(mark));
        mark.map_or(Self::None, |(_, codec)| *codec)
    }

    /// Decompresses what a reader gives, with bounded memory.
    ///
    /// # Errors
    /// When no decoder can be made.
    pub(crate) fn decoder<'r>(self, reader: Box<dyn BufRead + 'r>) -> io::Result<Box<dyn BufRead + 'r>> {
        Ok(match self {
            Self::None => reader,
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
                decoder.window_log_max(WINDOW_LOG_MAX)?;
                Box::new(BufReader::new(decoder))
            }
            Self::Xz => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)?;
                let decoder = liblzma::bufread::XzDecoder::new_stream(reader, stream);
                Box::new(BufReader::new(decoder))
            }
            Self::Bzip2 => Box::new(BufReader::new(bzip2::bufread::MultiBzDecoder::new(reader))),
            Self::Gzip => Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(reader))),
            Self::Brotli => Box::new(BufReader::new(brotli::Decompressor::new(reader, BROTLI_BUFFER))),
        })
    }

    /// Decompresses a text; of one that has more than `most` bytes the first, more than `most`.
    ///
    /// # Errors
    /// When it is not compressed so.
    pub fn decode(self, bytes: Vec<u8>, most: usize) -> io::Result<Vec<u8>> {
        if self == Self::None {
            return Ok(bytes);
        }
        let mut text = Vec::new();
        let decoder = self.decoder(Box::new(bytes.as_slice()))?;
        decoder.take(most as u64 + 1).read_to_end(&mut text)?;
        Ok(text)
    }
}

/// Decompresses a text by its `Content-Encoding`, or by what its first bytes tell where the object store keeps none.
///
/// # Errors
/// When it is not compressed so, or by something that is not supported.
pub fn decode_text(encoding: Option<&str>, bytes: Vec<u8>, most: usize) -> io::Result<Vec<u8>> {
    let codec = match encoding {
        Some(word) => Codec::parse(word)
            .ok_or_else(|| io::Error::other(format!("Content-Encoding {word:?} is not supported")))?,
        None => Codec::None,
    };
    // Some services decode what they give, and say still that it is encoded.
    let codec = match (codec, Codec::sniff(&bytes)) {
        (Codec::Brotli, _) => Codec::Brotli,
        (_, sniffed) => sniffed,
    };
    codec.decode(bytes, most)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

    use std::io::Write as _;

    use super::*;

    fn packed(codec: Codec, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match codec {
            Codec::None => out.extend_from_slice(text),
            Codec::Zstd => out = zstd::encode_all(text, 3).unwrap(),
            Codec::Xz => {
                let mut encoder = liblzma::write::XzEncoder::new(&mut out, 6);
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap();
            }
            Codec::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(&mut out, bzip2::Compression::best());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap();
            }
            Codec::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(&mut out, flate2::Compression::default());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap();
            }
            Codec::Brotli => {
                let mut encoder = brotli::CompressorWriter::new(&mut out, 4096, 5, 22);
                encoder.write_all(text).unwrap();
            }
        }
        out
    }

    #[test]
    fn every_compression_is_read_as_it_is_written_and_never_beyond_a_bound() {
        let text: Vec<u8> = (0..300_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        for codec in [Codec::Zstd, Codec::Xz, Codec::Bzip2, Codec::Gzip, Codec::Brotli] {
            let bytes = packed(codec, &text);
            assert!(bytes.len() < text.len());
            assert_eq!(
                codec.decode(bytes.clone(), text.len()).unwrap(),
                text,
                "{codec:?}"
            );
            assert_eq!(
                codec.decode(bytes.clone(), 1000).unwrap().len(),
                1001,
                "{codec:?}"
            );
            let _ = codec
                .decode(bytes[..bytes.len() - 9].to_vec(), text.len())
                .unwrap_err();
            assert_eq!(Codec::parse(codec.as_str()), Some(codec));
            let header = decode_text(Some(codec.as_str()), bytes.clone(), text.len()).unwrap();
            assert_eq!(header, text, "{codec:?}");
            if codec != Codec::Brotli {
                let twice = [bytes.clone(), bytes.clone()].concat();
                assert_eq!(
                    codec.decode(twice, usize::MAX >> 1).unwrap().len(),
                    2 * text.len()
                );
                assert_eq!(decode_text(None, bytes, text.len()).unwrap(), text, "{codec:?}");
            }
        }
        assert!(decode_text(Some("lzip"), text, 10).is_err());
        assert_eq!(
            decode_text(Some("zstd"), b"StorePath: x".to_vec(), 100).unwrap(),
            b"StorePath: x"
        );
    }
}
