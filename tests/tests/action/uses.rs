//! What a job has from the cache: it is reported at the end, and stays as if the job had pushed it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use niks3_test_support::{Backend, Fault, Server, Step, TokenEndpoint, on_both, run};

use super::bench::{Bench, has, proxied};

on_both!(what_a_job_has_from_the_cache_is_kept_as_long_as_jobs_use_it);

const TOOL: &str = "let lib = build \"lib\" \"echo lib > $out\"; in build \"tool\" \"echo ${lib} > $out\"";
/// Nix remembers for an hour that the cache did not have a path.
const ASKS_AGAIN: [&str; 6] = [
    "--option",
    "narinfo-cache-negative-ttl",
    "0",
    "--option",
    "narinfo-cache-positive-ttl",
    "0",
];

/// Lets two hours pass for all that has been pushed and used.
pub(super) fn age(server: &Server) {
    for statement in [
        "UPDATE closures SET pushed_at = pushed_at - 7200, used_at = used_at - 7200",
        "UPDATE closure_uses SET used_at = used_at - 7200",
        "UPDATE runs SET used_at = used_at - 7200",
    ] {
        let _ = server.sql(statement);
    }
}

/// Deletes what was neither pushed nor used for an hour.
pub(super) fn collect(server: &Server) {
    let mut command = server.niks3();
    command.args(["gc", "--older-than=1h", "--force"]);
    let _ = run(&mut command).ok();
}

fn sql(bench: &Bench, statement: &str) -> Vec<String> {
    bench.server.sql(statement)
}

/// Jobs of one workflow, a run each.
struct Jobs {
    bench: Bench,
    run: Arc<AtomicU32>,
    _tokens: TokenEndpoint,
}

impl Jobs {
    fn new(mut bench: Bench) -> Self {
        let run = Arc::new(AtomicU32::new(0));
        let (signer, number) = (bench.issuer.clone(), Arc::clone(&run));
        let tokens = TokenEndpoint::start(move |audience| {
            let mut claims = signer.claims(audience);
            claims["run_id"] = number.load(Ordering::SeqCst).to_string().into();
            Ok(signer.sign(&claims))
        });
        tokens.serve(&mut bench.job);
        bench.job.set("GITHUB_REPOSITORY", "o/r");
        Self {
            bench,
            run,
            _tokens: tokens,
        }
    }

    /// A job that builds the tool; the path and the post step.
    fn run(&mut self, inputs: &[(&str, &str)]) -> (String, Step) {
        let number = self.run.fetch_add(1, Ordering::SeqCst) + 1;
        self.bench.job.set("GITHUB_RUN_ID", &number.to_string());
        let mut action = self.bench.action(inputs);
        self.bench.job.main(&mut action).green();
        let path = self.bench.job.build(TOOL, &ASKS_AGAIN).remove(0);
        let post = self.bench.job.post(&mut action).green();
        self.bench.job.left_nothing();
        (path, post)
    }

    /// As on a fresh runner, which has nothing of the cache.
    fn forget(&self, path: &str) {
        let lib = self.bench.store.closure(path);
        for path in [vec![path.to_owned()], lib].concat() {
            if Path::new(&path).exists() {
                self.bench.store.nix("nix-store", &["--delete", &path]);
            }
        }
    }
}

async fn what_a_job_has_from_the_cache_is_kept_as_long_as_jobs_use_it(backend: Backend) {
    for mode in ["hook", "scan", "paths"] {
        let mut jobs = Jobs::new(Bench::new(backend));
        let other = jobs
            .bench
            .store
            .build("build \"other\" \"echo other > $out\"")
            .remove(0);
        let (path, post) = jobs.run(&[]);
        has(&post, "the job used 0 paths from the cache");
        let inputs: Vec<(&str, &str)> = match mode {
            "paths" => vec![("mode", mode), ("paths", &other)],
            _ => {
                // Built where the job ran before it: the store was not a fresh one.
                jobs.bench.store.nix("nix-store", &["--delete", &other]);
                vec![("mode", mode)]
            }
        };
        for _ in 0..2 {
            jobs.forget(&path);
            age(&jobs.bench.server);
            let (again, post) = jobs.run(&inputs);
            assert_eq!(again, path);
            has(&post, "the job used 1 path from the cache");
            let complete = if mode == "paths" { "0" } else { "1" };
            let run = sql(
                &jobs.bench,
                "SELECT uses_complete FROM runs ORDER BY id DESC LIMIT 1",
            );
            assert_eq!(run, [complete], "{mode} {post:#?}");
            collect(&jobs.bench.server);
            for path in jobs.bench.store.closure(&path) {
                assert!(jobs.bench.cached(&path), "{mode}: {path} is gone");
            }
        }
        // Of the closure, what nothing else of it refers to.
        let used = "SELECT DISTINCT p.name FROM closure_uses u JOIN closures c ON c.id = u.closure_id JOIN paths p ON p.id = c.path_id";
        assert_eq!(sql(&jobs.bench, used), [path.rsplit('/').next().unwrap()]);
        // Nobody uses it any more.
        age(&jobs.bench.server);
        collect(&jobs.bench.server);
        assert!(!jobs.bench.cached(&path), "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_uses_that_fails_is_a_warning_and_the_job_is_not_complete() {
    let (bench, proxy) = proxied().await;
    let mut jobs = Jobs::new(bench);
    let url = proxy.url();
    let through_proxy = [("server-url", url.as_str())];
    let (path, _) = jobs.run(&through_proxy);
    jobs.forget(&path);
    proxy.fail("POST", "/uses", Fault::Status(403), usize::MAX);
    let (_, post) = jobs.run(&through_proxy);
    let warnings = post.annotations("warning");
    assert_eq!(warnings.len(), 1, "{post:#?}");
    assert!(
        warnings[0].contains("is not told what this job used"),
        "{post:#?}"
    );
    let run = sql(
        &jobs.bench,
        "SELECT uses_complete FROM runs ORDER BY id DESC LIMIT 1",
    );
    assert_eq!(run, ["0"]);
}
