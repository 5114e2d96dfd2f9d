//! Binary caches of others: made and signed by Nix, served by a web server.

use std::path::PathBuf;

use crate::http::WebServer;
use crate::store::Store;

/// A binary cache that a push may leave paths to.
#[derive(Debug)]
pub struct Upstream {
    web: WebServer,
    folder: PathBuf,
    key: String,
}

impl Upstream {
    /// Starts one with the closures of some paths, and a key of its own, whose name is given; in a folder of the store's.
    #[must_use]
    #[track_caller]
    pub fn start(store: &Store, name: &str, paths: &[&str]) -> Self {
        let folder = store.path(name);
        let [secret, public] =
            ["secret", "public"].map(|half| store.path(&format!("{name}-{half}")).display().to_string());
        store.nix(
            "nix-store",
            &["--generate-binary-cache-key", name, &secret, &public],
        );
        let url = format!("file://{}?secret-key={secret}&compression=none", folder.display());
        store.nix("nix", &[&["copy", "--to", &url], paths].concat());
        let files = folder.clone();
        let web = WebServer::start(move |path| {
            let path = path.strip_prefix("http://cache.example.com").unwrap_or(path);
            match std::fs::read_to_string(files.join(path.trim_start_matches('/'))) {
                Ok(text) => (200, text),
                Err(_) => (404, String::new()),
            }
        });
        Self {
            web,
            folder,
            key: std::fs::read_to_string(public).unwrap().trim().to_owned(),
        }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        self.web.url()
    }

    /// Its public key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What it is called on a command line: its address and its key.
    #[must_use]
    pub fn argument(&self) -> String {
        format!("{}#{}", self.url(), self.key)
    }

    /// The folder with its files.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// The heads of the requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Vec<String>> {
        self.web.requests()
    }

    /// How many narinfos it was asked for so far.
    #[must_use]
    pub fn narinfos_asked(&self) -> usize {
        let requests = self.requests();
        requests
            .iter()
            .filter(|head| head[0].contains(".narinfo "))
            .count()
    }
}
