//! What the configuration of Nix says of the local store. Only Nix knows how its files add up, so it is asked, if one of
//! them may say anything at all.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;

use crate::nix_programs::nix_program;

/// Files of a configuration are short.
const MAX_FILE: u64 = 1 << 20;

/// What matters for packing paths of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NixSettings {
    /// The store that Nix uses, if that is not the default.
    pub(crate) store: Option<String>,
    /// Names in the store have a suffix where they differ from others only by case.
    pub(crate) case_hack: bool,
}

#[allow(clippy::derivable_impls, reason = "it is another one on macOS")]
impl Default for NixSettings {
    fn default() -> Self {
        Self {
            store: None,
            case_hack: cfg!(target_os = "macos"),
        }
    }
}

#[derive(Deserialize)]
struct Shown {
    store: Option<Setting<String>>,
    #[serde(rename = "use-case-hack")]
    case_hack: Option<Setting<bool>>,
}

#[derive(Deserialize)]
struct Setting<T> {
    value: T,
}

impl NixSettings {
    /// Those of Nix in this environment.
    pub(crate) fn of(environment: &impl Fn(&str) -> Option<String>) -> Self {
        let inline = environment("NIX_CONFIG").unwrap_or_default();
        let files = || files(environment).iter().any(|path| may_matter(&read(path)));
        if may_matter(&inline) || files() {
            Self::ask().unwrap_or_default()
        } else {
            Self::default()
        }
    }

    fn ask() -> Option<Self> {
        // The second is what Nix 2.8 has.
        [["config", "show"].as_slice(), &["show-config"]]
            .into_iter()
            .find_map(|command| {
                let output = Command::new(nix_program("nix"))
                    .args(["--extra-experimental-features", "nix-command"])
                    .args(command)
                    .arg("--json")
                    .stdin(Stdio::null())
                    .output()
                    .ok()?;
                let shown = output.status.success().then_some(output.stdout)?;
                let shown: Shown = serde_json::from_slice(&shown).ok()?;
                let default = Self::default();
                Some(Self {
                    store: shown
                        .store
                        .map(|store| store.value)
                        .filter(|store| !matches!(store.as_str(), "" | "auto")),
                    case_hack: shown.case_hack.map_or(default.case_hack, |hack| hack.value),
                })
            })
    }
}

/// Files that Nix reads.
fn files(environment: &impl Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let folder = environment("NIX_CONF_DIR").unwrap_or_else(|| "/etc/nix".to_owned());
    let mut files = vec![Path::new(&folder).join("nix.conf")];
    if let Some(named) = environment("NIX_USER_CONF_FILES") {
        files.extend(named.split(':').map(PathBuf::from));
        return files;
    }
    let home = environment("XDG_CONFIG_HOME").or_else(|| Some(environment("HOME")? + "/.config"));
    let shared = environment("XDG_CONFIG_DIRS").unwrap_or_else(|| "/etc/xdg".to_owned());
    let folders = home.iter().map(String::as_str).chain(shared.split(':'));
    files.extend(folders.map(|folder| Path::new(folder).join("nix/nix.conf")));
    files
}

fn read(path: &Path) -> String {
    let is_short = path
        .metadata()
        .is_ok_and(|file| file.is_file() && file.len() <= MAX_FILE);
    is_short
        .then(|| fs::read_to_string(path).ok())
        .flatten()
        .unwrap_or_default()
}

/// Whether a configuration says something of the store, or names another file, which may.
fn may_matter(text: &str) -> bool {
    text.lines().any(|line| {
        let name = line
            .split(|c: char| c.is_whitespace() || c == '=')
            .find(|word| !word.is_empty());
        matches!(name, Some("store" | "use-case-hack" | "include" | "!include"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nix_is_asked_only_if_its_configuration_may_say_something() {
        for text in [
            "store = /mnt",
            " store=/mnt",
            "a = b\nuse-case-hack = true",
            "!include niks3.conf",
        ] {
            assert!(may_matter(text), "{text}");
        }
        for text in [
            "",
            "# store = /mnt",
            "stores = x",
            "substituters = store",
            "keep-outputs = true",
        ] {
            assert!(!may_matter(text), "{text}");
        }
    }
}
