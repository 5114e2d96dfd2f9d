//! One big NAR: memory must not grow with it.

use anyhow::{Context as _, ensure};

use crate::Bench;
use crate::process::{bytes_below, measure};
use crate::report::{self, Table, Targets, megabytes, seconds};
use crate::server::Server;
use crate::store::{Store, compressible};

const WANTED: f64 = 200.0;

pub(crate) fn run(bench: &Bench) -> anyhow::Result<Targets> {
    let size = bench.args.size;
    report::title(&format!("large: one NAR of {}", megabytes(size as f64)));
    let dir = bench.dir.path().join("large");
    std::fs::create_dir(&dir)?;
    let store = Store::new(&dir.join("root"))?;
    let file = dir.join("large");
    report::note("large: making the path");
    compressible(&file, size)?;
    let path = store.add(&file)?;
    std::fs::remove_file(&file)?;

    report::note("large: pushing it");
    let data = dir.join("server");
    let server = Server::embedded(&data)?;
    let idle = server.peak()?;
    let before = server.cpu()?;
    let mut command = server.push(&path);
    command.envs(store.environment.iter().map(|(name, value)| (name, value)));
    let (client, printed) = measure(&mut command)?;
    let (cpu, peak) = (server.cpu()?.saturating_sub(before), server.peak()?);
    drop(server);
    let summary: serde_json::Value = serde_json::from_str(&printed).context("niks3 push --json")?;
    let sent = summary["bytes_sent"].as_u64().context("no bytes_sent")?;
    let kept = bytes_below(&data)?;
    ensure!(
        kept >= sent,
        "the bucket has {kept} bytes, fewer than the {sent} sent"
    );

    let mut table = Table::new(&["", "wall", "NAR per second", "CPU", "peak memory"]);
    let rate = size as f64 / client.wall.as_secs_f64();
    table.row([
        "niks3 push".to_owned(),
        seconds(client.wall),
        megabytes(rate),
        seconds(client.cpu),
        megabytes(client.rss as f64),
    ]);
    let [wall, rate] = [String::new(), String::new()];
    table.row([
        "niks3-server".to_owned(),
        wall,
        rate,
        seconds(cpu),
        megabytes(peak as f64),
    ]);
    table.print();
    report::line(&format!(
        "{} sent; the bucket and its database took {}; the server had {} before\n",
        megabytes(sent as f64),
        megabytes(kept as f64),
        megabytes(idle as f64)
    ));
    let mut targets = Targets::new();
    targets.below(
        "memory of the client",
        " MB",
        client.rss as f64 / 1e6,
        WANTED,
        None,
    );
    targets.below("memory of the server", " MB", peak as f64 / 1e6, WANTED, None);
    // Two files, and the largest of all.
    std::fs::remove_dir_all(&dir).context("cleaning up")?;
    Ok(targets)
}
