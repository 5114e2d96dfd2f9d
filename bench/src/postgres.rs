//! A PostgreSQL cluster of its own, where it is installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use rustix::process::Signal;

use crate::children::Kept;
use crate::process::{cpu_of, output};

const PATIENCE: Duration = Duration::from_secs(20);

/// A running cluster with the settings that PostgreSQL comes with; it ends with this value.
pub(crate) struct Postgres {
    child: Kept,
    dir: PathBuf,
}

impl Postgres {
    /// Starts one with its data in `dir`; `None` where PostgreSQL is not installed.
    pub(crate) fn start(dir: &Path) -> anyhow::Result<Option<Self>> {
        let Some(programs) = find() else { return Ok(None) };
        std::fs::create_dir_all(dir)?;
        let data = dir.join("data");
        let root = rustix::process::geteuid().is_root();
        if root {
            // It refuses to run as root; the user comes with Debian's package.
            output(Command::new("chown").arg("postgres:").arg(dir))?;
            for parent in dir
                .ancestors()
                .skip(1)
                .take_while(|parent| parent.starts_with("/tmp/"))
            {
                output(Command::new("chmod").arg("a+x").arg(parent))?;
            }
        }
        let command = |program: &str| {
            let program = programs.join(program);
            if root {
                let mut command = Command::new("setpriv");
                command
                    .args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"])
                    .arg(program);
                command
            } else {
                Command::new(program)
            }
        };
        output(
            command("initdb")
                .current_dir(dir)
                .args([
                    "--auth=trust",
                    "--username=postgres",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--pgdata",
                ])
                .arg(&data),
        )?;
        let child = command("postgres")
            .current_dir(dir)
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(dir)
            .args(["-c", "listen_addresses="])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.join("log"))?)
            .spawn()?;
        let postgres = Self {
            // At once, but in order: it ends its own processes.
            child: Kept::new(child, Signal::INT),
            dir: dir.to_owned(),
        };
        let started = Instant::now();
        loop {
            let mut create = command("createdb");
            create
                .current_dir(dir)
                .args(["-U", "postgres", "-h"])
                .arg(dir)
                .arg("niks3");
            match output(&mut create) {
                Ok(_) => return Ok(Some(postgres)),
                Err(error) => ensure!(started.elapsed() < PATIENCE, "PostgreSQL: {error}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Its address, as the server wants it.
    pub(crate) fn url(&self) -> anyhow::Result<String> {
        let dir = self.dir.to_str().context("a directory whose name is not text")?;
        Ok(format!(
            "postgres:///niks3?host={}&user=postgres",
            dir.replace('/', "%2F")
        ))
    }

    /// CPU time so far of all its processes that still live.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let pid = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let mut sum = cpu_of(pid)?;
        for child in children.split_whitespace() {
            sum += child
                .parse()
                .map_or(Duration::ZERO, |child| cpu_of(child).unwrap_or_default());
        }
        Ok(sum)
    }
}

fn find() -> Option<PathBuf> {
    std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file())
        .max()
}
