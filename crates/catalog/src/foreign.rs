//! Databases of other programs, which are left as they are.

use std::collections::HashSet;

use sqlx::AnyPool;
use sqlx::migrate::Migrator;

use super::{Backend, CatalogError, Result};

/// The table in which the original niks3 counts its migrations.
const ORIGINAL: &str = "goose_db_version";

/// Refuses a database that has tables which the first migration would make, before anything is written. Nothing is
/// looked at once that migration is there.
pub(super) async fn refuse_others(pool: &AnyPool, backend: Backend, migrator: &Migrator) -> Result<()> {
    let tables = tables(pool, backend).await?;
    if tables.contains("_sqlx_migrations") && has_migrations(pool).await? {
        return Ok(());
    }
    let ours = migrator
        .iter()
        .flat_map(|migration| created(migration.sql.as_str()));
    let mut taken: Vec<&str> = ours.filter(|table| tables.contains(*table)).collect();
    if taken.is_empty() {
        return Ok(());
    }
    if tables.contains(ORIGINAL) {
        return Err(CatalogError::Url(
            "this is a database of the original niks3, which this version never changes: give an empty database, and \
             move the closures and pins over with `niks3-server import --from-niks3 postgres://… --db …` (docs/moving.md)"
                .into(),
        ));
    }
    taken.sort_unstable();
    Err(CatalogError::Url(format!(
        "the database has tables of another program ({}): give an empty database",
        taken.join(", ")
    )))
}

/// The tables that a script makes.
fn created(script: &str) -> impl Iterator<Item = &str> {
    script
        .split("CREATE TABLE ")
        .skip(1)
        .filter_map(|rest| rest.split_whitespace().next())
}

async fn tables(pool: &AnyPool, backend: Backend) -> Result<HashSet<String>> {
    let question = match backend {
        Backend::Sqlite => "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')",
        // Where an unqualified CREATE TABLE goes to.
        Backend::Postgres => {
            "SELECT CAST(c.relname AS TEXT) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
        }
    };
    let names: Vec<String> = sqlx::query_scalar(question).fetch_all(pool).await?;
    Ok(names.into_iter().collect())
}

async fn has_migrations(pool: &AnyPool) -> Result<bool> {
    let row = sqlx::query("SELECT 1 FROM _sqlx_migrations LIMIT 1")
        .fetch_optional(pool)
        .await?;
    Ok(row.is_some())
}

#[cfg(test)]
mod tests {
    use super::created;

    #[test]
    fn the_tables_of_a_script_are_found() {
        let script = "-- CREATE nothing\nCREATE TABLE a (\n  x TEXT\n);\nCREATE INDEX i ON a (x);\nCREATE TABLE b (y TEXT);";
        assert_eq!(created(script).collect::<Vec<_>>(), ["a", "b"]);
    }
}
