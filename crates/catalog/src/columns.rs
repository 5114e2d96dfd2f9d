//! What columns hold: each is decoded where its row is. Rows have types of their own for the derived `FromRow`, which
//! names one of these types where a field is not as the database has it.

use niks3_base::signing::KeyChoice;
use niks3_nix::hash::NarHash;
use niks3_nix::store_path::StorePath;

use super::path_columns::{nar_hash, store_path, unpack_refs};
use super::{CatalogError, PathId};

macro_rules! column {
    ($(#[$doc:meta])* $name:ident($raw:ty) -> $value:ty, $decode:expr) => {
        $(#[$doc])*
        pub(super) struct $name($value);

        impl sqlx::Type<sqlx::Any> for $name {
            fn type_info() -> sqlx::any::AnyTypeInfo {
                <$raw as sqlx::Type<sqlx::Any>>::type_info()
            }

            fn compatible(info: &sqlx::any::AnyTypeInfo) -> bool {
                <$raw as sqlx::Type<sqlx::Any>>::compatible(info)
            }
        }

        impl<'r> sqlx::Decode<'r, sqlx::Any> for $name {
            fn decode(value: sqlx::any::AnyValueRef<'r>) -> std::result::Result<Self, sqlx::error::BoxDynError> {
                let decode: fn($raw) -> $crate::Result<$value> = $decode;
                Ok(Self(decode(<$raw as sqlx::Decode<'r, sqlx::Any>>::decode(value)?)?))
            }
        }

        impl From<$name> for $value {
            fn from(column: $name) -> Self {
                column.0
            }
        }
    };
}

column!(
    /// The name of a store path.
    PathName(String) -> StorePath,
    |name| store_path(&name)
);
column!(
    /// A packed list of references.
    References(Vec<u8>) -> Vec<PathId>,
    |bytes| unpack_refs(&bytes)
);
column!(
    /// The SHA-256 of a NAR.
    NarHashBytes(Vec<u8>) -> NarHash,
    |bytes| nar_hash(&bytes)
);
column!(
    /// A number that is never negative.
    Natural(i64) -> u64,
    |number| Ok(number.unsigned_abs())
);
column!(
    /// 0 for false.
    Flag(i64) -> bool,
    |number| Ok(number != 0)
);
column!(
    /// Names of keys that sign.
    Keys(String) -> KeyChoice,
    |text| Ok(KeyChoice::from_text(&text))
);
column!(
    /// A text, or nothing.
    OptionalText(String) -> Option<String>,
    |text| Ok((!text.is_empty()).then_some(text))
);

column!(
    /// The time at which something ends; 0 for never.
    EndTime(i64) -> Option<i64>,
    |time| Ok((time != 0).then_some(time))
);
column!(
    /// The SHA-256 of a part.
    Sha256Bytes(Vec<u8>) -> [u8; 32],
    |bytes| {
        bytes
            .try_into()
            .map_err(|_| CatalogError::Corrupt("a part's checksum of the wrong length".into()))
    }
);

/// The numbers that stand for states in the database.
macro_rules! codes {
    ($name:ident, $words:literal, $($variant:ident = $code:literal),+ $(,)?) => {
        impl $name {
            pub(super) const fn code(self) -> i64 {
                match self {
                    $(Self::$variant => $code),+
                }
            }
        }

        impl sqlx::Type<sqlx::Any> for $name {
            fn type_info() -> sqlx::any::AnyTypeInfo {
                <i64 as sqlx::Type<sqlx::Any>>::type_info()
            }

            fn compatible(info: &sqlx::any::AnyTypeInfo) -> bool {
                <i64 as sqlx::Type<sqlx::Any>>::compatible(info)
            }
        }

        impl<'q> sqlx::Encode<'q, sqlx::Any> for $name {
            fn encode_by_ref(
                &self,
                buffer: &mut <sqlx::Any as sqlx::Database>::ArgumentBuffer,
            ) -> std::result::Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
                <i64 as sqlx::Encode<'q, sqlx::Any>>::encode_by_ref(&self.code(), buffer)
            }
        }

        impl<'r> sqlx::Decode<'r, sqlx::Any> for $name {
            fn decode(
                value: sqlx::any::AnyValueRef<'r>,
            ) -> std::result::Result<Self, sqlx::error::BoxDynError> {
                match <i64 as sqlx::Decode<'r, sqlx::Any>>::decode(value)? {
                    $($code => Ok(Self::$variant),)+
                    other => Err($crate::CatalogError::Corrupt(format!("{} {other}", $words)).into()),
                }
            }
        }
    };
}

pub(super) use {codes, column};
