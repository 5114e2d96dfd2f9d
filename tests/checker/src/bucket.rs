//! Where the objects are: in a folder, behind HTTP, or in an S3 service.

use std::fs;
use std::future::Future;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, ResponseChecksumValidation};
use tokio::runtime::{Builder, Runtime};

/// How long one request may take; NARs of tests are small.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Objects under keys.
pub trait Bucket: Sync {
    /// All keys, in any order; `None` if they cannot be listed.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    fn list(&self) -> anyhow::Result<Option<Vec<String>>>;

    /// An object, whole; `None` if there is none.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    fn get(&self, key: &str) -> anyhow::Result<Option<Vec<u8>>>;
}

/// A folder, as in `file:///srv/cache`.
#[derive(Debug)]
pub struct Folder(pub PathBuf);

fn files_below(folder: &Path, prefix: &str, keys: &mut Vec<String>) -> anyhow::Result<()> {
    let entries = match fs::read_dir(folder) {
        // Removed while it is read, as empty folders are.
        Err(error) if error.kind() == ErrorKind::NotFound && !prefix.is_empty() => return Ok(()),
        entries => entries.with_context(|| format!("cannot read {}", folder.display()))?,
    };
    for entry in entries {
        let entry = entry?;
        let key = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            files_below(&entry.path(), &format!("{key}/"), keys)?;
        } else {
            keys.push(key);
        }
    }
    Ok(())
}

impl Bucket for Folder {
    fn list(&self) -> anyhow::Result<Option<Vec<String>>> {
        let mut keys = Vec::new();
        files_below(&self.0, "", &mut keys)?;
        Ok(Some(keys))
    }

    fn get(&self, key: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let path = self.0.join(key);
        // Opening a FIFO would wait for a writer.
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => {}
            _ => return Ok(None),
        }
        match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            read => Ok(Some(
                read.with_context(|| format!("cannot read {}", path.display()))?,
            )),
        }
    }
}

fn runtime() -> anyhow::Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// Anything that serves a binary cache by HTTP. It cannot be listed.
#[derive(Debug)]
pub struct Http {
    runtime: Runtime,
    client: reqwest::Client,
    url: String,
}

impl Http {
    /// The cache at an address.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        Ok(Self {
            runtime: runtime()?,
            client: reqwest::Client::builder().timeout(REQUEST_TIMEOUT).build()?,
            url: url.trim_end_matches('/').to_owned(),
        })
    }
}

impl Bucket for Http {
    fn list(&self) -> anyhow::Result<Option<Vec<String>>> {
        Ok(None)
    }

    fn get(&self, key: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let url = format!("{}/{key}", self.url);
        let got = self.runtime.block_on(async {
            let answer = match self.client.get(&url).send().await {
                // A kept connection that the server has ended while the last object was checked.
                Err(error) if error.is_request() => self.client.get(&url).send().await?,
                answer => answer?,
            };
            // What is not public and what is not there look the same in some services.
            if matches!(answer.status().as_u16(), 403 | 404) {
                return Ok(None);
            }
            let bytes = answer.error_for_status()?.bytes().await?;
            Ok::<_, reqwest::Error>(Some(bytes.to_vec()))
        });
        got.with_context(|| format!("cannot read {url}"))
    }
}

/// Where a bucket of an S3 service is.
#[derive(Debug, Clone)]
pub struct S3Location {
    /// Address of the service.
    pub endpoint: String,
    /// Region.
    pub region: String,
    /// Name of the bucket.
    pub bucket: String,
    /// Access key.
    pub access_key: String,
    /// Secret key.
    pub secret_key: String,
}

/// A bucket of an S3 service, addressed by path.
#[derive(Debug)]
pub struct S3 {
    runtime: Runtime,
    client: Client,
    bucket: String,
}

impl S3 {
    /// The bucket at a location.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(location: S3Location) -> anyhow::Result<Self> {
        let credentials = Credentials::new(location.access_key, location.secret_key, None, None, "arguments");
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(location.region))
            .endpoint_url(location.endpoint)
            .credentials_provider(credentials)
            .force_path_style(true)
            // The checker computes the hashes itself.
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        Ok(Self {
            runtime: runtime()?,
            client: Client::from_conf(config),
            bucket: location.bucket,
        })
    }

    fn run<T>(&self, what: &str, future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        let timed = async { tokio::time::timeout(REQUEST_TIMEOUT, future).await? };
        let done = self.runtime.block_on(timed);
        done.with_context(|| format!("cannot read {what} in the bucket {}", self.bucket))
    }
}

impl Bucket for S3 {
    fn list(&self) -> anyhow::Result<Option<Vec<String>>> {
        let listing = async {
            let mut keys = Vec::new();
            let request = self.client.list_objects_v2().bucket(&self.bucket);
            let mut pages = request.into_paginator().send();
            while let Some(page) = pages.next().await {
                let page = page?;
                keys.extend(
                    page.contents()
                        .iter()
                        .filter_map(|object| object.key().map(str::to_owned)),
                );
            }
            Ok(Some(keys))
        };
        self.run("the list of objects", listing)
    }

    fn get(&self, key: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let reading = async {
            let sent = self
                .client
                .get_object()
                .bucket(&self.bucket)
                .key(key)
                .send()
                .await;
            match sent {
                Ok(object) => Ok(Some(object.body.collect().await?.to_vec())),
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(|error| error.is_no_such_key()) =>
                {
                    Ok(None)
                }
                Err(error) => Err(error.into()),
            }
        };
        self.run(key, reading)
    }
}
