//! A server whose runs, pushes and uses are at times that a test chooses: they are written behind its back.

use std::collections::BTreeMap;

use niks3_test_support::{Backend, Output, ServerOptions, run};
use niks3_tests::api::Api;
use serde_json::Value;

pub(super) const HOUR: i64 = 3600;
pub(super) const DAY: i64 = 24 * HOUR;

/// A time by the days before now.
pub(super) fn days_ago(now: i64, days: i64) -> i64 {
    now - days * DAY
}

pub(super) struct World {
    pub(super) api: Api,
    /// Unix time that counts as now.
    pub(super) now: i64,
    names: BTreeMap<String, String>,
    runs: i64,
    folder: tempfile::TempDir,
}

/// A run of CI.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) git_ref: &'a str,
    pub(super) event: &'a str,
    pub(super) number: i64,
    pub(super) attempt: i64,
    pub(super) job: &'a str,
    pub(super) conclusion: &'a str,
    pub(super) pull_request: i64,
    pub(super) at: i64,
}

impl Run<'_> {
    /// A good run of the main branch.
    pub(super) fn main(number: i64, at: i64) -> Self {
        Self {
            git_ref: "refs/heads/main",
            event: "push",
            number,
            attempt: 1,
            job: "build",
            conclusion: "success",
            pull_request: 0,
            at,
        }
    }
}

impl World {
    /// A server with a policy, or with none if the text is empty.
    pub(super) fn new(backend: Backend, policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("retention.json");
        let mut options = ServerOptions::default();
        if !policy.is_empty() {
            std::fs::write(&file, policy).unwrap();
            options.arguments = vec![format!("--retention-config={}", file.display())];
        }
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        Self {
            api: Api::with(backend, options),
            now: i64::try_from(now.as_secs()).unwrap(),
            names: BTreeMap::new(),
            runs: 0,
            folder,
        }
    }

    /// Gives the server another policy, and starts it again.
    pub(super) fn change_policy(&mut self, policy: &str) {
        std::fs::write(self.folder.path().join("retention.json"), policy).unwrap();
        let _ = self.api.server.terminate();
        self.api.server.resume();
    }

    /// A policy in a file of its own.
    pub(super) fn file(&self, name: &str, policy: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, policy).unwrap();
        path.display().to_string()
    }

    pub(super) fn sql(&self, statement: &str) -> Vec<String> {
        self.api.server.sql(statement)
    }

    /// The base name of the path of that name, which is pushed once, a long time ago.
    pub(super) async fn path(&mut self, name: &str) -> String {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let hash = format!("{:0>32}", self.names.len() + 1);
        let base = format!("{hash}-{name}");
        self.api.push(&base, name.as_bytes()).await.ok();
        let _ = self.sql(&format!(
            "UPDATE closures SET created_at = 1000, pushed_at = 1000, direct_at = 0 WHERE path_id = \
             (SELECT id FROM paths WHERE hash = '{hash}')"
        ));
        self.names.insert(name.to_owned(), base.clone());
        base
    }

    /// Writes down a verified run that has reported all that it used; its id in the database.
    pub(super) fn run(&mut self, run: Run<'_>) -> i64 {
        self.runs += 1;
        let Run {
            git_ref,
            event,
            number,
            attempt,
            job,
            conclusion,
            pull_request,
            at,
        } = run;
        let key = self.runs;
        let _ = self.sql(&format!(
            "INSERT INTO runs (token, run_key, identity, verified, claimed, provider, repository, repository_id, owner, owner_id, \
             git_ref, sha, event, workflow, job, job_id, run_id, attempt, actor, url, pull_request, conclusion, created_at, \
             uses_complete, used_at) VALUES ('token{key}', 'key{key}', 'ci', 1, 1, 'github', 'o/r', '7', 'o', '1', '{git_ref}', '', \
             '{event}', 'ci', '{job}', '', '{number}', '{attempt}', '', '', {pull_request}, '{conclusion}', {at}, 1, {at})"
        ));
        let id = self.sql(&format!("SELECT id FROM runs WHERE run_key = 'key{key}'"));
        id[0].parse().unwrap()
    }

    async fn link(&mut self, name: &str, run: i64, at: i64, table: &str, column: &str) {
        let hash = self.path(name).await[..32].to_owned();
        let closure =
            format!("(SELECT c.id FROM closures c JOIN paths p ON p.id = c.path_id WHERE p.hash = '{hash}')");
        let _ = self.sql(&format!(
            "INSERT INTO {table} (closure_id, run_id, {column}) VALUES ({closure}, {run}, {at})"
        ));
        let _ = self.sql(&format!(
            "UPDATE closures SET {column} = CASE WHEN {column} < {at} THEN {at} ELSE {column} END WHERE id = {closure}"
        ));
    }

    pub(super) async fn pushed(&mut self, name: &str, run: i64, at: i64) {
        self.link(name, run, at, "closure_runs", "pushed_at").await;
    }

    pub(super) async fn used(&mut self, name: &str, run: i64, at: i64) {
        self.link(name, run, at, "closure_uses", "used_at").await;
    }

    /// A push without a run.
    pub(super) async fn pushed_by_hand(&mut self, name: &str, at: i64) {
        let hash = self.path(name).await[..32].to_owned();
        let _ = self.sql(&format!(
            "UPDATE closures SET direct_at = {at}, pushed_at = CASE WHEN pushed_at < {at} THEN {at} ELSE pushed_at END \
             WHERE path_id = (SELECT id FROM paths WHERE hash = '{hash}')"
        ));
    }

    /// A list of open pull requests.
    pub(super) fn open_pulls(&self, numbers: &str, at: i64) {
        let _ = self.sql(&format!(
            "INSERT INTO open_pulls (provider, repository, numbers, listed_at) VALUES ('github', '7', '{numbers}', {at})"
        ));
    }

    /// `niks3 gc` with more arguments.
    pub(super) fn gc(&self, arguments: &[&str]) -> Output {
        run(self.api.server.niks3().args(["gc", "--force"]).args(arguments))
    }

    /// Collects; what the JSON says.
    pub(super) fn collect(&self, arguments: &[&str]) -> Value {
        self.gc(&[&["--json"], arguments].concat()).json()
    }

    /// Names of closures for which a condition holds.
    pub(super) fn closures(&self, condition: &str) -> Vec<String> {
        let rows = self.sql(&format!(
            "SELECT p.name FROM closures c JOIN paths p ON p.id = c.path_id WHERE {condition} ORDER BY p.name"
        ));
        let mut names: Vec<String> = rows.iter().map(|name| name[33..].to_owned()).collect();
        names.sort();
        names
    }

    /// Names of those that are not released.
    pub(super) fn kept(&self) -> Vec<String> {
        self.closures("c.released_at = 0")
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.api
            .server
            .get(&format!("{}.narinfo", &self.names[name][..32]))
            .is_some()
    }

    /// Lets a release be so much older.
    pub(super) fn age_releases(&self, seconds: i64) {
        let _ = self.sql(&format!(
            "UPDATE closures SET released_at = released_at - {seconds} WHERE released_at <> 0"
        ));
    }

    /// Names and what becomes of them, as a list of a collection has it.
    pub(super) fn listed(collected: &Value) -> Vec<(String, String)> {
        let closures = collected["closures"].as_array().unwrap().iter();
        let mut listed: Vec<(String, String)> = closures
            .map(|closure| {
                let text = |field: &str| closure[field].as_str().unwrap_or_default().to_owned();
                (text("root")[33..].to_owned(), text("action"))
            })
            .collect();
        listed.sort();
        listed
    }
}

/// A list for comparisons.
pub(super) fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
