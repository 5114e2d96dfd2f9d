//! Jobs with all they need.

use std::path::{Path, PathBuf};

use niks3_test_support::{
    Backend, FaultProxy, GithubIssuer, Job, Server, ServerOptions, Step, Store, TokenEndpoint, Use,
    free_port, garage_bucket,
};
use serde_json::json;
use tempfile::TempDir;

/// What tokens of jobs have to be for; only the server says so.
const AUDIENCE: &str = "https://cache.example.com";

/// A job with a store, an issuer of its tokens, and a server that takes these.
pub(super) struct Bench {
    pub(super) store: Store,
    pub(super) issuer: GithubIssuer,
    pub(super) server: Server,
    pub(super) job: Job,
    /// Gives out the issuer's tokens for jobs of the branch main.
    pub(super) tokens: TokenEndpoint,
    _config: TempDir,
}

impl Bench {
    pub(super) fn new(backend: Backend) -> Self {
        Self::of(backend, Store::default())
    }

    pub(super) fn of(backend: Backend, store: Store) -> Self {
        Self::with(backend, store, ServerOptions::default())
    }

    /// Jobs of the owner's branch main may push and collect garbage.
    pub(super) fn with(backend: Backend, store: Store, mut options: ServerOptions) -> Self {
        let issuer = GithubIssuer::start();
        let rules = json!([
            { "bound_claims": { "repository_owner_id": ["2"], "ref": ["refs/heads/main"] }, "scopes": ["push", "gc"],
              "pins": ["release*"] },
            { "bound_claims": { "repository_owner_id": ["2"] }, "scopes": ["read"] },
        ]);
        let config = tempfile::tempdir().unwrap();
        let file = config.path().join("oidc.json");
        std::fs::write(&file, issuer.config(AUDIENCE, &rules)).unwrap();
        options.store_dir = Some(store.dir());
        options
            .arguments
            .extend(["--oidc-config".to_owned(), file.display().to_string()]);
        let server = Server::with(backend, options);
        let job = Job::new(&store);
        let signer = issuer.clone();
        let tokens = TokenEndpoint::start(move |audience| Ok(signer.sign(&signer.claims(audience))));
        Self {
            store,
            issuer,
            server,
            job,
            tokens,
            _config: config,
        }
    }

    /// With a token for the job.
    pub(super) fn with_token(backend: Backend) -> Self {
        let mut bench = Self::new(backend);
        bench.tokens.serve(&mut bench.job);
        bench
    }

    pub(super) fn action(&self, inputs: &[(&str, &str)]) -> Use {
        Use::new(&[
            ("server-url", self.server.url().as_str()),
            ("drain-timeout", "120"),
        ])
        .with_all(inputs)
    }

    /// Something that was built elsewhere, in a cache that the job substitutes from: the options for that.
    pub(super) fn upstream(&self, expression: &str) -> (String, [String; 6]) {
        let path = self.store.build(expression).remove(0);
        let cache = format!("file://{}", self.store.path("upstream").display());
        self.store.nix("nix", &["copy", "--to", &cache, &path]);
        self.store.nix("nix-store", &["--delete", &path]);
        let options = [
            "--option",
            "substituters",
            &cache,
            "--option",
            "require-sigs",
            "false",
        ];
        (path, options.map(str::to_owned))
    }

    pub(super) fn cached(&self, path: &str) -> bool {
        let hash = &Path::new(path).file_name().unwrap().to_str().unwrap()[..32];
        self.server.get(&format!("{hash}.narinfo")).is_some()
    }
}

pub(super) fn has(step: &Step, text: &str) {
    assert!(step.log.contains(text), "no {text:?} in {}", step.log);
}

/// A job whose uploads go through a proxy.
pub(super) async fn with_proxied_uploads(backend: Backend) -> (Bench, FaultProxy) {
    if backend == Backend::Embedded {
        return proxied().await;
    }
    let bucket = garage_bucket();
    let proxy = FaultProxy::before(&bucket.endpoint).await;
    let options = ServerOptions {
        s3_endpoint: Some(proxy.url()),
        bucket: Some(bucket),
        ..ServerOptions::default()
    };
    let mut bench = Bench::with(backend, Store::default(), options);
    bench.tokens.serve(&mut bench.job);
    (bench, proxy)
}

/// A job whose server is behind a proxy.
pub(super) async fn proxied() -> (Bench, FaultProxy) {
    let port = free_port();
    let proxy = FaultProxy::before(&format!("http://127.0.0.1:{port}")).await;
    let options = ServerOptions {
        port: Some(port),
        server_url: Some(proxy.url()),
        ..ServerOptions::default()
    };
    let mut bench = Bench::with(Backend::Embedded, Store::default(), options);
    bench.tokens.serve(&mut bench.job);
    (bench, proxy)
}

/// The action's files in a folder of their own, with checksums of a release.
pub(super) fn released(folder: &Path, checksum: &str) -> PathBuf {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../action/shim.js");
    std::fs::copy(ours, folder.join("shim.js")).unwrap();
    let system = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    let checksums = serde_json::json!({ "latest": "v1.0.0", "v1.0.0": { (system): checksum } });
    std::fs::write(folder.join("checksums.json"), checksums.to_string()).unwrap();
    folder.join("shim.js")
}
