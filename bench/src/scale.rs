//! Garbage collection of catalogues that grow, with pushes going on.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use crate::Bench;
use crate::catalogue;
use crate::commit::Push;
use crate::garage::Garage;
use crate::postgres::Postgres;
use crate::report::{self, Table, Targets, megabytes, seconds};
use crate::server::{Server, free_address};

/// Age in days of half of the closures of a catalogue.
const OLD: u64 = 40;
/// Paths of the pushes that go on meanwhile.
const SMALL_PUSH: u64 = 20;
/// Each path has a narinfo and a listing, and all share a NAR.
const OBJECTS_PER_PATH: u64 = 2;
/// Numbers of synthetic paths that no other push has.
const SPACING: u64 = 1 << 32;

/// A garbage collection, as it was seen from outside.
struct Seen {
    /// How long each phase took, as far as it was seen.
    phases: Vec<(String, Duration)>,
    whole: Duration,
    /// Most memory of the server.
    peak: u64,
    /// Pushes that went on meanwhile, and the longest that a request of theirs took.
    pushes: u64,
    longest: Duration,
    counts: Value,
}

impl Seen {
    fn phase(&self, names: &[&str]) -> Duration {
        let those = self
            .phases
            .iter()
            .filter(|(name, _)| names.contains(&name.as_str()));
        those.map(|(_, time)| *time).sum()
    }
}

pub(crate) fn run(bench: &Bench) -> anyhow::Result<Targets> {
    let dir = bench.dir.path().join("scale");
    let mut targets = Targets::new();
    let mut on = |name: &str, db: &dyn Fn(&Path) -> anyhow::Result<String>, options: &[String]| {
        measured(
            bench,
            &dir.join(name.split(',').next().unwrap_or(name)),
            name,
            db,
            options,
            &mut targets,
        )
    };
    on(
        "SQLite, embedded bucket",
        &|data| Ok(format!("sqlite://{}", data.join("niks3.db").display())),
        &[],
    )?;
    let Some(garage) = Garage::start(&dir.join("garage"))? else {
        report::note("scale: no Garage: PostgreSQL left out");
        return Ok(targets);
    };
    let bucket = garage.options("scale", garage.address)?;
    let Some(postgres) = Postgres::start(&dir.join("postgres"))? else {
        report::note("scale: no PostgreSQL below /usr/lib/postgresql: left out");
        return Ok(targets);
    };
    let mut options = bucket;
    options.push(format!("--db={}", postgres.url()?));
    on("PostgreSQL, Garage", &|_| postgres.url(), &options)?;
    Ok(targets)
}

fn measured(
    bench: &Bench,
    dir: &Path,
    name: &str,
    db: &dyn Fn(&Path) -> anyhow::Result<String>,
    options: &[String],
    targets: &mut Targets,
) -> anyhow::Result<()> {
    report::title(&format!(
        "scale: garbage collection on {name}, ten references each"
    ));
    let mut table = Table::new(&[
        "paths",
        "mark",
        "dry run",
        "peak memory of the server",
        "pushes meanwhile",
        "longest request",
    ]);
    let largest = bench.args.scale_paths.iter().copied().max().unwrap_or_default();
    let mut number = 0;
    for &paths in &bench.args.scale_paths {
        let data = dir.join(format!("server-{paths}"));
        let server = Server::start(&data, free_address()?, options)?;
        let db = db(&data)?;
        let fill = async {
            catalogue::clear(&db).await?;
            catalogue::fill(&db, paths, OLD).await
        };
        let started = Instant::now();
        bench.runtime.block_on(fill)?;
        report::note(&format!(
            "scale: {paths} paths, written in {}",
            seconds(started.elapsed())
        ));
        let dry = json!({ "older_than_seconds": 30 * 24 * 3600, "dry_run": true });
        let seen = collect(bench, &server, &dry, &mut number)?;
        table.row([
            paths.to_string(),
            seconds(seen.phase(&["mark"])),
            seconds(seen.whole),
            megabytes(seen.peak as f64),
            seen.pushes.to_string(),
            seconds(seen.longest),
        ]);
        if paths == largest {
            if paths >= 1_000_000 {
                targets.below(
                    "marking",
                    " s",
                    seen.phase(&["mark"]).as_secs_f64(),
                    60.0,
                    Some(30.0),
                );
                targets.below("memory", " MB", seen.peak as f64 / 1e6, 500.0, None);
            }
            targets.below("longest request", " s", seen.longest.as_secs_f64(), 1.0, None);
            sweep(bench, &server, &db, &mut number, targets)?;
        }
    }
    table.print();
    Ok(())
}

/// Pushes what nothing keeps, and lets it be deleted.
fn sweep(
    bench: &Bench,
    server: &Server,
    db: &str,
    number: &mut u64,
    targets: &mut Targets,
) -> anyhow::Result<()> {
    let paths = bench.args.sweep_objects / OBJECTS_PER_PATH;
    bench.runtime.block_on(async {
        catalogue::renew(db).await?;
        *number += 1;
        Push::new(server, *number * SPACING, paths)?.whole().await
    })?;
    let seen = collect(
        bench,
        server,
        &json!({ "older_than_seconds": 0, "failed_uploads_older_than_seconds": 0, "force": true }),
        number,
    )?;
    let deleted = seen.counts["objects_deleted_after_grace_period"]
        .as_u64()
        .unwrap_or_default();
    ensure!(
        deleted >= paths * OBJECTS_PER_PATH,
        "not all was deleted: {}",
        seen.counts
    );
    let took = seen.phase(&["paths", "nars", "logs", "uploads"]);
    let mut table = Table::new(&[
        "objects deleted",
        "mark",
        "deleting",
        "a second",
        "peak memory",
        "longest request",
    ]);
    table.row([
        deleted.to_string(),
        seconds(seen.phase(&["mark"])),
        seconds(took),
        format!("{:.0}", deleted as f64 / took.as_secs_f64()),
        megabytes(seen.peak as f64),
        seconds(seen.longest),
    ]);
    table.print();
    targets.below(
        "longest request while deleting",
        " s",
        seen.longest.as_secs_f64(),
        1.0,
        None,
    );
    Ok(())
}

/// Runs a garbage collection while small pushes go on.
fn collect(bench: &Bench, server: &Server, request: &Value, number: &mut u64) -> anyhow::Result<Seen> {
    server.forget_peak()?;
    bench.runtime.block_on(async {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let token = std::fs::read_to_string(server.token_file())?.trim().to_owned();
        let url = format!("{}/api/v1/gc", server.url);
        let call = async |request: reqwest::RequestBuilder| -> anyhow::Result<Value> {
            let answer = request
                .bearer_auth(&token)
                .header("Niks3-Protocol-Version", "1")
                .send()
                .await?;
            let (status, text) = (answer.status(), answer.text().await?);
            ensure!(status.is_success(), "{status}: {text}");
            Ok(serde_json::from_str(&text)?)
        };
        let started = Instant::now();
        let run = call(http.post(&url).json(request)).await?;
        let url = format!("{url}/{}", run["id"].as_str().context("no id")?);
        let watch = async {
            let mut phases: Vec<(String, Duration)> = Vec::new();
            let mut since = started;
            loop {
                let run = call(http.get(&url)).await?;
                let phase = run["phase"].as_str().unwrap_or_default().to_owned();
                let now = Instant::now();
                match phases.last_mut() {
                    Some((last, time)) if *last == phase => *time += now - since,
                    // What passed since the last look is of the phase that is over.
                    Some((_, time)) => {
                        *time += now - since;
                        phases.push((phase, Duration::ZERO));
                    }
                    None => phases.push((phase, now - since)),
                }
                since = now;
                match run["state"].as_str() {
                    Some("running") => tokio::time::sleep(Duration::from_millis(50)).await,
                    Some("done") => return Ok((phases, run["counts"].clone())),
                    _ => bail!("the garbage collection ended: {run}"),
                }
            }
        };
        let (mut pushes, mut longest) = (0, Duration::ZERO);
        let pushing = async {
            loop {
                *number += 1;
                let push = Push::new(server, *number * SPACING, SMALL_PUSH)?;
                longest = push.whole().await?.max(longest);
                pushes += 1;
            }
        };
        let (phases, counts) = tokio::select! {
            seen = watch => seen?,
            error = pushing => return error,
        };
        Ok(Seen {
            phases,
            whole: started.elapsed(),
            peak: server.peak()?,
            pushes,
            longest,
            counts,
        })
    })
}
