//! Settings for the rest of the job: a file of our own, named in `NIX_USER_CONF_FILES` before those that Nix reads
//! anyway. The home directory may be read-only, and nothing is left in it.

use std::path::{Path, PathBuf};

use crate::{ActionError, runner::variable};

pub(crate) const VARIABLE: &str = "NIX_USER_CONF_FILES";

/// What is set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) substituter: Option<String>,
    pub(crate) public_keys: Vec<String>,
    /// Other caches, and their keys.
    pub(crate) extra_substituters: Vec<String>,
    pub(crate) extra_public_keys: Vec<String>,
    pub(crate) netrc_file: Option<PathBuf>,
    pub(crate) post_build_hook: Option<PathBuf>,
}

impl Settings {
    pub(crate) fn is_empty(&self) -> bool {
        self.substituter.is_none() && self.extra_substituters.is_empty() && self.post_build_hook.is_none()
    }

    /// The lines about caches.
    pub(crate) fn caches(&self) -> Vec<String> {
        let line = |name: &str, values: Vec<&str>| {
            (!values.is_empty()).then(|| format!("{name} = {}", values.join(" ")))
        };
        let ours = self.substituter.as_deref();
        let keys = self.public_keys.iter().filter(|_| ours.is_some());
        let substituters = ours
            .into_iter()
            .chain(self.extra_substituters.iter().map(String::as_str));
        let keys = keys.chain(&self.extra_public_keys).map(String::as_str);
        [
            line("extra-substituters", substituters.collect()),
            line("extra-trusted-public-keys", keys.collect()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn text(&self) -> String {
        let mut text = "# Written by the niks3 Action, for this job.\n".to_owned();
        for line in self.caches() {
            text += &format!("{line}\n");
        }
        let files = [
            ("netrc-file", &self.netrc_file),
            ("post-build-hook", &self.post_build_hook),
        ];
        for (name, file) in files {
            if let Some(file) = file {
                text += &format!("{name} = {}\n", file.display());
            }
        }
        text
    }

    /// Writes the file into a folder.
    pub(crate) fn write(&self, folder: &Path) -> Result<PathBuf, ActionError> {
        let path = folder.join("nix.conf");
        let extra = self.extra_substituters.iter().chain(&self.extra_public_keys);
        let values = self.public_keys.iter().chain(&self.substituter).chain(extra);
        if let Some(value) = values.into_iter().find(|value| value.contains(['\n', '\r'])) {
            return Err(ActionError(format!(
                "'{}' is no value for nix.conf",
                value.escape_debug()
            )));
        }
        std::fs::write(&path, self.text())
            .map_err(|error| ActionError::io(&format!("write {}", path.display()), &error))?;
        Ok(path)
    }
}

/// The files that Nix reads in this environment, as the variable has them.
pub(crate) fn current_files() -> String {
    files(variable)
}

fn files(variable: impl Fn(&str) -> Option<String>) -> String {
    if let Some(files) = variable(VARIABLE) {
        return files;
    }
    // https://nix.dev/manual/nix/latest/command-ref/conf-file.html
    let home = variable("XDG_CONFIG_HOME").or_else(|| Some(format!("{}/.config", variable("HOME")?)));
    let directories = variable("XDG_CONFIG_DIRS").unwrap_or_else(|| "/etc/xdg".to_owned());
    let directories = directories
        .split(':')
        .filter(|directory| !directory.is_empty())
        .map(str::to_owned);
    let files: Vec<String> = home
        .into_iter()
        .chain(directories)
        .map(|directory| format!("{directory}/nix/nix.conf"))
        .collect();
    files.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_that_nix_reads_anyway_stay() {
        let environment = |pairs: &'static [(&str, &str)]| {
            files(|name| {
                pairs
                    .iter()
                    .find(|pair| pair.0 == name)
                    .map(|pair| pair.1.to_owned())
            })
        };
        assert_eq!(
            environment(&[("HOME", "/h")]),
            "/h/.config/nix/nix.conf:/etc/xdg/nix/nix.conf"
        );
        assert_eq!(
            environment(&[
                ("HOME", "/h"),
                ("XDG_CONFIG_HOME", "/c"),
                ("XDG_CONFIG_DIRS", "/a:/b")
            ]),
            "/c/nix/nix.conf:/a/nix/nix.conf:/b/nix/nix.conf"
        );
        assert_eq!(
            environment(&[("HOME", "/h"), ("NIX_USER_CONF_FILES", "/x:/y")]),
            "/x:/y"
        );
    }

    #[test]
    fn no_value_brings_a_line_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            substituter: Some("https://x\npost-build-hook = /evil".to_owned()),
            ..Settings::default()
        };
        assert!(settings.write(dir.path()).is_err());
    }
}
