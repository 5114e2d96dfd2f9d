//! This build beside another one, in turns: the cold push of a closure, and the metadata of many paths.

use std::path::Path;
use std::time::Duration;

use crate::Bench;
use crate::commit::{self, Step};
use crate::garage::Garage;
use crate::postgres::Postgres;
use crate::push::{self, Series};
use crate::report::{self, Table, Targets, median, megabytes, seconds};
use crate::server::{Build, Server, free_address};

/// What a push may take as often as by a build that reads nothing before it signs.
const UNVERIFIED: f64 = 1.02;
/// The same where this build reads all uploads, with a bucket that its server keeps itself.
const VERIFIED: f64 = 1.35;
/// The same with a bucket out of which it has to read them.
const VERIFIED_S3: f64 = 1.3;
/// Most memory of a server, in MB.
const MEMORY: f64 = 200.0;
/// What the metadata of many paths may take as often as by the other build.
const METADATA: f64 = 1.1;
/// Says what a server reads before it signs.
const VERIFY: &str = "--verify-uploads";

/// One way to push: a build, and the options of its server.
struct Way {
    series: Series,
    build: Build,
    options: Vec<String>,
}

/// The ways of one build: what it reads before it signs, where that can be said.
fn ways(name: &str, build: &Build) -> anyhow::Result<Vec<Way>> {
    let way = |name: String, options: Vec<String>| Way {
        series: Series::of(name),
        build: build.clone(),
        options,
    };
    if !build.has(VERIFY)? {
        return Ok(vec![way(name.to_owned(), Vec::new())]);
    }
    let modes = ["none", "all"];
    Ok(modes
        .map(|mode| {
            way(
                format!("{name}, {VERIFY} {mode}"),
                vec![format!("{VERIFY}={mode}")],
            )
        })
        .into())
}

/// The cold push of the closure, to a bucket of the server's own and to Garage.
pub(crate) fn cold_push(bench: &Bench, other: &Build) -> anyhow::Result<Targets> {
    let dir = bench.dir.path().join("against");
    std::fs::create_dir(&dir)?;
    let (store, root) = push::closure(bench, &dir)?;
    report::title(&format!(
        "push: {} paths, cold, by this build and another one in turns, {} rounds",
        store.closure(&root)?.len(),
        bench.args.rounds
    ));
    let garage = Garage::start(&dir.join("garage"))?;
    if garage.is_none() {
        report::note("push: no Garage found (NIKS3_GARAGE, PATH, ~/.cache/niks3): left out");
    }
    let mut targets = Targets::new();
    for (place, garage) in [("embedded", None), ("Garage", garage.as_ref())] {
        if place != "embedded" && garage.is_none() {
            continue;
        }
        let mut all = ways("other build", other)?;
        let others = all.len();
        all.extend(ways("this build", &Build::this()?)?);
        for round in 0..bench.args.rounds {
            report::note(&format!(
                "push, {place}: round {} of {}",
                round + 1,
                bench.args.rounds
            ));
            let count = all.len();
            for turn in 0..count {
                let number = if round % 2 == 0 { turn } else { count - 1 - turn };
                let way = &mut all[number];
                let name = format!("{}-{round}-{number}", place.to_lowercase());
                let mut options = way.options.clone();
                if let Some(garage) = garage {
                    options.extend(garage.options(&name, garage.address)?);
                }
                // What was written before is not written at the cost of this one.
                rustix::fs::sync();
                let server = Server::of(&way.build, &dir.join(&name), free_address()?, &options)?;
                let (client, served) = push::niks3(&store, &server, &root, false)?;
                way.series.client.push(client);
                way.series.server.push(served);
            }
        }
        print(place, &all, others, &mut targets);
    }
    Ok(targets)
}

fn print(place: &str, all: &[Way], others: usize, targets: &mut Targets) {
    let (other, this) = all.split_at(others);
    // Each mode beside the same of the other build, or beside all that it can do.
    let beside = |number: usize| &other[number.min(others - 1)].series;
    let mut table = Table::new(&[
        place,
        "wall",
        "of the other",
        "CPU client",
        "CPU server",
        "memory client",
        "server",
    ]);
    let mut row = |series: &Series, ratio: f64| {
        table.row([
            series.name.clone(),
            seconds(Duration::from_secs_f64(series.wall())),
            format!("{ratio:.2}"),
            seconds(Duration::from_secs_f64(series.cpu())),
            seconds(Duration::from_secs_f64(series.server_cpu())),
            megabytes(Series::peak(&series.client)),
            megabytes(Series::peak(&series.server)),
        ]);
    };
    for way in other {
        row(&way.series, 1.0);
    }
    for (number, way) in this.iter().enumerate() {
        row(&way.series, way.series.ratio(beside(number)));
    }
    table.print();
    for (number, way) in this.iter().enumerate() {
        let reads_more = others == 1 && number > 0;
        let wanted = match (reads_more, place) {
            (false, _) => UNVERIFIED,
            (true, "embedded") => VERIFIED,
            (true, _) => VERIFIED_S3,
        };
        let what = |what: &str| format!("{place}: {what} of {}", way.series.name);
        let ratio = way.series.ratio(beside(number));
        targets.below(&what("wall / other build"), "", ratio, wanted, None);
        let memory = Series::peak(&way.series.server) / 1e6;
        targets.below(&what("memory of the server"), " MB", memory, MEMORY, None);
    }
}

/// The metadata of many paths, on each database.
pub(crate) fn metadata(bench: &Bench, other: &Build) -> anyhow::Result<Targets> {
    let builds = [("other build", other.clone()), ("this build", Build::this()?)];
    let mut targets = Targets::new();
    for database in ["SQLite", "PostgreSQL"] {
        report::title(&format!(
            "commit: metadata of {} paths on {database}, by this build and another one in turns, {} rounds",
            bench.args.commit_paths, bench.args.rounds
        ));
        let mut all: [Vec<Vec<Step>>; 2] = [Vec::new(), Vec::new()];
        for round in 0..bench.args.rounds {
            report::note(&format!(
                "commit, {database}: round {} of {}",
                round + 1,
                bench.args.rounds
            ));
            for turn in 0..2 {
                let number = if round % 2 == 0 { turn } else { 1 - turn };
                let dir = bench
                    .dir
                    .path()
                    .join(format!("against-{database}-{round}-{number}"));
                let Some(steps) = once(bench, &builds[number].1, database, &dir)? else {
                    report::note("commit: no PostgreSQL below /usr/lib/postgresql: left out");
                    return Ok(targets);
                };
                all[number].push(steps);
            }
        }
        let wall = |of: &[Vec<Step>], step: Option<usize>| -> f64 {
            let sum = |steps: &Vec<Step>| -> f64 {
                let counted = steps
                    .iter()
                    .enumerate()
                    .filter(|(number, _)| step.is_none_or(|step| step == *number));
                counted.map(|(_, step)| step.wall.as_secs_f64()).sum()
            };
            median(of.iter().map(sum).collect())
        };
        let [others, this] = &all;
        let mut table = Table::new(&[database, "other build", "this build", "ratio"]);
        let names = others.first().into_iter().flatten().map(|step| step.name);
        for (name, step) in names.zip((0..).map(Some)).chain([("all", None)]) {
            let (before, now) = (wall(others, step), wall(this, step));
            table.row([
                name.to_owned(),
                seconds(Duration::from_secs_f64(before)),
                seconds(Duration::from_secs_f64(now)),
                format!("{:.2}", now / before),
            ]);
        }
        table.print();
        let ratio = wall(this, None) / wall(others, None);
        targets.below(
            &format!("{database}: all steps / other build"),
            "",
            ratio,
            METADATA,
            None,
        );
    }
    Ok(targets)
}

/// The steps of one build with a database of its own; `None` where there is no PostgreSQL.
fn once(bench: &Bench, build: &Build, database: &str, dir: &Path) -> anyhow::Result<Option<Vec<Step>>> {
    std::fs::create_dir(dir)?;
    let postgres = match database {
        "SQLite" => None,
        _ => match Postgres::start(&dir.join("postgres"))? {
            None => return Ok(None),
            postgres => postgres,
        },
    };
    rustix::fs::sync();
    let (steps, _) = commit::on(bench, build, &dir.join("server"), postgres.as_ref())?;
    Ok(Some(steps))
}
