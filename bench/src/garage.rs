//! A Garage of one node, where there is one to start.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use rustix::process::Signal;

use crate::children::Kept;
use crate::process::output;
use crate::server::free_address;

const KEY: &str = "GK0123456789abcdef01234567";
const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const PATIENCE: Duration = Duration::from_secs(20);

/// A running Garage; it ends with this value.
pub(crate) struct Garage {
    _child: Kept,
    program: PathBuf,
    config: PathBuf,
    /// Where its S3 listens.
    pub(crate) address: SocketAddr,
}

impl Garage {
    /// Starts one with its data in `dir`; `None` where Garage is not installed.
    pub(crate) fn start(dir: &Path) -> anyhow::Result<Option<Self>> {
        let Some(program) = find() else { return Ok(None) };
        std::fs::create_dir_all(dir)?;
        let (rpc, address) = (free_address()?, free_address()?);
        let config = dir.join("garage.toml");
        let text = format!(
            r#"metadata_dir = "{dir}/meta"
data_dir = "{dir}/data"
db_engine = "lmdb"
replication_factor = 1
rpc_bind_addr = "{rpc}"
rpc_public_addr = "{rpc}"
rpc_secret = "{SECRET}"
[s3_api]
s3_region = "garage"
api_bind_addr = "{address}"
root_domain = ".s3.garage"
"#,
            dir = dir.display()
        );
        std::fs::write(&config, text)?;
        let child = Command::new(&program)
            .arg("-c")
            .arg(&config)
            .arg("server")
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.join("log"))?)
            .spawn()?;
        let garage = Self {
            _child: Kept::new(child, Signal::KILL),
            program,
            config,
            address,
        };
        garage.prepare().context("Garage")?;
        Ok(Some(garage))
    }

    fn prepare(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        let node = loop {
            match self.run(&["node", "id", "-q"]) {
                Ok(node) if self.run(&["status"]).is_ok() => break node,
                result => ensure!(
                    started.elapsed() < PATIENCE,
                    "it does not answer: {:?}",
                    result.err()
                ),
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        let id = node.split('@').next().unwrap_or_default();
        self.run(&["layout", "assign", "-z", "here", "-c", "10G", id])?;
        self.run(&["layout", "apply", "--version", "1"])?;
        self.run(&["key", "import", "--yes", KEY, SECRET])?;
        Ok(())
    }

    fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        output(
            Command::new(&self.program)
                .arg("-c")
                .arg(&self.config)
                .args(arguments),
        )
    }

    /// A new bucket, as options of a server that reaches it at `address`.
    pub(crate) fn options(&self, bucket: &str, address: SocketAddr) -> anyhow::Result<Vec<String>> {
        self.run(&["bucket", "create", bucket])?;
        self.run(&[
            "bucket", "allow", "--read", "--write", "--owner", bucket, "--key", KEY,
        ])?;
        Ok(vec![
            format!("--s3-endpoint=http://{address}"),
            format!("--s3-bucket={bucket}"),
            "--s3-region=garage".to_owned(),
            format!("--s3-access-key={KEY}"),
            format!("--s3-secret-key={SECRET}"),
        ])
    }
}

/// `NIKS3_GARAGE`, or `garage` in `PATH`, or the newest that was installed for the tests.
fn find() -> Option<PathBuf> {
    if let Some(program) = std::env::var_os("NIKS3_GARAGE") {
        return Some(program.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path)
        .map(|dir| dir.join("garage"))
        .find(|program| program.is_file());
    if found.is_none() {
        let cache = std::env::var_os("NIKS3_CACHE_DIR").map_or_else(
            || {
                Path::new(&std::env::var_os("HOME").unwrap_or_default())
                    .join(".cache")
                    .join("niks3")
            },
            PathBuf::from,
        );
        found = std::fs::read_dir(cache)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path().join("bin/garage")))
            .filter(|program| program.is_file())
            .max();
    }
    found
}
