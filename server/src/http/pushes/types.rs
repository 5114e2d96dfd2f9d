//! What pushes look like on the wire.

use std::collections::HashMap;

use poem_openapi::{Enum, Object};

use crate::http::runs::statement::Statement;
use crate::push::Conflict;

/// Roots to push.
#[derive(Debug, Object)]
pub(super) struct CreatePush {
    /// Store directory of all paths, as `/nix/store`.
    #[oai(validator(max_length = 1024))]
    pub store_dir: String,
    /// Base names (`<32>-<name>`) of the roots.
    pub roots: Vec<String>,
    /// Name of a pin to make of the one root, together with its closure.
    #[oai(validator(max_length = 256))]
    #[oai(skip_serializing_if_is_none)]
    pub pin: Option<String>,
    /// Look into the bucket for what the database believes is there.
    #[oai(default)]
    pub verify_integrity: bool,
    /// The run of CI that pushes, as far as the token's claims do not say it.
    #[oai(skip_serializing_if_is_none)]
    pub run: Option<Statement>,
}

/// Which checksum uploads are checked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub(super) enum ChecksumAlgorithm {
    /// SHA-256, the hash in `sha256`.
    Sha256,
    /// MD5, given in `md5` beside `sha256`.
    Md5,
}

/// An open push.
#[derive(Debug, Object)]
pub(super) struct CreatedPush {
    /// Names the push in every other operation.
    pub id: String,
    /// Seconds until the push is given up unless it is renewed.
    pub lease_seconds: u32,
    /// The checksum that the object store enforces.
    pub checksum: ChecksumAlgorithm,
    /// Fewest bytes of a part, but for the last; also the most that goes up in one piece.
    pub part_size: u64,
    /// Most entries of a list in one request.
    pub max_batch: u32,
    /// Most bytes of a build log.
    pub max_log_size: u64,
    /// Most bytes of a listing.
    pub max_listing_size: u64,
    /// The server reads the NARs and makes their listings itself: none need to be uploaded.
    pub verifies_uploads: bool,
    /// What may ride in requests to the server instead of going to an upload URL; absent where nothing may.
    #[oai(skip_serializing_if_is_none)]
    pub small_objects: Option<SmallObjectLimits>,
}

/// Bounds of objects that ride in requests to the server.
#[derive(Debug, Object)]
pub(super) struct SmallObjectLimits {
    /// Most bytes of an object: of a compressed NAR, or of a plain build log.
    pub max_object_size: u64,
    /// Most bytes of the NAR in an object.
    pub max_nar_size: u64,
    /// Most objects in one request.
    pub max_objects: u32,
    /// Most bytes of all objects in one request.
    pub max_request_size: u64,
}

/// A path as Nix knows it.
#[derive(Debug, Object)]
pub(super) struct PathInfo {
    /// Base name.
    pub path: String,
    /// `sha256:` and Nix base32.
    pub nar_hash: String,
    /// Bytes of the NAR.
    pub nar_size: u64,
    /// Base names of the paths it refers to.
    pub references: Vec<String>,
    /// Base name of the derivation it was built by.
    #[oai(skip_serializing_if_is_none)]
    pub deriver: Option<String>,
    /// Signatures that it carries, `name:base64`.
    #[oai(default)]
    pub signatures: Vec<String>,
    /// Content address, as Nix prints it.
    #[oai(skip_serializing_if_is_none)]
    pub ca: Option<String>,
}

/// Paths of the closures.
#[derive(Debug, Object)]
pub(super) struct Claims {
    /// What is to be in the cache.
    pub paths: Vec<PathInfo>,
    /// What those refer to and is left out on purpose.
    #[oai(default)]
    pub external: Vec<String>,
    /// Address of the cache that has `external`, to be shown with closures: `https://cache.nixos.org`.
    #[oai(skip_serializing_if_is_none)]
    pub left_to: Option<String>,
}

/// A path that the cache has with other contents, which stay.
#[derive(Debug, Object)]
pub(super) struct PathConflict {
    /// Base name.
    pub path: String,
    /// The NAR hash in the cache.
    pub nar_hash: String,
    /// Each field of its narinfo that differs.
    pub differences: Vec<FieldDifference>,
}

/// A field of a narinfo in which a push differs from the cache.
#[derive(Debug, Object)]
pub(super) struct FieldDifference {
    /// `NarHash`, `NarSize`, `References` or `CA`.
    pub field: String,
    /// What the cache has; of references, up to ten that the push lacks.
    pub cached: String,
    /// What the push says; of references, up to ten that the cache lacks.
    pub claimed: String,
}

impl From<Conflict> for PathConflict {
    fn from(conflict: Conflict) -> Self {
        let differences = conflict
            .differences
            .into_iter()
            .map(|difference| FieldDifference {
                field: difference.field,
                cached: difference.cached,
                claimed: difference.claimed,
            });
        Self {
            path: conflict.path,
            nar_hash: conflict.nar_hash,
            differences: differences.collect(),
        }
    }
}

/// What is to be done for the claimed paths; those not named are in the cache.
#[derive(Debug, Object)]
pub(super) struct ClaimsAnswer {
    /// To be uploaded: NAR and listing. Also paths that the cache has with other contents, which a key of a lower rank has
    /// signed than those of the push: the commit replaces them.
    pub needed: Vec<String>,
    /// In the cache with something else than the push says, which stays; nothing is to be uploaded.
    pub conflicts: Vec<PathConflict>,
    /// Derivers whose build log the cache lacks.
    pub logs_needed: Vec<String>,
}

/// Kinds of objects that a client uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[oai(rename_all = "lowercase")]
pub(super) enum UploadKind {
    /// A compressed NAR.
    Nar,
    /// The listing of a NAR.
    Listing,
    /// A build log, as plain text.
    Log,
}

/// An object whose bytes are known.
#[derive(Debug, Object)]
pub(super) struct Upload {
    /// What it is.
    pub kind: UploadKind,
    /// Base name of the path it belongs to; of the derivation, for a build log.
    pub path: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// MD5 of its bytes in hexadecimal, where the server asks for it.
    #[oai(skip_serializing_if_is_none)]
    pub md5: Option<String>,
}

/// Objects to upload.
#[derive(Debug, Object)]
pub(super) struct Uploads {
    /// The objects.
    pub uploads: Vec<Upload>,
    /// SHA-256 of NARs of this push that have arrived: the server begins to read them.
    #[oai(default)]
    pub arrived: Vec<String>,
}

/// A small object with its bytes.
#[derive(Debug, Object)]
pub(super) struct SmallObject {
    /// What it is: `nar` or `log`.
    pub kind: UploadKind,
    /// Base name of the path it belongs to; of the derivation, for a build log.
    pub path: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Its bytes in base64, with padding.
    #[oai(validator(max_length = 87384))]
    pub data: String,
}

/// Small objects with their bytes.
#[derive(Debug, Object)]
pub(super) struct SmallObjects {
    /// The objects.
    pub objects: Vec<SmallObject>,
}

/// Where one object goes.
#[derive(Debug, Default, Object)]
pub(super) struct UploadTarget {
    /// PUT the bytes here; absent when they are in the bucket already.
    #[oai(skip_serializing_if_is_none)]
    pub url: Option<String>,
    /// Headers that have to be sent as they are.
    #[oai(default)]
    pub headers: HashMap<String, String>,
}

/// Where the objects go, in the order of the request.
#[derive(Debug, Object)]
pub(super) struct UploadsAnswer {
    /// One for each object.
    pub uploads: Vec<UploadTarget>,
}

/// A NAR that goes up in parts.
#[derive(Debug, Object)]
pub(super) struct NewMultipart {
    /// Base name of the path it belongs to.
    pub path: String,
    /// Bytes of every part but the last.
    pub part_size: u64,
    /// Name of what compresses it: equal names make equal bytes of equal contents.
    #[oai(validator(max_length = 128))]
    pub compressor: String,
    /// Do not go on with an unfinished upload.
    #[oai(default)]
    pub fresh: bool,
}

/// An upload in parts.
#[derive(Debug, Object)]
pub(super) struct Multipart {
    /// Its id.
    pub id: i64,
    /// Bytes of every part but the last.
    pub part_size: u64,
}

/// A part whose bytes are known.
#[derive(Debug, Object)]
pub(super) struct Part {
    /// 1 to 10,000.
    pub number: u32,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// MD5 of its bytes in hexadecimal, where the server asks for it.
    #[oai(skip_serializing_if_is_none)]
    pub md5: Option<String>,
}

/// Parts to upload.
#[derive(Debug, Object)]
pub(super) struct Parts {
    /// The parts.
    pub parts: Vec<Part>,
}

/// Where the parts go, in the order of the request.
#[derive(Debug, Object)]
pub(super) struct PartsAnswer {
    /// One for each part.
    pub parts: Vec<UploadTarget>,
}

/// All parts of an upload, and what they make.
#[derive(Debug, Object)]
pub(super) struct CompleteMultipart {
    /// SHA-256 of the whole.
    pub file_hash: String,
    /// Bytes of the whole.
    pub file_size: u64,
    /// Every part, in order.
    pub parts: Vec<Part>,
}

/// How an output of a content-addressed derivation came out. Readers up to Nix 2.34
/// look it up by `id`, later ones by `drv`; give what is known.
#[derive(Debug, Object)]
pub(super) struct Realisation {
    /// Name of the output, as `out`.
    #[oai(validator(max_length = 211))]
    pub output: String,
    /// Base name of the output path, which the push claims.
    pub path: String,
    /// Base name of the derivation.
    #[oai(skip_serializing_if_is_none)]
    pub drv: Option<String>,
    /// `sha256:<hash modulo of the derivation>!<output>`.
    #[oai(skip_serializing_if_is_none)]
    pub id: Option<String>,
    /// The JSON that Nix prints of it, where it goes by `id`.
    #[oai(skip_serializing_if_is_none)]
    pub body: Option<String>,
}

/// Realisations to add.
#[derive(Debug, Object)]
pub(super) struct Realisations {
    /// The realisations.
    pub realisations: Vec<Realisation>,
}

/// A renewed lease.
#[derive(Debug, Object)]
pub(super) struct Lease {
    /// Seconds until the push is given up unless it is renewed.
    pub lease_seconds: u32,
}

/// Done; there is nothing to say.
#[derive(Debug, Object)]
pub(super) struct Empty {}

/// A closure in the cache.
#[derive(Debug, Object)]
pub(super) struct Closure {
    /// Base name of its root.
    pub root: String,
}

/// Whether a commit is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub(super) enum CommitState {
    /// All of the push is visible.
    Committed,
    /// It is in progress: the same request again waits for it.
    Committing,
}

/// What a commit did.
#[derive(Debug, Object)]
pub(super) struct Commit {
    /// `committed`, or `committing` with 202: nothing else is known then.
    pub state: CommitState,
    /// The closures of the push.
    pub closures: Vec<Closure>,
    /// Paths that the push added.
    pub paths_added: u64,
    /// Paths that were there, or came by another push meanwhile.
    pub paths_present: u64,
    /// Paths of the push whose NARs the server has read.
    pub paths_verified: u64,
    /// Paths that the cache has with something else than the push says, which stays; at most 200 of them.
    pub conflicts: Vec<PathConflict>,
    /// Base names of the paths whose contents the push has replaced.
    pub replaced: Vec<String>,
    /// Signatures of the roots that are in the cache; missing with more than 200 roots.
    #[oai(skip_serializing_if_is_none)]
    pub signatures: Option<Vec<RootSignatures>>,
    /// With 202: the commit goes on while the server reads the uploads. Ask for it again.
    #[oai(skip_serializing_if_is_none)]
    pub verifying: Option<Verifying>,
    /// With 202: the commit waits for deletions that another process has begun. Ask for it again.
    #[oai(skip_serializing_if_is_none)]
    pub deleting: Option<Deleting>,
}

/// By whom a root is signed.
#[derive(Debug, Object)]
pub(super) struct RootSignatures {
    /// Base name of the root.
    pub path: String,
    /// Signatures, `name:base64`: those of this server, and those that it came with.
    pub signatures: Vec<String>,
}

/// Deletions that a commit waits for.
#[derive(Debug, Object)]
pub(super) struct Deleting {
    /// Paths and build logs that the push brings or refers to.
    pub objects: u64,
    /// Unix time at which the wait ends at the latest.
    pub until: i64,
}

/// How far the verification of a push is.
#[derive(Debug, Object)]
pub(super) struct Verifying {
    /// NARs that have been read.
    pub verified: u64,
    /// NARs in all.
    pub total: u64,
}

/// States of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub(super) enum State {
    /// Paths can be claimed and uploaded.
    Open,
    /// It is being published.
    Committing,
    /// Done.
    Committed,
    /// Given up.
    Aborted,
    /// Given up because nobody renewed it.
    Expired,
}

/// How a push stands.
#[derive(Debug, Object)]
pub(super) struct PushStatus {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub state: State,
}
