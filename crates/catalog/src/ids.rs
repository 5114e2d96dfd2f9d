//! Ids of rows. An id of one table is never taken for one of another, and none is a number to count with.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// Ids begin at 1: 0, the default, is before all of them, and names nothing.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
        #[sqlx(transparent)]
        pub struct $name(i64);

        impl $name {
            /// The number in the row.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl From<i64> for $name {
            fn from(id: i64) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIntError;

            fn from_str(text: &str) -> Result<Self, ParseIntError> {
                text.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// A store path that somebody has named.
    PathId;
    /// A NAR in the bucket.
    ObjectId;
    /// A push.
    PushId;
    /// An upload in parts.
    MultipartId;
    /// A closure.
    ClosureId;
    /// A run of CI.
    RunId;
    /// A garbage collection or a check.
    TaskId;
    /// A finding of a check.
    FindingId;
    /// Contents of a path that others have replaced.
    ReplacementId;
    /// A path that was decided while a garbage collection was in progress.
    DirtyId;
}
