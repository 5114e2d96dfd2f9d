//! Where the tests keep their objects.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use niks3_server::config::S3Settings;
use niks3_server::storage::{Bucket, FileBucket, S3Endpoint};
use poem::EndpointExt as _;
use tempfile::TempDir;

/// A bucket of its own for one test.
pub(crate) struct Place {
    pub(crate) bucket: Bucket,
    /// Address by which a client reaches the embedded store.
    pub(crate) base: Option<String>,
    /// The bucket's folder, where it has one.
    pub(crate) folder: Option<PathBuf>,
    _directory: Option<TempDir>,
}

const ACCESS: &str = "GK0123456789abcdef01234567";
const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn settings(endpoint: &str, bucket: &str, region: &str) -> S3Settings {
    S3Settings {
        endpoint: Some(endpoint.parse().expect("a URL")),
        bucket: bucket.to_owned(),
        region: region.to_owned(),
        path_style: true,
        credentials: Some((ACCESS.to_owned(), SECRET.to_owned().into())),
        concurrency: 16,
        rate_limit: None,
        public_url: None,
    }
}

/// Serves a store over HTTP until the process ends; its address.
fn serve(files: &FileBucket) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("non-blocking");
    let address = listener.local_addr().expect("an address");
    let endpoint = S3Endpoint::new(files).map_to_response().boxed();
    tokio::spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        let stop = niks3_server::serve::Stop::listen().expect("signals");
        niks3_server::serve::run(
            listener,
            endpoint,
            stop,
            &tokio_util::sync::CancellationToken::new(),
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
        _directory: Some(directory),
    }
}

struct Garage {
    directory: PathBuf,
    port: u16,
}

/// One Garage for all tests; it ends with the process that started it.
fn start_garage() -> &'static Garage {
    static GARAGE: OnceLock<Garage> = OnceLock::new();
    GARAGE.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a folder").keep();
        let [port, rpc] = [(); 2].map(|()| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
            listener.local_addr().expect("an address").port()
        });
        let here = directory.display();
        let config = format!(
            "metadata_dir = \"{here}/meta\"\ndata_dir = \"{here}/data\"\ndb_engine = \"lmdb\"\nreplication_factor = 1\n\
             metadata_fsync = false\nrpc_bind_addr = \"127.0.0.1:{rpc}\"\nrpc_public_addr = \"127.0.0.1:{rpc}\"\n\
             rpc_secret = \"{SECRET}\"\n[s3_api]\ns3_region = \"garage\"\napi_bind_addr = \"127.0.0.1:{port}\"\n"
        );
        std::fs::write(directory.join("garage.toml"), config).expect("write");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", &program(), "-c"]).arg(directory.join("garage.toml")).arg("server");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        // The kernel looks at the thread that started it, so that one stays.
        std::thread::spawn(move || {
            let _ = command.spawn().expect("Garage starts").wait();
        });
        let node = (0..200)
            .find_map(|_| {
                std::thread::sleep(Duration::from_millis(50));
                let output = run(&directory, &["node", "id", "-q"]);
                let up = output.is_some() && run(&directory, &["status"]).is_some();
                output.filter(|_| up)
            })
            .expect("Garage answers");
        let node = node.split('@').next().unwrap_or_default().to_owned();
        for arguments in [
            &["layout", "assign", "-z", "here", "-c", "1G", &node][..],
            &["layout", "apply", "--version", "1"],
            &["key", "import", "--yes", ACCESS, SECRET],
        ] {
            run(&directory, arguments).unwrap_or_else(|| panic!("garage {arguments:?}"));
        }
        Garage { directory, port }
    })
}

fn program() -> String {
    let cache = std::env::var("HOME").map(|home| format!("{home}/.cache/niks3/garage-2.5.0/bin/garage"));
    let program = std::env::var("NIKS3_TEST_GARAGE").or(cache).unwrap_or_default();
    assert!(
        std::path::Path::new(&program).exists(),
        "no Garage at {program:?}: run scripts/setup --garage"
    );
    program
}

fn run(directory: &std::path::Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program());
    let output = command
        .arg("-c")
        .arg(directory.join("garage.toml"))
        .args(arguments)
        .output()
        .expect("garage runs");
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

async fn garage_bucket() -> (String, String) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("test-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let created = name.clone();
    let port = tokio::task::spawn_blocking(move || {
        let running = start_garage();
        run(&running.directory, &["bucket", "create", &created]).expect("bucket create");
        let allow = [
            "bucket", "allow", "--read", "--write", "--owner", &created, "--key", ACCESS,
        ];
        run(&running.directory, &allow).expect("bucket allow");
        running.port
    })
    .await
    .expect("a bucket");
    (format!("http://127.0.0.1:{port}"), name)
}

pub(crate) async fn garage() -> Place {
    let (endpoint, name) = garage_bucket().await;
    let bucket = Bucket::s3(&settings(&endpoint, &name, "garage"))
        .await
        .expect("a bucket");
    Place {
        bucket,
        base: None,
        folder: None,
        _directory: None,
    }
}
