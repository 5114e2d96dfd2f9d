//! A server of its own for each measurement, and the client that talks to it.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use rustix::process::Signal;

use crate::children::Kept;
use crate::process;

/// The programs of one build.
#[derive(Debug, Clone)]
pub(crate) struct Build {
    directory: PathBuf,
}

impl Build {
    /// Those beside this program.
    pub(crate) fn this() -> anyhow::Result<Self> {
        let this = std::env::current_exe()?;
        Self::at(this.parent().context("a program in no directory")?)
    }

    /// Those in a directory.
    pub(crate) fn at(directory: &Path) -> anyhow::Result<Self> {
        for name in ["niks3", "niks3-server"] {
            let path = directory.join(name);
            ensure!(
                path.exists(),
                "{} is missing: bench/run builds it, as does cargo build --release",
                path.display()
            );
        }
        Ok(Self {
            directory: directory.canonicalize()?,
        })
    }

    /// A command that runs one of its programs.
    pub(crate) fn command(&self, name: &str) -> Command {
        Command::new(self.directory.join(name))
    }

    /// Whether its server has an option.
    pub(crate) fn has(&self, option: &str) -> anyhow::Result<bool> {
        let help = process::output(self.command("niks3-server").arg("--help"))?;
        Ok(help.split_whitespace().any(|word| word == option))
    }
}

/// A running server; it ends with this value.
pub(crate) struct Server {
    build: Build,
    child: Kept,
    /// Where clients reach it.
    pub(crate) url: String,
    data_dir: PathBuf,
}

/// A port that nobody listens on now.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

impl Server {
    /// Starts a server of this build with its data in a new directory `data_dir`.
    pub(crate) fn start(data_dir: &Path, address: SocketAddr, options: &[String]) -> anyhow::Result<Self> {
        Self::of(&Build::this()?, data_dir, address, options)
    }

    /// Starts a server of some build with its data in a new directory `data_dir`.
    pub(crate) fn of(
        build: &Build,
        data_dir: &Path,
        address: SocketAddr,
        options: &[String],
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(data_dir)?;
        let log = std::fs::File::create(data_dir.with_extension("log"))?;
        let mut child = build
            .command("niks3-server")
            .arg("--data-dir")
            .arg(data_dir)
            .args(["--http-addr", &address.to_string()])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let stdout = child.stdout.take();
        let child = Kept::new(child, Signal::TERM);
        let mut lines = BufReader::new(stdout.context("no standard output")?).lines();
        let url = loop {
            let Some(line) = lines.next() else {
                let log = std::fs::read_to_string(data_dir.with_extension("log"))?;
                bail!("the server did not start: {}", log.trim());
            };
            if let Some(rest) = line?.strip_prefix("server: ") {
                break rest.split(' ').next().unwrap_or_default().to_owned();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self {
            build: build.clone(),
            child,
            url,
            data_dir: data_dir.to_owned(),
        })
    }

    /// A server with nothing but a directory.
    pub(crate) fn embedded(data_dir: &Path) -> anyhow::Result<Self> {
        Self::start(data_dir, free_address()?, &[])
    }

    /// The file with its admin token.
    pub(crate) fn token_file(&self) -> PathBuf {
        self.data_dir.join("api-token")
    }

    /// CPU time so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        process::cpu_of(self.child.id())
    }

    /// From now on the most memory is counted anew.
    pub(crate) fn forget_peak(&self) -> anyhow::Result<()> {
        // proc_pid_clear_refs(5)
        Ok(std::fs::write(
            format!("/proc/{}/clear_refs", self.child.id()),
            "5",
        )?)
    }

    /// The most memory so far.
    pub(crate) fn peak(&self) -> anyhow::Result<u64> {
        process::peak_of(self.child.id())
    }

    /// `niks3 push PATH --json` to it, by the client of its build.
    pub(crate) fn push(&self, path: &str) -> Command {
        let mut command = self.build.command("niks3");
        command
            .args(["push", path, "--json"])
            // What another cache has would make the figures those of the network. Older builds know no option for that.
            .env("NIKS3_NO_SKIP_UPSTREAM", "true")
            .env("NIKS3_SERVER_URL", &self.url)
            .env("NIKS3_AUTH_TOKEN_FILE", self.token_file())
            .env_remove("NIKS3_AUTH_TOKEN_SCRIPT");
        command
    }
}
