//! Many small paths when every request has to travel.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::Bench;
use crate::garage::Garage;
use crate::process::{Usage, measure};
use crate::proxy::Proxy;
use crate::report::{self, Table, Targets, median, megabytes, seconds};
use crate::server::{Server, free_address};
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
    let latency = Duration::from_millis(bench.args.latency);
    report::title(&format!(
        "small: {} paths, {} ms of latency before server and bucket, {} rounds",
        bench.args.small_paths, bench.args.latency, bench.args.rounds
    ));
    let garage = Garage::start(&dir.join("garage"))?;
    if garage.is_none() {
        report::note("small: no Garage found (NIKS3_GARAGE, PATH, ~/.cache/niks3): left out");
    }
    let mut rounds: [(&str, Vec<Round>); 3] = [
        ("embedded bucket, no latency", Vec::new()),
        ("embedded bucket", Vec::new()),
        ("Garage, also behind latency", Vec::new()),
    ];
    for round in 0..bench.args.rounds {
        let data = |name: &str| dir.join(format!("{name}-{round}"));
        let push = |server: &Server, proxies: &[&Proxy]| one(&store, server, &root, proxies);
        rounds[0].1.push(push(&Server::embedded(&data("direct"))?, &[])?);

        let (address, proxy) = before_server(bench, latency)?;
        let options = [format!("--server-url=http://{}", proxy.address)];
        let server = Server::start(&data("embedded"), address, &options)?;
        rounds[1].1.push(push(&server, &[&proxy])?);

        if let Some(garage) = &garage {
            let (address, proxy) = before_server(bench, latency)?;
            let bucket = Proxy::start(&bench.runtime, garage.address, latency)?;
            let mut options = garage.options(&format!("bench-{round}"), bucket.address)?;
            options.push(format!("--server-url=http://{}", proxy.address));
            let server = Server::start(&data("garage"), address, &options)?;
            rounds[2].1.push(push(&server, &[&proxy, &bucket])?);
        }
    }
    Ok(print(&rounds))
}

fn before_server(bench: &Bench, latency: Duration) -> anyhow::Result<(SocketAddr, Proxy)> {
    let address = free_address()?;
    Ok((address, Proxy::start(&bench.runtime, address, latency)?))
}

fn one(store: &Store, server: &Server, root: &str, proxies: &[&Proxy]) -> anyhow::Result<Round> {
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

fn print(all: &[(&str, Vec<Round>)]) -> Targets {
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
    for (name, rounds) in all.iter().filter(|(_, rounds)| !rounds.is_empty()) {
        let middle = |of: fn(&Round) -> f64| median(rounds.iter().map(of).collect());
        let wall = middle(|round| round.client.wall.as_secs_f64());
        let time = |value: f64| seconds(Duration::from_secs_f64(value));
        table.row([
            (*name).to_owned(),
            time(wall),
            time(middle(|round| round.client.cpu.as_secs_f64())),
            time(middle(|round| round.server_cpu.as_secs_f64())),
            megabytes(middle(|round| round.client.rss as f64)),
            megabytes(middle(|round| round.server_rss as f64)),
            format!("{:.0}", middle(|round| round.connections as f64)),
        ]);
        targets.below(&format!("wall, {name}"), " s", wall, WANTED, None);
    }
    table.print();
    targets
}
