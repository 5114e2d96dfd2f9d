//! Options as they are meant: defaults filled in, files read, contradictions refused.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use niks3_nix::signature::SecretKey;
use niks3_nix::store_path::StoreDir;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::args::{Args, BucketLookup, ChecksumChoice};
use super::credential_files::{CredentialFiles, SecretSource, s3_keys};
use super::embedded::{self, DataDir};
use super::{retention, secrets, tls};
use crate::auth::{AdminToken, CertificateSettings, FailureLimit, Limits, oidc};
use crate::gc::Schedule;
use crate::listings::Listings;
use crate::ownership::Adopt;
use crate::policy_file::PolicyFile;
use crate::push_limits::MAX_NAR;
use crate::storage::S3Settings;
use crate::verification::VerifyUploads;

/// The region of services that mind none, and of AWS where nothing is said.
const DEFAULT_REGION: &str = "us-east-1";

/// A wrong or missing option: one line that names it and the mend.
#[derive(Debug)]
pub struct UsageError(String);

impl UsageError {
    pub(super) fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The object store.
#[derive(Debug)]
pub enum Store {
    /// Inside this process, over files.
    Embedded {
        /// Where the files are.
        directory: PathBuf,
        /// Bucket name, first part of the path in its URLs.
        bucket: String,
        /// Access key.
        access_key: String,
        /// Secret key.
        secret_key: SecretString,
    },
    /// An S3 service.
    S3(Box<S3Settings>),
}

/// Where everything is kept.
#[derive(Debug)]
pub struct Storage {
    /// URL of the database.
    pub database: String,
    /// The object store.
    pub store: Store,
    /// Store directory of the cache.
    pub store_dir: StoreDir,
    /// Whom the bucket is taken over from.
    pub adopt_bucket: Option<Adopt>,
    /// How long both are waited for.
    pub wait_for: Duration,
}

/// The server's configuration.
#[derive(Debug)]
pub struct Config {
    /// URL of the database.
    pub database: String,
    /// The object store.
    pub store: Store,
    /// Whom the bucket is taken over from.
    pub adopt_bucket: Option<Adopt>,
    /// Checksum of uploads.
    pub checksum: ChecksumChoice,
    /// How long the start waits for database and object store.
    pub wait_for: Duration,
    /// Address to listen on.
    pub http_addr: SocketAddr,
    /// Who may do everything.
    pub admin_token: AdminToken,
    /// The providers whose tokens are accepted.
    pub oidc: oidc::Settings,
    /// The files that say who is admitted.
    pub credential_files: CredentialFiles,
    /// The keys that sign.
    pub sign_keys: Vec<SecretKey>,
    /// Store directory of the cache.
    pub store_dir: StoreDir,
    /// Priority among substituters.
    pub priority: u32,
    /// Where readers find the cache.
    pub cache_url: Option<Url>,
    /// Where clients find this server.
    pub server_url: Option<Url>,
    /// Seconds that a push lives without being renewed.
    pub lease_seconds: u32,
    /// Metrics are for those with the scope `read`.
    pub protect_metrics: bool,
    /// Reading the bucket over HTTP needs the scope `read`.
    pub protect_reads: bool,
    /// TLS; without it connections are plain.
    pub tls: Option<crate::tls::Tls>,
    /// Which client certificates are good for what.
    pub certificates: CertificateSettings,
    /// What anybody may have under way.
    pub limits: Limits,
    /// How often an address may fail to prove who it is.
    pub failures: FailureLimit,
    /// Serve the bucket over HTTP.
    pub read_proxy: bool,
    /// A collection deletes old versions of objects.
    pub delete_versions: bool,
    /// Readers of NARs are sent to the object store.
    pub read_redirect: bool,
    /// Whose uploads are read before they become visible.
    pub verify_uploads: VerifyUploads,
    /// Most NARs that are decompressed at once to verify them.
    pub verify_concurrency: usize,
    /// Seconds for which replaced contents stay.
    pub keep_replaced: i64,
    /// Of which NARs the bucket has the listings.
    pub listings: Listings,
    /// Index debug information by build id.
    pub index_debug_info: bool,
    /// How long closures stay.
    pub retention: Option<PolicyFile>,
    /// When the server collects garbage by itself.
    pub gc_schedule: Option<Schedule>,
    /// This start has made the data directory's database.
    pub is_new: bool,
    /// Most bytes of a NAR.
    pub max_nar_size: u64,
}

/// Most seconds for which replaced contents are kept.
const MAX_KEPT: i64 = 10 * 365 * 24 * 3600;

fn web_url(option: &str, text: &str) -> Result<Url, UsageError> {
    let not_a_url = |_| UsageError::new(format!("{option}: {text:?} is not a URL: write https://host"));
    let url: Url = text.parse().map_err(not_a_url)?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(UsageError::new(format!(
            "{option}: {text:?} must begin with http:// or https://"
        )));
    }
    Ok(url)
}

impl Config {
    /// Resolves arguments; makes what a data directory lacks.
    ///
    /// # Errors
    /// The first option that is wrong or missing.
    pub fn resolve(args: Args) -> Result<Self, UsageError> {
        let data_dir = args.data_dir.as_deref().map(DataDir::open).transpose()?;
        let database = database(&args, data_dir.as_ref())?;
        let credential_files = CredentialFiles {
            api_token: api_token(&args, data_dir.as_ref())?,
            oidc_config: args.oidc_config.clone(),
        };
        let admin_token = credential_files.admin_token()?;
        let sign_keys = sign_keys(&args, data_dir.as_ref())?;
        let names: Vec<&str> = sign_keys.iter().map(SecretKey::name).collect();
        let oidc = credential_files.oidc(&names)?;
        let retention = retention::policy(&args)?;
        let store = store(&args, data_dir.as_ref())?;
        if !(1..=100_000).contains(&args.priority) {
            return Err(UsageError::new("--priority: a number from 1 to 100000"));
        }
        let certificates = tls::certificates(&args)?;
        let lease_seconds = u32::try_from(args.push_lease.as_secs())
            .ok()
            .filter(|seconds| (1..=86_400).contains(seconds));
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            verify_uploads: args.verify_uploads.into(),
            keep_replaced: i64::try_from(args.keep_replaced.as_secs())
                .ok()
                .filter(|seconds| *seconds <= MAX_KEPT)
                .ok_or_else(|| UsageError::new("--keep-replaced: at most 10 years (87600h)"))?,
            listings: args.listings.into(),
            index_debug_info: args.index_debug_info,
            retention,
            gc_schedule: super::retention::schedule(&args)?,
            is_new: data_dir.as_ref().is_some_and(DataDir::is_new),
            max_nar_size: match args.max_nar_size.map_or(0, |size| size.as_u64()) {
                0 => MAX_NAR,
                size => size.min(MAX_NAR),
            },
            verify_concurrency: args.verify_concurrency.map_or_else(cores, usize::from),
            protect_metrics: args.protect_metrics,
            protect_reads: args.protect_reads.unwrap_or(!certificates.read.is_empty()),
            limits: Limits {
                pushes: Some(args.max_pushes),
                multiparts: Some(args.max_multipart_uploads),
                claimed_bytes: claimed_bytes(&args)?,
            },
            failures: FailureLimit::new(
                args.auth_failure_limit,
                tls::networks("--trusted-proxy", &args.trusted_proxy)?,
            ),
            tls: tls::native(&args)?,
            certificates,
            lease_seconds: lease_seconds.ok_or_else(|| UsageError::new("--push-lease: 1s to 24h"))?,
            database,
            adopt_bucket: adopt_bucket(&args)?,
            checksum: args.s3_checksum,
            wait_for: args.wait_for.into(),
            http_addr: args.http_addr,
            admin_token,
            oidc,
            credential_files,
            sign_keys,
            store_dir: store_dir(&args)?,
            priority: args.priority,
            cache_url: args
                .cache_url
                .as_deref()
                .map(|url| web_url("--cache-url", url))
                .transpose()?,
            server_url: args
                .server_url
                .as_deref()
                .map(|url| web_url("--server-url", url))
                .transpose()?,
            read_proxy: args
                .enable_read_proxy
                .unwrap_or(matches!(store, Store::Embedded { .. })),
            read_redirect: read_redirect(&args, &store)?,
            delete_versions: args.s3_delete_versions,
            store,
        })
    }
}

/// Where the admin token is; the first start makes one if no option names any.
fn api_token(args: &Args, data_dir: Option<&DataDir>) -> Result<SecretSource, UsageError> {
    let given = SecretSource::of(
        "--api-token",
        args.api_token.as_ref(),
        args.api_token_path.as_ref(),
    )?;
    match (given, data_dir) {
        (Some(given), _) => Ok(given),
        (None, Some(data_dir)) => Ok(SecretSource::File(
            "--api-token-path".to_owned(),
            data_dir.api_token()?,
        )),
        (None, None) => Err(missing("the admin token", "--api-token-path FILE")),
    }
}

/// The signing keys, in the order in which they rank; the first start makes one if no option names any.
fn sign_keys(args: &Args, data_dir: Option<&DataDir>) -> Result<Vec<SecretKey>, UsageError> {
    let of_original = args
        .sign_key_paths
        .iter()
        .filter(|path| !path.as_os_str().is_empty());
    let mut key_paths: Vec<PathBuf> = args.sign_key_path.iter().chain(of_original).cloned().collect();
    if key_paths.is_empty() {
        match data_dir {
            Some(data_dir) => key_paths.push(data_dir.signing_key()?),
            None => return Err(missing("the signing key", "--sign-key-path FILE")),
        }
    }
    let mut sign_keys: Vec<SecretKey> = Vec::new();
    for path in &key_paths {
        let text = secrets::read("--sign-key-path", path)?;
        let key: SecretKey =
            text.expose_secret()
                .parse()
                .map_err(|error: niks3_nix::signature::KeyError| {
                    UsageError::new(format!(
                        "--sign-key-path: {}: {error}; make one with `nix key generate-secret`",
                        path.display()
                    ))
                })?;
        if sign_keys.iter().any(|other| other.name() == key.name()) {
            return Err(UsageError::new(format!(
                "--sign-key-path: two keys are called {}",
                key.name()
            )));
        }
        sign_keys.push(key);
    }
    Ok(sign_keys)
}

fn read_redirect(args: &Args, store: &Store) -> Result<bool, UsageError> {
    if !args.read_redirect {
        return Ok(false);
    }
    if matches!(store, Store::Embedded { .. }) {
        return Err(UsageError::new(
            "--read-redirect: the embedded object store is read through this server: give --s3-bucket NAME, or leave \
             --read-redirect out",
        ));
    }
    if args.enable_read_proxy == Some(true) {
        Ok(true)
    } else {
        Err(UsageError::new(
            "--read-redirect: this server answers no reads: give --enable-read-proxy, too",
        ))
    }
}

fn missing(what: &str, option: &str) -> UsageError {
    UsageError::new(format!(
        "{what} is not configured: give {option}, or --data-dir DIR to keep it there"
    ))
}

impl Storage {
    /// Resolves the arguments that say where everything is kept; makes what a data directory lacks.
    ///
    /// # Errors
    /// The first option that is wrong or missing.
    pub fn resolve(args: &Args) -> Result<Self, UsageError> {
        let data_dir = args.data_dir.as_deref().map(DataDir::open).transpose()?;
        Ok(Self {
            database: database(args, data_dir.as_ref())?,
            store: store(args, data_dir.as_ref())?,
            store_dir: store_dir(args)?,
            adopt_bucket: adopt_bucket(args)?,
            wait_for: args.wait_for.into(),
        })
    }
}

fn store_dir(args: &Args) -> Result<StoreDir, UsageError> {
    args.store_dir
        .parse()
        .map_err(|error| UsageError::new(format!("--store-dir: {error}")))
}

fn database(args: &Args, data_dir: Option<&DataDir>) -> Result<String, UsageError> {
    let known = |url: &String| {
        let schemes = ["sqlite:", "postgres://", "postgresql://"];
        schemes.iter().any(|scheme| url.starts_with(scheme))
    };
    match (args.db.as_ref().or(args.database_url.as_ref()), data_dir) {
        (Some(url), _) if known(url) => Ok(url.clone()),
        (Some(_), _) => Err(UsageError::new(
            "--db: write sqlite:///path or postgres://user@host/name",
        )),
        (None, Some(data_dir)) => Ok(data_dir.database()),
        (None, None) => Err(missing("the database", "--db URL")),
    }
}

fn adopt_bucket(args: &Args) -> Result<Option<Adopt>, UsageError> {
    let value = args.adopt_bucket.as_deref().filter(|value| !value.is_empty());
    let adopt = value.map(Adopt::parse).transpose();
    adopt.map_err(|why| UsageError::new(format!("--adopt-bucket: {why}")))
}

fn claimed_bytes(args: &Args) -> Result<Option<u64>, UsageError> {
    match args.max_claimed_bytes.map(|size| size.as_u64()) {
        Some(0) => Err(UsageError::new(
            "--max-claimed-bytes: nothing could be pushed: leave it out, or allow some",
        )),
        most => Ok(most),
    }
}

fn store(args: &Args, data_dir: Option<&DataDir>) -> Result<Store, UsageError> {
    let Some(bucket) = args.s3_bucket.clone() else {
        if args.s3_endpoint.is_some() {
            return Err(UsageError::new("--s3-endpoint needs --s3-bucket NAME"));
        }
        let Some(data_dir) = data_dir else {
            return Err(UsageError::new(
                "the object store is not configured: give --s3-bucket NAME, or --data-dir DIR to keep it there",
            ));
        };
        let (access, secret) = data_dir.s3_keys()?;
        return Ok(Store::Embedded {
            directory: data_dir.store(),
            bucket: embedded::BUCKET.into(),
            access_key: secrets::read("--data-dir", &access)?.expose_secret().to_owned(),
            secret_key: secrets::read("--data-dir", &secret)?,
        });
    };
    let name_fits = (3..=63).contains(&bucket.len())
        && bucket
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    if !name_fits {
        return Err(UsageError::new(
            "--s3-bucket: a name has 3 to 63 letters, digits, '-' or '.'",
        ));
    }
    let endpoint = args
        .s3_endpoint
        .as_deref()
        .map(|endpoint| {
            let scheme = if args.s3_use_ssl { "https" } else { "http" };
            let url = if endpoint.contains("://") {
                endpoint.to_owned()
            } else {
                format!("{scheme}://{endpoint}")
            };
            web_url("--s3-endpoint", &url)
        })
        .transpose()?;
    let amazon = endpoint
        .as_ref()
        .is_none_or(|url| url.host_str().is_some_and(|host| host.ends_with("amazonaws.com")));
    let access = SecretSource::of(
        "--s3-access-key",
        args.s3_access_key.as_ref(),
        args.s3_access_key_path.as_ref(),
    )?;
    let secret = SecretSource::of(
        "--s3-secret-key",
        args.s3_secret_key.as_ref(),
        args.s3_secret_key_path.as_ref(),
    )?;
    let credentials = match (access, secret, args.s3_use_iam) {
        (Some(_), _, true) | (_, Some(_), true) => {
            return Err(UsageError::new(
                "--s3-use-iam takes the keys from the environment: leave --s3-access-key and --s3-secret-key out",
            ));
        }
        (Some(access), Some(secret), false) => Some(Arc::new(s3_keys(access, secret)?)),
        (None, None, true) => None,
        (None, _, false) => {
            return Err(UsageError::new(
                "the access key is missing: give --s3-access-key-path FILE, or --s3-use-iam",
            ));
        }
        (Some(_), None, false) => {
            return Err(UsageError::new(
                "the secret key is missing: give --s3-secret-key-path FILE",
            ));
        }
    };
    if args.s3_concurrency == 0 {
        return Err(UsageError::new("--s3-concurrency: at least 1"));
    }
    Ok(Store::S3(Box::new(S3Settings {
        path_style: match args.s3_bucket_lookup {
            BucketLookup::Path => true,
            BucketLookup::Dns => false,
            BucketLookup::Auto => !amazon,
        },
        // For AWS itself the region names the endpoint.
        endpoint: endpoint.filter(|url| url.host_str() != Some("s3.amazonaws.com")),
        bucket,
        region: args
            .s3_region
            .clone()
            .unwrap_or_else(|| DEFAULT_REGION.to_owned()),
        region_given: args.s3_region.is_some(),
        credentials,
        concurrency: args.s3_concurrency,
        rate_limit: (args.s3_rate_limit > 0).then_some(args.s3_rate_limit),
        public_url: args
            .s3_public_url
            .as_deref()
            .map(|url| web_url("--s3-public-url", url))
            .transpose()?,
    })))
}
