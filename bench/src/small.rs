//! Many small paths with build logs, and what becomes of that when every request has to travel.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::Bench;
use crate::garage::Garage;
use crate::process::{Usage, measure};
use crate::proxy::Proxy;
use crate::report::{self, Table, Targets, median, megabytes, seconds};
use crate::server::{Build, Server, free_address};
use crate::store::Store;

const WANTED: f64 = 10.0;

/// One push: what client and server took, and how many connections were opened through the proxies.
struct Round {
    client: Usage,
    server_cpu: Duration,
    server_rss: u64,
    connections: u64,
}

pub(crate) fn run(bench: &Bench) -> anyhow::Result<Targets> {
    let dir = bench.dir.path().join("small");
    std::fs::create_dir(&dir)?;
    let store = Store::new(&dir.join("store"))?;
    let root = store.small_paths(bench.args.small_paths)?;
    store.add_logs(&store.closure(&root)?)?;
    let latency = Duration::from_millis(bench.args.latency);
    report::title(&format!(
        "small: {} paths with logs, {} ms of latency before server and bucket, {} rounds",
        bench.args.small_paths, bench.args.latency, bench.args.rounds
    ));
    let garage = Garage::start(&dir.join("garage"))?;
    if garage.is_none() {
        report::note("small: no Garage found (NIKS3_GARAGE, PATH, ~/.cache/niks3): left out");
    }
    let mut builds = vec![("", Build::this()?)];
    builds.extend(bench.against()?.map(|other| (", other build", other)));
    let mut all: Vec<(Place, String, Vec<Round>)> = Vec::new();
    for place in Place::ALL {
        if place.in_garage() && garage.is_none() {
            continue;
        }
        all.extend(
            builds
                .iter()
                .map(|(of, _)| (place, format!("{}{of}", place.name()), Vec::new())),
        );
    }
    for round in 0..bench.args.rounds {
        for (number, (place, _, rounds)) in all.iter_mut().enumerate() {
            let (_, build) = &builds[number % builds.len()];
            let name = format!("bench-{round}-{number}");
            let (address, before) = if place.is_far() {
                let (address, proxy) = before_server(bench, latency)?;
                (address, vec![proxy])
            } else {
                (free_address()?, Vec::new())
            };
            let mut proxies = before;
            let mut options: Vec<String> = proxies
                .iter()
                .map(|proxy| format!("--server-url=http://{}", proxy.address))
                .collect();
            if let Some(garage) = garage.as_ref().filter(|_| place.in_garage()) {
                if place.is_far() {
                    proxies.push(Proxy::start(&bench.runtime, garage.address, latency)?);
                }
                let bucket = proxies.get(1).map_or(garage.address, |proxy| proxy.address);
                options.extend(garage.options(&name, bucket)?);
            }
            rustix::fs::sync();
            let server = Server::of(build, &dir.join(&name), address, &options)?;
            rounds.push(one(&store, &server, &root, &proxies)?);
        }
    }
    Ok(print(&all))
}

/// Where a push goes.
#[derive(Clone, Copy)]
enum Place {
    Embedded,
    FarEmbedded,
    Garage,
    FarGarage,
}

impl Place {
    const ALL: [Self; 4] = [Self::Embedded, Self::Garage, Self::FarEmbedded, Self::FarGarage];

    fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded bucket, no latency",
            Self::Garage => "Garage, no latency",
            Self::FarEmbedded => "embedded bucket",
            Self::FarGarage => "Garage, also behind latency",
        }
    }

    fn is_far(self) -> bool {
        matches!(self, Self::FarEmbedded | Self::FarGarage)
    }

    fn in_garage(self) -> bool {
        matches!(self, Self::Garage | Self::FarGarage)
    }
}

fn before_server(bench: &Bench, latency: Duration) -> anyhow::Result<(SocketAddr, Proxy)> {
    let address = free_address()?;
    Ok((address, Proxy::start(&bench.runtime, address, latency)?))
}

fn one(store: &Store, server: &Server, root: &str, proxies: &[Proxy]) -> anyhow::Result<Round> {
    let mut command = server.push(root);
    command.envs(store.environment.iter().map(|(name, value)| (name, value)));
    let before = server.cpu()?;
    let opened = || proxies.iter().map(|proxy| proxy.connections()).sum::<u64>();
    let already = opened();
    let (client, printed) = measure(&mut command)?;
    let summary: serde_json::Value = serde_json::from_str(&printed).context("niks3 push --json")?;
    ensure!(
        summary["uploaded"] == summary["paths"],
        "not all paths were uploaded: {summary}"
    );
    Ok(Round {
        client,
        server_cpu: server.cpu()?.saturating_sub(before),
        server_rss: server.peak()?,
        connections: opened() - already,
    })
}

fn print(all: &[(Place, String, Vec<Round>)]) -> Targets {
    let mut table = Table::new(&[
        "",
        "wall",
        "CPU client",
        "CPU server",
        "memory client",
        "server",
        "connections",
    ]);
    let mut targets = Targets::new();
    for (_, name, rounds) in all {
        let middle = |of: fn(&Round) -> f64| median(rounds.iter().map(of).collect());
        let wall = middle(|round| round.client.wall.as_secs_f64());
        let time = |value: f64| seconds(Duration::from_secs_f64(value));
        table.row([
            name.clone(),
            time(wall),
            time(middle(|round| round.client.cpu.as_secs_f64())),
            time(middle(|round| round.server_cpu.as_secs_f64())),
            megabytes(middle(|round| round.client.rss as f64)),
            megabytes(middle(|round| round.server_rss as f64)),
            format!("{:.0}", middle(|round| round.connections as f64)),
        ]);
        if !name.ends_with("other build") {
            targets.below(&format!("wall, {name}"), " s", wall, WANTED, None);
        }
    }
    table.print();
    targets
}
