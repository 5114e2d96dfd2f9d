//! Random interleavings of pushes, pins, garbage collections, deaths of servers, faults of the object store, lost
//! answers, lies, other contents of a lower rank and a clock that goes back, seeded, step by step against the real server; with services, against two.
//! After each step bucket and database fit, what a pin keeps is there, and `niks3-check-bucket`, which shares no code
//! with the server, finds no flaw in the whole bucket; after each collection with nothing under way, nothing else
//! is there.
//!
//! `NIKS3_MODEL_STEPS` and `NIKS3_MODEL_SEED` are its settings; a failure names the steps that led to it.
#![allow(clippy::print_stderr, reason = "a long run says what it did")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use niks3_nix::hash::{FileHash, NarHash};
use niks3_nix::signature::SecretKey;
use niks3_test_support::{
    Backend, Clock, Fault, Issuer, Server, ServerOptions, Site, check_whole_bucket, comes_about,
    garage_bucket, on_both,
};
use niks3_tests::dice::{Dice, setting};
use niks3_tests::hostile::{LIES, Liar};
use niks3_tests::nar;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

on_both!(whatever_happens_in_whatever_order_nothing_needed_is_lost);

/// Paths that closures are made of.
const PATHS: usize = 16;
/// Pushes at once.
const PUSHES: usize = 3;
/// For whom tokens of the attacker are.
const AUDIENCE: &str = "https://cache.example.com";
/// How often contents of a path are replaced in a day.
const MAX_REPLACEMENTS: u64 = 10;
/// How often a step is tried again whose answer is that it may work later.
const ATTEMPTS: usize = 60;

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Open,
    Upload,
    Commit,
    CommitWithoutAnswer,
    Push,
    GiveUp,
    Pin,
    Unpin,
    CollectWithGrace,
    Collect,
    CollectMeanwhile,
    Die,
    Fault,
    Expire,
    Freeze,
    ClockGoesBack,
    Lie,
    Attack,
}

/// What somebody of a lower rank pushes of a path of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attack {
    /// Other contents, and that is what they are said to be.
    OtherContents,
    /// Those of the model, over other bytes.
    OtherBytes,
    /// Those of the model, with another size.
    OtherSize,
    /// A content address that makes another path.
    FalseAddress,
}

/// Every attack, with how often it happens.
const ATTACKS: [(Attack, usize); 4] = [
    (Attack::OtherContents, 6),
    (Attack::OtherBytes, 2),
    (Attack::OtherSize, 1),
    (Attack::FalseAddress, 1),
];

/// Every step, with how often it is taken.
const ACTIONS: [(Action, usize); 18] = [
    (Action::Open, 14),
    (Action::Upload, 20),
    (Action::Commit, 18),
    (Action::CommitWithoutAnswer, 4),
    (Action::Push, 10),
    (Action::GiveUp, 2),
    (Action::Pin, 8),
    (Action::Unpin, 2),
    (Action::CollectWithGrace, 2),
    (Action::Collect, 7),
    (Action::CollectMeanwhile, 5),
    (Action::Die, 3),
    (Action::Fault, 4),
    (Action::Expire, 1),
    (Action::Freeze, 1),
    (Action::ClockGoesBack, 4),
    (Action::Lie, 4),
    (Action::Attack, 10),
];

/// A path of the model.
struct Path {
    name: String,
    refs: Vec<usize>,
    nar: Vec<u8>,
    listing: Vec<u8>,
}

/// A push as its client knows it.
struct Push {
    id: String,
    root: usize,
    pin: Option<String>,
    /// What is still to be sent.
    needed: Vec<usize>,
    /// A commit of it may have been done.
    tried: bool,
}

struct Model {
    site: Site,
    /// Another server over the same database and object store.
    other: Option<(Server, tempfile::TempDir)>,
    /// Where requests go to in this step.
    url: String,
    /// The clock of the first server.
    clock: Clock,
    client: reqwest::Client,
    token: String,
    dice: Dice,
    paths: Vec<Path>,
    pushes: Vec<Push>,
    /// What pins keep; `None` while a lost answer leaves two possibilities.
    pins: BTreeMap<String, Option<usize>>,
    steps: Vec<String>,
    /// Gives the attacker tokens, whose pushes the lower of two keys signs.
    issuer: Issuer,
    /// How often the contents of each path were replaced.
    replaced: BTreeMap<String, u64>,
    /// Signing keys and rules.
    _config: tempfile::TempDir,
    /// How often what was done, so that a model in which nothing happens is noticed.
    done: BTreeMap<&'static str, u64>,
}

/// What came of a request.
enum Answer {
    Done(Value),
    /// The push is over: its lease has run out.
    Over,
    /// Refused for now, or lost: it may have been done.
    Unclear(String),
}

impl Model {
    async fn new(backend: Backend, seed: u64) -> Self {
        let clock = Clock::default();
        let bucket = (backend == Backend::Services).then(garage_bucket);
        let (issuer, config) = (Issuer::start(&["RS256"]), tempfile::tempdir().unwrap());
        // What was replaced is as little needed as what else nobody needs.
        let mut arguments: Vec<String> = ["--push-lease", "3s", "--keep-replaced=0s"]
            .map(Into::into)
            .into();
        for (seed, name) in [(1, "main-1"), (2, "pr-1")] {
            let file = config.path().join(name);
            let key = SecretKey::generate(name, [seed; 32]).unwrap();
            std::fs::write(&file, key.to_secret_string().as_bytes()).unwrap();
            arguments.extend(["--sign-key-path".into(), file.display().to_string()]);
        }
        let rules = json!([{ "bound_subject": "pr", "signing_keys": ["pr-1"] }]);
        let provider = json!({ "issuer": issuer.url(), "audience": AUDIENCE, "rules": rules });
        let rules = json!({ "allow_insecure": true, "providers": { "ci": provider } });
        let file = config.path().join("oidc.json");
        std::fs::write(&file, rules.to_string()).unwrap();
        arguments.extend(["--oidc-config".into(), file.display().to_string()]);
        let options = ServerOptions {
            arguments: arguments.clone(),
            environment: clock.environment(),
            bucket: bucket.clone(),
            ..ServerOptions::default()
        };
        let site = Site::with(backend, options).await;
        let other = bucket.map(|bucket| {
            let data = tempfile::tempdir().unwrap();
            let token = site.server.directory().join("api-token");
            std::fs::copy(token, data.path().join("api-token")).unwrap();
            let options = ServerOptions {
                store_dir: Some(site.store.dir()),
                data_dir: Some(data.path().to_owned()),
                db: Some(site.server.db().to_owned()),
                s3_endpoint: Some(site.s3.url()),
                bucket: Some(bucket),
                arguments,
                ..ServerOptions::default()
            };
            (Server::with(backend, options), data)
        });
        let mut dice = Dice::new(seed);
        let paths = (0..PATHS)
            .map(|number| {
                let mut refs: BTreeSet<usize> = (0..3)
                    .filter(|_| number > 0)
                    .map(|_| dice.roll(number.max(1)))
                    .collect();
                if dice.roll(4) == 0 {
                    refs.insert(number);
                }
                // Some have the same contents, and so the same NAR.
                let contents = if number % 5 == 4 { number - 1 } else { number };
                let (nar, listing) = nar::of_file(format!("contents of {contents} ").repeat(20).as_bytes());
                Path {
                    name: format!("{number:032}-p{number}"),
                    refs: refs.into_iter().collect(),
                    nar,
                    listing,
                }
            })
            .collect();
        Self {
            token: site.server.token(),
            url: site.api.url(),
            other,
            clock,
            client: reqwest::Client::builder()
                .timeout(Duration::from_secs(60))
                .build()
                .unwrap(),
            site,
            dice,
            paths,
            pushes: Vec::new(),
            pins: BTreeMap::new(),
            issuer,
            replaced: BTreeMap::new(),
            _config: config,
            steps: Vec::new(),
            done: BTreeMap::new(),
        }
    }

    fn closure(&self, root: usize) -> BTreeSet<usize> {
        let mut closure = BTreeSet::new();
        let mut queue = vec![root];
        while let Some(path) = queue.pop() {
            if closure.insert(path) {
                queue.extend(&self.paths[path].refs);
            }
        }
        closure
    }

    /// A request; where it goes by way of the proxy, answers are lost.
    async fn request(&self, method: Method, path: &str, body: &Value) -> Answer {
        let url = format!("{}/api/v1{path}", self.url);
        let answer = loop {
            let request = self.client.request(method.clone(), &url).bearer_auth(&self.token);
            let request = if body.is_null() {
                request
            } else {
                request.json(body)
            };
            let Ok(answer) = request.send().await else {
                return Answer::Unclear("no answer".into());
            };
            // What was uploaded is still read.
            if !path.ends_with("/commit") || answer.status() != StatusCode::ACCEPTED {
                break answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let status = answer.status().as_u16();
        let Ok(text) = answer.text().await else {
            return Answer::Unclear("half an answer".into());
        };
        match status {
            200..=299 => Answer::Done(serde_json::from_str(&text).unwrap_or_default()),
            404 => Answer::Over,
            409 | 503 => Answer::Unclear(text),
            _ => panic!("{path}: {status} {text}\n{}", self.steps.join("\n")),
        }
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.request(Method::POST, path, &body).await
    }

    async fn step(&mut self) {
        let action = self.dice.pick(&ACTIONS);
        self.url = match &self.other {
            Some((other, _)) if self.dice.roll(3) == 0 => other.url(),
            _ => self.site.api.url(),
        };
        match action {
            Action::Open => self.open().await,
            Action::Upload => self.upload().await,
            Action::Commit => self.commit(false).await,
            Action::CommitWithoutAnswer => self.commit(true).await,
            Action::Push => self.push().await,
            Action::GiveUp => self.give_up(),
            Action::Pin => self.pin().await,
            Action::Unpin => self.unpin().await,
            Action::CollectWithGrace => self.collect_with_grace().await,
            Action::Collect => self.collect().await,
            Action::CollectMeanwhile => self.collect_meanwhile().await,
            Action::Die => self.die(),
            Action::Fault => self.fault(),
            Action::Expire => self.expire(false).await,
            Action::Freeze => self.expire(true).await,
            Action::ClockGoesBack => self.clock_goes_back().await,
            Action::Lie => self.lie().await,
            Action::Attack => {
                let (path, attack) = (self.dice.roll(PATHS), self.dice.pick(&ATTACKS));
                self.attack(path, attack).await;
            }
        }
    }

    /// A push from its beginning to its end, if nothing goes wrong.
    async fn push(&mut self) {
        let before = self.pushes.len();
        self.open().await;
        if self.pushes.len() > before {
            self.upload_to(before, false).await;
        }
        if self.pushes.len() > before {
            self.commit_of(before, false).await;
        }
    }

    fn say(&mut self, step: String) {
        self.steps.push(step);
    }

    async fn open(&mut self) {
        if self.pushes.len() == PUSHES {
            return;
        }
        let root = self.dice.roll(PATHS);
        let pin = (self.dice.roll(3) == 0).then(|| format!("pin{}", self.dice.roll(3)));
        self.say(format!("open {root} pin {pin:?}"));
        let mut body = json!({ "store_dir": self.site.store.dir(), "roots": [self.paths[root].name] });
        if let Some(pin) = &pin {
            body["pin"] = json!(pin);
        }
        let Answer::Done(created) = self.post("/pushes", body).await else {
            return;
        };
        let id = created["id"].as_str().unwrap().to_owned();
        let claims: Vec<Value> = self
            .closure(root)
            .into_iter()
            .map(|path| {
                let Path { name, refs, nar, .. } = &self.paths[path];
                let refs: Vec<&String> = refs.iter().map(|other| &self.paths[*other].name).collect();
                json!({
                    "path": name, "nar_hash": NarHash::of(nar).to_string(), "nar_size": nar.len(), "references": refs,
                })
            })
            .collect();
        let claimed = self
            .post(&format!("/pushes/{id}/paths"), json!({ "paths": claims }))
            .await;
        let Answer::Done(claimed) = claimed else { return };
        let needed: Vec<&str> = claimed["needed"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        let needed = (0..PATHS).filter(|path| needed.contains(&self.paths[*path].name.as_str()));
        self.pushes.push(Push {
            id,
            root,
            pin,
            needed: needed.collect(),
            tried: false,
        });
    }

    fn choose(&mut self) -> Option<usize> {
        (!self.pushes.is_empty()).then(|| self.dice.roll(self.pushes.len()))
    }

    /// Sends all that a push has to bring, or half of it.
    async fn upload(&mut self) {
        let Some(place) = self.choose() else { return };
        let half = self.dice.roll(4) == 0;
        self.upload_to(place, half).await;
    }

    async fn upload_to(&mut self, place: usize, half: bool) {
        let needed = self.pushes[place].needed.clone();
        let count = if half { needed.len() / 2 } else { needed.len() };
        let id = self.pushes[place].id.clone();
        self.say(format!("upload {count} of {} of {id}", needed.len()));
        for path in needed.into_iter().take(count) {
            let nar = zstd::encode_all(&self.paths[path].nar[..], 3).unwrap();
            let listing = self.paths[path].listing.clone();
            for (kind, bytes) in [("nar", &nar), ("listing", &listing)] {
                let upload = json!({
                    "kind": kind, "path": self.paths[path].name, "size": bytes.len(),
                    "sha256": FileHash::of(bytes).to_string(),
                });
                let asked = self
                    .post(&format!("/pushes/{id}/uploads"), json!({ "uploads": [upload] }))
                    .await;
                match asked {
                    Answer::Done(asked) => {
                        if !self.put(&asked["uploads"][0], bytes).await {
                            return;
                        }
                    }
                    Answer::Over => {
                        self.pushes.remove(place);
                        return;
                    }
                    Answer::Unclear(_) => return,
                }
            }
            self.pushes[place].needed.retain(|other| *other != path);
        }
    }

    async fn put(&self, target: &Value, bytes: &[u8]) -> bool {
        // What is there already has no URL.
        let Some(url) = target["url"].as_str() else {
            return true;
        };
        let mut put = self.client.put(url).body(bytes.to_vec());
        for (name, value) in target["headers"].as_object().unwrap() {
            put = put.header(name, value.as_str().unwrap());
        }
        put.send().await.is_ok_and(|answer| answer.status().is_success())
    }

    async fn commit(&mut self, lose: bool) {
        let Some(place) = self.choose() else { return };
        self.commit_of(place, lose).await;
    }

    async fn commit_of(&mut self, place: usize, lose: bool) {
        let id = self.pushes[place].id.clone();
        self.say(format!(
            "commit {id}{}",
            if lose { ", its answer lost" } else { "" }
        ));
        if lose {
            self.url = self.site.api.url();
            self.site.api.fail("POST", "/commit", Fault::LoseAnswer, 1);
        }
        let (root, pin) = (self.pushes[place].root, self.pushes[place].pin.clone());
        let answer = self.post(&format!("/pushes/{id}/commit"), json!({})).await;
        self.site.api.heal();
        match answer {
            Answer::Done(committed) => {
                *self.done.entry("commits").or_default() += 1;
                self.pushes.remove(place);
                self.has_own_contents(root, &committed).await;
                if let Some(pin) = pin {
                    self.pins.insert(pin, Some(root));
                }
            }
            Answer::Over => {
                *self.done.entry("pushes over").or_default() += 1;
                self.pushes.remove(place);
            }
            Answer::Unclear(why) => {
                *self.done.entry("commits refused or lost").or_default() += 1;
                // Something has not arrived: it was never sent, or a collection has seen the
                // push's end. What was not said to be missing may have been done.
                if let Some(pin) = pin.filter(|_| !why.contains("not arrived")) {
                    self.pins.insert(pin, None);
                }
                self.pushes[place].tried = true;
                if self.dice.roll(3) == 0 {
                    self.pushes.remove(place);
                }
            }
        }
    }

    fn give_up(&mut self) {
        if let Some(place) = self.choose() {
            let push = self.pushes.remove(place);
            self.say(format!("leave {}", push.id));
        }
    }

    async fn pin(&mut self) {
        let (name, path) = (format!("pin{}", self.dice.roll(3)), self.dice.roll(PATHS));
        self.say(format!("pin {name} {path}"));
        let body = json!({ "path": self.paths[path].name });
        let url = format!("{}/api/v1/pins/{name}", self.url);
        let put = self.client.put(url).bearer_auth(&self.token).json(&body);
        match put.send().await.map(|answer| answer.status().as_u16()) {
            Ok(200..=299) => {
                *self.done.entry("pins").or_default() += 1;
                self.pins.insert(name, Some(path));
            }
            // The cache does not have it.
            Ok(422) => {}
            _ => {
                self.pins.insert(name, None);
            }
        }
    }

    async fn unpin(&mut self) {
        let name = format!("pin{}", self.dice.roll(3));
        self.say(format!("unpin {name}"));
        match self
            .request(Method::DELETE, &format!("/pins/{name}"), &Value::Null)
            .await
        {
            Answer::Done(_) | Answer::Over => {
                self.pins.remove(&name);
            }
            Answer::Unclear(_) => {
                self.pins.insert(name, None);
            }
        }
    }

    /// Starts a task, and waits for its end; what it says then.
    async fn task(&self, kind: &str, body: Value) -> Value {
        for _ in 0..ATTEMPTS {
            let mut task = match self.post(&format!("/{kind}"), body.clone()).await {
                Answer::Done(task) => task,
                _ => {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    continue;
                }
            };
            while task["state"] == "running" {
                tokio::time::sleep(Duration::from_millis(10)).await;
                let path = format!("/{kind}/{}", task["id"].as_str().unwrap());
                if let Answer::Done(now) = self.request(Method::GET, &path, &Value::Null).await {
                    task = now;
                }
            }
            if task["state"] == "done" {
                return task;
            }
        }
        panic!("no end of {kind}\n{}", self.steps.join("\n"));
    }

    async fn gc(&mut self) -> Value {
        let ages = json!({
            "older_than_seconds": 0, "failed_uploads_older_than_seconds": 0, "force": true,
            "accept_clock": true,
        });
        let done = self.task("gc", ages).await;
        let counts = &done["counts"];
        *self.done.entry("collections").or_default() += 1;
        *self.done.entry("objects deleted").or_default() +=
            counts["objects_deleted_after_grace_period"].as_u64().unwrap();
        done
    }

    async fn collect(&mut self) {
        self.say("collect".into());
        let done = self.gc().await;
        if done["counts"]["objects_failed_to_delete"] == 0 && self.pushes.is_empty() && self.dice.roll(2) == 0
        {
            self.nothing_else().await;
        }
    }

    /// A collection that leaves what is not needed for hours, and ends pushes.
    async fn collect_with_grace(&mut self) {
        self.say("collect with grace".into());
        *self.done.entry("collections with grace").or_default() += 1;
        let ages = json!({
            "older_than_seconds": 0, "failed_uploads_older_than_seconds": 6 * 3600, "force": false,
            "accept_clock": true,
        });
        self.task("gc", ages).await;
    }

    /// A collection that waits in the middle while other things happen. The embedded store has no
    /// requests that could wait: there the steps race with it.
    async fn collect_meanwhile(&mut self) {
        self.say("collect, and meanwhile".into());
        self.site.s3.fail("", "?delete", Fault::Hold, 1);
        let ages = json!({
            "older_than_seconds": 0, "failed_uploads_older_than_seconds": 0, "force": true,
            "accept_clock": true,
        });
        let _ = self.post("/gc", ages).await;
        for _ in 0..3 {
            match self.dice.roll(4) {
                0 => self.open().await,
                1 => self.upload().await,
                2 => self.pin().await,
                _ => self.give_up(),
            }
        }
        self.site.s3.heal();
        self.site.s3.release();
        let _ = self.gc().await;
        self.say("collected".into());
    }

    fn die(&mut self) {
        *self.done.entry("deaths").or_default() += 1;
        let other = self.other.as_mut().filter(|_| self.dice.roll(2) == 0);
        let (server, name) = match other {
            Some((other, _)) => (other, "the other server dies"),
            None => (&mut self.site.server, "the server dies"),
        };
        server.kill();
        server.resume();
        self.say(name.into());
    }

    fn fault(&mut self) {
        let (method, status) =
            [("PUT", 503), ("POST", 500), ("GET", 503), ("DELETE", 429)][self.dice.roll(4)];
        self.say(format!("the object store answers {status} to {method}"));
        // Through the same proxy the API is reached where the store is embedded; its clients see the same.
        self.site.s3.fail(method, "nar", Fault::Status(status), 2);
    }

    /// Waits until every lease has run out, while the servers go on or while they are stopped.
    async fn expire(&mut self, stopped: bool) {
        self.say(format!("every lease runs out, stopped: {stopped}"));
        let servers = || {
            self.other
                .iter()
                .map(|(other, _)| other)
                .chain([&self.site.server])
        };
        if stopped {
            *self.done.entry("stopped servers").or_default() += 1;
            servers().for_each(|server| server.signal("STOP"));
        }
        tokio::time::sleep(Duration::from_secs(4)).await;
        if stopped {
            servers().for_each(|server| server.signal("CONT"));
        }
        let _ = self.gc().await;
        for push in std::mem::take(&mut self.pushes) {
            let answer = self.post(&format!("/pushes/{}/commit", push.id), json!({})).await;
            let committed = matches!(answer, Answer::Done(_));
            assert!(push.tried || !committed, "{}", self.steps.join("\n"));
        }
    }

    /// Ten minutes, and after some steps forward again. What gets a lease meanwhile has lost it then.
    async fn clock_goes_back(&mut self) {
        self.say("the clock goes back by ten minutes".into());
        *self.done.entry("steps of the clock").or_default() += 1;
        self.clock.step(-600);
        for _ in 0..3 {
            match self.dice.roll(4) {
                0 => self.open().await,
                1 => self.upload().await,
                2 => self.commit(false).await,
                _ => self.pin().await,
            }
        }
        self.clock.step(0);
        self.say("the clock is right again".into());
    }

    async fn lie(&mut self) {
        let lie = self.dice.pick(&LIES);
        let victim = self.paths[self.dice.roll(PATHS)].name.clone();
        let liar = Liar {
            client: &self.client,
            url: self.url.clone(),
            token: &self.token,
            store_dir: self.site.store.dir().display().to_string(),
        };
        let outcome = liar.lie(&mut self.dice, lie, &victim).await;
        self.say(format!("lie {lie:?} with {victim}: {outcome:?}"));
        *self.done.entry("lies").or_default() += u64::from(outcome.is_clear(lie));
    }

    /// POST as the attacker; status and answer, or nothing when there was none.
    async fn post_as_attacker(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        let token = self.issuer.token(AUDIENCE, &json!({ "sub": "pr" }));
        loop {
            let url = format!("{}/api/v1{path}", self.url);
            let request = self.client.post(url).bearer_auth(&token).json(body);
            let answer = request.send().await.ok()?;
            let status = answer.status();
            if status != StatusCode::ACCEPTED {
                let text = answer.text().await.ok()?;
                return Some((status.as_u16(), serde_json::from_str(&text).unwrap_or_default()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Somebody whose key is of a lower rank pushes a path of the model with other contents, from the beginning to the end.
    async fn attack(&mut self, path: usize, attack: Attack) {
        *self.done.entry("attacks").or_default() += 1;
        let outcome = self.attacked(path, attack).await;
        self.say(format!("attack {path} with {attack:?}: {outcome:?}"));
        let Some((status, answer)) = outcome else { return };
        assert!(
            matches!(status, 200..=299 | 404 | 409 | 422 | 429 | 503),
            "{status} {answer}\n{}",
            self.steps.join("\n")
        );
        if (200..=299).contains(&status) {
            *self.done.entry("attacks committed").or_default() += 1;
            // It has brought what was absent, or was told what is there.
            assert_eq!(answer["replaced"], json!([]), "{}", self.steps.join("\n"));
        }
    }

    async fn attacked(&mut self, path: usize, attack: Attack) -> Option<(u16, Value)> {
        let number = self.dice.roll(1_000_000);
        let (other, _) = nar::of_file(format!("contents of an attacker {number}").as_bytes());
        let claims: Vec<Value> = self
            .closure(path)
            .into_iter()
            .map(|claimed| self.attacking_claim(claimed, (claimed == path).then_some(attack), &other))
            .collect();
        let root = self.paths[path].name.clone();
        let opened = json!({ "store_dir": self.site.store.dir(), "roots": [root] });
        let (status, opened) = self.post_as_attacker("/pushes", &opened).await?;
        let Some(id) = opened["id"].as_str().map(str::to_owned) else {
            return Some((status, opened));
        };
        let (status, claimed) = self
            .post_as_attacker(&format!("/pushes/{id}/paths"), &json!({ "paths": claims }))
            .await?;
        if status != 200 {
            return Some((status, claimed));
        }
        let needed = claimed["needed"].as_array().unwrap();
        for name in needed {
            let place = self.paths.iter().position(|path| *name == path.name)?;
            let nar = match attack {
                Attack::OtherContents | Attack::OtherBytes if place == path => &other,
                _ => &self.paths[place].nar,
            };
            let stored = zstd::encode_all(&nar[..], 3).unwrap();
            let upload = json!({
                "kind": "nar", "path": name, "size": stored.len(), "sha256": FileHash::of(&stored).to_string(),
            });
            let asked = json!({ "uploads": [upload] });
            let (status, asked) = self
                .post_as_attacker(&format!("/pushes/{id}/uploads"), &asked)
                .await?;
            if status != 200 {
                return Some((status, asked));
            }
            if !self.put(&asked["uploads"][0], &stored).await {
                return None;
            }
        }
        let committed = self
            .post_as_attacker(&format!("/pushes/{id}/commit"), &json!({}))
            .await?;
        let is_lie = matches!(attack, Attack::OtherBytes | Attack::OtherSize);
        assert!(
            !(is_lie && needed.contains(&json!(root)) && committed.0 == 200),
            "{attack:?} of {path} was believed\n{}",
            self.steps.join("\n")
        );
        Some(committed)
    }

    /// What the attacker says of a path, which it attacks or only needs.
    fn attacking_claim(&self, path: usize, attack: Option<Attack>, other: &[u8]) -> Value {
        let Path { name, refs, nar, .. } = &self.paths[path];
        let refs: Vec<&String> = refs.iter().map(|other| &self.paths[*other].name).collect();
        let said = match attack {
            Some(Attack::OtherContents | Attack::FalseAddress) => other,
            _ => nar.as_slice(),
        };
        let size = said.len() + if attack == Some(Attack::OtherSize) { 8 } else { 0 };
        let mut claim = json!({
            "path": name, "nar_hash": NarHash::of(said).to_string(), "nar_size": size, "references": refs,
        });
        if attack == Some(Attack::FalseAddress) {
            claim["ca"] = json!(format!("fixed:r:{}", NarHash::of(said)));
        }
        claim
    }

    /// What a push of the higher rank has committed is what it has claimed.
    async fn has_own_contents(&mut self, root: usize, committed: &Value) {
        for path in committed["replaced"].as_array().unwrap() {
            *self.done.entry("replacements").or_default() += 1;
            *self
                .replaced
                .entry(path.as_str().unwrap().to_owned())
                .or_default() += 1;
        }
        let conflicts = committed["conflicts"].as_array().unwrap();
        for conflict in conflicts {
            let path = conflict["path"].as_str().unwrap();
            let count = self.replaced.get(path).copied().unwrap_or_default();
            assert!(count >= MAX_REPLACEMENTS, "{conflict}\n{}", self.steps.join("\n"));
        }
        for path in self.closure(root) {
            let Path { name, refs, nar, .. } = &self.paths[path];
            if conflicts.iter().any(|conflict| conflict["path"] == *name) {
                continue;
            }
            let refs: Vec<&str> = refs
                .iter()
                .map(|other| self.paths[*other].name.as_str())
                .collect();
            let expected = [
                format!("NarHash: {}", NarHash::of(nar)),
                format!("References: {}", refs.join(" ")),
            ];
            let key = format!("{}.narinfo", &name[..32]);
            // A request of a server that has just died may still be on its way.
            comes_about(
                &format!("{name} has its own contents\n{}", self.steps.join("\n")),
                || {
                    let text = self.site.server.get(&key).unwrap_or_default();
                    let text = String::from_utf8(text).unwrap();
                    let has = |line: &String| text.lines().any(|found| found.trim() == line.trim());
                    expected.iter().all(has) && text.contains("\nSig: main-1:")
                },
            )
            .await;
        }
    }

    /// Whatever the dice have done, once what a lower rank has brought is replaced.
    async fn replace_once(&mut self) {
        for name in std::mem::take(&mut self.pins).into_keys() {
            let address = format!("/pins/{name}");
            let _ = self.request(Method::DELETE, &address, &Value::Null).await;
        }
        let _ = self.gc().await;
        // Most refer to it.
        self.attack(0, Attack::OtherContents).await;
        while !self.done.contains_key("replacements") {
            self.push().await;
        }
    }

    /// Nothing is wrong in the bucket.
    fn sound(&self) {
        let flaws = || {
            let report = check_whole_bucket(&self.site.server, &self.site.store.dir());
            report.flaws.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let mut found = flaws();
        if !found.is_empty() {
            // A request of a server that has just died may still be on its way.
            std::thread::sleep(Duration::from_millis(500));
            let again = flaws();
            found.retain(|flaw| again.contains(flaw));
        }
        assert!(found.is_empty(), "{found:#?}\n{}", self.steps.join("\n"));
    }

    fn there(&self, path: usize) -> bool {
        let key = format!("{}.narinfo", &self.paths[path].name[..32]);
        self.site.server.get(&key).is_some()
    }

    /// What has to hold after every step.
    async fn holds(&mut self) {
        self.site.s3.heal();
        for (pin, root) in &self.pins {
            let Some(root) = root else { continue };
            for path in self.closure(*root) {
                assert!(
                    self.there(path),
                    "{pin} keeps {root}, and {path} is gone\n{}",
                    self.steps.join("\n")
                );
            }
        }
        let check = self.task("fsck", json!({})).await;
        let path = format!("/fsck/{}/findings", check["id"].as_str().unwrap());
        let Answer::Done(found) = self.request(Method::GET, &path, &Value::Null).await else {
            panic!("no findings");
        };
        let findings = found["findings"].as_array().unwrap();
        let bad: Vec<&Value> = findings
            .iter()
            .filter(|finding| finding["left_to_gc"] == false)
            .collect();
        assert!(bad.is_empty(), "{bad:?}\n{}", self.steps.join("\n"));
        self.sound();
    }

    /// After a collection with no push of ours under way.
    async fn nothing_else(&mut self) {
        *self.done.entry("clean ends").or_default() += 1;
        // Those that were left still have their lease.
        tokio::time::sleep(Duration::from_secs(4)).await;
        let _ = self.gc().await;
        if self.pins.values().any(Option::is_none) {
            return;
        }
        let kept: BTreeSet<usize> = self
            .pins
            .values()
            .flatten()
            .flat_map(|root| self.closure(*root))
            .collect();
        for path in 0..PATHS {
            assert_eq!(
                self.there(path),
                kept.contains(&path),
                "{path} of {:?}\n{}",
                self.pins,
                self.steps.join("\n")
            );
        }
        let check = self.task("fsck", json!({})).await;
        assert_eq!(check["found"], json!([]), "{}", self.steps.join("\n"));
    }
}

async fn whatever_happens_in_whatever_order_nothing_needed_is_lost(backend: Backend) {
    let seed = setting("NIKS3_MODEL_SEED", 1);
    let mut model = Model::new(backend, seed).await;
    model.say(format!("seed {seed}"));
    let steps = setting("NIKS3_MODEL_STEPS", 200);
    for step in 0..steps {
        if step.is_multiple_of(20) {
            eprintln!("step {step} of {steps}");
        }
        model.step().await;
        model.holds().await;
    }
    // The dice may have left out what is rare.
    if !model.done.contains_key("stopped servers") {
        model.expire(true).await;
        model.holds().await;
    }
    if !model.done.contains_key("collections with grace") {
        model.collect_with_grace().await;
        model.holds().await;
    }
    if !model.done.contains_key("deaths") {
        model.die();
        model.holds().await;
    }
    model.pushes.clear();
    model.nothing_else().await;
    if !model.done.contains_key("replacements") {
        model.replace_once().await;
        model.holds().await;
    }
    assert!(!model.site.server.log().contains("panicked"));
    eprintln!("{:?}", model.done);
    for what in [
        "commits",
        "pins",
        "collections",
        "collections with grace",
        "objects deleted",
        "deaths",
        "stopped servers",
        "steps of the clock",
        "lies",
        "attacks committed",
        "replacements",
        "clean ends",
    ] {
        assert!(model.done.contains_key(what), "no {what} in {:?}", model.done);
    }
}
