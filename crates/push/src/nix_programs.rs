//! Where the programs of Nix are: in `PATH`, or where installers put them, which services do not have in theirs.

use std::{
    env,
    path::{Path, PathBuf},
};

/// Profiles that installers make, and what systems call theirs.
const PROFILES: [&str; 5] = [
    "/nix/var/nix/profiles/default/bin",
    "/run/current-system/sw/bin",
    "/usr/bin",
    "/usr/local/bin",
    "/opt/homebrew/bin",
];

/// The program of Nix with this name; the name itself if it is nowhere, so that the failure to run it says so.
#[must_use]
pub fn nix_program(name: &str) -> PathBuf {
    let in_path = env::var_os("PATH").unwrap_or_default();
    find(name, env::split_paths(&in_path).chain(profiles()))
}

fn profiles() -> impl Iterator<Item = PathBuf> {
    let folder = |variable: &str| {
        env::var_os(variable)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let home = folder("HOME");
    let of_user = home.as_deref().map(|home| home.join(".nix-profile/bin"));
    let state = folder("XDG_STATE_HOME").or_else(|| Some(home?.join(".local/state")));
    let of_user = of_user
        .into_iter()
        .chain(state.map(|state| state.join("nix/profile/bin")));
    of_user.chain(PROFILES.map(PathBuf::from))
}

fn find(name: &str, folders: impl Iterator<Item = PathBuf>) -> PathBuf {
    let is_program = |path: &PathBuf| is_executable(path);
    let mut found = folders.map(|folder| folder.join(name)).filter(is_program);
    found.next().unwrap_or_else(|| PathBuf::from(name))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_that_has_the_program_counts() {
        let dir = tempfile::tempdir().unwrap();
        let folders = ["empty", "text", "program", "later"].map(|name| dir.path().join(name));
        for folder in &folders {
            std::fs::create_dir(folder).unwrap();
        }
        std::fs::write(folders[1].join("nix"), "").unwrap();
        for folder in &folders[2..] {
            std::os::unix::fs::symlink("/bin/sh", folder.join("nix")).unwrap();
        }
        assert_eq!(find("nix", folders.clone().into_iter()), folders[2].join("nix"));
        assert_eq!(find("nix", folders.into_iter().take(2)), Path::new("nix"));
    }
}
