//! Pushes, pins, garbage collections, lies, and in every round something that goes wrong, all at once: whatever a
//! push that succeeded has pinned is there for Nix, all the time, and what the bucket holds has no flaw.
//!
//! In a round something goes wrong; then all servers are frozen, and `niks3-check-bucket`, which shares no code
//! with them, checks the whole bucket. The tests run a dozen rounds; `bench/soak` runs hundreds. Its settings:
//!
//! - `NIKS3_SOAK_ROUNDS`: the number of rounds.
//! - `NIKS3_SOAK_SEED`: what happens, in which order. When it happens in whatever else goes on is left to the machine.
//! - `NIKS3_SOAK_STORE=minio|versitygw|embedded`: the object store beside PostgreSQL, where it is not to be Garage; `embedded` is
//!   that of a third server.
#![allow(clippy::print_stderr, reason = "a long run says how far it is")]

mod pins;
mod trouble;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use niks3_test_support::{
    Backend, Clock, FaultProxy, Finding, Postgres, S3Service, Server, ServerOptions, Store,
    check_whole_bucket, garage_bucket, run,
};
use niks3_tests::dice::{Dice, setting};
use niks3_tests::hostile::{LIES, Liar, Outcome};
use pins::Pins;
use serde_json::Value;

/// Pushes at once.
const PUSHERS: usize = 2;
/// Small things that closures share, by number.
const SHARED: usize = 10;
/// Pins of each pusher.
const PINS: usize = 6;
/// One of so many closures has a NAR that comes in parts.
const LARGE: usize = 12;
/// How long a command is repeated that troubles end; none of them lasts longer than seconds.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a push stays open that nobody hears of; longer than a check of the bucket, which stops the servers.
const LEASE: Duration = Duration::from_secs(10);

struct Soak {
    store: Store,
    servers: Vec<Mutex<Server>>,
    /// Of each server.
    clocks: Vec<Clock>,
    /// Between each server and the object store.
    proxies: Vec<FaultProxy>,
    postgres: Option<Mutex<Postgres>>,
    /// Whose object store the others use, where it is not Garage.
    _store: Option<Server>,
    runtime: tokio::runtime::Runtime,
    token: String,
    /// Where Nix reads, whether a server lives or not.
    bucket: String,
    key: String,
    seed: u64,
    rounds: usize,
    /// PostgreSQL sometimes comes back as it was a second ago.
    loses_seconds: bool,
    pins: Pins,
    done: Done,
    /// Number of the next closure to build.
    next: AtomicUsize,
    over: AtomicBool,
}

/// How often what was done, so that a soak in which nothing happens is noticed.
#[derive(Debug, Default)]
struct Done {
    pushes: AtomicUsize,
    collections: AtomicUsize,
    checks: AtomicUsize,
    lies: AtomicUsize,
}

impl Done {
    /// Whether everything was done that is to be done in every soak.
    fn everything(&self) -> bool {
        [&self.pushes, &self.collections, &self.checks]
            .iter()
            .all(|count| count.load(Ordering::Relaxed) > 0)
    }
}

fn count(done: &AtomicUsize) {
    done.fetch_add(1, Ordering::Relaxed);
}

impl Soak {
    fn new(backend: Backend, servers: usize, loses_seconds: bool) -> (Self, tempfile::TempDir) {
        let rounds = if loses_seconds { 6 } else { 12 };
        let (store, data) = (Store::default(), tempfile::tempdir().unwrap());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let chosen = std::env::var("NIKS3_SOAK_STORE").unwrap_or_default();
        let third = (backend == Backend::Services && chosen == "embedded")
            .then(|| Server::start(Backend::Embedded, &store.dir()));
        let bucket = || match (&third, chosen.as_str()) {
            (Some(third), _) => third.as_service(),
            (None, "minio") => S3Service::Minio.bucket(),
            (None, "versitygw") => S3Service::Versitygw.bucket(),
            (None, "" | "garage" | "embedded") => garage_bucket(),
            (None, other) => panic!("NIKS3_SOAK_STORE={other}: minio, versitygw, garage or embedded"),
        };
        let shared = (backend == Backend::Services).then(|| (Postgres::start(), bucket()));
        let (mut running, mut clocks, mut proxies) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..servers {
            let directory = data.path().join(number.to_string());
            std::fs::create_dir(&directory).unwrap();
            if number > 0 {
                for name in ["api-token", "signing-key"] {
                    std::fs::copy(data.path().join("0").join(name), directory.join(name)).unwrap();
                }
            }
            let clock = Clock::default();
            if let Some((_, bucket)) = &shared {
                proxies.push(runtime.block_on(FaultProxy::before(&bucket.endpoint)));
            }
            let options = ServerOptions {
                store_dir: Some(store.dir()),
                data_dir: Some(directory),
                db: shared.as_ref().map(|(db, _)| db.url()),
                s3_endpoint: proxies.last().map(FaultProxy::url),
                bucket: shared.as_ref().map(|(_, bucket)| bucket.clone()),
                arguments: vec!["--push-lease".into(), format!("{}s", LEASE.as_secs())],
                environment: clock.environment(),
                ..ServerOptions::default()
            };
            running.push(Server::with(backend, options));
            clocks.push(clock);
        }
        let soak = Self {
            store,
            bucket: running[0].bucket_url().to_owned(),
            key: running[0].public_key().to_owned(),
            token: running[0].token(),
            servers: running.into_iter().map(Mutex::new).collect(),
            clocks,
            proxies,
            postgres: shared.map(|(postgres, _)| Mutex::new(postgres)),
            _store: third,
            runtime,
            seed: setting("NIKS3_SOAK_SEED", 1),
            rounds: usize::try_from(setting("NIKS3_SOAK_ROUNDS", rounds)).unwrap(),
            loses_seconds,
            pins: Pins::default(),
            done: Done::default(),
            next: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        };
        let loses_seconds = soak.loses_seconds && soak.postgres.is_some();
        (
            Self {
                loses_seconds,
                ..soak
            },
            data,
        )
    }

    fn dice(&self, who: usize) -> Dice {
        Dice::new(self.seed.wrapping_mul(1_000_003).wrapping_add(who as u64))
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn server(&self, number: usize) -> MutexGuard<'_, Server> {
        self.servers[number]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn niks3(&self, dice: &mut Dice) -> Command {
        self.server(dice.roll(self.servers.len())).niks3()
    }

    /// Runs a command until it succeeds; whether it did before the rounds were over.
    #[track_caller]
    fn insist(&self, dice: &mut Dice, arguments: &[&str]) -> bool {
        let begun = Instant::now();
        let mut last = None;
        while begun.elapsed() < PATIENCE {
            let mut command = self.niks3(dice);
            self.store.prepare(command.args(arguments));
            let output = run(&mut command);
            if output.code == 0 {
                return true;
            }
            assert!(
                output.code == 1 && !output.stderr.contains("internal"),
                "niks3 {arguments:?}: {output:?}"
            );
            last = output.stderr.lines().last().map(str::to_owned);
            std::thread::sleep(Duration::from_millis(100));
            if self.is_over() {
                return false;
            }
        }
        panic!("niks3 {arguments:?} has not succeeded for {PATIENCE:?}: {last:?}");
    }

    /// Something new that shares parts with others, and sometimes what was there before.
    fn build(&self, dice: &mut Dice) -> String {
        let mut number = self.next.fetch_add(1, Ordering::Relaxed);
        if number > 4 && dice.roll(4) == 0 {
            number = dice.roll(number);
        }
        // What a number stands for does not depend on who builds it, and when.
        let mut dice = self.dice(1 << 32 | number);
        let parts: Vec<String> = (0..3)
            .map(|_| format!("(shared {})", dice.roll(SHARED)))
            .collect();
        let parts = parts.join(" ");
        let large = if number % LARGE == 1 {
            "head -c 9000000 /dev/urandom > $out/noise;"
        } else {
            ""
        };
        self.store
            .build(&format!(
                "let shared = n: build \"shared-${{toString n}}\" \"echo ${{toString n}} > $out\"; \
                 middle = build \"middle-{number}\" \"echo ${{toString [ {parts} ]}} > $out\"; in \
                 build \"root-{number}\" \"mkdir $out; {large} echo ${{middle}} {number} > $out/text\""
            ))
            .remove(0)
    }

    /// Pushes until the rounds are over.
    fn push(&self, who: usize) {
        let mut dice = self.dice(who);
        while !self.is_over() {
            let root = self.build(&mut dice);
            let pin = format!("pin-{who}-{}", dice.roll(PINS));
            match dice.roll(5) {
                0 => {
                    if self.insist(&mut dice, &["push", &root]) {
                        count(&self.done.pushes);
                    }
                }
                1 => {
                    self.pins.begin(&pin);
                    let mut delete = self.niks3(&mut dice);
                    // Where its answer was lost with the server, the pin is gone or not.
                    let _ = run(delete.args(["pins", "delete", &pin]));
                }
                _ => {
                    self.pins.begin(&pin);
                    if self.insist(&mut dice, &["push", "--pin", &pin, &root]) {
                        self.pins.set(&pin, &root);
                        count(&self.done.pushes);
                    }
                }
            }
        }
    }

    /// Collects garbage until the rounds are over.
    fn collect(&self) {
        let mut dice = self.dice(1 << 40);
        while !self.is_over() {
            let grace: &[&str] = [
                &["--force"][..],
                &["--failed-uploads-older-than=1s"],
                &["--failed-uploads-older-than=1s", "--force"],
            ][dice.roll(3)];
            let mut command = self.niks3(&mut dice);
            let output = run(command
                .args(["gc", "--accept-clock", "--older-than=1s", "--json"])
                .args(grace));
            assert!(!output.stderr.contains("internal"), "{output:?}");
            if output.code == 0 {
                count(&self.done.collections);
            }
        }
    }

    /// Compares bucket and database until the rounds are over.
    fn compare(&self) {
        let mut dice = self.dice(1 << 43);
        while !self.is_over() {
            let mut command = self.niks3(&mut dice);
            // What a lost second has left in the bucket is to be taken up again.
            let repair = self.loses_seconds.then_some("--repair");
            let output = run(command.args(["fsck", "--json"]).args(repair));
            assert!(!output.stderr.contains("internal"), "{output:?}");
            if output.stdout.is_empty() {
                continue;
            }
            let done: Value = serde_json::from_str(&output.stdout).unwrap();
            for finding in done["findings"].as_array().unwrap() {
                assert!(self.loses_seconds || finding["left_to_gc"] == true, "{finding}");
            }
            count(&self.done.checks);
        }
    }

    /// Lies until the rounds are over.
    fn lie(&self) {
        let mut dice = self.dice(1 << 44);
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        while !self.is_over() {
            std::thread::sleep(Duration::from_millis(100));
            let certain = self.pins.certain();
            let Some(victim) = certain.values().nth(dice.roll(certain.len().max(1))) else {
                continue;
            };
            let victim = victim.rsplit('/').next().unwrap();
            let liar = Liar {
                client: &client,
                url: self.server(dice.roll(self.servers.len())).url(),
                token: &self.token,
                store_dir: self.store.dir().display().to_string(),
            };
            let lie = dice.pick(&LIES);
            let outcome = self.runtime.block_on(liar.lie(&mut dice, lie, victim));
            if let Outcome::Refused(500.., answer) = &outcome {
                let logs: Vec<String> = (0..self.servers.len()).map(|number| self.log(number)).collect();
                let errors = logs.iter().flat_map(|log| log.lines());
                let errors: Vec<&str> = errors.filter(|line| line.contains("ERROR")).collect();
                panic!("seed {}, {lie:?}: {answer}\n{}", self.seed, errors.join("\n"));
            }
            if outcome.is_clear(lie) {
                count(&self.done.lies);
            }
        }
    }

    /// What is wrong in the bucket, while no server does anything.
    fn flaws(&self, server: &Server) -> Vec<String> {
        let report = check_whole_bucket(server, &self.store.dir());
        let mut flaws: Vec<String> = report.flaws.iter().map(Finding::to_string).collect();
        for (pin, root) in self.pins.certain() {
            let base = root.rsplit('/').next().unwrap();
            let found = report.pins.get(&pin);
            if found.is_none_or(|found| found != base) {
                flaws.push(format!("the pin {pin} names {found:?} instead of {base}"));
            }
        }
        flaws
    }

    /// Freezes all servers and checks the bucket.
    fn check(&self) -> Vec<String> {
        /// What servers had asked the object store for has arrived within this time.
        const SETTLING: Duration = Duration::from_millis(150);
        let servers: Vec<_> = (0..self.servers.len())
            .map(|number| self.server(number))
            .collect();
        let signal = |name| {
            let living = servers.iter().filter(|server| server.lives());
            living.for_each(|server| server.signal(name));
        };
        signal("STOP");
        std::thread::sleep(SETTLING);
        let mut flaws = self.flaws(&servers[0]);
        if !flaws.is_empty() {
            // The machine may be slow. What arrives even later is a flaw.
            std::thread::sleep(4 * SETTLING);
            let again = self.flaws(&servers[0]);
            flaws.retain(|flaw| again.contains(flaw));
        }
        signal("CONT");
        flaws
    }

    fn revive(&self) {
        for number in 0..self.servers.len() {
            let mut server = self.server(number);
            if !server.lives() {
                server.resume();
            }
        }
    }

    /// All rounds, until one of those who work meanwhile has given up.
    fn rounds(&self, given_up: impl Fn() -> bool) {
        let mut dice = self.dice(1 << 41);
        for round in 0..self.rounds {
            if given_up() {
                return;
            }
            std::thread::sleep(Duration::from_millis(200 + dice.roll(1500) as u64));
            let trouble = self.trouble(round, &mut dice);
            eprintln!("round {round} of {}: {trouble:?}", self.rounds);
            self.cause(trouble, &mut dice);
            let flaws = self.check();
            assert!(
                flaws.is_empty(),
                "seed {}, round {round}, after {trouble:?}: {flaws:#?}",
                self.seed
            );
            self.revive();
        }
        // However slow the machine is.
        let begun = Instant::now();
        let enough = || self.done.everything() && !self.pins.certain().is_empty();
        while !enough() && !given_up() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn soak(&self) {
        std::thread::scope(|scope| {
            let mut threads = vec![
                scope.spawn(|| self.collect()),
                scope.spawn(|| self.compare()),
                scope.spawn(|| self.lie()),
            ];
            threads.extend((0..PUSHERS).map(|who| scope.spawn(move || self.push(who))));
            let over = Over(&self.over);
            self.rounds(|| threads.iter().any(std::thread::ScopedJoinHandle::is_finished));
            drop(over);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        let pinned = self.pins.certain();
        eprintln!(
            "seed {}: {} rounds, {:?}, {} pins",
            self.seed,
            self.rounds,
            self.done,
            pinned.len()
        );
        assert!(self.done.everything());
        // Where a database is repaired most of the time, nobody may come to lie.
        assert!(self.done.lies.load(Ordering::Relaxed) > 0 || self.loses_seconds);
        assert!(!pinned.is_empty());
        self.over.store(false, Ordering::Relaxed);
        self.end(&pinned);
    }

    /// When nothing goes on any more, bucket and database fit, and Nix reads what is pinned.
    fn end(&self, pinned: &BTreeMap<String, String>) {
        let mut dice = self.dice(1 << 42);
        let mut before = String::new();
        if self.loses_seconds {
            let mut repair = self.niks3(&mut dice);
            before = run(repair.args(["fsck", "--repair", "--json"])).stdout;
        }
        self.insist(&mut dice, &["gc", "--accept-clock", "--older-than=1s", "--force"]);
        let mut check = self.niks3(&mut dice);
        let found = run(check.args(["fsck", "--json"]));
        let found: Value = serde_json::from_str(&found.stdout).unwrap();
        if found["findings"] != serde_json::json!([]) {
            let logs: Vec<String> = (0..self.servers.len()).map(|number| self.log(number)).collect();
            panic!(
                "seed {}: {:#}\nthe repair before: {before}\n{}",
                self.seed,
                found["findings"],
                logs.join("\n\n")
            );
        }
        assert_eq!(self.check(), [""; 0]);
        for root in pinned.values() {
            self.store.substitutes(&self.bucket, &self.key, root);
        }
        for number in 0..self.servers.len() {
            let log = self.log(number);
            assert!(!log.contains("panicked"), "{log}");
        }
    }

    fn log(&self, number: usize) -> String {
        let server = self.server(number);
        std::fs::read_to_string(server.directory().join("log")).unwrap_or_default()
    }
}

/// Tells everybody that the rounds are over, however they end.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn nothing_is_lost_or_wrong_with_the_embedded_store() {
    let (soak, _data) = Soak::new(Backend::Embedded, 1, false);
    soak.soak();
}

#[test]
fn nothing_is_lost_or_wrong_with_two_servers_on_services() {
    let (soak, _data) = Soak::new(Backend::Services, 2, false);
    soak.soak();
}

#[test]
fn nothing_is_lost_or_wrong_where_postgresql_loses_seconds() {
    let (soak, _data) = Soak::new(Backend::Services, 2, true);
    soak.soak();
}
