//! A real closure: what a push takes beside `zstd` over the same bytes and beside `nix copy`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::Bench;
use crate::against;
use crate::process::{Usage, measure};
use crate::report::{self, Table, Targets, median, megabytes, seconds};
use crate::server::Server;
use crate::store::Store;

/// Bytes of a closure that is made because none is given.
const MADE: u64 = 400 << 20;

/// What one way of doing it took in each round.
#[derive(Default)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) client: Vec<Usage>,
    pub(crate) server: Vec<Usage>,
}

impl Series {
    /// Of nothing yet.
    pub(crate) fn of(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// Seconds of the client.
    pub(crate) fn wall(&self) -> f64 {
        median(self.client.iter().map(|usage| usage.wall.as_secs_f64()).collect())
    }

    /// Seconds of CPU time of the client.
    pub(crate) fn cpu(&self) -> f64 {
        median(self.client.iter().map(|usage| usage.cpu.as_secs_f64()).collect())
    }

    /// Seconds of CPU time of the server.
    pub(crate) fn server_cpu(&self) -> f64 {
        median(self.server.iter().map(|usage| usage.cpu.as_secs_f64()).collect())
    }

    /// CPU time of client and server together, round by round.
    fn both_cpu(&self) -> f64 {
        let both = self.client.iter().zip(&self.server);
        median(
            both.map(|(client, server)| (client.cpu + server.cpu).as_secs_f64())
                .collect(),
        )
    }

    /// How often it takes what another one does, from start to end: the median of the rounds.
    pub(crate) fn ratio(&self, other: &Self) -> f64 {
        let rounds = self.client.iter().zip(&other.client);
        median(
            rounds
                .map(|(this, other)| this.wall.as_secs_f64() / other.wall.as_secs_f64())
                .collect(),
        )
    }

    /// The most of all rounds, in bytes.
    #[expect(clippy::cast_precision_loss, reason = "megabytes are shown")]
    pub(crate) fn peak(usages: &[Usage]) -> f64 {
        usages.iter().map(|usage| usage.rss).max().unwrap_or(0) as f64
    }
}

pub(crate) fn run(bench: &Bench) -> anyhow::Result<Targets> {
    if let Some(other) = bench.against()? {
        return against::cold_push(bench, &other);
    }
    let dir = bench.dir.path().join("push");
    std::fs::create_dir(&dir)?;
    let (store, root) = closure(bench, &dir)?;
    let paths = store.closure(&root)?;
    let nars = dir.join("nars");
    let bytes = store.dump_all(&paths, &nars)?;
    report::title(&format!(
        "push: {} paths, {} of NARs, {} rounds",
        paths.len(),
        megabytes(bytes as f64),
        bench.args.rounds
    ));
    let mut all = [
        Series::of("zstd -3 -T1 of a file"),
        Series::of("zstd -3 -T2 of a file"),
        Series::of("nix-store --dump | zstd -3 -T1"),
        Series::of("nix copy --to file://"),
        Series::of("niks3 push, cold"),
        Series::of("niks3 push, warm"),
    ];
    for round in 0..bench.args.rounds {
        report::note(&format!("push: round {} of {}", round + 1, bench.args.rounds));
        all[0].client.push(zstd(&nars, "-T1")?);
        all[1].client.push(zstd(&nars, "-T2")?);
        all[2].client.push(piped(&store, &paths)?);
        all[3]
            .client
            .push(nix_copy(&store, &root, &dir.join(format!("copy-{round}")))?);
        let data = dir.join(format!("server-{round}"));
        let server = Server::embedded(&data)?;
        for (series, warm) in [(4, false), (5, true)] {
            let (client, served) = niks3(&store, &server, &root, warm)?;
            all[series].client.push(client);
            all[series].server.push(served);
        }
    }
    Ok(print(&all))
}

/// What is pushed, and the store it lies in.
pub(crate) fn closure(bench: &Bench, dir: &Path) -> anyhow::Result<(Store, String)> {
    if let Some(path) = &bench.args.closure {
        let store = match &bench.args.store {
            Some(root) => Store::new(root)?,
            None => Store::system(),
        };
        return Ok((store, path.clone()));
    }
    let store = Store::new(&dir.join("store"))?;
    let root = store.of_usr_lib(MADE)?;
    Ok((store, root))
}

fn zstd(nars: &Path, threads: &str) -> anyhow::Result<Usage> {
    let mut command = Command::new("zstd");
    command
        .args(["-3", threads, "-q", "-f", "-o", "/dev/null"])
        .arg(nars);
    Ok(measure(&mut command)?.0)
}

/// The same from the store itself, one program after the other.
fn piped(store: &Store, paths: &[String]) -> anyhow::Result<Usage> {
    let mut command = Command::new("bash");
    command.args([
        "-c",
        "set -o pipefail; for path; do nix-store --dump \"$path\"; done | zstd -3 -T1 -q -c >/dev/null",
        "bash",
    ]);
    command.args(paths.iter().map(|path| store.real(path)));
    Ok(measure(&mut command)?.0)
}

fn nix_copy(store: &Store, root: &str, dir: &Path) -> anyhow::Result<Usage> {
    let mut command = Command::new("nix");
    command
        .envs(store.environment.iter().map(|(name, value)| (name, value)))
        .env("XDG_CACHE_HOME", dir.join("nix-cache"))
        .args(["--extra-experimental-features", "nix-command", "copy", "--to"])
        .arg(format!(
            "file://{}?compression=zstd&compression-level=3",
            dir.join("cache").display()
        ))
        .arg(root);
    Ok(measure(&mut command)?.0)
}

/// One push by the client of the server's build: what both took.
pub(crate) fn niks3(
    store: &Store,
    server: &Server,
    root: &str,
    warm: bool,
) -> anyhow::Result<(Usage, Usage)> {
    let before = server.cpu()?;
    let mut command = server.push(root);
    command.envs(store.environment.iter().map(|(name, value)| (name, value)));
    let (client, printed) = measure(&mut command)?;
    let cpu = server.cpu()?.saturating_sub(before);
    let summary: serde_json::Value = serde_json::from_str(&printed).context("niks3 push --json")?;
    let sent = summary["bytes_sent"].as_u64().context("no bytes_sent")?;
    ensure!(
        warm == (sent == 0),
        "the {} push has sent {sent} bytes",
        if warm { "warm" } else { "cold" }
    );
    let served = Usage {
        wall: Duration::ZERO,
        cpu,
        rss: server.peak()?,
    };
    Ok((client, served))
}

fn print(all: &[Series; 6]) -> Targets {
    let [zstd_1, zstd_2, _, _, cold, warm] = all;
    let mut table = Table::new(&[
        "",
        "wall",
        "of zstd -T2",
        "CPU client",
        "of zstd -T1",
        "CPU server",
        "both, of zstd -T1",
        "memory client",
        "server",
    ]);
    for series in all {
        let (wall, cpu) = (series.wall(), series.cpu());
        let mut row = vec![
            series.name.clone(),
            seconds(Duration::from_secs_f64(wall)),
            format!("{:.2}", wall / zstd_2.wall()),
            seconds(Duration::from_secs_f64(cpu)),
            format!("{:.2}", cpu / zstd_1.cpu()),
        ];
        let memory = megabytes(Series::peak(&series.client));
        if series.server.is_empty() {
            row.extend([String::new(), String::new(), memory, String::new()]);
        } else {
            row.extend([
                seconds(Duration::from_secs_f64(series.server_cpu())),
                format!("{:.2}", series.both_cpu() / zstd_1.cpu()),
                memory,
                megabytes(Series::peak(&series.server)),
            ]);
        }
        table.row(row);
    }
    table.print();
    let mut targets = Targets::new();
    targets.below(
        "CPU of the client / zstd -3 -T1",
        "",
        cold.cpu() / zstd_1.cpu(),
        1.6,
        Some(1.25),
    );
    targets.below(
        "wall / zstd -3 -T2",
        "",
        cold.wall() / zstd_2.wall(),
        2.5,
        Some(1.5),
    );
    targets.below(
        "memory of the client",
        " MB",
        Series::peak(&cold.client) / 1e6,
        200.0,
        None,
    );
    targets.below(
        "memory of the server",
        " MB",
        Series::peak(&cold.server) / 1e6,
        200.0,
        None,
    );
    targets.below("warm push", " s", warm.wall(), 0.5, None);
    targets
}
