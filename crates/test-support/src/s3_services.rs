//! S3 services besides Garage: one of each for all tests of a process, a bucket for each test.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::S3Bucket;
use crate::process::{free_port, share};

/// The access key of the first user.
pub(crate) const ACCESS_KEY: &str = "0123456789abcdef0123";
/// Its secret key.
pub(crate) const SECRET_KEY: &str = "0123456789abcdef0123456789abcdef01234567";

/// A service that `scripts/setup --s3-services` builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum S3Service {
    /// MinIO.
    Minio,
    /// versitygw over a folder.
    Versitygw,
}

impl S3Service {
    /// Makes a bucket, in a service that the tests of this process share.
    #[must_use]
    pub fn bucket(self) -> S3Bucket {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let bucket = S3Bucket::new(self.port(), &name);
        bucket.create();
        bucket
    }

    fn port(self) -> u16 {
        static MINIO: OnceLock<u16> = OnceLock::new();
        static VERSITYGW: OnceLock<u16> = OnceLock::new();
        let running = match self {
            Self::Minio => &MINIO,
            Self::Versitygw => &VERSITYGW,
        };
        *running.get_or_init(|| self.start())
    }

    fn program(self) -> String {
        let name = match self {
            Self::Minio => "minio",
            Self::Versitygw => "versitygw",
        };
        let folder = std::env::var("NIKS3_TEST_S3_SERVICES").unwrap_or_default();
        let program = Path::new(&folder).join(name);
        assert!(
            !folder.is_empty() && program.exists(),
            "no {name} in {folder:?} (NIKS3_TEST_S3_SERVICES): run scripts/setup --s3-services"
        );
        program.display().to_string()
    }

    fn start(self) -> u16 {
        let folder = tempfile::tempdir().unwrap().keep();
        for name in ["data", "users", "versions"] {
            std::fs::create_dir(folder.join(name)).unwrap();
        }
        let port = free_port();
        share(&self.command(&folder, port), &folder, "KILL");
        port
    }

    /// What starts it over a folder, in which there are `data`, `users` and `versions`.
    #[must_use]
    pub fn command(self, folder: &Path, port: u16) -> Command {
        let data = folder.join("data");
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new("env");
        match self {
            Self::Minio => command
                .arg(format!("MINIO_ROOT_USER={ACCESS_KEY}"))
                .arg(format!("MINIO_ROOT_PASSWORD={SECRET_KEY}"))
                .args(["MINIO_BROWSER=off", "MINIO_UPDATE=off"])
                .args([&self.program(), "server", "--quiet"])
                .args(["--address", &address])
                .arg(&data),
            Self::Versitygw => command
                .arg(self.program())
                .args(["--access", ACCESS_KEY, "--secret", SECRET_KEY])
                .args(["--port", &address, "--iam-dir"])
                .arg(folder.join("users"))
                .args(["posix", "--versioning-dir"])
                .arg(folder.join("versions"))
                .arg(&data),
        };
        command
    }
}
