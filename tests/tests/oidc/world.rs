//! A server with a rule file, and the issuers that it names.

use std::path::{Path, PathBuf};

use niks3_test_support::{Backend, Issuer, Server, ServerOptions, Store};
use niks3_tests::api::{Api, UNVERIFIED};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Whom tokens are for.
pub const AUDIENCE: &str = "https://cache.example.com";

/// Algorithms that tokens may have.
pub const ALGORITHMS: [&str; 7] = ["RS256", "RS384", "RS512", "ES256", "ES384", "PS256", "EdDSA"];

/// A server, its issuer, and where its rules are.
pub struct World {
    pub api: Api,
    pub issuer: Issuer,
    pub folder: TempDir,
}

/// Writes a rule file.
pub fn rule_file(folder: &TempDir, providers: &Value) -> PathBuf {
    let path = folder.path().join("oidc.json");
    std::fs::write(
        &path,
        json!({ "allow_insecure": true, "providers": providers }).to_string(),
    )
    .unwrap();
    path
}

impl World {
    /// A server for one issuer, whose rules are those, and more arguments.
    pub fn new(backend: Backend, store: Option<&Store>, rules: &Value, arguments: &[String]) -> Self {
        let issuer = Issuer::start(&["RS256"]);
        let folder = tempfile::tempdir().unwrap();
        let provider =
            json!({ "issuer": issuer.url(), "audience": AUDIENCE, "key_refetch_seconds": 1, "rules": rules });
        let path = rule_file(&folder, &json!({ "ci": provider }));
        // Tables of wrong tokens come from one address.
        let mut all = vec!["--auth-failure-limit=0".to_owned(), "--oidc-config".to_owned()];
        all.push(path.display().to_string());
        // Without a store, contents are made up.
        let verifies = arguments
            .iter()
            .any(|argument| argument.starts_with("--verify-uploads"));
        all.extend((store.is_none() && !verifies).then(|| UNVERIFIED.to_owned()));
        all.extend_from_slice(arguments);
        let server = Server::with(
            backend,
            ServerOptions {
                store_dir: store.map(Store::dir),
                arguments: all,
                ..ServerOptions::default()
            },
        );
        Self {
            api: Api::of(server),
            issuer,
            folder,
        }
    }

    /// Starts the server again with other signing keys out of a folder, in their order, and other rules and verification.
    pub fn restart_with(&mut self, verify: &str, folder: &Path, keys: &[&str], rules: &Value) {
        self.api.server.kill();
        let file = self.folder.path().join("oidc.json");
        let mut config: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        config["providers"]["ci"]["rules"] = rules.clone();
        std::fs::write(&file, config.to_string()).unwrap();
        self.api.server.reconfigure(|command| {
            let mut kept = Vec::new();
            let mut arguments = std::mem::take(command).into_iter();
            while let Some(argument) = arguments.next() {
                if argument == "--sign-key-path" {
                    arguments.next();
                } else if !argument.starts_with("--verify-uploads") {
                    kept.push(argument);
                }
            }
            for key in keys {
                kept.extend([
                    "--sign-key-path".to_owned(),
                    folder.join(key).display().to_string(),
                ]);
            }
            kept.push(format!("--verify-uploads={verify}"));
            *command = kept;
        });
        self.api.server.resume();
    }

    /// A token of the issuer with these claims.
    pub fn token(&self, claims: &Value) -> String {
        self.issuer.token(AUDIENCE, claims)
    }

    /// A file with a token, for the command line.
    pub fn token_file(&self, token: &str) -> PathBuf {
        let path = self.folder.path().join("token");
        std::fs::write(&path, token).unwrap();
        path
    }
}
