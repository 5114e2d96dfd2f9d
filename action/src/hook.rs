//! The post-build hook: a script that Nix runs after each build, maybe as another user, and waits for.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use niks3_nix::store_path::StoreDir;
use niks3_queue::{Address, Folder, built_paths, ring};

use crate::ActionError;

/// Writes the script. `then` is the hook that was configured before, which runs too.
pub(crate) fn write_script(
    directory: &Path,
    queue: &Folder,
    store_dir: &StoreDir,
    then: Option<&str>,
) -> Result<PathBuf, ActionError> {
    let program = std::env::current_exe().map_err(|error| ActionError::io("find this program", &error))?;
    let [program, queue] = [program.as_path(), queue.path()].map(|path| quoted(&path.to_string_lossy()));
    let mut text =
        "#!/bin/sh\n# Written by the niks3 Action, for this job. Never fails a build.\n".to_owned();
    text += &format!("{program} hook {queue} {} || :\n", quoted(store_dir.as_str()));
    if let Some(then) = then {
        text += &format!("exec {}\n", quoted(then));
    }
    let path = directory.join("post-build-hook");
    let written = std::fs::write(&path, text)
        .and_then(|()| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)));
    written.map_err(|error| ActionError::io(&format!("write {}", path.display()), &error))?;
    Ok(path)
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Puts what Nix has just built into the queue, and rings.
pub(crate) fn send(queue: &Path, store_dir: &str) -> ExitCode {
    let folder = Folder::at(queue);
    let built = built_paths();
    let paths: Vec<&str> = built.iter().map(String::as_str).collect();
    let queued = match store_dir.parse::<StoreDir>() {
        Ok(store_dir) => folder
            .enqueue(&store_dir, &paths)
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = queued {
        // Nix shows it among the words of the build.
        crate::runner::log(&format!("niks3: {} will not be pushed: {error}", built.join(" ")));
        return ExitCode::FAILURE;
    }
    if let Some(address) = Address::of(&folder) {
        // Whoever does not hear looks for himself.
        let _ = ring(address.socket());
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_the_shell_whatever_it_holds() {
        assert_eq!(quoted("/a b/it's"), r"'/a b/it'\''s'");
    }
}
