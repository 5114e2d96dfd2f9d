//! The metadata of many paths, through the API alone: claims, uploads, commit.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::Bench;
use crate::against;
use crate::postgres::Postgres;
use crate::report::{self, Table, Targets, megabytes, seconds};
use crate::server::{Build, Server, free_address};
use crate::synthetic::{self, Contents, name, sha256};

/// Requests with metadata under way at once, as many as the client has.
const PARALLEL_REQUESTS: usize = 4;
/// Uploads under way at once.
const PARALLEL_UPLOADS: usize = 32;
const WANTED: f64 = 10.0;
/// Seconds for which a writing transaction may keep the others waiting.
const WANTED_WRITE: f64 = 1.0;

/// A step's wall time, and CPU time of the server and its database.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) wall: Duration,
    server: Duration,
    database: Duration,
    peak: u64,
}

pub(crate) fn run(bench: &Bench) -> anyhow::Result<Targets> {
    if let Some(other) = bench.against()? {
        return against::metadata(bench, &other);
    }
    let count = bench.args.commit_paths;
    let dir = bench.dir.path().join("commit");
    let mut targets = Targets::new();
    let mut measured = |name: &str, postgres: Option<&Postgres>| -> anyhow::Result<()> {
        report::title(&format!(
            "commit: metadata of {count} paths, about 10 references each; {name}, embedded bucket"
        ));
        let (steps, writes) = on(
            bench,
            &Build::this()?,
            &dir.join(format!("server-{name}")),
            postgres,
        )?;
        print(name, &steps, &mut targets);
        let (writes, longest) = writes.context("no niks3_db_write_seconds")?;
        report::note(&format!(
            "commit: {writes} writing transactions, the longest below {longest} s"
        ));
        let what = format!("longest writing transaction on {name}, at most");
        targets.below(&what, " s", longest, WANTED_WRITE, None);
        Ok(())
    };
    measured("SQLite", None)?;
    match Postgres::start(&dir.join("postgres"))? {
        Some(postgres) => measured("PostgreSQL", Some(&postgres))?,
        None => report::note("commit: no PostgreSQL below /usr/lib/postgresql: left out"),
    }
    Ok(targets)
}

/// Steps; then how many writing transactions the server had, and the bound of the longest in seconds.
pub(crate) type Measured = (Vec<Step>, Option<(f64, f64)>);

/// All steps with a server of some build.
pub(crate) fn on(
    bench: &Bench,
    build: &Build,
    data: &Path,
    postgres: Option<&Postgres>,
) -> anyhow::Result<Measured> {
    let mut options = Vec::new();
    if let Some(postgres) = postgres {
        options.push(format!("--db={}", postgres.url()?));
    }
    let server = Server::of(build, data, free_address()?, &options)?;
    let push = Push::new(&server, 0, u64::from(bench.args.commit_paths))?;
    let database = || postgres.map_or(Ok(Duration::ZERO), Postgres::cpu);
    let mut steps = Vec::new();
    let mut before = (Instant::now(), server.cpu()?, database()?);
    let mut done = |name: &'static str| -> anyhow::Result<()> {
        report::note(&format!("commit: {name} took {}", seconds(before.0.elapsed())));
        steps.push(Step {
            name,
            wall: before.0.elapsed(),
            server: server.cpu()?.saturating_sub(before.1),
            database: database()?.saturating_sub(before.2),
            peak: server.peak()?,
        });
        before = (Instant::now(), server.cpu()?, database()?);
        Ok(())
    };
    bench.runtime.block_on(async {
        let opened = push.open().await?;
        done("begin")?;
        let (id, batch) = (&opened.id, opened.max_batch);
        let steps = async {
            push.claim(id, batch).await?;
            done("claims")?;
            let targets = push.announce(id, batch).await?;
            done("upload URLs")?;
            push.put(targets).await?;
            done("uploads of listings")?;
            push.commit(id).await?;
            done("commit")?;
            push.commit(id).await?;
            done("the same commit again")
        };
        tokio::select! {
            result = steps => result,
            error = push.keep(&opened) => Err(error),
        }
    })?;
    let longest = bench.runtime.block_on(push.longest_write())?;
    Ok((steps, longest))
}

/// A push of synthetic paths.
pub(crate) struct Push {
    http: Client,
    base: String,
    token: String,
    /// Number of the first path.
    first: u64,
    count: u64,
    contents: Contents,
    /// The longest that a request with metadata took.
    longest: Mutex<Duration>,
}

/// What the server said of the push.
struct Opened {
    id: String,
    max_batch: u64,
    lease_seconds: u64,
}

/// Where an object goes.
struct Target {
    url: String,
    headers: HashMap<String, String>,
    is_nar: bool,
}

impl Push {
    /// Of `count` paths from number `first` on.
    pub(crate) fn new(server: &Server, first: u64, count: u64) -> anyhow::Result<Self> {
        Ok(Self {
            http: Client::builder().no_proxy().build()?,
            base: server.url.clone(),
            token: std::fs::read_to_string(server.token_file())?.trim().to_owned(),
            first,
            count,
            contents: Contents::new()?,
            longest: Mutex::default(),
        })
    }

    /// All of it, from begin to commit; the longest that a request to the server took.
    pub(crate) async fn whole(&self) -> anyhow::Result<Duration> {
        let opened = self.open().await?;
        let steps = async {
            self.claim(&opened.id, opened.max_batch).await?;
            let targets = self.announce(&opened.id, opened.max_batch).await?;
            self.put(targets).await?;
            self.commit(&opened.id).await
        };
        tokio::select! {
            result = steps => result?,
            error = self.keep(&opened) => return Err(error),
        }
        Ok(*self.longest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(Method::POST, path, body).await
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let started = Instant::now();
        let answer = self
            .http
            .request(method.clone(), format!("{}/api/v1/pushes{path}", self.base))
            .bearer_auth(&self.token)
            .header("Niks3-Protocol-Version", "1")
            .json(body)
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        let mut longest = self.longest.lock().unwrap_or_else(PoisonError::into_inner);
        *longest = started.elapsed().max(*longest);
        drop(longest);
        if !status.is_success() {
            bail!(
                "{method} /pushes{path}: {status}: {}",
                &text[..text.len().min(2000)]
            );
        }
        serde_json::from_str(&text).context("an answer of the server")
    }

    /// How many writing transactions there were so far, and the bound of the histogram below which the
    /// longest was, in seconds.
    async fn longest_write(&self) -> anyhow::Result<Option<(f64, f64)>> {
        let url = format!("{}/metrics", self.base);
        let text = self
            .http
            .get(url)
            .bearer_auth(&self.token)
            .send()
            .await?
            .text()
            .await?;
        let mut buckets = Vec::new();
        for line in text.lines() {
            let bucket = line.strip_prefix("niks3_db_write_seconds_bucket{le=\"");
            let Some((bound, count)) = bucket.and_then(|rest| rest.split_once("\"} ")) else {
                continue;
            };
            let bound = bound.parse().unwrap_or(f64::INFINITY);
            buckets.push((count.trim().parse::<f64>()?, bound));
        }
        // Older servers do not count them.
        let Some((all, _)) = buckets.last() else {
            return Ok(None);
        };
        Ok(buckets.iter().find(|(count, _)| count >= all).copied())
    }

    async fn open(&self) -> anyhow::Result<Opened> {
        let body = json!({ "store_dir": "/nix/store", "roots": [name(self.first, self.count - 1)] });
        let answer = self.post("", &body).await?;
        let id = answer["id"].as_str().context("no id")?;
        Ok(Opened {
            id: id.to_owned(),
            max_batch: answer["max_batch"].as_u64().context("no max_batch")?,
            lease_seconds: answer["lease_seconds"].as_u64().context("no lease_seconds")?,
        })
    }

    /// Renews the lease, as the client does, until that fails.
    async fn keep(&self, opened: &Opened) -> anyhow::Error {
        let path = format!("/{}/lease", opened.id);
        loop {
            tokio::time::sleep(Duration::from_secs(opened.lease_seconds) / 3).await;
            if let Err(error) = self.call(Method::PUT, &path, &json!({})).await {
                return error;
            }
        }
    }

    /// Index ranges of `size` paths each.
    fn batches(&self, size: u64) -> impl Iterator<Item = std::ops::Range<u64>> {
        let count = self.count;
        (0..count.div_ceil(size)).map(move |batch| batch * size..count.min((batch + 1) * size))
    }

    async fn claim(&self, id: &str, batch: u64) -> anyhow::Result<()> {
        let needed: u64 = futures::stream::iter(self.batches(batch))
            .map(|range| async move {
                let paths: Vec<Value> = range
                    .map(|index| synthetic::path(self.first, index, self.count, &self.contents))
                    .collect();
                let body = json!({ "paths": paths, "external": [] });
                let answer = self.post(&format!("/{id}/paths"), &body).await?;
                anyhow::Ok(answer["needed"].as_array().map_or(0, Vec::len) as u64)
            })
            .buffered(PARALLEL_REQUESTS)
            .try_fold(0, |sum, needed| async move { Ok(sum + needed) })
            .await?;
        ensure!(needed == self.count, "{needed} paths needed of {}", self.count);
        Ok(())
    }

    /// Announces NAR and listing of every path; where those go that are not there yet.
    async fn announce(&self, id: &str, batch: u64) -> anyhow::Result<Vec<Target>> {
        let nar = (sha256(&self.contents.file), self.contents.file.len());
        let listing = (sha256(&self.contents.listing), self.contents.listing.len());
        let (nar, listing) = (&nar, &listing);
        let answers: Vec<Vec<Target>> = futures::stream::iter(self.batches(batch / 2))
            .map(|range| async move {
                let uploads: Vec<Value> = range
                    .map(|index| name(self.first, index))
                    .flat_map(|path| {
                        [
                            json!({ "kind": "nar", "path": path, "sha256": nar.0, "size": nar.1 }),
                            json!({ "kind": "listing", "path": path, "sha256": listing.0, "size": listing.1 }),
                        ]
                    })
                    .collect();
                let answer = self
                    .post(&format!("/{id}/uploads"), &json!({ "uploads": uploads }))
                    .await?;
                let targets = answer["uploads"].as_array().context("no uploads")?;
                ensure!(targets.len() == uploads.len(), "not as many answers as uploads");
                let mut found = Vec::new();
                for (number, target) in targets.iter().enumerate() {
                    if let Some(url) = target["url"].as_str() {
                        found.push(Target {
                            url: url.to_owned(),
                            headers: serde_json::from_value(target["headers"].clone())?,
                            is_nar: number % 2 == 0,
                        });
                    }
                }
                Ok(found)
            })
            .buffered(PARALLEL_REQUESTS)
            .try_collect()
            .await?;
        // One NAR for all paths: it goes up once.
        let mut nar_seen = false;
        Ok(answers
            .into_iter()
            .flatten()
            .filter(|target| !target.is_nar || !std::mem::replace(&mut nar_seen, true))
            .collect())
    }

    async fn put(&self, targets: Vec<Target>) -> anyhow::Result<()> {
        futures::stream::iter(targets)
            .map(anyhow::Ok)
            .try_for_each_concurrent(PARALLEL_UPLOADS, |target| async move {
                let body = if target.is_nar {
                    &self.contents.file
                } else {
                    &self.contents.listing
                };
                let mut request = self.http.put(&target.url).body(body.clone());
                for (name, value) in &target.headers {
                    request = request.header(name, value);
                }
                let answer = request.send().await?;
                ensure!(answer.status().is_success(), "PUT: {}", answer.status());
                answer.bytes().await?;
                Ok(())
            })
            .await
    }

    async fn commit(&self, id: &str) -> anyhow::Result<()> {
        let answer = loop {
            let answer = self.post(&format!("/{id}/commit"), &json!({})).await?;
            if answer["state"] != "committing" {
                break answer;
            }
        };
        ensure!(
            answer["paths_added"].as_u64() == Some(self.count),
            "not all paths were added: {answer}"
        );
        Ok(())
    }
}

fn print(database: &str, steps: &[Step], targets: &mut Targets) {
    let mut table = Table::new(&[
        "",
        "wall",
        "CPU server",
        "CPU database",
        "peak memory of the server",
    ]);
    for step in steps {
        table.row([
            step.name.to_owned(),
            seconds(step.wall),
            seconds(step.server),
            seconds(step.database),
            megabytes(step.peak as f64),
        ]);
        if step.name == "commit" {
            let what = format!("commit on {database}");
            targets.below(&what, " s", step.wall.as_secs_f64(), WANTED, None);
        }
    }
    table.print();
}
