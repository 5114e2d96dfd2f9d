//! Pushes that take longer than their tokens live.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use niks3_test_support::{Backend, Fault, FaultProxy, Store, TokenEndpoint, check_bucket, on_both, run};
use serde_json::json;

use super::world::{AUDIENCE, World};

on_both!(
    a_push_of_a_job_outlives_its_tokens,
    a_push_with_a_script_outlives_its_tokens,
);

/// Seconds that the server takes a token for.
const LIFE: i64 = 5;

struct Bench {
    world: World,
    store: Store,
    proxy: FaultProxy,
    endpoint: TokenEndpoint,
    given: Arc<AtomicUsize>,
}

impl Bench {
    async fn new(backend: Backend) -> Self {
        let store = Store::default();
        let rules = json!([{ "bound_subject": "*", "scopes": ["push"] }]);
        let world = World::new(backend, Some(&store), &rules, &[]);
        let issuer = world.issuer.clone();
        let given = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&given);
        let endpoint = TokenEndpoint::start(move |audience| {
            counted.fetch_add(1, Ordering::SeqCst);
            // The server lets clocks differ by a minute.
            let now = issuer.claims(audience, &json!({}))["iat"].as_i64().unwrap();
            let times = json!({ "iat": now - 300, "nbf": now - 300, "exp": now - 60 + LIFE });
            Ok(issuer.token(audience, &times))
        });
        let proxy = FaultProxy::before(&world.api.server.url()).await;
        proxy.without_small_objects();
        // Each of these waits until the token that it came with has ended.
        for part in ["/paths", "/uploads", "/commit"] {
            let wait = Duration::from_secs(LIFE.unsigned_abs() + 2);
            proxy.fail("POST", part, Fault::Delay(wait), 1);
        }
        Self {
            world,
            store,
            proxy,
            endpoint,
            given,
        }
    }

    fn push(&self, set: impl Fn(&mut Command)) {
        let path = self.store.build("build \"app\" \"echo app > $out\"").remove(0);
        let mut command = self.world.api.server.niks3();
        self.store.prepare(command.args(["push", &path]));
        command
            .env("NIKS3_SERVER_URL", self.proxy.url())
            .env_remove("NIKS3_AUTH_TOKEN_FILE");
        set(&mut command);
        let _ = run(&mut command).ok();
        assert_eq!(self.proxy.pending(), 0, "every request was held up");
        assert!(self.given.load(Ordering::SeqCst) >= 4, "{:?}", self.given);
        let refused = self
            .world
            .api
            .server
            .log()
            .matches("it has expired (exp)")
            .count();
        assert!(refused >= 3, "{refused}");
        let server = &self.world.api.server;
        let found = check_bucket(server, &self.store.dir(), &self.store.closure(&path), &[]);
        assert_eq!(found.len(), 1);
    }
}

async fn a_push_of_a_job_outlives_its_tokens(backend: Backend) {
    let bench = Bench::new(backend).await;
    bench.push(|command| {
        command.envs(bench.endpoint.variables());
    });
}

async fn a_push_with_a_script_outlives_its_tokens(backend: Backend) {
    let bench = Bench::new(backend).await;
    // What it prints says nothing of when the token ends.
    let script = bench.store.path("a script");
    let text = "url=$1\n\
                curl -fsS -H \"authorization: bearer $2\" \"$url\" | sed 's/.*\"value\":\"\\([^\"]*\\)\".*/{\"token\": \"\\1\"}/'\n";
    std::fs::write(&script, text).unwrap();
    let [(_, url), (_, token)] = bench.endpoint.variables();
    let words = format!("sh '{}' \"{url}&audience={AUDIENCE}\" {token}", script.display());
    bench.push(|command| {
        command.args(["--auth-token-script", &words]);
    });
}
