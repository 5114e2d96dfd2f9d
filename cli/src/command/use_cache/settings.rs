//! The files that Nix reads its settings from, and what is added to them.

use std::{
    collections::HashMap,
    env, fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use niks3_client::SecretString;
use tempfile::NamedTempFile;
use url::Url;

use crate::Failure;

/// Where Nix keeps the settings of a machine.
const SYSTEM: &str = "/etc/nix";
/// The socket of its daemon.
const DAEMON: &str = "/nix/var/nix/daemon-socket/socket";
/// Line by which Nix reads our file besides its own.
const INCLUDE: &str = "!include niks3.conf";

/// A cache, as Nix is told of it.
#[derive(Debug)]
pub(super) struct Cache {
    /// Address of the server, by which it is found again.
    pub(super) server: String,
    pub(super) substituter: Url,
    pub(super) keys: Vec<String>,
    /// Of a private cache.
    pub(super) token: Option<SecretString>,
}

impl Cache {
    pub(super) fn address(&self) -> &str {
        self.substituter.as_str().trim_end_matches('/')
    }

    pub(super) fn lines(&self) -> Vec<String> {
        vec![
            format!("extra-substituters = {}", self.address()),
            format!("extra-trusted-public-keys = {}", self.keys.join(" ")),
        ]
    }
}

/// The entry of a host in a netrc file, up to the token.
pub(super) fn netrc_entry(substituter: &Url) -> String {
    format!(
        "machine {} login niks3 password ",
        substituter.host_str().unwrap_or_default()
    )
}

/// What Nix says of its settings.
#[derive(Debug, Default)]
pub(in crate::command) struct NixSettings(HashMap<String, String>);

impl NixSettings {
    /// Asks Nix; nothing is known where there is none.
    pub(in crate::command) async fn ask() -> Self {
        for words in [&["config", "show"][..], &["show-config"]] {
            let asked = tokio::process::Command::new(niks3_push::nix_program("nix"))
                .args(["--extra-experimental-features", "nix-command"])
                .args(words)
                .output()
                .await;
            if let Ok(output) = asked
                && output.status.success()
            {
                let text = String::from_utf8_lossy(&output.stdout);
                let pairs = text.lines().filter_map(|line| line.split_once(" = "));
                return Self(
                    pairs
                        .map(|(name, value)| (name.to_owned(), value.to_owned()))
                        .collect(),
                );
            }
        }
        Self::default()
    }

    pub(in crate::command) fn words(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.get(name).map_or("", String::as_str).split_whitespace()
    }

    pub(in crate::command) fn trusts(&self, key: &str) -> bool {
        self.words("trusted-public-keys").any(|trusted| trusted == key)
    }

    /// Whether settings of the caller about caches count.
    pub(in crate::command) fn trusts_caller(&self) -> bool {
        let groups: Vec<String> = of_id("-Gn").split_whitespace().map(str::to_owned).collect();
        !has_daemon() || self.trusts_user(&of_id("-un"), &groups)
    }

    /// Whether the daemon takes settings from one of these names of users and groups.
    fn trusts_user(&self, user: &str, groups: &[String]) -> bool {
        user == "root"
            || self.words("trusted-users").any(|trusted| {
                trusted == "*"
                    || trusted == user
                    || trusted
                        .strip_prefix('@')
                        .is_some_and(|group| groups.iter().any(|of_user| of_user == group))
            })
    }
}

fn has_daemon() -> bool {
    Path::new(DAEMON).exists() && env::var_os("NIX_REMOTE").is_none_or(|remote| remote == "daemon")
}

/// What `id` says of the caller.
fn of_id(option: &str) -> String {
    let output = std::process::Command::new("id").arg(option).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// Whose settings.
#[derive(Debug)]
pub(super) struct Location {
    folder: PathBuf,
    is_system: bool,
}

impl Location {
    pub(super) fn user() -> Result<Self, Failure> {
        let ours = crate::config::folder()?;
        Ok(Self {
            folder: ours.with_file_name("nix"),
            is_system: false,
        })
    }

    pub(super) fn system() -> Self {
        let folder = env::var_os("NIX_CONF_DIR").filter(|folder| !folder.is_empty());
        Self {
            folder: folder.map_or_else(|| SYSTEM.into(), PathBuf::from),
            is_system: true,
        }
    }

    /// The file that gets the lines.
    fn file(&self) -> PathBuf {
        self.folder
            .join(if self.is_system { "niks3.conf" } else { "nix.conf" })
    }

    /// The file that includes it.
    fn including(&self) -> PathBuf {
        let of_determinate = self.folder.join("nix.custom.conf");
        if of_determinate.exists() {
            of_determinate
        } else {
            self.folder.join("nix.conf")
        }
    }

    pub(super) fn shown(&self) -> String {
        self.file().display().to_string()
    }

    /// Which program writes the file, if it is not for people to change.
    pub(super) fn managed_by(&self) -> Option<&'static str> {
        if self.is_system && Path::new("/etc/NIXOS").exists() {
            return Some("NixOS");
        }
        let file = if self.is_system {
            self.including()
        } else {
            self.file()
        };
        let real = fs::canonicalize(file).ok()?;
        let is_managed = real.starts_with("/nix/store") || real.starts_with("/etc/static");
        is_managed.then_some(if self.is_system {
            "nix-darwin or NixOS"
        } else {
            "home-manager"
        })
    }

    pub(super) fn add(&self, cache: &Cache, nix: &NixSettings) -> Result<(), Failure> {
        let _ = self.remove(&cache.server)?;
        fs::create_dir_all(&self.folder).map_err(|error| failed(&self.folder, &error))?;
        let mut lines = cache.lines();
        if let Some(entry) = cache.netrc_line() {
            let own = self.folder.join("netrc");
            let in_force = nix.0.get("netrc-file").map(PathBuf::from);
            // One that somebody has named is used, if it is for us to change.
            let netrc = in_force
                .filter(|path| path.exists() && is_writable(path))
                .unwrap_or_else(|| own.clone());
            let text = read(&netrc)?;
            let before = without_entry(&text, &netrc_entry(&cache.substituter));
            write(&netrc, &format!("{}{entry}\n", with_line_end(&before)), 0o600)?;
            if netrc == own {
                lines.push(format!("netrc-file = {}", netrc.display()));
            }
            lines.push(format!("# netrc: {}", netrc.display()));
        }
        let file = self.file();
        let text = with_line_end(&read(&file)?);
        let (begin, end) = markers(&cache.server);
        write(
            &file,
            &format!("{text}{begin}\n{}\n{end}\n", lines.join("\n")),
            0o644,
        )?;
        if self.is_system {
            let including = self.including();
            let text = read(&including)?;
            if !text.lines().any(|line| line.trim() == INCLUDE) {
                write(&including, &format!("{}{INCLUDE}\n", with_line_end(&text)), 0o644)?;
            }
        }
        Ok(())
    }

    /// Takes out what was added for a server; whether there was anything.
    pub(super) fn remove(&self, server: &str) -> Result<bool, Failure> {
        let file = self.file();
        let text = read(&file)?;
        let (begin, end) = markers(server);
        let mut lines = text.lines();
        let (mut kept, mut ours) = (Vec::new(), Vec::new());
        while let Some(line) = lines.next() {
            if line == begin {
                ours.extend(lines.by_ref().take_while(|line| *line != end));
            } else {
                kept.push(line);
            }
        }
        if ours.is_empty() {
            return Ok(false);
        }
        let value = |name: &str| ours.iter().find_map(|line| line.strip_prefix(name));
        if let (Some(netrc), Some(url)) = (value("# netrc: "), value("extra-substituters = "))
            && let Ok(url) = url.parse::<Url>()
        {
            let netrc = Path::new(netrc);
            put_back(netrc, &without_entry(&read(netrc)?, &netrc_entry(&url)), 0o600)?;
        }
        put_back(&file, &joined(&kept), 0o644)?;
        if self.is_system && !file.exists() {
            let including = self.including();
            let text = read(&including)?;
            let kept: Vec<&str> = text.lines().filter(|line| line.trim() != INCLUDE).collect();
            put_back(&including, &joined(&kept), 0o644)?;
        }
        Ok(true)
    }

    /// What the user has to do or to know, so that it counts.
    pub(super) fn what_is_left(&self, nix: &NixSettings) -> Vec<String> {
        if !has_daemon() {
            return Vec::new();
        }
        if self.is_system {
            let restart = if cfg!(target_os = "macos") {
                "sudo launchctl kickstart -k system/org.nixos.nix-daemon"
            } else {
                "sudo systemctl restart nix-daemon"
            };
            return vec![format!(
                "restart the daemon of Nix, which reads this once: {restart}"
            )];
        }
        let user = of_id("-un");
        if nix.trusts_caller() {
            return Vec::new();
        }
        vec![format!(
            "it does not count yet: the daemon of Nix ignores such settings of {user}, who is not in trusted-users. Add \
             `extra-trusted-users = {user}` to {SYSTEM}/nix.conf and restart nix-daemon, or use the cache for all users: `sudo \
             niks3 use … --system`"
        )]
    }
}

fn markers(server: &str) -> (String, String) {
    (
        format!("# niks3 use begin {server}"),
        format!("# niks3 use end {server}"),
    )
}

fn without_entry(text: &str, entry: &str) -> String {
    joined(
        &text
            .lines()
            .filter(|line| !line.starts_with(entry))
            .collect::<Vec<_>>(),
    )
}

fn joined(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn with_line_end(text: &str) -> String {
    match text {
        "" => String::new(),
        text if text.ends_with('\n') => text.to_owned(),
        text => format!("{text}\n"),
    }
}

fn is_writable(path: &Path) -> bool {
    fs::File::options().append(true).open(path).is_ok()
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::Failed(format!("cannot change {}: {error}", path.display()))
}

fn read(path: &Path) -> Result<String, Failure> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|error| failed(path, &error)),
    }
}

/// Replaces a file, all of it or nothing; the mode is that of a new one.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let replace = || {
        let mode = match fs::metadata(path) {
            // Only its owner may read a token.
            Ok(metadata) if mode != 0o600 => metadata.permissions().mode() & 0o777,
            _ => mode,
        };
        let mut file = NamedTempFile::new_in(path.parent().unwrap_or(path))?;
        io::Write::write_all(&mut file, text.as_bytes())?;
        file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    replace().map_err(|error: io::Error| failed(path, &error))
}

/// The same, for what is left of a file: nothing left is no file.
fn put_back(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    if !text.is_empty() {
        return write(path, text, mode);
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path, &error)),
        _ => Ok(()),
    }
}
