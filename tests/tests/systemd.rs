//! The units' commands under a stand-in for systemd: its notification socket and the
//! sockets that it hands over.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use niks3_test_support::{Backend, Postgres, garage_bucket, program};
use tempfile::TempDir;

/// The longest that anything here may take before it is a hang.
const HANG: Duration = Duration::from_secs(60);

/// `ExecStart=` of a unit in contrib/systemd, as words.
fn exec_start(unit: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../contrib/systemd")
        .join(unit);
    let text = std::fs::read_to_string(path).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .unwrap();
    line.split(' ').map(str::to_owned).collect()
}

/// A service that was started as systemd starts it.
struct Service {
    child: Child,
    notify: UnixDatagram,
    address: String,
    folder: TempDir,
    /// What it has said and nobody has waited for.
    said: Vec<String>,
}

impl Service {
    fn start(watchdog: Duration, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("notify");
        let notify = UnixDatagram::bind(&socket).unwrap();
        notify.set_read_timeout(Some(HANG)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let words = exec_start("niks3-server.service");
        assert_eq!(words[0], "/usr/bin/niks3-server");
        let data = folder.path().join("state").display().to_string();
        let arguments = words[1..]
            .iter()
            .map(|word| word.replace("/var/lib/niks3", &data));
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "exec 3<&0 < /dev/null; LISTEN_PID=$$ WATCHDOG_PID=$$ LISTEN_FDS=1 exec \"$@\"",
                "sh",
            ])
            .arg(program("niks3-server"))
            .args(arguments)
            .envs(environment.iter().copied())
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", watchdog.as_micros().to_string())
            .env("NIKS3_LOG", "warn")
            .stdin(OwnedFd::from(listener))
            .stdout(Stdio::null());
        Self {
            child: command.spawn().unwrap(),
            notify,
            address,
            folder,
            said: Vec::new(),
        }
    }

    /// Waits for a message; others stay.
    fn hear(&mut self, what: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            if let Some(index) = self.said.iter().position(|line| line.starts_with(what)) {
                return self.said.remove(index);
            }
            let length = self
                .notify
                .recv(&mut buffer)
                .unwrap_or_else(|error| panic!("waiting for {what}: {error}"));
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            self.said.extend(text.lines().map(str::to_owned));
        }
    }

    /// Takes what has been said so far.
    fn take(&mut self) -> Vec<String> {
        self.notify.set_nonblocking(true).unwrap();
        let mut buffer = [0; 4096];
        while let Ok(length) = self.notify.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]);
            self.said.extend(text.lines().map(str::to_owned));
        }
        self.notify.set_nonblocking(false).unwrap();
        std::mem::take(&mut self.said)
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(HANG)).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    /// `systemctl stop`: how it ended, and after how long.
    fn stop(mut self) -> (ExitStatus, Duration) {
        let started = std::time::Instant::now();
        let _ = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        self.hear("STOPPING=1");
        let status = self.child.wait().unwrap();
        (status, started.elapsed())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn services(db: &str) -> Vec<(&'static str, String)> {
    let bucket = garage_bucket();
    vec![
        ("NIKS3_DB", db.to_owned()),
        ("NIKS3_S3_ENDPOINT", bucket.endpoint.clone()),
        ("NIKS3_S3_BUCKET", bucket.name.clone()),
        ("NIKS3_S3_REGION", bucket.region.to_owned()),
        ("NIKS3_S3_ACCESS_KEY", bucket.access_key.to_owned()),
        ("NIKS3_S3_SECRET_KEY", bucket.secret_key.to_owned()),
    ]
}

fn pairs<'a>(owned: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    owned
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}

fn the_unit_starts_and_stops_as_systemd_wants_it(backend: Backend) {
    let environment = match backend {
        Backend::Embedded => Vec::new(),
        Backend::Services => services(&niks3_test_support::database()),
    };
    let mut service = Service::start(Duration::from_secs(2), &pairs(&environment));
    // Nobody has to wait for the address: systemd listens before the server does.
    let answer = service.get("/ready");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    service.hear("READY=1");
    service.hear("STATUS=database and object store answer");
    // More than one sign of life.
    service.hear("WATCHDOG=1");
    service.hear("WATCHDOG=1");
    assert!(service.folder.path().join("state/api-token").exists());
    // A client that never ends its request does not hold it up beyond what TimeoutStopSec allows.
    let mut idle = TcpStream::connect(&service.address).unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nhost").unwrap();
    let (status, took) = service.stop();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(15), "{took:?}");
}

#[test]
fn the_unit_starts_and_stops_as_systemd_wants_it_with_nothing_configured() {
    the_unit_starts_and_stops_as_systemd_wants_it(Backend::Embedded);
}

#[test]
fn the_unit_starts_and_stops_as_systemd_wants_it_with_services() {
    the_unit_starts_and_stops_as_systemd_wants_it(Backend::Services);
}

#[test]
fn a_database_that_is_silent_ends_the_signs_of_life() {
    let postgres = Postgres::start();
    let environment = services(&postgres.url());
    let mut service = Service::start(Duration::from_secs(2), &pairs(&environment));
    service.hear("WATCHDOG=1");
    postgres.signal("STOP");
    let status = service.hear("STATUS=the database");
    assert!(!status.contains("postgres@"), "{status}");
    let _ = service.take();
    // The process itself lives, and that alone is no sign of life.
    assert!(service.get("/health").starts_with("HTTP/1.1 200"));
    assert!(service.get("/ready").starts_with("HTTP/1.1 503"));
    let said = service.take();
    assert!(!said.iter().any(|line| line == "WATCHDOG=1"), "{said:?}");
    postgres.signal("CONT");
    service.hear("STATUS=database and object store answer");
    service.hear("WATCHDOG=1");
    let (status, _) = service.stop();
    assert_eq!(status.code(), Some(0));
}
