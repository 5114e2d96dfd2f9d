//! What a path looks like on the wire.

use poem_openapi::Object;

/// A store path that is in the cache.
#[derive(Debug, Object)]
pub(super) struct CachedPath {
    /// Store path.
    pub path: String,
    /// SHA-256 of its NAR, as `sha256:` and base 32.
    pub nar_hash: String,
    /// Bytes of its NAR.
    pub nar_bytes: u64,
    /// Key of its NAR in the bucket.
    pub url: String,
    /// How the NAR is compressed there.
    pub compression: String,
    /// Bytes of the NAR in the bucket.
    #[oai(skip_serializing_if_is_none)]
    pub file_bytes: Option<u64>,
    /// Store paths that it refers to.
    pub references: Vec<String>,
    /// Store path of the derivation that made it.
    #[oai(skip_serializing_if_is_none)]
    pub deriver: Option<String>,
    /// Content address.
    #[oai(skip_serializing_if_is_none)]
    pub ca: Option<String>,
    /// Signatures, `name:base64`: those of this server, and those that it came with.
    pub signatures: Vec<String>,
    /// Names of pins of this very path, 100 at most.
    pub pins: Vec<String>,
    /// Unix time at which it was last pushed as the root of a closure, if it ever was.
    #[oai(skip_serializing_if_is_none)]
    pub pushed_at: Option<i64>,
}
