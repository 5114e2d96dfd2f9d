//! What Nix tells its post-build hook, in the environment.

use std::{io::Read as _, path::Path, process::Command};

use niks3_push::nix_program;

/// The outputs are at the beginning of a derivation.
const HEAD: u64 = 1 << 20;

/// Full paths of what has just been built.
#[must_use]
pub fn built_paths() -> Vec<String> {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let named: Vec<String> = variable("OUT_PATHS")
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let derivation = variable("DRV_PATH");
    if named.is_empty() && !derivation.is_empty() {
        // Nix 2.8 leaves OUT_PATHS empty.
        return of_derivation(&derivation);
    }
    named
}

/// Whether Nix has started this program as its post-build hook.
#[must_use]
pub fn is_post_build_hook() -> bool {
    ["OUT_PATHS", "DRV_PATH"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

fn of_derivation(path: &str) -> Vec<String> {
    if let Some(outputs) = read(Path::new(path)).as_deref().and_then(outputs) {
        return outputs;
    }
    // Content-addressed: only the database of Nix knows.
    let asked = Command::new(nix_program("nix-store"))
        .args(["--query", "--outputs", path])
        .output();
    let text = asked.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

fn read(path: &Path) -> Option<String> {
    let mut text = Vec::new();
    std::fs::File::open(path)
        .ok()?
        .take(HEAD)
        .read_to_end(&mut text)
        .ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// The paths in `Derive([("out","/nix/store/…","",""),…`, if all of them are known.
fn outputs(derivation: &str) -> Option<Vec<String>> {
    let list = derivation.strip_prefix("Derive([")?;
    let list = &list[..list.find(']')?];
    let paths: Vec<String> = list
        .split("),(")
        .map(|output| output.split('"').nth(3).unwrap_or_default().to_owned())
        .collect();
    paths.iter().all(|path| !path.is_empty()).then_some(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_read_where_the_derivation_names_them() {
        let text = r#"Derive([("dev","/nix/store/a-x-dev","",""),("out","/nix/store/b-x","","")],[("/nix/store/c.drv",["out"])],[],"x","#;
        assert_eq!(outputs(text).unwrap(), ["/nix/store/a-x-dev", "/nix/store/b-x"]);
        assert_eq!(outputs(r#"Derive([("out","","r:sha256","")],[],"#), None);
        assert_eq!(outputs("Derive(["), None);
        assert_eq!(outputs(""), None);
    }
}
