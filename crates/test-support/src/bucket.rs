//! The bucket of a server, behind its back.

use std::fs;
use std::path::{Path, PathBuf};

use crate::S3Bucket;
use crate::process::run;

/// A bucket that a test writes into and deletes from, as accidents do.
#[derive(Debug, Clone)]
pub enum Bucket {
    /// Files of the embedded store.
    Folder(PathBuf),
    /// In an S3 service.
    Service(Box<S3Bucket>),
}

impl Bucket {
    fn request(bucket: &S3Bucket, key: &str, arguments: &[&str]) -> String {
        // As the signature has them.
        let key = key.replace(':', "%3A").replace('!', "%21");
        let url = format!("{}/{}/{key}", bucket.endpoint, bucket.name);
        run(bucket.signed_request(&url).args(arguments)).ok()
    }

    /// The keys of all objects, in order.
    ///
    /// # Panics
    /// When there are more than one answer of the service holds.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        match self {
            Self::Folder(folder) => files_below(folder),
            Self::Service(bucket) => {
                let answer = Self::request(bucket, "?list-type=2", &[]);
                assert!(answer.contains("<IsTruncated>false<"), "{answer}");
                elements(&answer, "Key")
            }
        }
    }

    /// What there is of uploads in parts that have not ended: of the embedded store its
    /// files, of a service their keys.
    #[must_use]
    pub fn uploads(&self) -> Vec<String> {
        match self {
            Self::Folder(folder) => files_below(&folder.with_file_name("uploads")),
            Self::Service(bucket) => elements(&Self::request(bucket, "?uploads=", &[]), "Key"),
        }
    }

    /// Begins an upload in parts of a service and leaves it, as others do.
    ///
    /// # Panics
    /// When the bucket is a folder.
    pub fn begin_upload(&self, key: &str) {
        let Self::Service(bucket) = self else {
            panic!("not a service");
        };
        let answer = Self::request(bucket, &format!("{key}?uploads="), &["--request", "POST"]);
        assert!(answer.contains("<UploadId>"), "{answer}");
    }

    /// An object as text.
    #[must_use]
    pub fn text(&self, key: &str) -> String {
        match self {
            Self::Folder(folder) => fs::read_to_string(folder.join(key)).unwrap(),
            Self::Service(bucket) => Self::request(bucket, key, &[]),
        }
    }

    /// The id of the database that the bucket belongs to.
    #[must_use]
    pub fn owner(&self) -> String {
        let owner: serde_json::Value = serde_json::from_str(&self.text("niks3-owner.json")).unwrap();
        owner["database"].as_str().unwrap().to_owned()
    }

    /// Writes an object, over one that is there.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        self.put_with(key, bytes, &[]);
    }

    /// The same with a `Content-Encoding`, which files do not have.
    pub fn put_encoded(&self, key: &str, bytes: &[u8], encoding: &str) {
        let header = format!("Content-Encoding: {encoding}");
        self.put_with(key, bytes, &["--header", &header]);
    }

    fn put_with(&self, key: &str, bytes: &[u8], arguments: &[&str]) {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(key);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
            Self::Service(bucket) => {
                let file = tempfile::NamedTempFile::new().unwrap();
                fs::write(file.path(), bytes).unwrap();
                let upload = ["--upload-file", file.path().to_str().unwrap()];
                let _ = Self::request(bucket, key, &[arguments, &upload].concat());
            }
        }
    }

    /// Deletes an object.
    pub fn delete(&self, key: &str) {
        match self {
            Self::Folder(folder) => fs::remove_file(folder.join(key)).unwrap(),
            Self::Service(bucket) => {
                let _ = Self::request(bucket, key, &["--request", "DELETE"]);
            }
        }
    }
}

/// The files below a folder, with their folders, in order; none where there is no folder.
fn files_below(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            files.extend(
                files_below(&entry.path())
                    .iter()
                    .map(|file| format!("{name}/{file}")),
            );
        } else {
            files.push(name);
        }
    }
    files.sort();
    files
}

/// The texts of all elements of a name.
fn elements(xml: &str, name: &str) -> Vec<String> {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&begin)
        .skip(1)
        .map(|rest| rest.split_once(&end).unwrap().0.to_owned())
        .collect()
}
