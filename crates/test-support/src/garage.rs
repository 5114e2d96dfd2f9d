//! Garage: one for all tests of a process, a bucket for each.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::S3Bucket;
use crate::process::{free_port, run, share};

/// The access key of the first user.
const ACCESS: &str = "GK0123456789abcdef01234567";
/// Its secret key, and that of the node.
const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

impl S3Bucket {
    /// Makes another key that may do everything with the bucket, and writes it as `access-key` and `secret-key`
    /// into a folder; the access key.
    #[must_use]
    pub fn new_key(&self, folder: &Path) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let access = format!("GK{:024x}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let secret = format!("{:0>64}", &access[2..]);
        self.garage(&["key", "import", "--yes", &access, &secret]);
        let name = self.name.as_str();
        self.garage(&[
            "bucket", "allow", "--read", "--write", "--owner", name, "--key", &access,
        ]);
        std::fs::write(folder.join("access-key"), &access).unwrap();
        std::fs::write(folder.join("secret-key"), secret).unwrap();
        access
    }

    /// Deletes a key that [`S3Bucket::new_key`] has made.
    pub fn delete_key(&self, access: &str) {
        self.garage(&["key", "delete", "--yes", access]);
    }

    fn garage(&self, arguments: &[&str]) {
        GARAGE.get().expect("Garage runs").run(arguments);
    }
}

static GARAGE: OnceLock<Garage> = OnceLock::new();

/// A Garage of one node.
#[derive(Debug)]
pub struct Garage {
    directory: PathBuf,
    port: u16,
    web: u16,
}

fn program() -> String {
    let cache = std::env::var("HOME").map(|home| format!("{home}/.cache/niks3/garage-2.5.0/bin/garage"));
    let program = std::env::var("NIKS3_TEST_GARAGE").or(cache).unwrap_or_default();
    assert!(
        Path::new(&program).exists(),
        "no Garage at {program:?}: run scripts/setup --garage"
    );
    program
}

impl Garage {
    /// Chooses ports, and writes the configuration of one that is to live in a folder.
    #[must_use]
    pub fn in_folder(directory: &Path) -> Self {
        let (port, rpc, web) = (free_port(), free_port(), free_port());
        let here = directory.display();
        let config = format!(
            "metadata_dir = \"{here}/meta\"\ndata_dir = \"{here}/data\"\ndb_engine = \"lmdb\"\nreplication_factor = 1\n\
             metadata_fsync = false\nrpc_bind_addr = \"127.0.0.1:{rpc}\"\nrpc_public_addr = \"127.0.0.1:{rpc}\"\n\
             rpc_secret = \"{SECRET}\"\n[s3_api]\ns3_region = \"garage\"\napi_bind_addr = \"127.0.0.1:{port}\"\n\
             [s3_web]\nbind_addr = \"127.0.0.1:{web}\"\nroot_domain = \".localhost\"\n"
        );
        std::fs::write(directory.join("garage.toml"), config).unwrap();
        Self {
            directory: directory.to_owned(),
            port,
            web,
        }
    }

    /// One that [`Garage::in_folder`] has configured before.
    #[must_use]
    pub fn open(directory: &Path, port: u16) -> Self {
        Self {
            directory: directory.to_owned(),
            port,
            web: port,
        }
    }

    /// The program with arguments.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .arg("-c")
            .arg(self.directory.join("garage.toml"))
            .args(arguments);
        command
    }

    fn try_run(&self, arguments: &[&str]) -> Option<String> {
        let output = run(&mut self.command(arguments));
        (output.code == 0).then(|| output.stdout.trim().to_owned())
    }

    /// Runs a command of the program.
    ///
    /// # Panics
    /// When it fails.
    pub fn run(&self, arguments: &[&str]) {
        let output = run(&mut self.command(arguments));
        assert!(output.code == 0, "garage {arguments:?}: {}", output.stderr);
    }

    /// The port of its S3 service.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Gives the node, once it runs, room for `capacity`, and makes the first user.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn set_up(&self, capacity: &str) {
        let node = (0..400)
            .find_map(|_| {
                std::thread::sleep(Duration::from_millis(50));
                let node = self.try_run(&["node", "id", "-q"]);
                node.filter(|_| self.try_run(&["status"]).is_some())
            })
            .expect("Garage answers");
        let node = node.split('@').next().unwrap_or_default();
        for arguments in [
            &["layout", "assign", "-z", "here", "-c", capacity, node][..],
            &["layout", "apply", "--version", "1"],
            &["key", "import", "--yes", ACCESS, SECRET],
        ] {
            self.run(arguments);
        }
    }

    /// Makes a bucket.
    #[must_use]
    pub fn bucket(&self, name: &str) -> S3Bucket {
        self.run(&["bucket", "create", name]);
        self.run(&[
            "bucket", "allow", "--read", "--write", "--owner", name, "--key", ACCESS,
        ]);
        self.run(&["bucket", "website", "--allow", name]);
        S3Bucket {
            endpoint: format!("http://127.0.0.1:{}", self.port),
            // Every name under `localhost` is this machine, for curl and so for Nix.
            web: format!("http://{name}.localhost:{}", self.web),
            name: name.to_owned(),
            region: "garage",
            access_key: ACCESS,
            secret_key: SECRET,
        }
    }
}

fn start() -> Garage {
    let directory = tempfile::tempdir().unwrap().keep();
    let garage = Garage::in_folder(&directory);
    share(&garage.command(&["server"]), &directory, "KILL");
    garage.set_up("1G");
    garage
}

/// Makes a bucket.
#[must_use]
pub fn garage_bucket() -> S3Bucket {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("test-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    GARAGE.get_or_init(start).bucket(&name)
}
