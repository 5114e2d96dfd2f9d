//! From configuration to a listening server, and to its end.

use std::io::{self, IsTerminal as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use poem::Response;
use poem::endpoint::BoxEndpoint;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::auth::Authenticator;
use crate::auth::oidc::Oidc;
use crate::cache_stats::CacheStats;
use crate::catalog::{Catalog, CatalogError};
use crate::clock::Clock;
use crate::config::{Args, ChecksumChoice, Config, CredentialFiles, LogFormat, Store};
use crate::deletion_waits::DeletionWaits;
use crate::fsck::verify_when_idle;
use crate::http::S3Endpoint;
use crate::ownership::Ownership;
use crate::policy_file::Retention;
use crate::reload::Reload;
use crate::retention::server_list;
use crate::signing::Signer;
use crate::start_error::StartError;
use crate::start_retry::{cause, is_passing, wait_for};
use crate::storage::{Bucket, ChecksumKind, FileBucket};
use crate::tls::Tls;
use crate::verification::{Queue, Readers, VerifyUploads};
use crate::{gc, http, landing, log_filter, ownership, pins, push, serve, store_rights, watchdog};

/// Starts the log on standard error.
///
/// # Errors
/// When the filter cannot be read.
pub fn init_log(args: &Args) -> Result<(), String> {
    use tracing_subscriber::EnvFilter;
    // The protocol of the embedded store calls every request that it refuses an error, and anybody
    // can send those. What fails inside the store has its own lines.
    let said = if args.debug { "debug" } else { &args.log };
    let filter = EnvFilter::try_new(format!("s3s=off,{}", log_filter::of_all_crates(said)))
        .map_err(|error| error.to_string())?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // It would complain on standard error that it cannot write there, and panic.
        .log_internal_errors(false)
        .with_target(false);
    match args.log_format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}

/// How often a running server looks whose the bucket is.
const LOOK_EVERY: Duration = Duration::from_secs(40);

/// How long readers wait for what a process before has left.
const RECOVERY: Duration = Duration::from_secs(10);

/// How long work on files may go on when everything else has ended.
pub const LAST_WORK: Duration = Duration::from_millis(250);

/// How long the bucket may take to be told how far the database has come, at the end.
const LAST_RECORD: Duration = Duration::from_millis(500);

/// Runs the server until a signal ends it, which may come before it has started.
///
/// # Errors
/// When a part it stands on is unusable.
pub async fn run(config: Config) -> Result<(), StartError> {
    let signals = |error: std::io::Error| StartError::Failed(error.to_string());
    let mut stop = serve::Stop::listen().map_err(signals)?;
    let hangup = serve::Stop::hangup().map_err(signals)?;
    let Started {
        app,
        endpoint,
        listener,
        tls,
        credential_files,
    } = tokio::select! {
        started = start(config) => started?,
        () = stop.wait() => {
            tracing::info!("told to stop before the start was over");
            return Ok(());
        }
    };
    let reload = Reload::new(app.clone(), tls.clone(), credential_files);
    tokio::spawn(reload.at(hangup));
    let stopped = serve::run(listener, endpoint, stop, &app.stop, tls).await;
    // What goes on without a request has been told at once, so it has had the same time.
    app.tasks.close();
    let _ = tokio::time::timeout(Duration::from_millis(500), app.tasks.wait()).await;
    // A backup from before that is put back is noticed then, however short this process lived.
    let _ = tokio::time::timeout(LAST_RECORD, app.ownership.record()).await;
    // Work that was cut off is taken up by whoever repeats it; nobody waits for it here.
    let _ = tokio::time::timeout(Duration::from_secs(1), app.catalog.close()).await;
    stopped.map_err(|error| StartError::Failed(error.to_string()))
}

/// Everything that serving needs.
struct Started {
    app: Arc<App>,
    endpoint: BoxEndpoint<'static, Response>,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    credential_files: CredentialFiles,
}

/// The object store, which answers.
pub(crate) struct OpenStore {
    /// The bucket.
    pub bucket: Bucket,
    /// Of the embedded store: the name of its bucket, and what serves it.
    pub s3: Option<(String, S3Endpoint)>,
}

/// Opens the database, once it answers.
pub(crate) async fn open_database(url: &str, limit: Duration) -> Result<Catalog, StartError> {
    let what = format!("the database at {}", database_address(url));
    let is_passing =
        |error: &CatalogError| matches!(error, CatalogError::Unavailable(_) | CatalogError::ReadOnly(_));
    let opened = wait_for(&what, limit, async || Catalog::open(url).await, is_passing).await;
    opened.map_err(|error| match error {
        error if is_passing(&error) => {
            let why = cause(&error);
            let hint = if why.contains("refused") {
                "; is PostgreSQL running?"
            } else {
                ""
            };
            StartError::Failed(format!("--db: cannot reach {what}: {why}{hint}"))
        }
        error => error.into(),
    })
}

/// Host and port of a database, or its file: neither user nor password.
fn database_address(database: &str) -> String {
    match database.parse::<url::Url>() {
        Ok(url) if url.scheme().starts_with("postgres") => {
            let socket = url.query_pairs().find(|(name, _)| name == "host");
            let socket = socket.map(|(_, folder)| folder.into_owned());
            let host = socket.or_else(|| url.host_str().map(str::to_owned));
            let host = host
                .filter(|host| !host.is_empty())
                .unwrap_or_else(|| "localhost".to_owned());
            format!("{host}:{}", url.port().unwrap_or(POSTGRES_PORT))
        }
        _ => {
            let file = database.split_once(':').map_or(database, |(_, file)| file);
            file.split('?')
                .next()
                .unwrap_or(file)
                .trim_start_matches("//")
                .to_owned()
        }
    }
}

/// Where PostgreSQL listens unless it is told otherwise.
const POSTGRES_PORT: u16 = 5432;

/// Where an object store is.
fn store_address(store: &Store) -> String {
    match store {
        Store::Embedded { directory, .. } => format!("files in {}", directory.display()),
        Store::S3(settings) => match &settings.endpoint {
            Some(endpoint) => format!(
                "bucket {} at {}",
                settings.bucket,
                endpoint.origin().ascii_serialization()
            ),
            None => format!("bucket {} at AWS in {}", settings.bucket, settings.region),
        },
    }
}

/// Opens the object store, once it answers.
pub(crate) async fn open_store(store: &Store, limit: Duration) -> Result<OpenStore, StartError> {
    let (bucket, s3) = match store {
        Store::Embedded {
            directory,
            bucket,
            access_key,
            secret_key,
        } => {
            let files = FileBucket::open(directory, bucket, access_key, secret_key)?;
            let s3 = S3Endpoint::new(&files);
            (Bucket::from(files), Some((bucket.clone(), s3)))
        }
        Store::S3(settings) => (Bucket::s3(settings).await?, None),
    };
    let bucket = ready_bucket(bucket, store, limit).await?;
    Ok(OpenStore { bucket, s3 })
}

/// The bucket once it answers, in the region that the service names if nobody has given one.
async fn ready_bucket(mut bucket: Bucket, store: &Store, limit: Duration) -> Result<Bucket, StartError> {
    let what = format!("the object store ({})", store_address(store));
    let mut ready = wait_for(&what, limit, async || bucket.ready().await, is_passing).await;
    if let (Err(_), Store::S3(settings)) = (&ready, store)
        && !settings.region_given
        && let Some(region) = bucket.region().await
        && region != settings.region
    {
        tracing::info!(region, "the object store has named its region");
        let mut settings = settings.clone();
        settings.region = region;
        bucket = Bucket::s3(&settings).await?;
        ready = wait_for(&what, limit, async || bucket.ready().await, is_passing).await;
    }
    if let Err(error) = ready {
        return Err(match bucket.diagnose().await {
            Some(line) => StartError::Failed(line),
            None => StartError::Failed(format!("--s3-endpoint: cannot use {what}: {}", cause(&error))),
        });
    }
    Ok(bucket)
}

/// Makes the parts ready, and begins to listen.
async fn start(config: Config) -> Result<Started, StartError> {
    let object_store = store_address(&config.store);
    let catalog = open_database(&config.database, config.wait_for).await?;
    let OpenStore { bucket, s3 } = open_store(&config.store, config.wait_for).await?;
    let embedded = s3.is_some();
    let kind = match config.checksum {
        ChecksumChoice::Auto => None,
        ChecksumChoice::Sha256 => Some(ChecksumKind::Sha256),
        ChecksumChoice::Md5 => Some(ChecksumKind::Md5),
    };
    let rights = store_rights::probe(&catalog, &bucket, kind, config.wait_for).await?;
    store_rights::check_versions(&bucket, config.delete_versions, config.wait_for).await?;
    // Before anything else is written into the bucket.
    let claimed =
        ownership::claim(&catalog, &bucket, &config.store_dir, config.adopt_bucket.as_ref()).await?;
    rights.keep(&catalog).await?;
    let checksum = rights.checksum;
    let bucket = Arc::new(bucket.checking(checksum));
    let verifications = Arc::new(Queue::new(config.verify_concurrency));
    bucket.watch_arrivals(verifications.clone());
    let oidc = Oidc::new(config.oidc).map_err(StartError::Failed)?;
    let app = Arc::new(App {
        auth: Authenticator::new(
            config.admin_token,
            oidc,
            catalog.clone(),
            config.certificates,
            config.failures,
        ),
        ownership: Ownership::new(&claimed, &catalog, &bucket),
        catalog,
        bucket,
        checksum,
        verify_uploads: config.verify_uploads,
        keep_replaced: config.keep_replaced,
        listings: config.listings,
        index_debug_info: config.index_debug_info,
        max_nar_size: config.max_nar_size,
        verifications,
        deletion_waits: DeletionWaits::default(),
        signer: Arc::new(Signer::new(config.sign_keys)),
        store_dir: config.store_dir,
        priority: config.priority,
        cache_url: config.cache_url,
        server_url: config.server_url,
        embedded_store: embedded,
        lease_seconds: config.lease_seconds,
        limits: config.limits,
        read_proxy: config.read_proxy,
        read_redirect: config.read_redirect,
        delete_versions: config.delete_versions,
        stop: CancellationToken::new(),
        tasks: TaskTracker::new(),
        clock: Clock::default(),
        retention: Retention::new(config.retention),
        cache_stats: CacheStats::default(),
        protect_metrics: config.protect_metrics,
        protect_reads: config.protect_reads,
    });
    let readers = Readers {
        queue: Arc::clone(&app.verifications),
        catalog: app.catalog.clone(),
        bucket: Arc::clone(&app.bucket),
        stop: app.stop.clone(),
    };
    readers.start(&app.tasks);
    if config.verify_uploads != VerifyUploads::None {
        app.tasks.spawn(verify_when_idle(app.clone()));
    }
    take_up(&app).await?;
    app.tasks.spawn(landing::keep_current(app.clone()));
    let unsettled = app.clone();
    app.tasks.spawn(async move {
        if let Err(problem) = pins::settle_all(&unsettled).await {
            tracing::warn!(
                why = problem.text(),
                "pins that a process before this one left wait"
            );
        }
    });
    let listener = serve::listen(config.http_addr)
        .map_err(|error| StartError::Failed(cannot_listen(config.http_addr, &error)))?;
    let address = listener
        .local_addr()
        .map_err(|error| StartError::Failed(error.to_string()))?;
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", reachable(address));
    introduce(&app, &url, config.credential_files.api_token_file());
    if config.is_new && config.gc_schedule.is_none() {
        suggest_collections();
    }
    log_start(&app, &url, address, &config.database, &object_store);
    watchdog::start(&app);
    watch_ownership(&app);
    server_list::join(&app)
        .await
        .map_err(|problem| StartError::Failed(problem.text().to_owned()))?;
    if let Some(schedule) = config.gc_schedule {
        app.tasks.spawn(gc::schedule::run(app.clone(), schedule));
    }
    Ok(Started {
        endpoint: http::endpoint(&app, s3),
        app,
        listener,
        tls: config.tls.map(Arc::new),
        credential_files: config.credential_files,
    })
}

/// Why nobody can listen on an address, and what to do about it.
fn cannot_listen(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("--http-addr: {address} is in use; is another niks3-server running?")
        }
        io::ErrorKind::AddrNotAvailable => format!(
            "--http-addr: this machine does not have the address {}; 0.0.0.0 means all that it has",
            address.ip()
        ),
        io::ErrorKind::PermissionDenied => format!(
            "--http-addr: {address}: permission denied; a port below 1024 needs root, the capability \
             CAP_NET_BIND_SERVICE, or a socket from systemd"
        ),
        _ => format!("--http-addr: {address}: {error}"),
    }
}

/// Makes the bucket what the database and the options say.
async fn take_up(app: &Arc<App>) -> Result<(), StartError> {
    let recorded = app.ownership.record().await;
    recorded.map_err(|problem| StartError::Failed(problem.text().to_owned()))?;
    if app.embedded_store {
        // The lock on its folder says that no other process can be writing there.
        app.catalog.lift_fences().await?;
        app.catalog.end_commit_leases().await?;
        recover(app).await;
    }
    Ok(landing::write(app).await?)
}

/// Mends what a process before this one has left at names that readers see, before they come
/// unless it takes long.
async fn recover(app: &Arc<App>) {
    let recovering = app.clone();
    let recovering = app.tasks.spawn(async move {
        let recovered = async {
            push::recover(&recovering).await?;
            pins::settle_all(&recovering).await
        };
        if let Err(problem) = recovered.await {
            tracing::warn!(
                why = problem.text(),
                "what a process before this one has left waits"
            );
        }
    });
    let _ = tokio::time::timeout(RECOVERY, recovering).await;
}

/// Looks, and writes the generation into the bucket, until the server stops.
fn watch_ownership(app: &Arc<App>) {
    let app = app.clone();
    app.tasks.clone().spawn(async move {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = app.stop.cancelled() => return,
            }
            let looked = tokio::select! {
                looked = app.ownership.record() => looked,
                () = app.stop.cancelled() => return,
            };
            if let Err(problem) = looked {
                tracing::warn!(
                    why = problem.text(),
                    "the owner of the bucket could not be confirmed"
                );
            }
        }
    });
}

/// What is served, where, and on what it stands, for the log.
fn log_start(app: &App, url: &str, listens_on: SocketAddr, database: &str, object_store: &str) {
    let url = app.server_url.as_ref().map_or(url, url::Url::as_str);
    let keys: Vec<&str> = app.signer.key_names().collect();
    tracing::info!(
        version = niks3_arguments::VERSION,
        %listens_on,
        keys = keys.join(" "),
        database = database_address(database),
        object_store,
        store_dir = %app.store_dir,
        "serving {}",
        url.trim_end_matches('/')
    );
}

/// An address that leads to a listener: one that listens on all addresses is found on the loopback interface.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// Says what keeps a new cache from growing without end.
fn suggest_collections() {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(
        out,
        "nothing is deleted from this cache unless `niks3 gc` is run, or the server is started with --gc-every 24h"
    );
    let _ = out.flush();
}

/// What a user needs next, on standard output.
fn introduce(app: &App, address: &str, token: Option<&Path>) {
    let server = app
        .server_url
        .as_ref()
        .map_or(address, |url| url.as_str().trim_end_matches('/'));
    let cache = app
        .cache_url
        .as_ref()
        .map_or(server, |url| url.as_str().trim_end_matches('/'));
    let keys = app.signer.public_keys().join(" ");
    let mut out = std::io::stdout().lock();
    let token = token.map_or_else(|| "an option".to_owned(), |path| path.display().to_string());
    let _ = writeln!(out, "server: {server}   (admin token in {token})");
    let _ = writeln!(out, "public key: {keys}");
    if app.read_proxy || app.cache_url.is_some() {
        let _ = writeln!(out, "nix.conf: extra-substituters = {cache}");
        let _ = writeln!(out, "          extra-trusted-public-keys = {keys}");
    } else {
        let _ = writeln!(
            out,
            "nix.conf: extra-trusted-public-keys = {keys}   (say --cache-url for the substituter's line)"
        );
    }
    let _ = out.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_shown_without_user_and_password() {
        for (url, shown) in [
            (
                "postgres://niks3:secret@db.example.com/niks3",
                "db.example.com:5432",
            ),
            (
                "postgresql://u@127.0.0.1:6000/x?sslmode=require",
                "127.0.0.1:6000",
            ),
            ("postgres:///niks3?host=/run/postgresql", "/run/postgresql:5432"),
            ("postgres:///niks3", "localhost:5432"),
            (
                "sqlite:///var/lib/niks3/niks3.db?mode=rwc",
                "/var/lib/niks3/niks3.db",
            ),
        ] {
            assert_eq!(database_address(url), shown, "{url}");
        }
    }

    #[test]
    fn nobody_is_told_an_address_that_means_all() {
        for (address, shown) in [
            ("0.0.0.0:5751", "127.0.0.1:5751"),
            ("[::]:5751", "[::1]:5751"),
            ("192.0.2.1:80", "192.0.2.1:80"),
        ] {
            assert_eq!(reachable(address.parse().unwrap()).to_string(), shown);
        }
    }
}
