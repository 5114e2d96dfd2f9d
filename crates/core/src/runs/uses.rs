//! What a run of CI has used: paths that it had from the cache instead of building and pushing them.

use std::sync::Arc;

use niks3_auth::Identity;
use niks3_base::error::Error;
use niks3_catalog::{RunRow, SLICE_ROWS};
use niks3_nix::store_path::StorePath;

use crate::app::App;
use crate::push;

/// Paths in one report.
pub const MAX_PATHS: usize = 5_000;
/// Closures that one job can be linked to as their user. A job that substitutes a whole NixOS system reports a handful:
/// paths that others refer to are not reported.
const MAX_LINKS: i64 = 20_000;
/// Whose push it is that writes narinfos again.
const IDENTITY: &str = "uses";

/// Links a run to what it has used; how many of the paths the cache has.
///
/// # Errors
/// `NotFound` without such a run, `Forbidden` for whoever does not run in it, `Invalid` beyond [`MAX_LINKS`].
pub async fn report(
    app: &Arc<App>,
    who: &Identity,
    run_token: &str,
    paths: &[StorePath],
    complete: bool,
) -> Result<(RunRow, usize), Error> {
    let unknown = || Error::not_found(format!("there is no run {run_token:?}"));
    let mut used = 0;
    let mut publishing = Vec::new();
    // One slice without paths reports as well: a job may have used nothing.
    let slices: Vec<&[StorePath]> = match paths {
        [] => vec![&[]],
        paths => paths.chunks(SLICE_ROWS).collect(),
    };
    let last = slices.len() - 1;
    for (number, slice) in slices.into_iter().enumerate() {
        let mut tx = app.catalog.write().await?;
        let run = tx.run(run_token).await?.ok_or_else(unknown)?;
        if !super::may_report_uses(who, &run) {
            return Err(Error::forbidden(format!(
                "{} is not in the run {run_token}, so it cannot report what the run used",
                who.name()
            )));
        }
        if number == 0 {
            // Of the whole report, so that one that goes beyond changes nothing.
            let all = tx.used_paths(paths).await?;
            let links = tx.links_with(run.id, &all.ids).await?;
            if links > MAX_LINKS {
                return Err(Error::invalid(
                    "paths",
                    format!("the job would have used {links} closures; one job can report {MAX_LINKS}"),
                ));
            }
        }
        let found = tx.used_paths(slice).await?;
        tx.add_uses(run.id, &found.ids).await?;
        tx.uses_reported(run.id, complete && number == last).await?;
        tx.commit().await?;
        used += found.ids.len();
        publishing.extend(found.publishing);
    }
    if !publishing.is_empty()
        && let Err(problem) = push::republish(app, IDENTITY, &publishing).await
    {
        tracing::warn!(
            why = problem.text(),
            "narinfos of used paths are not written again; `niks3 fsck --repair` does"
        );
    }
    let run = app.catalog.run(run_token).await?.ok_or_else(unknown)?;
    tracing::debug!(run = run_token, used, complete, "uses reported");
    Ok((run, used))
}
