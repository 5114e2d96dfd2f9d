//! Where the tests keep their objects.

use std::path::PathBuf;
use std::sync::Arc;

use niks3_server::http::S3Endpoint;
use niks3_server::storage::{Bucket, FileBucket, S3Keys, S3Settings, Upload};
use niks3_test_support::S3Service;
use poem::EndpointExt as _;
use poem::endpoint::BoxEndpoint;
use tempfile::TempDir;

/// A bucket of its own for one test.
pub(crate) struct Place {
    pub(crate) bucket: Bucket,
    /// Address by which a client reaches the embedded store.
    pub(crate) base: Option<String>,
    /// The bucket's folder, where it has one.
    pub(crate) folder: Option<PathBuf>,
    /// Where anybody reads the bucket of a service: address and name of the host.
    pub(crate) web: Option<String>,
    _directory: Option<TempDir>,
}

const ACCESS: &str = "GK0123456789abcdef01234567";
const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

pub(crate) fn settings(endpoint: &str, bucket: &str, region: &str) -> S3Settings {
    with_keys(endpoint, bucket, region, (ACCESS, SECRET))
}

pub(crate) fn with_keys(
    endpoint: &str,
    bucket: &str,
    region: &str,
    (access, secret): (&str, &str),
) -> S3Settings {
    S3Settings {
        endpoint: Some(endpoint.parse().expect("a URL")),
        bucket: bucket.to_owned(),
        region: region.to_owned(),
        region_given: true,
        path_style: true,
        credentials: Some(Arc::new(S3Keys::given(access, &secret.to_owned().into()))),
        concurrency: 16,
        rate_limit: None,
        public_url: None,
    }
}

fn serve(files: &FileBucket) -> String {
    listen(S3Endpoint::new(files).map_to_response().boxed())
}

/// Answers HTTP until the process ends; the address.
pub(crate) fn listen(endpoint: BoxEndpoint<'static>) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("non-blocking");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        let stop = niks3_server::serve::Stop::listen().expect("signals");
        niks3_server::serve::run(
            listener,
            endpoint,
            stop,
            &tokio_util::sync::CancellationToken::new(),
            None,
        )
        .await
        .expect("serve");
    });
    format!("http://{address}")
}

pub(crate) fn files() -> Place {
    let directory = tempfile::tempdir().expect("a folder");
    let files =
        FileBucket::open(directory.path(), "cache", ACCESS, &SECRET.to_owned().into()).expect("a store");
    let base = serve(&files);
    let folder = Some(directory.path().join("bucket"));
    Place {
        bucket: files.into(),
        base: Some(base),
        folder,
        web: None,
        _directory: Some(directory),
    }
}

pub(crate) async fn http() -> Place {
    let directory = tempfile::tempdir().expect("a folder");
    let files =
        FileBucket::open(directory.path(), "cache", ACCESS, &SECRET.to_owned().into()).expect("a store");
    let base = serve(&files);
    let bucket = Bucket::s3(&settings(&base, "cache", "us-east-1"))
        .await
        .expect("a bucket");
    let folder = Some(directory.path().join("bucket"));
    Place {
        bucket,
        base: None,
        folder,
        web: None,
        _directory: Some(directory),
    }
}

pub(crate) async fn garage() -> Place {
    // It waits for the program.
    let made = tokio::task::spawn_blocking(niks3_test_support::garage_bucket)
        .await
        .expect("a bucket");
    assert_eq!((made.access_key, made.secret_key), (ACCESS, SECRET));
    let bucket = Bucket::s3(&settings(&made.endpoint, &made.name, made.region))
        .await
        .expect("a bucket");
    Place {
        bucket,
        base: None,
        folder: None,
        web: Some(made.web),
        _directory: None,
    }
}

/// Another service than Garage.
pub(crate) async fn service(service: S3Service) -> Place {
    let made = tokio::task::spawn_blocking(move || service.bucket())
        .await
        .expect("a bucket");
    let keys = (made.access_key, made.secret_key);
    let bucket = Bucket::s3(&with_keys(&made.endpoint, &made.name, made.region, keys))
        .await
        .expect("a bucket");
    Place {
        bucket,
        base: None,
        folder: None,
        web: None,
        _directory: None,
    }
}

pub(crate) async fn minio() -> Place {
    service(S3Service::Minio).await
}

pub(crate) async fn versitygw() -> Place {
    service(S3Service::Versitygw).await
}

/// All uploads in parts that have not ended.
pub(crate) async fn open_uploads(bucket: &Bucket) -> Vec<Upload> {
    let mut uploads = bucket.uploads();
    let mut all = Vec::new();
    while let Some(page) = uploads.page().await.expect("a list") {
        all.extend(page);
    }
    all
}
