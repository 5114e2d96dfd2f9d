//! The local store: where it lies, which store paths the arguments mean, and how `nix` is run.

use std::{
    env,
    path::{Component, Path, PathBuf},
    process::Stdio,
};

use niks3_nix::{
    nar::DumpOptions,
    store_path::{StoreDir, StorePath},
};
use tokio::process::Command;

use crate::{nix_programs::nix_program, nix_settings::NixSettings};

/// Why the local store does not give what was asked.
#[derive(Debug, thiserror::Error)]
pub enum NixError {
    /// Nothing there.
    #[error("'{0}' does not exist")]
    Missing(String),
    /// A symlink that leads nowhere.
    #[error("'{0}' is a symlink to '{1}', which does not exist")]
    Dangling(String, String),
    /// Somewhere else.
    #[error("'{path}' is not in the Nix store ({store_dir})")]
    Outside {
        /// The argument.
        path: String,
        /// Where the store is.
        store_dir: StoreDir,
    },
    /// In the store, but no store path.
    #[error("'{path}' is not a store path: {source}")]
    NotAPath {
        /// The argument.
        path: String,
        /// What is wrong with its name.
        source: niks3_nix::store_path::StorePathError,
    },
    /// The environment names a store directory that cannot be one.
    #[error("NIX_STORE_DIR: {0}")]
    StoreDir(niks3_nix::store_path::StorePathError),
    /// Below another root than that of the store in use.
    #[error("'{path}' is in the store below {root}: give --store {root}, or set NIX_REMOTE={root}", root = root.display())]
    OtherRoot {
        /// The argument.
        path: String,
        /// The root of that store.
        root: PathBuf,
    },
    /// Not on this machine.
    #[error("'{0}' is not a store of this machine: write a folder, local?root=FOLDER, or daemon")]
    OtherStore(String),
    /// No `nix` to run.
    #[error("cannot run `nix`: {0}; is Nix installed and in PATH?")]
    NoNix(std::io::Error),
    /// `nix` failed.
    #[error("`nix {command}` failed: {message}{}", daemon_hint(message))]
    Failed {
        /// The command, without its options.
        command: &'static str,
        /// Its own words.
        message: String,
    },
    /// `nix` printed something unheard of.
    #[error("cannot understand what `nix {command}` printed: {source}")]
    Unintelligible {
        /// The command, without its options.
        command: &'static str,
        /// Where it stops to make sense.
        source: serde_json::Error,
    },
    /// The file system has the path, the Nix database has not.
    #[error("'{0}' is in the store directory, but Nix does not know it as a valid path")]
    Invalid(String),
    /// More than anybody has.
    #[error("`nix {0}` printed more than {1} bytes")]
    TooMuch(&'static str, usize),
}

/// What to look at when the daemon of Nix does not answer.
fn daemon_hint(message: &str) -> &'static str {
    if message.contains("cannot connect to socket") {
        "; is nix-daemon running?"
    } else {
        ""
    }
}

/// The local store.
#[derive(Debug, Clone)]
pub struct LocalStore {
    store_dir: StoreDir,
    /// Where the store directory really is: elsewhere than it says in a store below another root.
    real_dir: PathBuf,
    log_dir: PathBuf,
    /// What an option says instead of the environment.
    named: Option<String>,
    case_hack: bool,
}

impl LocalStore {
    /// The store that `nix` uses in this environment: `NIX_STORE_DIR`, `NIX_STATE_DIR`, `NIX_LOG_DIR`, `NIX_REMOTE`.
    pub fn from_environment() -> Result<Self, NixError> {
        Self::open(None)
    }

    /// The store that an option names, as Nix's own `--store` does, or else that of the environment.
    pub fn open(named: Option<&str>) -> Result<Self, NixError> {
        let environment = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let settings = NixSettings::of(&environment);
        let user_root = user_root(&environment);
        Self::with_environment(environment, named, settings, user_root)
    }

    /// The store whose directory this is.
    #[cfg(test)]
    pub(crate) fn at(store_dir: &Path) -> Self {
        let environment = |name: &str| (name == "NIX_STORE_DIR").then(|| store_dir.display().to_string());
        Self::with_environment(environment, None, NixSettings::default(), None)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    fn with_environment(
        environment: impl Fn(&str) -> Option<String>,
        named: Option<&str>,
        settings: NixSettings,
        user_root: Option<PathBuf>,
    ) -> Result<Self, NixError> {
        let store_dir: StoreDir = match environment("NIX_STORE_DIR").or_else(|| environment("NIX_STORE")) {
            Some(dir) => dir.trim_end_matches('/').parse().map_err(NixError::StoreDir)?,
            None => StoreDir::default(),
        };
        let root = match (named, environment("NIX_REMOTE").or(settings.store)) {
            (Some(store), _) => root_of(store)?,
            // What Nix uses there has its files elsewhere, and those of its paths may be here.
            (None, Some(store)) => root_of(&store).unwrap_or_default(),
            (None, None) => user_root.filter(|_| environment("NIX_STATE_DIR").is_none()),
        };
        let real_dir = match &root {
            Some(root) => root.join(store_dir.as_str().trim_start_matches('/')),
            None => PathBuf::from(store_dir.as_str()),
        };
        let state_dir = match (environment("NIX_STATE_DIR"), &root) {
            (Some(dir), _) => PathBuf::from(dir),
            (None, Some(root)) => root.join("nix/var/nix"),
            // `--prefix` puts the state beside the store directory.
            (None, None) => real_dir.parent().unwrap_or(Path::new("/nix")).join("var/nix"),
        };
        let log_dir = match environment("NIX_LOG_DIR") {
            Some(dir) => PathBuf::from(dir),
            None => state_dir
                .parent()
                .unwrap_or(Path::new("/nix/var"))
                .join("log/nix"),
        };
        Ok(Self {
            store_dir,
            real_dir,
            log_dir,
            named: named.map(ToOwned::to_owned),
            case_hack: settings.case_hack,
        })
    }

    /// How files of the store are packed.
    pub(crate) const fn dump_options(&self) -> DumpOptions {
        DumpOptions {
            case_hack: self.case_hack,
        }
    }

    /// The directory that store paths name.
    #[must_use]
    pub const fn store_dir(&self) -> &StoreDir {
        &self.store_dir
    }

    /// Where build logs lie.
    #[must_use]
    pub fn log_dir(&self) -> &Path {
        &self.log_dir
    }

    /// Where the store directory really is: elsewhere than it says below another root.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.real_dir
    }

    /// Where the files of `path` really are.
    #[must_use]
    pub fn real_path(&self, path: &StorePath) -> PathBuf {
        self.real_dir.join(path.as_str())
    }

    /// The store path that an argument means: itself, what a symlink leads to, or what it lies in.
    ///
    /// Links are followed only until the store is reached: a store path may well be a symlink itself.
    pub fn resolve(&self, argument: &str) -> Result<StorePath, NixError> {
        let mut path = std::path::absolute(argument).map_err(|_| NixError::Missing(argument.to_owned()))?;
        for _ in 0..64 {
            path = normal(&path);
            if let Some(found) = self.inside(argument, &path)? {
                return Ok(found);
            }
            match follow_one(&path) {
                Some(next) => path = next,
                None if path.symlink_metadata().is_ok() => {
                    let path_given = argument.to_owned();
                    return Err(match other_root(&path, &self.store_dir) {
                        Some(root) => NixError::OtherRoot {
                            path: path_given,
                            root,
                        },
                        None => NixError::Outside {
                            path: path_given,
                            store_dir: self.store_dir.clone(),
                        },
                    });
                }
                None if path.to_str() == Some(argument)
                    || Path::new(argument).symlink_metadata().is_err() =>
                {
                    return Err(NixError::Missing(argument.to_owned()));
                }
                None => {
                    return Err(NixError::Dangling(
                        argument.to_owned(),
                        path.display().to_string(),
                    ));
                }
            }
        }
        Err(NixError::Missing(argument.to_owned()))
    }

    /// The store path that `path` is or lies in, if it is in the store at all.
    fn inside(&self, argument: &str, path: &Path) -> Result<Option<StorePath>, NixError> {
        let inner = path
            .strip_prefix(self.store_dir.as_str())
            .or_else(|_| path.strip_prefix(&self.real_dir));
        let mut components = inner.unwrap_or(Path::new("")).components();
        let Some(Component::Normal(name)) = components.next() else {
            return Ok(None);
        };
        let name = name.to_string_lossy();
        let found: StorePath = name.parse().map_err(|source| NixError::NotAPath {
            path: argument.to_owned(),
            source,
        })?;
        if self.real_path(&found).symlink_metadata().is_err() {
            let full = self.store_dir.display(&found);
            return Err(if full == argument {
                NixError::Missing(full)
            } else {
                NixError::Dangling(argument.to_owned(), full)
            });
        }
        if !self.has(&found, components.as_path()) {
            return Err(if Path::new(argument).symlink_metadata().is_ok() {
                NixError::Dangling(argument.to_owned(), path.display().to_string())
            } else {
                NixError::Missing(argument.to_owned())
            });
        }
        Ok(Some(found))
    }

    /// Whether a store path has something under a name; a link counts, wherever it leads.
    fn has(&self, path: &StorePath, name: &Path) -> bool {
        let mut at = self.real_path(path);
        for component in name {
            // What lies behind a link may be in a store that is elsewhere than it says.
            let is_link = at.symlink_metadata().is_ok_and(|found| found.is_symlink());
            if is_link && self.real_dir != Path::new(self.store_dir.as_str()) {
                return true;
            }
            at.push(component);
            if let Err(error) = at.symlink_metadata() {
                return !matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                );
            }
        }
        true
    }

    /// Runs `nix COMMAND ARGUMENTS…` and gives back what it printed.
    pub(crate) async fn run(
        &self,
        command: &'static str,
        features: &str,
        arguments: &[String],
        limit: usize,
    ) -> Result<Vec<u8>, NixError> {
        let mut nix = Command::new(nix_program("nix"));
        nix.args(["--extra-experimental-features", features])
            // What is not here is an error, not something to fetch.
            .args(["--option", "substitute", "false"])
            .args(command.split(' '));
        if let Some(store) = &self.named {
            nix.args(["--store", store]);
        }
        nix.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        tracing::debug!("running nix {command} with {} arguments", arguments.len());
        let output = nix.output().await.map_err(NixError::NoNix)?;
        if output.stdout.len() > limit {
            return Err(NixError::TooMuch(command, limit));
        }
        if !output.status.success() {
            return Err(NixError::Failed {
                command,
                message: last_error(&output.stderr),
            });
        }
        Ok(output.stdout)
    }
}

/// The line that says most: the last one that begins with `error:`, else the last one.
fn last_error(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines()
        .rfind(|line| line.starts_with("error:") && line.len() > 6)
        .or_else(|| lines().next_back());
    line.map_or_else(
        || "it said nothing".to_owned(),
        |line| line.trim_start_matches("error:").trim().to_owned(),
    )
}

/// The root of a store that lies below another directory: `/root`, `local?root=/root`, `auto?root=/root`; none for the
/// store of the system.
fn root_of(store: &str) -> Result<Option<PathBuf>, NixError> {
    if store.starts_with('/') || store.starts_with('.') {
        return Ok(std::path::absolute(store).ok());
    }
    let (scheme, query) = store.split_once('?').unwrap_or((store, ""));
    let scheme = scheme.strip_suffix("://").unwrap_or(scheme);
    match scheme {
        "auto" | "local" => {
            let root = query.split('&').find_map(|pair| pair.strip_prefix("root="));
            Ok(root.map(PathBuf::from))
        }
        "daemon" | "unix" => Ok(None),
        _ if scheme.starts_with("unix://") => Ok(None),
        // `local:///root`
        _ => match scheme.strip_prefix("local://") {
            Some(root) if root.starts_with('/') => Ok(Some(root.into())),
            _ => Err(NixError::OtherStore(store.to_owned())),
        },
    }
}

/// Where Nix has the store of a user on a machine without `/nix`, if there is one.
fn user_root(environment: &impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    if Path::new("/nix/var/nix").exists() {
        return None;
    }
    let data = environment("XDG_DATA_HOME").or_else(|| Some(environment("HOME")? + "/.local/share"))?;
    let root = Path::new(&data).join("nix/root");
    root.join("nix/store").is_dir().then_some(root)
}

/// The root below which a path outside of the store is in another store.
fn other_root(path: &Path, store_dir: &StoreDir) -> Option<PathBuf> {
    let below = Path::new(store_dir.as_str()).strip_prefix("/").ok()?;
    path.ancestors()
        .skip(1)
        .filter(|root| *root != Path::new("/"))
        .find(|root| path.starts_with(root.join(below)) && root.join("nix/var/nix").is_dir())
        .map(Path::to_owned)
}

/// Resolves the first symlink among the parents of `path` and itself, one step.
fn follow_one(path: &Path) -> Option<PathBuf> {
    let mut walked = PathBuf::new();
    let mut components = path.components();
    while let Some(component) = components.next() {
        walked.push(component);
        if let Ok(target) = walked.read_link() {
            let parent = walked.parent().unwrap_or(Path::new("/")).to_owned();
            return Some(parent.join(target).join(components.as_path()));
        }
    }
    None
}

/// Removes `.` and `..` by name; right because symlinks before them have been followed already.
fn normal(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            // A link before `..` must be followed first: leave it to the file system.
            Component::ParentDir if result.is_symlink() => {
                result = result.canonicalize().unwrap_or(result);
                result.pop();
            }
            Component::ParentDir => {
                result.pop();
            }
            other => result.push(other),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "0c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-hello";

    fn store() -> (tempfile::TempDir, LocalStore) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let store_dir = root.join("store");
        std::fs::create_dir_all(store_dir.join(NAME).join("bin")).unwrap();
        let store = LocalStore::at(&store_dir.join(""));
        (dir, store)
    }

    #[test]
    fn links_and_paths_inside_resolve_to_their_store_path() {
        let (dir, store) = store();
        let root = dir.path().canonicalize().unwrap();
        let full = root.join("store").join(NAME);
        std::fs::write(full.join("bin/hello"), "").unwrap();
        std::os::unix::fs::symlink(&full, root.join("result")).unwrap();
        std::os::unix::fs::symlink("result", root.join("again")).unwrap();
        std::os::unix::fs::symlink(&root, root.join("here")).unwrap();
        for argument in [
            full.clone(),
            full.join("bin"),
            full.join("bin/.."),
            root.join("result"),
            root.join("again"),
            root.join("result/bin/hello"),
            root.join("here/again/bin"),
            root.join("store/../result"),
        ] {
            assert_eq!(
                store.resolve(argument.to_str().unwrap()).unwrap().as_str(),
                NAME,
                "{argument:?}"
            );
        }
    }

    #[test]
    fn what_is_not_there_or_not_in_the_store_is_named() {
        let (dir, store) = store();
        let root = dir.path().canonicalize().unwrap();
        std::fs::write(root.join("file"), "").unwrap();
        std::os::unix::fs::symlink(root.join("store").join(NAME.replace('0', "1")), root.join("old"))
            .unwrap();
        std::os::unix::fs::symlink("loop", root.join("loop")).unwrap();
        let full = root.join("store").join(NAME);
        std::os::unix::fs::symlink(&full, root.join("result")).unwrap();
        std::os::unix::fs::symlink(full.join("bin/gone"), root.join("gone")).unwrap();
        let message = |name: &str| {
            store
                .resolve(root.join(name).to_str().unwrap())
                .unwrap_err()
                .to_string()
        };
        assert!(
            message("nothing").ends_with("nothing' does not exist"),
            "{}",
            message("nothing")
        );
        for typo in ["result/bni", "result/bin/hello", "result/bin/not/there"] {
            let message = message(typo);
            assert!(message.ends_with(&format!("{typo}' does not exist")), "{message}");
        }
        let gone = message("gone");
        assert!(
            gone.contains("/gone'") && gone.ends_with("/bin/gone', which does not exist"),
            "{gone}"
        );
        assert!(
            message("file").contains("not in the Nix store"),
            "{}",
            message("file")
        );
        assert!(
            message("store").contains("not in the Nix store"),
            "{}",
            message("store")
        );
        assert!(
            message("old").contains("which does not exist"),
            "{}",
            message("old")
        );
        assert!(
            message("store/short").contains("not a store path"),
            "{}",
            message("store/short")
        );
        assert!(message("loop").contains("loop"));
    }

    fn of_remote(remote: &str) -> Result<LocalStore, NixError> {
        let environment = |name: &str| (name == "NIX_REMOTE").then(|| remote.to_owned());
        LocalStore::with_environment(environment, None, NixSettings::default(), None)
    }

    #[test]
    fn a_store_below_another_root_is_found() {
        let real_path = |store: &LocalStore| store.real_path(&NAME.parse().unwrap());
        for remote in [
            "/mnt",
            "local?root=/mnt",
            "local?trusted=1&root=/mnt",
            "auto?root=/mnt",
            "local:///mnt",
        ] {
            let store = of_remote(remote).unwrap();
            assert_eq!(
                real_path(&store),
                Path::new("/mnt/nix/store").join(NAME),
                "{remote}"
            );
            assert_eq!(store.log_dir(), Path::new("/mnt/nix/var/log/nix"));
        }
        for remote in ["daemon", "unix:///run/socket", "local", "auto"] {
            assert_eq!(
                of_remote(remote).unwrap().log_dir(),
                Path::new("/nix/var/log/nix"),
                "{remote}"
            );
        }
        for other in ["ssh://host", "s3://bucket", "https://cache.example.com"] {
            let opened = LocalStore::with_environment(|_| None, Some(other), NixSettings::default(), None);
            assert!(matches!(opened, Err(NixError::OtherStore(_))), "{other}");
        }
        let in_conf = NixSettings {
            store: Some("/mnt".to_owned()),
            ..NixSettings::default()
        };
        let store = LocalStore::with_environment(|_| None, None, in_conf.clone(), None).unwrap();
        assert!(real_path(&store).starts_with("/mnt"));
        // An option wins over the configuration.
        let store = LocalStore::with_environment(|_| None, Some("/other"), in_conf, None).unwrap();
        assert!(real_path(&store).starts_with("/other"));
        let user_root = Some(PathBuf::from("/home/u/.local/share/nix/root"));
        let store = LocalStore::with_environment(|_| None, None, NixSettings::default(), user_root).unwrap();
        assert!(real_path(&store).starts_with("/home/u/.local/share/nix/root/nix/store"));
    }

    #[test]
    fn a_path_of_another_store_is_named_with_its_root() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("nix/var/nix")).unwrap();
        let path = root.join("nix/store").join(NAME);
        std::fs::create_dir_all(&path).unwrap();
        let store = of_remote("daemon").unwrap();
        let error = store.resolve(path.to_str().unwrap()).unwrap_err().to_string();
        assert!(error.contains(&format!("--store {}", root.display())), "{error}");
    }

    #[test]
    fn the_line_that_says_most_is_shown() {
        assert_eq!(
            last_error(b"warning: x\nerror: path '/a' is not valid\n\n"),
            "path '/a' is not valid"
        );
        assert_eq!(last_error(b"Killed\n"), "Killed");
        assert_eq!(last_error(b""), "it said nothing");
    }
}
