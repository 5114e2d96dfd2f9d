//! Nix stores of their own, for any user, apart from the machine's.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::run;

/// What [`Store::build`] makes two paths of: an app, and the words that it prints.
pub const APP: &str = "let words = build \"words\" \"mkdir $out; echo hello > $out/words\"; in \
    build \"app\" ''mkdir -p $out/bin; printf '#!/bin/sh\\ncat ${words}/words\\n' > $out/bin/app''";

/// A Nix store under a folder of its own.
#[derive(Debug)]
pub struct Store {
    directory: TempDir,
    /// Folder with the programs of the Nix version to use; empty for the one on PATH.
    programs: Option<PathBuf>,
}

impl Default for Store {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Store {
    /// An empty store, for the Nix whose programs are in a folder.
    #[must_use]
    pub fn new(programs: Option<PathBuf>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for folder in ["etc", "home"] {
            std::fs::create_dir(directory.path().join(folder)).unwrap();
        }
        let config = "build-users-group =\nsandbox = false\nsubstituters =\nrequire-sigs = true\n\
                      experimental-features = nix-command flakes ca-derivations\n";
        std::fs::write(directory.path().join("etc/nix.conf"), config).unwrap();
        let store = Self { directory, programs };
        // Two programs of Nix that make its folders at the same time fail: one finds the other's.
        store.nix("nix-store", &["--init"]);
        store
    }

    /// Its store directory.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.path("store")
    }

    /// Something beside the store.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes a command see this store and nothing of the user's.
    pub fn prepare(&self, command: &mut Command) {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = match &self.programs {
            Some(folder) => format!("{}:{path}", folder.display()),
            None => path,
        };
        command
            .env("PATH", path)
            .env("NIX_REMOTE", "")
            .env_remove("NIX_CONFIG")
            .env_remove("NIX_PATH");
        for (name, folder) in [
            ("NIX_STORE_DIR", "store"),
            ("NIX_STATE_DIR", "state"),
            ("NIX_LOG_DIR", "log"),
            ("NIX_LOCALSTATE_DIR", "state"),
            ("NIX_CONF_DIR", "etc"),
            ("HOME", "home"),
            ("XDG_CACHE_HOME", "home/cache"),
            ("XDG_CONFIG_HOME", "home/config"),
            ("XDG_DATA_HOME", "home/data"),
            ("XDG_STATE_HOME", "home/state"),
        ] {
            command.env(name, self.path(folder));
        }
    }

    /// Runs a program of Nix; its standard output.
    #[track_caller]
    pub fn nix(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(match &self.programs {
            Some(folder) => folder.join(program),
            None => program.into(),
        });
        self.prepare(command.args(arguments));
        let output = run(&mut command);
        assert!(
            output.code == 0,
            "{program} {arguments:?}\n{}\n{}",
            output.stdout,
            output.stderr
        );
        output.stdout
    }

    /// Builds an expression, in which `build NAME SCRIPT` makes a derivation of a shell
    /// script; the paths it makes.
    #[track_caller]
    pub fn build(&self, expression: &str) -> Vec<String> {
        let expression = self::expression(expression);
        let printed = self.nix("nix-build", &["--no-out-link", "-E", &expression]);
        printed.lines().map(str::to_owned).collect()
    }

    /// The closure of a path.
    #[must_use]
    pub fn closure(&self, path: &str) -> Vec<String> {
        self.closure_of(&[path])
    }

    fn closure_of(&self, paths: &[&str]) -> Vec<String> {
        let arguments: Vec<&str> = ["-qR"].iter().chain(paths).copied().collect();
        self.nix("nix-store", &arguments)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Copies a path's closure out of a cache into an empty store, with signatures
    /// required, and compares each path byte for byte.
    #[track_caller]
    pub fn substitutes(&self, cache: &str, key: &str, path: &str) {
        self.substitutes_all(cache, key, &[path]);
    }

    /// The same with the closures of several paths.
    #[track_caller]
    pub fn substitutes_all(&self, cache: &str, key: &str, paths: &[&str]) {
        let root = tempfile::tempdir_in(self.directory.path()).unwrap();
        let to = root.path().display().to_string();
        let options = [
            "copy",
            "--from",
            cache,
            "--to",
            &to,
            "--option",
            "trusted-public-keys",
            key,
            // What the cache says now counts, not what it said before.
            "--option",
            "narinfo-cache-positive-ttl",
            "0",
            "--option",
            "narinfo-cache-negative-ttl",
            "0",
        ];
        let arguments: Vec<&str> = options.iter().chain(paths).copied().collect();
        self.nix("nix", &arguments);
        let closure = self.closure_of(paths);
        let there = std::fs::read_dir(root.path().join("nix/store")).unwrap();
        let there: std::collections::BTreeSet<_> = there.map(|entry| entry.unwrap().file_name()).collect();
        for path in &closure {
            assert!(there.contains(Path::new(path).file_name().unwrap()), "{path}");
        }
        // Nix has checked every hash already; of thousands, some are enough.
        for path in closure.iter().step_by(closure.len() / 50 + 1) {
            let copied = root
                .path()
                .join("nix/store")
                .join(Path::new(path).file_name().unwrap());
            let dump = |path: &Path| {
                let mut command = Command::new("nix-store");
                self.prepare(command.arg("--dump").arg(path));
                let output = command.output().unwrap();
                assert!(
                    output.status.success(),
                    "{}",
                    String::from_utf8_lossy(&output.stderr)
                );
                output.stdout
            };
            assert!(
                dump(Path::new(path)) == dump(&copied),
                "{path} came back as something else"
            );
        }
        // Store paths are read-only, which keeps their folder from being removed.
        let _ = run(Command::new("chmod").args(["-R", "u+w"]).arg(root.path()));
    }
}

/// An expression in which `build` and `ca` make derivations of shell scripts.
pub(crate) fn expression(expression: &str) -> String {
    format!(
        "let build = name: script: derivation {{ inherit name; system = builtins.currentSystem; \
             builder = \"/bin/sh\"; PATH = \"/usr/bin:/bin\"; args = [ \"-ec\" script ]; }}; \
             ca = name: script: derivation {{ inherit name; system = builtins.currentSystem; \
             builder = \"/bin/sh\"; PATH = \"/usr/bin:/bin\"; args = [ \"-ec\" script ]; \
             __contentAddressed = true; outputHashMode = \"recursive\"; outputHashAlgo = \"sha256\"; }}; in {expression}"
    )
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = run(Command::new("chmod")
            .args(["-R", "u+w"])
            .arg(self.directory.path()));
    }
}
