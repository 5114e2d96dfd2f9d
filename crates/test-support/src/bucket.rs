//! The bucket of a server, behind its back.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::GarageBucket;
use crate::process::run;

/// A bucket that a test writes into and deletes from, as accidents do.
#[derive(Debug, Clone)]
pub enum Bucket {
    /// Files of the embedded store.
    Folder(PathBuf),
    /// In an S3 service.
    Service(Box<GarageBucket>),
}

impl Bucket {
    fn request(bucket: &GarageBucket, key: &str, arguments: &[&str]) {
        // As the signature has them.
        let key = key.replace(':', "%3A").replace('!', "%21");
        let _ = run(Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--aws-sigv4"])
            .arg(format!("aws:amz:{}:s3", bucket.region))
            .arg("--user")
            .arg(format!("{}:{}", bucket.access_key, bucket.secret_key))
            .args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
            .args(arguments)
            .arg(format!("{}/{}/{key}", bucket.endpoint, bucket.name)))
        .ok();
    }

    /// Writes an object, over one that is there.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(key);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
            Self::Service(bucket) => {
                let file = tempfile::NamedTempFile::new().unwrap();
                fs::write(file.path(), bytes).unwrap();
                Self::request(bucket, key, &["--upload-file", file.path().to_str().unwrap()]);
            }
        }
    }

    /// Deletes an object.
    pub fn delete(&self, key: &str) {
        match self {
            Self::Folder(folder) => fs::remove_file(folder.join(key)).unwrap(),
            Self::Service(bucket) => Self::request(bucket, key, &["--request", "DELETE"]),
        }
    }
}
