//! Where the listings of NARs are.

/// Bytes of a NAR from which on its listing is in the bucket by default.
const LARGE: i64 = 64 << 10;

/// Of which NARs the bucket has the listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listings {
    /// Of all.
    All,
    /// Of those of 64 KiB and more; those of smaller ones stay in the database.
    Large,
    /// Of none.
    None,
}

impl Listings {
    /// Whether the listing of a NAR of so many bytes is an object of the bucket.
    #[must_use]
    pub const fn in_bucket(self, nar_size: i64) -> bool {
        match self {
            Self::All => true,
            Self::Large => nar_size >= LARGE,
            Self::None => false,
        }
    }

    /// Whether the database keeps the listing of a NAR of so many bytes.
    #[must_use]
    pub const fn in_database(self, nar_size: i64) -> bool {
        nar_size < self.kept_below()
    }

    /// Bytes of the smallest NAR whose listing the database does not keep.
    #[must_use]
    pub const fn kept_below(self) -> i64 {
        match self {
            Self::Large => LARGE,
            Self::All | Self::None => 0,
        }
    }
}
