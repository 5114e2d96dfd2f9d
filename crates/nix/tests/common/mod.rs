//! Runs the real `nix` on a store of its own.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{
    ffi::OsStr,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use niks3_nix::store_path::{StoreDir, StorePath};
use tempfile::TempDir;

/// A Nix store in a temporary folder.
pub struct Nix {
    dir: TempDir,
    /// Where the programs of the version are.
    programs: PathBuf,
}

impl Nix {
    /// An empty store for each version of Nix that `scripts/setup` installs.
    pub fn all() -> impl Iterator<Item = Self> {
        let all = std::env::var("NIKS3_TEST_NIX_ALL")
            .expect("NIKS3_TEST_NIX_ALL: eval \"$(scripts/setup --print-env)\"");
        let all: Vec<PathBuf> = all.split(':').map(PathBuf::from).collect();
        all.into_iter().map(|programs| Self {
            dir: tempfile::tempdir().unwrap(),
            programs,
        })
    }

    /// A command of this version on this store.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .env(
                "NIX_CONFIG",
                "build-users-group =\nsandbox = false\nsubstituters =\n\
                 experimental-features = nix-command flakes ca-derivations\n",
            )
            .env("HOME", self.dir())
            .env("NIX_STORE_DIR", self.dir().join("store"))
            .env("NIX_STATE_DIR", self.dir().join("state"))
            .env("NIX_LOG_DIR", self.dir().join("log"))
            .env("NIX_CONF_DIR", self.dir().join("etc"))
            .env_remove("NIX_REMOTE");
        command
    }

    /// Major and minor number of the version.
    pub fn number(&self) -> (u32, u32) {
        let printed = self.text("nix", ["--version"]);
        let version = printed.split_whitespace().next_back().unwrap();
        let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
        (numbers.next().unwrap(), numbers.next().unwrap())
    }

    /// The argument that means the outputs of a derivation: before 2.13, its name does.
    pub fn outputs_of(&self, derivation: &str) -> String {
        if self.number() < (2, 13) {
            derivation.to_owned()
        } else {
            format!("{derivation}^*")
        }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn store_dir(&self) -> StoreDir {
        self.dir().join("store").to_str().unwrap().parse().unwrap()
    }

    /// Standard output of a command of Nix. Fails the test if Nix is missing or fails.
    pub fn run<A: AsRef<OsStr>>(&self, program: &str, args: impl IntoIterator<Item = A>) -> Vec<u8> {
        self.run_with_input(program, args, b"")
    }

    pub fn run_with_input<A: AsRef<OsStr>>(
        &self,
        program: &str,
        args: impl IntoIterator<Item = A>,
        input: &[u8],
    ) -> Vec<u8> {
        let mut child = self
            .command(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("these tests compare with real Nix, and need '{program}': {error}")
            });
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let programs = self.programs.display();
        assert!(
            output.status.success(),
            "'{program}' of {programs} failed: {errors}"
        );
        output.stdout
    }

    pub fn text<A: AsRef<OsStr>>(&self, program: &str, args: impl IntoIterator<Item = A>) -> String {
        String::from_utf8(self.run(program, args))
            .unwrap()
            .trim_end()
            .to_owned()
    }

    /// Adds a tree to the store.
    pub fn add(&self, tree: &Path) -> StorePath {
        let path = self.text("nix-store", [OsStr::new("--add"), tree.as_os_str()]);
        self.store_dir().parse(&path).unwrap()
    }

    /// Copies store paths to a binary cache in a folder, with listings, and returns the folder.
    pub fn copy_to_cache(&self, paths: &[&str], parameters: &str) -> PathBuf {
        let cache = self.dir().join("cache");
        let to = format!("file://{}?write-nar-listing=1{parameters}", cache.display());
        let args = ["copy", "--to", &to].into_iter().chain(paths.iter().copied());
        self.run("nix", args);
        cache
    }
}

/// A fresh secret key as Nix makes it.
pub fn nix_secret_key(nix: &Nix, name: &str) -> String {
    nix.text("nix", ["key", "generate-secret", "--key-name", name])
}

/// `name` with bytes that need not be UTF-8, in `dir`.
pub fn odd(dir: &Path, name: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    dir.join(OsStr::from_bytes(name))
}

/// Writes a file, executable or not.
pub fn write(path: &Path, contents: &[u8], executable: bool) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, contents).unwrap();
    let mode = if executable { 0o755 } else { 0o644 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A tree with everything that a NAR can hold and most of what goes wrong with names.
pub fn odd_tree(root: &Path) {
    use std::os::unix::{ffi::OsStrExt as _, fs::symlink};
    std::fs::create_dir(root).unwrap();
    for folder in ["empty folder", "a", "a.d", "a-d", "b/c/d/e"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    for name in [
        "a/x", "a.d/x", "a-d/x", "a.b", "a-b", "ab", "A", "a b", "aé", "日本", ".hidden", "-dash", "...",
    ] {
        write(&root.join(name), name.as_bytes(), false);
    }
    for name in [
        &b"bad\xff\xfe"[..],
        b"ctl\x01\x1f\x7f\t\n\r",
        b"quote\"back\\slash/",
    ] {
        write(&odd(root, name.strip_suffix(b"/").unwrap_or(name)), b"odd", false);
    }
    write(&root.join("z".repeat(255)), b"long name", true);
    write(&root.join("empty"), b"", false);
    write(&root.join("empty executable"), b"", true);
    write(&root.join("run"), b"#!/bin/sh\n", true);
    for size in [1, 7, 8, 9, 4096, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20] {
        let contents: Vec<u8> = (0..size).map(|i| (i * 7 % 251) as u8).collect();
        write(&root.join(format!("size {size}")), &contents, size % 2 == 1);
    }
    symlink("a/x", root.join("link")).unwrap();
    symlink("/nowhere/at/all", root.join("dangling")).unwrap();
    symlink("..", root.join("b/up")).unwrap();
    symlink(OsStr::from_bytes(b"bad\xfftarget\""), root.join("odd link")).unwrap();
}

/// Builds what a Nix expression says, with `sh` for a shell in scope, and returns the output paths.
pub fn build(nix: &Nix, expression: &str) -> Vec<String> {
    let expression = format!(
        r#"let sh = name: script: more: derivation ({{
             inherit name; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" script ];
           }} // more); in {expression}"#
    );
    let built = nix.text("nix-build", ["--no-out-link", "--expr", &expression]);
    built.lines().map(str::to_owned).collect()
}

/// Two input-addressed paths, the second of which refers to the first and to itself.
pub fn build_pair(nix: &Nix) -> (String, String) {
    let second = build(
        nix,
        r#"let first = sh "first" "echo first > $out" {};
           in sh "second" "echo ${first} $out > $out" {}"#,
    );
    let references = nix.text("nix-store", ["--query", "--references", &second[0]]);
    let first = references.lines().find(|path| path.ends_with("-first")).unwrap();
    (first.to_owned(), second[0].clone())
}
