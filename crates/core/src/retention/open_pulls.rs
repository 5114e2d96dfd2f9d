//! Lists of open pull requests, which `action/gc` sends.

use niks3_base::error::Error;
use niks3_catalog::{Catalog, OpenPullsRow, now};

/// Pull requests of one list.
pub const MAX_NUMBERS: usize = 20_000;
/// Repositories with a list.
const MAX_REPOSITORIES: i64 = 10_000;

/// Keeps a list unless a newer one is there; whether it is kept.
///
/// # Errors
/// `Invalid` for a list of the future, or of one repository too many.
pub async fn keep(
    catalog: &Catalog,
    provider: &str,
    repository_id: &str,
    mut numbers: Vec<u64>,
    at: i64,
) -> Result<bool, Error> {
    let time = catalog.clock().await?.unwrap_or_else(now);
    if !(0..=time).contains(&at) {
        return Err(Error::invalid(
            "at",
            format!("a Unix time that is not in the future is expected: it is {time} by the server's clock"),
        ));
    }
    numbers.sort_unstable();
    numbers.dedup();
    let list = OpenPullsRow {
        provider: provider.to_owned(),
        repository: repository_id.to_owned(),
        numbers: serde_json::to_string(&numbers).map_err(Error::internal)?,
        listed_at: at,
    };
    let mut tx = catalog.write().await?;
    if tx.other_open_pulls(provider, repository_id).await? >= MAX_REPOSITORIES {
        return Err(Error::invalid(
            "repository_id",
            format!("there are lists of {MAX_REPOSITORIES} other repositories: no more are kept"),
        ));
    }
    let kept = tx.set_open_pulls(&list).await?;
    tx.commit().await?;
    Ok(kept)
}
