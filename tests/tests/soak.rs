//! Pushes, pins, garbage collections and deaths of servers, many rounds of them at once: whatever a push that
//! succeeded has pinned is there for Nix, all the time, and what the bucket holds fits the database in the end.
//!
//! `bench/soak` runs it for hundreds of rounds; `NIKS3_SOAK_ROUNDS` and `NIKS3_SOAK_SEED` are its settings.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(clippy::print_stderr, reason = "a long run says how far it is")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use niks3_test_support::{Backend, Server, ServerOptions, Store, database, garage_bucket, run};
use serde_json::Value;

/// Pushes at once.
const PUSHERS: u32 = 2;
/// Small things that closures share, by number.
const SHARED: u32 = 10;
/// Pins of each pusher.
const PINS: u32 = 6;
/// How often a push is tried that the deaths of its server have ended.
const ATTEMPTS: u32 = 6;

/// Small, and the same for a seed everywhere: splitmix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((mixed ^ (mixed >> 31)) % u64::from(sides)).unwrap()
    }
}

struct Soak {
    store: Store,
    servers: Vec<Mutex<Server>>,
    /// Where Nix reads, whether a server lives or not.
    bucket: String,
    key: String,
    seed: u64,
    rounds: u32,
    next: AtomicU32,
    over: AtomicBool,
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}={text}"))
    })
}

impl Soak {
    fn new(backend: Backend, servers: usize) -> (Self, tempfile::TempDir) {
        let (store, data) = (Store::default(), tempfile::tempdir().unwrap());
        let shared = (backend == Backend::Services).then(|| (database(), garage_bucket()));
        let mut running = Vec::new();
        for number in 0..servers {
            let directory = data.path().join(number.to_string());
            std::fs::create_dir(&directory).unwrap();
            if number > 0 {
                for name in ["api-token", "signing-key"] {
                    std::fs::copy(data.path().join("0").join(name), directory.join(name)).unwrap();
                }
            }
            let options = ServerOptions {
                store_dir: Some(store.dir()),
                data_dir: Some(directory),
                db: shared.as_ref().map(|(db, _)| db.clone()),
                bucket: shared.as_ref().map(|(_, bucket)| bucket.clone()),
                ..ServerOptions::default()
            };
            running.push(Server::with(backend, options));
        }
        let soak = Self {
            store,
            bucket: running[0].bucket_url().to_owned(),
            key: running[0].public_key().to_owned(),
            servers: running.into_iter().map(Mutex::new).collect(),
            seed: setting("NIKS3_SOAK_SEED", 1),
            rounds: u32::try_from(setting("NIKS3_SOAK_ROUNDS", 12)).unwrap(),
            next: AtomicU32::new(0),
            over: AtomicBool::new(false),
        };
        (soak, data)
    }

    fn dice(&self, who: u64) -> Dice {
        Dice(self.seed.wrapping_mul(1_000_003).wrapping_add(who))
    }

    fn niks3(&self, dice: &mut Dice) -> Command {
        let server = dice.roll(u32::try_from(self.servers.len()).unwrap());
        let server = self.servers[server as usize].lock();
        server.unwrap_or_else(PoisonError::into_inner).niks3()
    }

    /// Runs a command until it succeeds; how often it failed.
    #[track_caller]
    fn insist(&self, dice: &mut Dice, arguments: &[&str]) -> u32 {
        for failures in 0..ATTEMPTS {
            let mut command = self.niks3(dice);
            self.store.prepare(command.args(arguments));
            let output = run(&mut command);
            if output.code == 0 {
                return failures;
            }
            assert!(
                output.code == 1 && !output.stderr.contains("internal"),
                "niks3 {arguments:?}: {output:?}"
            );
            eprintln!(
                "niks3 {arguments:?}: {}",
                output.stderr.lines().last().unwrap_or_default()
            );
        }
        panic!("niks3 {arguments:?} failed {ATTEMPTS} times");
    }

    /// Something new that shares parts with others, and sometimes what was there before.
    fn build(&self, dice: &mut Dice, number: u32) -> String {
        let number = if number > 4 && dice.roll(4) == 0 {
            dice.roll(number)
        } else {
            number
        };
        // What a number stands for does not depend on who builds it, and when.
        let mut dice = self.dice(1 << 32 | u64::from(number));
        let parts: Vec<String> = (0..3)
            .map(|_| format!("(shared {})", dice.roll(SHARED)))
            .collect();
        let parts = parts.join(" ");
        self.store
            .build(&format!(
                "let shared = n: build \"shared-${{toString n}}\" \"echo ${{toString n}} > $out\"; \
                 middle = build \"middle-{number}\" \"echo ${{toString [ {parts} ]}} > $out\"; in \
                 build \"root-{number}\" \"mkdir $out; echo ${{middle}} {number} > $out/text\""
            ))
            .remove(0)
    }

    /// Pushes until the rounds are over; what its pins name in the end.
    fn push(&self, who: u32) -> BTreeMap<String, String> {
        let mut dice = self.dice(u64::from(who));
        let mut pinned: BTreeMap<String, String> = BTreeMap::new();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.rounds {
                return pinned;
            }
            let root = self.build(&mut dice, number);
            let pin = format!("pin-{who}-{}", dice.roll(PINS));
            match dice.roll(4) {
                0 => {
                    self.insist(&mut dice, &["push", &root]);
                }
                1 if pinned.contains_key(&pin) => {
                    pinned.remove(&pin);
                    let mut delete = self.niks3(&mut dice);
                    // Where its answer was lost with the server, the pin is gone or not.
                    let _ = run(delete.args(["pins", "delete", &pin]));
                }
                _ => {
                    // Until it succeeds, the pin names the old path or the new one.
                    pinned.remove(&pin);
                    self.insist(&mut dice, &["push", "--pin", &pin, &root]);
                    pinned.insert(pin, root);
                }
            }
            if let Some((_, root)) = pinned.iter().nth(dice.roll(PINS) as usize) {
                self.store.substitutes(&self.bucket, &self.key, root);
            }
            if number.is_multiple_of(25) {
                eprintln!("round {number} of {}", self.rounds);
            }
        }
    }

    fn collect(&self) -> u32 {
        let mut dice = self.dice(1 << 40);
        let mut runs = 0;
        while !self.over.load(Ordering::Relaxed) {
            let mut command = self.niks3(&mut dice);
            let output = run(command.args(["gc", "--older-than=1s", "--force", "--json"]));
            assert!(!output.stderr.contains("internal"), "{output:?}");
            runs += u32::from(output.code == 0);
        }
        runs
    }

    /// Compares bucket and database all the time; how often it got to the end.
    fn check(&self) -> u32 {
        let mut dice = self.dice(1 << 43);
        let mut checks = 0;
        while !self.over.load(Ordering::Relaxed) {
            let mut command = self.niks3(&mut dice);
            let output = run(command.args(["fsck", "--json"]));
            assert!(!output.stderr.contains("internal"), "{output:?}");
            if output.stdout.is_empty() {
                continue;
            }
            let done: Value = serde_json::from_str(&output.stdout).unwrap();
            for finding in done["findings"].as_array().unwrap() {
                assert_eq!(finding["left_to_gc"], true, "{finding}");
            }
            checks += 1;
        }
        checks
    }

    /// Kills a server now and then; how often.
    fn kill(&self) -> u32 {
        let mut dice = self.dice(1 << 41);
        let mut deaths = 0;
        while !self.over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(300 + u64::from(dice.roll(3000))));
            let server = dice.roll(u32::try_from(self.servers.len()).unwrap());
            let mut server = self.servers[server as usize]
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            server.kill();
            server.resume();
            deaths += 1;
        }
        deaths
    }

    fn soak(&self) {
        let mut pinned = BTreeMap::new();
        let (runs, deaths, checks) = std::thread::scope(|scope| {
            let collecting = scope.spawn(|| self.collect());
            let checking = scope.spawn(|| self.check());
            let killing = scope.spawn(|| self.kill());
            let pushing: Vec<_> = (0..PUSHERS)
                .map(|who| scope.spawn(move || self.push(who)))
                .collect();
            let ended: Vec<_> = pushing.into_iter().map(|pusher| pusher.join()).collect();
            self.over.store(true, Ordering::Relaxed);
            let done = (collecting.join(), killing.join(), checking.join());
            for pins in ended {
                pinned.append(&mut pins.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            (done.0.unwrap(), done.1.unwrap(), done.2.unwrap())
        });
        eprintln!(
            "{} rounds, {runs} collections, {checks} checks, {deaths} deaths, {} pins",
            self.rounds,
            pinned.len()
        );
        assert!(runs > 0 && deaths > 0 && !pinned.is_empty());
        let mut dice = self.dice(1 << 42);
        self.insist(&mut dice, &["gc", "--older-than=1s", "--force"]);
        let mut check = self.niks3(&mut dice);
        let found: Value = run(check.args(["fsck", "--json"])).json();
        assert_eq!(found["findings"], serde_json::json!([]));
        let server = self.servers[0].lock().unwrap_or_else(PoisonError::into_inner);
        let roots: Vec<String> = pinned.values().cloned().collect();
        for (pin, root) in &pinned {
            let text = server.get(&format!("pins/{pin}")).unwrap();
            assert_eq!(String::from_utf8(text).unwrap().trim(), root);
            self.store.substitutes(&self.bucket, &self.key, root);
        }
        let found = niks3_test_support::check_bucket(&server, &self.store.dir(), &roots, &[]);
        assert!(found.len() > roots.len());
        for log in (0..self.servers.len()).map(|number| self.log(number, &server)) {
            assert!(!log.contains("panicked"), "{log}");
        }
    }

    fn log(&self, number: usize, first: &Server) -> String {
        let data = first.directory().parent().unwrap_or(Path::new("/"));
        std::fs::read_to_string(data.join(number.to_string()).join("log")).unwrap_or_default()
    }
}

#[test]
fn nothing_pinned_is_lost_with_the_embedded_store() {
    let (soak, _data) = Soak::new(Backend::Embedded, 1);
    soak.soak();
}

#[test]
fn nothing_pinned_is_lost_with_two_servers_on_services() {
    let (soak, _data) = Soak::new(Backend::Services, 2);
    soak.soak();
}
