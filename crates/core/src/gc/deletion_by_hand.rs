//! Deleting closures at once that somebody has released by hand: with what only they need, and nothing else.

use niks3_base::error::Error;
use niks3_catalog::{ClosureId, PathId};

use super::departures::{self, Action, Departure, Departures};
use super::graph::Ripe;
use super::marker::Marker;
use super::progress::Phase;
use super::run::Run;
use super::{realisations, sweep};

/// Deletes the closures that the request names, as far as they are released by hand.
pub(super) async fn run(run: &Run<'_>) -> Result<(), Error> {
    run.shared.phase(Phase::Closures);
    let marked = run.app.catalog.released_by_hand(&run.request.only).await?;
    let ids: Vec<ClosureId> = marked.iter().map(|closure| closure.id).collect();
    let mut tx = run.write().await?;
    let purged = tx.purge_released(&ids).await?;
    tx.commit().await?;
    let gone = marked.iter().filter(|closure| purged.contains(&closure.id));
    let reason = || "deleted by hand".to_owned();
    let departures = Departures {
        list: gone
            .map(|closure| Departure::of(closure, Action::Delete, reason()))
            .collect(),
        is_dry_run: false,
    };
    departures::count(run, &departures);

    run.shared.phase(Phase::Mark);
    let mut marker = Marker::load(&run.app.catalog).await?;
    marker.catch_up(&mut run.app.catalog.look().await?).await?;
    let mut tx = run.write().await?;
    marker.catch_up(&mut tx).await?;
    drop(tx);
    departures::note(run, &marker, &departures).await?;
    let roots: Vec<PathId> = departures
        .list
        .iter()
        .map(|departure| departure.path_id)
        .collect();
    let ripe = Ripe::only(&marker.graph, &roots);

    run.shared.phase(Phase::Paths);
    sweep::paths(run, &mut marker, &ripe).await?;
    realisations::publish_next(run).await?;
    run.shared.phase(Phase::Nars);
    sweep::objects(run, &mut marker, &ripe).await?;
    run.shared.phase(Phase::Logs);
    sweep::logs(run, &mut marker, &ripe).await?;
    run.shared.phase(Phase::Finished);
    Ok(())
}
