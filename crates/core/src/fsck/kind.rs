//! What can be wrong.

/// Kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A path is in the cache, and its narinfo is not in the bucket.
    MissingNarinfo,
    /// A push has ended between deciding a path and publishing it.
    Unpublished,
    /// A narinfo does not say what the database has.
    WrongNarinfo,
    /// A signature by a key of this server is not the right one.
    BadSignature,
    /// A key of this server has not signed.
    MissingSignature,
    /// A path is in the cache, and one that it refers to is not, though nobody left that out.
    MissingReference,
    /// A path is in the cache, and its listing is not in the bucket.
    MissingListing,
    /// A realisation is not in the bucket.
    MissingRealisation,
    /// A realisation does not say what the database has.
    WrongRealisation,
    /// A NAR is not in the bucket.
    MissingNar,
    /// A NAR does not have the bytes that the database says.
    WrongSize,
    /// A NAR does not have the bytes that its key names.
    WrongHash,
    /// A path has another NAR hash or size than the NAR in its file, which is intact.
    WrongNarHash,
    /// The content address of a path does not make the path, or is not that of its NAR.
    WrongContentAddress,
    /// A build log is not in the bucket, or another one is.
    WrongLog,
    /// A closure whose root is not in the cache.
    LostRoot,
    /// A pin of a path that is not in the cache.
    DanglingPin,
    /// The object of a pin is not as the database has it.
    WrongPin,
    /// A narinfo of a path that the database does not have.
    UnknownNarinfo,
    /// A listing of such a path.
    UnknownListing,
    /// A NAR that the database does not have.
    UnknownNar,
    /// A build log that the database does not have.
    UnknownLog,
    /// A realisation that the database does not have.
    UnknownRealisation,
    /// Debug information that the database does not have.
    UnknownDebugInfo,
    /// The object of a pin that there is not.
    UnknownPin,
    /// Something that a failed push has left.
    AbandonedUpload,
    /// An object that no binary cache has.
    ForeignObject,
    /// The bucket keeps old versions of deleted objects, and nothing deletes them.
    VersionedBucket,
}

impl Kind {
    /// All, in the order in which they are looked for.
    pub const ALL: [Self; 28] = [
        Self::MissingNarinfo,
        Self::Unpublished,
        Self::WrongNarinfo,
        Self::BadSignature,
        Self::MissingSignature,
        Self::MissingReference,
        Self::MissingListing,
        Self::MissingRealisation,
        Self::WrongRealisation,
        Self::MissingNar,
        Self::WrongSize,
        Self::WrongHash,
        Self::WrongNarHash,
        Self::WrongContentAddress,
        Self::WrongLog,
        Self::LostRoot,
        Self::DanglingPin,
        Self::WrongPin,
        Self::UnknownNarinfo,
        Self::UnknownListing,
        Self::UnknownNar,
        Self::UnknownLog,
        Self::UnknownRealisation,
        Self::UnknownDebugInfo,
        Self::UnknownPin,
        Self::AbandonedUpload,
        Self::ForeignObject,
        Self::VersionedBucket,
    ];

    /// As the database and the API have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingNarinfo => "missing-narinfo",
            Self::Unpublished => "unpublished",
            Self::WrongNarinfo => "wrong-narinfo",
            Self::BadSignature => "bad-signature",
            Self::MissingSignature => "missing-signature",
            Self::MissingReference => "missing-reference",
            Self::MissingListing => "missing-listing",
            Self::MissingRealisation => "missing-realisation",
            Self::WrongRealisation => "wrong-realisation",
            Self::MissingNar => "missing-nar",
            Self::WrongSize => "wrong-size",
            Self::WrongHash => "wrong-hash",
            Self::WrongNarHash => "wrong-nar-hash",
            Self::WrongContentAddress => "wrong-content-address",
            Self::WrongLog => "wrong-log",
            Self::LostRoot => "lost-root",
            Self::DanglingPin => "dangling-pin",
            Self::WrongPin => "wrong-pin",
            Self::UnknownNarinfo => "unknown-narinfo",
            Self::UnknownListing => "unknown-listing",
            Self::UnknownNar => "unknown-nar",
            Self::UnknownLog => "unknown-log",
            Self::UnknownRealisation => "unknown-realisation",
            Self::UnknownDebugInfo => "unknown-debug-info",
            Self::UnknownPin => "unknown-pin",
            Self::AbandonedUpload => "abandoned-upload",
            Self::ForeignObject => "foreign-object",
            Self::VersionedBucket => "versioned-bucket",
        }
    }

    /// A garbage collection removes what is found, and nothing has to be done about it.
    #[must_use]
    pub const fn left_to_gc(self) -> bool {
        matches!(self, Self::Unpublished | Self::AbandonedUpload)
    }
}
