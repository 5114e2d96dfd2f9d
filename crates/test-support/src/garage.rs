//! Garage: one for all tests of a process, a bucket for each.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::S3Bucket;
use crate::process::{free_port, run, share};

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
        let running = GARAGE.get().expect("Garage runs");
        garage(&running.directory, arguments).unwrap_or_else(|| panic!("garage {arguments:?}"));
    }
}

static GARAGE: OnceLock<Garage> = OnceLock::new();

struct Garage {
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

fn garage(directory: &Path, arguments: &[&str]) -> Option<String> {
    let output = run(Command::new(program())
        .arg("-c")
        .arg(directory.join("garage.toml"))
        .args(arguments));
    (output.code == 0).then(|| output.stdout.trim().to_owned())
}

fn start() -> Garage {
    let directory = tempfile::tempdir().unwrap().keep();
    let (port, rpc, web) = (free_port(), free_port(), free_port());
    let here = directory.display();
    let config = format!(
        "metadata_dir = \"{here}/meta\"\ndata_dir = \"{here}/data\"\ndb_engine = \"lmdb\"\nreplication_factor = 1\n\
         metadata_fsync = false\nrpc_bind_addr = \"127.0.0.1:{rpc}\"\nrpc_public_addr = \"127.0.0.1:{rpc}\"\n\
         rpc_secret = \"{SECRET}\"\n[s3_api]\ns3_region = \"garage\"\napi_bind_addr = \"127.0.0.1:{port}\"\n\
         [s3_web]\nbind_addr = \"127.0.0.1:{web}\"\nroot_domain = \".localhost\"\n"
    );
    std::fs::write(directory.join("garage.toml"), config).unwrap();
    let mut command = Command::new(program());
    command.arg("-c").arg(directory.join("garage.toml")).arg("server");
    share(&command, &directory, "KILL");
    let node = (0..400)
        .find_map(|_| {
            std::thread::sleep(Duration::from_millis(50));
            let node = garage(&directory, &["node", "id", "-q"]);
            node.filter(|_| garage(&directory, &["status"]).is_some())
        })
        .expect("Garage answers");
    let node = node.split('@').next().unwrap_or_default().to_owned();
    for arguments in [
        &["layout", "assign", "-z", "here", "-c", "1G", &node][..],
        &["layout", "apply", "--version", "1"],
        &["key", "import", "--yes", "GK0123456789abcdef01234567", SECRET],
    ] {
        garage(&directory, arguments).unwrap_or_else(|| panic!("garage {arguments:?}"));
    }
    Garage { directory, port, web }
}

/// Makes a bucket.
#[must_use]
pub fn garage_bucket() -> S3Bucket {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let running = GARAGE.get_or_init(start);
    let name = format!("test-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let bucket = S3Bucket {
        endpoint: format!("http://127.0.0.1:{}", running.port),
        // Every name under `localhost` is this machine, for curl and so for Nix.
        web: format!("http://{name}.localhost:{}", running.web),
        name,
        region: "garage",
        access_key: "GK0123456789abcdef01234567",
        secret_key: SECRET,
    };
    garage(&running.directory, &["bucket", "create", &bucket.name]).expect("bucket create");
    let allow = [
        "bucket",
        "allow",
        "--read",
        "--write",
        "--owner",
        &bucket.name,
        "--key",
        bucket.access_key,
    ];
    garage(&running.directory, &allow).expect("bucket allow");
    garage(
        &running.directory,
        &["bucket", "website", "--allow", &bucket.name],
    )
    .expect("bucket website");
    bucket
}
