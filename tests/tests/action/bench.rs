//! Jobs with all they need.

use std::path::{Path, PathBuf};

use niks3_test_support::{Backend, FaultProxy, Job, Server, ServerOptions, Step, Store, TokenEndpoint, Use};

/// A job with a store and a server.
pub(super) struct Bench {
    pub(super) store: Store,
    pub(super) server: Server,
    pub(super) job: Job,
    pub(super) tokens: TokenEndpoint,
}

impl Bench {
    pub(super) fn new(backend: Backend) -> Self {
        Self::of(backend, Store::default())
    }

    pub(super) fn of(backend: Backend, store: Store) -> Self {
        let server = Server::start(backend, &store.dir());
        let job = Job::new(&store);
        let token = server.token();
        let tokens = TokenEndpoint::start(move |_| Ok(token.clone()));
        Self {
            store,
            server,
            job,
            tokens,
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

/// A job whose server is behind a proxy.
pub(super) async fn proxied() -> (Bench, FaultProxy) {
    let store = Store::default();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let proxy = FaultProxy::before(&format!("http://127.0.0.1:{port}")).await;
    let options = ServerOptions {
        store_dir: Some(store.dir()),
        port: Some(port),
        server_url: Some(proxy.url()),
        ..ServerOptions::default()
    };
    let server = Server::with(Backend::Embedded, options);
    let mut job = Job::new(&store);
    let token = server.token();
    let tokens = TokenEndpoint::start(move |_| Ok(token.clone()));
    tokens.serve(&mut job);
    (
        Bench {
            store,
            server,
            job,
            tokens,
        },
        proxy,
    )
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
