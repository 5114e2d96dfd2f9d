//! Store paths to push, in stores of their own.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::process;

/// A Nix store; one below a directory calls its paths /nix/store/… all the same.
pub(crate) struct Store {
    root: PathBuf,
    /// The variables that make `nix` use it.
    pub(crate) environment: Vec<(&'static str, String)>,
}

impl Store {
    /// That of this system.
    pub(crate) fn system() -> Self {
        Self {
            root: "/".into(),
            environment: Vec::new(),
        }
    }

    /// An empty one below `root`.
    pub(crate) fn new(root: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(root)?;
        let root = root.canonicalize()?;
        Ok(Self {
            environment: vec![("NIX_REMOTE", format!("local?root={}", root.display()))],
            root,
        })
    }

    fn nix(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .args(["--option", "substitute", "false"]);
        command
    }

    /// `count` small files and one more that refers to them all; its path.
    pub(crate) fn small_paths(&self, count: u32) -> anyhow::Result<String> {
        let expression = format!(
            r#"
            let
              line = i: n: "line ${{toString n}} of file ${{toString i}}: ${{builtins.hashString "sha256" (toString (i * 100 + n))}}\n";
              file = i: builtins.toFile "file-${{toString i}}" (builtins.concatStringsSep "" (builtins.genList (line i) (5 + i - i / 50 * 50)));
              files = builtins.genList file {};
            in builtins.toFile "all" (builtins.concatStringsSep "\n" files)"#,
            count.saturating_sub(1)
        );
        self.evaluate(&expression)
    }

    /// Gives every path of a closure a deriver with a build log, as if it had been built here.
    pub(crate) fn add_logs(&self, closure: &[String]) -> anyhow::Result<()> {
        let drvs = self.root.join("nix/var/log/nix/drvs");
        let dump = process::output(self.nix("nix-store").arg("--dump-db"))?;
        // Of each path: itself, its hash and size, its deriver, how many references, and those.
        let mut lines = dump.lines();
        let mut registration = String::new();
        while let Some(path) = lines.next() {
            let [hash, size, _deriver, count] = [(); 4].map(|()| lines.next().unwrap_or_default());
            let name = path.trim_start_matches("/nix/store/");
            let deriver = if closure.iter().any(|found| found == path) {
                format!("{name}.drv")
            } else {
                String::new()
            };
            if let Some((first, rest)) = deriver.split_at_checked(2) {
                std::fs::create_dir_all(drvs.join(first))?;
                std::fs::write(
                    drvs.join(first).join(rest),
                    format!("building {name}\n").repeat(20),
                )?;
                registration += &format!("{path}\n{hash}\n{size}\n/nix/store/{deriver}\n{count}\n");
            } else {
                registration += &format!("{path}\n{hash}\n{size}\n\n{count}\n");
            }
            for _ in 0..count.parse()? {
                registration += lines.next().unwrap_or_default();
                registration.push('\n');
            }
        }
        let mut command = self.nix("nix-store");
        let mut child = command
            .args(["--register-validity", "--reregister", "--hash-given"])
            .stdin(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take().context("no standard input")?;
        BufWriter::new(stdin).write_all(registration.as_bytes())?;
        anyhow::ensure!(child.wait()?.success(), "nix-store --register-validity failed");
        Ok(())
    }

    /// Adds a file; its path.
    pub(crate) fn add(&self, file: &Path) -> anyhow::Result<String> {
        let printed = process::output(self.nix("nix-store").arg("--add").arg(file))?;
        Ok(printed.trim().to_owned())
    }

    /// A closure of what this system has in /usr/lib, about `most` bytes: one path for each entry, and one that
    /// refers to them all.
    pub(crate) fn of_usr_lib(&self, most: u64) -> anyhow::Result<String> {
        let mut names: Vec<String> = std::fs::read_dir("/usr/lib")?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| {
                name.chars()
                    .all(|c| c.is_ascii_alphanumeric() || "+-._".contains(c))
            })
            .collect();
        names.sort();
        let mut sum = 0;
        let mut expression = "builtins.toFile \"all\" (builtins.concatStringsSep \"\\n\" [".to_owned();
        for name in names {
            let path = Path::new("/usr/lib").join(&name);
            let bytes = if path.symlink_metadata()?.is_dir() {
                process::bytes_below(&path)?
            } else {
                0
            };
            if bytes > 0 && sum + bytes <= most {
                sum += bytes;
                expression += &format!(" \"${{/usr/lib/{name}}}\"");
            }
        }
        self.evaluate(&(expression + "])"))
    }

    fn evaluate(&self, expression: &str) -> anyhow::Result<String> {
        let mut command = self.nix("nix-instantiate");
        command.args(["--eval", "--strict", "--read-write-mode", "--expr", expression]);
        let printed = process::output(&mut command)?;
        Ok(printed.trim().trim_matches('"').to_owned())
    }

    /// The closure of a path.
    pub(crate) fn closure(&self, path: &str) -> anyhow::Result<Vec<String>> {
        let printed = process::output(self.nix("nix-store").args(["--query", "--requisites", path]))?;
        Ok(printed.lines().map(str::to_owned).collect())
    }

    /// Where the files of a path really are.
    pub(crate) fn real(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Writes the NARs of all paths one after the other into one file; its size.
    pub(crate) fn dump_all(&self, paths: &[String], file: &Path) -> anyhow::Result<u64> {
        let out = File::create(file)?;
        for path in paths {
            let status = Command::new("nix-store")
                .arg("--dump")
                .arg(self.real(path))
                .stdout(out.try_clone()?)
                .status()?;
            anyhow::ensure!(status.success(), "nix-store --dump {path} failed");
        }
        Ok(out.metadata()?.len())
    }
}

/// Writes `size` bytes, always the same, about half of which zstd can do away with.
pub(crate) fn compressible(file: &Path, size: u64) -> anyhow::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file)?);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut block = [0_u8; 4096];
    let mut left = size;
    while left > 0 {
        // One half noise, one half what a table of offsets might look like.
        for (index, word) in block.chunks_exact_mut(8).enumerate() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let value = if index % 2 == 0 {
                state
            } else {
                state & 0x0003_0003
            };
            word.copy_from_slice(&value.to_le_bytes());
        }
        let count = left.min(block.len() as u64);
        out.write_all(&block[..usize::try_from(count)?])?;
        left -= count;
    }
    out.flush().context("writing what is to be pushed")?;
    Ok(())
}
