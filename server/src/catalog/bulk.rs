//! Lists in SQL: `($1, $2), ($3, $4), …` and `$1, $2, …`, in bounded chunks.

use std::fmt::Write as _;

use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe};

/// Rows in one statement. SQLite takes 32,766 values in a statement.
pub(super) const ROWS: usize = 500;

/// `$first, $first+1, …`, `count` of them.
pub(super) fn placeholders(first: usize, count: usize) -> String {
    let mut text = String::with_capacity(count * 6);
    for index in first..first + count {
        let _ = write!(text, "{}${index}", if index == first { "" } else { "," });
    }
    text
}

/// `($1, $2), ($3, $4), …` for `rows` rows of `columns` values.
pub(super) fn values(rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 6);
    for row in 0..rows {
        let _ = write!(
            text,
            "{}({})",
            if row == 0 { "" } else { "," },
            placeholders(row * columns + 1, columns)
        );
    }
    text
}

/// A query over text that was put together from constants and placeholders only.
/// Full chunks keep their prepared statement, odd ones do not fill its cache.
pub(super) fn query<'q>(text: String, full_chunk: bool) -> Query<'q, Any, AnyArguments> {
    sqlx::query(AssertSqlSafe(text)).persistent(full_chunk)
}
