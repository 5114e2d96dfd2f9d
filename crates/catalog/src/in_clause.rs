//! Lists in SQL: `($1, $2), ($3, $4), …` and `$1, $2, …`, in bounded chunks.

use std::fmt::Write as _;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::{Query, QueryAs, QueryScalar};
use sqlx::{Any, AssertSqlSafe, Encode, FromRow, Type};

use super::{Backend, Result, WriteTx};

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
#[track_caller]
pub(super) fn query<'q>(backend: Backend, text: String, full_chunk: bool) -> Query<'q, Any, AnyArguments> {
    sqlx::query(AssertSqlSafe(for_backend(backend, text))).persistent(full_chunk)
}

#[track_caller]
fn for_backend(backend: Backend, text: String) -> String {
    #[cfg(debug_assertions)]
    super::statement_coverage::record(backend, std::panic::Location::caller());
    match backend {
        Backend::Sqlite => anonymous(text),
        Backend::Postgres => text,
    }
}

/// The same for rows of a type.
#[track_caller]
pub(super) fn query_as<'q, T>(
    backend: Backend,
    text: String,
    full_chunk: bool,
) -> QueryAs<'q, Any, T, AnyArguments>
where
    T: for<'r> FromRow<'r, AnyRow>,
{
    sqlx::query_as(AssertSqlSafe(for_backend(backend, text))).persistent(full_chunk)
}

/// The same for rows of one value.
#[track_caller]
pub(super) fn query_scalar<'q, T>(
    backend: Backend,
    text: String,
    full_chunk: bool,
) -> QueryScalar<'q, Any, T, AnyArguments>
where
    (T,): for<'r> FromRow<'r, AnyRow>,
{
    sqlx::query_scalar(AssertSqlSafe(for_backend(backend, text))).persistent(full_chunk)
}

/// Statements that take the values of a list.
pub(super) trait BindAll: Sized {
    /// Binds one value after the other.
    fn bind_all<V>(self, values: impl IntoIterator<Item = V>) -> Self
    where
        V: for<'t> Encode<'t, Any> + Type<Any> + 'static;
}

macro_rules! bind_all {
    ($query:ty $(, $row:ident)?) => {
        impl<$($row)?> BindAll for $query {
            fn bind_all<V>(self, values: impl IntoIterator<Item = V>) -> Self
            where
                V: for<'t> Encode<'t, Any> + Type<Any> + 'static,
            {
                values.into_iter().fold(self, |query, value| query.bind(value))
            }
        }
    };
}

bind_all!(Query<'_, Any, AnyArguments>);
bind_all!(QueryAs<'_, Any, T, AnyArguments>, T);
bind_all!(QueryScalar<'_, Any, T, AnyArguments>, T);

impl WriteTx {
    /// Runs a statement on ids, in chunks; `text` makes it of their placeholders, which are all that it has.
    pub(super) async fn on_ids<I>(&mut self, ids: &[I], text: impl Fn(&str) -> String) -> Result<()>
    where
        I: Copy + Send + Sync + for<'t> Encode<'t, Any> + Type<Any> + 'static,
    {
        for chunk in ids.chunks(ROWS) {
            let text = text(&placeholders(1, chunk.len()));
            let query = query(self.backend, text, chunk.len() == ROWS).bind_all(chunk.iter().copied());
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }
}

/// The same text with `?` for `$1`, `$2`, … where each appears once and in order: SQLite
/// searches the names of all parameters for each that has one.
fn anonymous(text: String) -> String {
    let mut rewritten = String::with_capacity(text.len());
    let mut rest = text.as_str();
    let mut expected = 1;
    while let Some((before, after)) = rest.split_once('$') {
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        if after[..digits].parse() != Ok(expected) {
            return text;
        }
        expected += 1;
        rewritten.push_str(before);
        rewritten.push('?');
        rest = &after[digits..];
    }
    rewritten.push_str(rest);
    rewritten
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_in_order_lose_their_numbers() {
        assert_eq!(
            anonymous("a = $1 AND b IN ($2,$3)".into()),
            "a = ? AND b IN (?,?)"
        );
        for kept in ["b IN ($2,$3) AND a = $1", "a = $1 OR b = $1", "no parameter"] {
            assert_eq!(anonymous(kept.into()), kept);
        }
        assert_eq!(
            anonymous(format!("VALUES {}", values(2, 6))),
            "VALUES (?,?,?,?,?,?),(?,?,?,?,?,?)"
        );
    }
}
