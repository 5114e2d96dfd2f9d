//! The real server, as a process.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::bucket::Bucket;
use crate::garage::garage_bucket;
use crate::postgres::{database, query};
use crate::process::{Output, Running, free_port, program, run};
use crate::s3_bucket::S3Bucket;

/// What a server stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// SQLite, and the object store inside the process.
    Embedded,
    /// PostgreSQL and Garage.
    Services,
}

/// How a server is to be started.
#[derive(Debug, Default)]
pub struct ServerOptions {
    /// Store directory of its cache.
    pub store_dir: Option<PathBuf>,
    /// Data directory, where it is not to be a new one.
    pub data_dir: Option<PathBuf>,
    /// Database, where it is not to be that of the backend.
    pub db: Option<String>,
    /// Address of the S3 service, where a proxy stands before it.
    pub s3_endpoint: Option<String>,
    /// Bucket, where it is not to be a new one.
    pub bucket: Option<S3Bucket>,
    /// Folder with the keys of the object store, in `access-key` and `secret-key`, where they are not those of
    /// the bucket.
    pub s3_key_files: Option<PathBuf>,
    /// Address that clients use, where a proxy stands before it.
    pub server_url: Option<String>,
    /// Port, where it has to be known before.
    pub port: Option<u16>,
    /// What it logs, where that is not `debug`.
    pub log: Option<&'static str>,
    /// More arguments.
    pub arguments: Vec<String>,
    /// Variables of its environment.
    pub environment: Vec<(String, String)>,
    /// Its soft and its hard limit of open files, where they are not those of the test.
    pub open_files: Option<(u32, u32)>,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    process: Option<Running>,
    command: Vec<String>,
    environment: Vec<(String, String)>,
    directory: PathBuf,
    _temporary: Option<TempDir>,
    port: u16,
    public_key: String,
    bucket_url: String,
    bucket: Bucket,
    db: String,
}

impl Server {
    /// Starts a server with nothing special.
    #[must_use]
    pub fn start(backend: Backend, store_dir: &Path) -> Self {
        Self::with(
            backend,
            ServerOptions {
                store_dir: Some(store_dir.to_owned()),
                ..ServerOptions::default()
            },
        )
    }

    /// Starts a server.
    #[must_use]
    pub fn with(backend: Backend, options: ServerOptions) -> Self {
        match Self::attempt(backend, options) {
            Ok(server) => server,
            Err(output) => panic!("the server did not start: {output:?}"),
        }
    }

    /// Starts a server, or tells how it ended instead.
    ///
    /// # Errors
    /// Its exit code, and what it has logged.
    pub fn attempt(backend: Backend, options: ServerOptions) -> Result<Self, Output> {
        let mut server = Self::prepare(backend, options);
        server.try_resume()?;
        Ok(server)
    }

    fn prepare(backend: Backend, options: ServerOptions) -> Self {
        let temporary = options.data_dir.is_none().then(|| tempfile::tempdir().unwrap());
        let directory = options
            .data_dir
            .or_else(|| temporary.as_ref().map(|folder| folder.path().to_owned()))
            .unwrap();
        let port = options.port.unwrap_or_else(free_port);
        let mut command = Vec::new();
        if let Some((soft, hard)) = options.open_files {
            command.extend(["prlimit".to_owned(), format!("--nofile={soft}:{hard}")]);
        }
        command.extend([program("niks3-server").display().to_string(), "--data-dir".into()]);
        command.push(directory.display().to_string());
        command.extend([
            "--http-addr".into(),
            format!("127.0.0.1:{port}"),
            "--log".into(),
            options.log.unwrap_or("debug").into(),
        ]);
        if let Some(store_dir) = options.store_dir {
            command.extend(["--store-dir".into(), store_dir.display().to_string()]);
        }
        if let Some(url) = options.server_url {
            command.extend(["--server-url".into(), url]);
        }
        let db = options
            .db
            .or_else(|| (backend == Backend::Services).then(database));
        command.extend(db.iter().flat_map(|db| ["--db".to_owned(), db.clone()]));
        let db = db.unwrap_or_else(|| format!("sqlite://{}", directory.join("niks3.db").display()));
        let mut bucket_url = format!("file://{}", directory.join("bucket").display());
        let mut behind = Bucket::Folder(directory.join("bucket"));
        if backend == Backend::Services {
            let bucket = options.bucket.unwrap_or_else(garage_bucket);
            behind = Bucket::Service(Box::new(bucket.clone()));
            let endpoint = options.s3_endpoint.unwrap_or(bucket.endpoint);
            bucket_url = bucket.web;
            for (option, value) in [
                ("--s3-endpoint", endpoint.as_str()),
                ("--s3-bucket", &bucket.name),
                ("--s3-region", bucket.region),
                // Readers of the tests come by HTTP, whatever the store.
                ("--enable-read-proxy=true", ""),
            ] {
                // Without a region the server asks the service.
                if (option, value) == ("--s3-region", "") {
                    continue;
                }
                command.push(option.into());
                command.extend((!value.is_empty()).then(|| value.to_owned()));
            }
            command.extend(match options.s3_key_files {
                Some(folder) => [
                    "--s3-access-key-path".into(),
                    folder.join("access-key").display().to_string(),
                    "--s3-secret-key-path".into(),
                    folder.join("secret-key").display().to_string(),
                ],
                None => [
                    "--s3-access-key".into(),
                    bucket.access_key.to_owned(),
                    "--s3-secret-key".into(),
                    bucket.secret_key.to_owned(),
                ],
            });
        }
        command.extend(options.arguments);
        // Tests look for the listings of small NARs in the bucket, unless they ask for another place.
        let mut environment = vec![("NIKS3_LISTINGS".to_owned(), "all".to_owned())];
        environment.extend(options.environment);
        Self {
            process: None,
            command,
            environment,
            directory,
            _temporary: temporary,
            port,
            public_key: String::new(),
            bucket_url,
            bucket: behind,
            db,
        }
    }

    /// Where Nix reads the bucket without the server.
    #[must_use]
    pub fn bucket_url(&self) -> &str {
        &self.bucket_url
    }

    /// The bucket, behind the server's back.
    #[must_use]
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Its embedded object store, as a service for other servers.
    #[must_use]
    pub fn as_service(&self) -> S3Bucket {
        self.bucket().delete("niks3-owner.json");
        let secret = |name| {
            let text = std::fs::read_to_string(self.directory.join(name)).unwrap();
            // As long as the test, like those of Garage.
            &*text.trim().to_owned().leak()
        };
        S3Bucket {
            endpoint: self.url(),
            name: "niks3".into(),
            web: self.bucket_url.clone(),
            region: "us-east-1",
            access_key: secret("s3-access-key"),
            secret_key: secret("s3-secret-key"),
        }
    }

    /// URL of its database.
    #[must_use]
    pub fn db(&self) -> &str {
        &self.db
    }

    /// What a statement gives in its database, behind its back: a line a row, with `|` between columns.
    #[must_use]
    pub fn sql(&self, statement: &str) -> Vec<String> {
        let printed = match self.db.strip_prefix("sqlite://") {
            Some(url) => {
                let path = url.split('?').next().unwrap_or(url);
                // While the server writes, others wait.
                let wait = ["-cmd", ".timeout 60000"];
                run(Command::new("sqlite3")
                    .args(wait)
                    .args(["-bail", path, statement]))
                .ok()
            }
            None => query(&self.db, statement),
        };
        printed.lines().map(str::to_owned).collect()
    }

    /// Changes the command line of the next start.
    pub fn reconfigure(&mut self, change: impl FnOnce(&mut Vec<String>)) {
        change(&mut self.command);
    }

    /// Starts the server again, on the same port.
    pub fn resume(&mut self) {
        if let Err(output) = self.try_resume() {
            panic!("the server did not start: {output:?}");
        }
    }

    /// The same, or how it ended instead.
    ///
    /// # Errors
    /// Its exit code, and what it has logged.
    pub fn try_resume(&mut self) -> Result<(), Output> {
        let before = self.log().len();
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.directory.join("log"))
            .unwrap();
        let mut command = Command::new(&self.command[0]);
        command
            .args(&self.command[1..])
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut running = Running(child);
        for line in lines {
            let line = line.unwrap();
            if let Some(key) = line.strip_prefix("public key: ") {
                self.public_key = key.to_owned();
            }
            if line.trim_start().starts_with("extra-trusted-public-keys") || line.contains("(say --cache-url")
            {
                self.process = Some(running);
                return Ok(());
            }
        }
        let code = running.0.wait().unwrap().code();
        Err(Output {
            code: code.unwrap_or(-1),
            stdout: String::new(),
            stderr: self.log()[before..].to_owned(),
        })
    }

    /// `kill -9`
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Whether it has been started and not been killed.
    #[must_use]
    pub fn lives(&self) -> bool {
        self.process.is_some()
    }

    /// Sends a signal: `STOP` freezes it, `CONT` lets it go on.
    pub fn signal(&self, name: &str) {
        let running = self.process.as_ref().expect("a running server");
        let sent = run(Command::new("kill").args([&format!("-{name}"), &running.0.id().to_string()]));
        assert!(sent.code == 0, "{}", sent.stderr);
    }

    /// SIGTERM; how long it took to end, and its exit code.
    pub fn terminate(&mut self) -> (Duration, Option<i32>) {
        let mut running = self.process.take().expect("a running server");
        let started = std::time::Instant::now();
        let _ = run(Command::new("kill").args(["-TERM", &running.0.id().to_string()]));
        let status = running.0.wait().unwrap();
        (started.elapsed(), status.code())
    }

    /// SIGHUP, after which it reads its certificates again.
    pub fn hang_up(&self) {
        self.signal("HUP");
    }

    /// The number of its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("a running server").0.id()
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its public key.
    #[must_use]
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// Its admin token.
    #[must_use]
    pub fn token(&self) -> String {
        std::fs::read_to_string(self.token_path())
            .unwrap()
            .trim()
            .to_owned()
    }

    /// The file with its admin token.
    #[must_use]
    pub fn token_path(&self) -> PathBuf {
        self.directory.join("api-token")
    }

    /// Its data directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// `niks3` with the address and the token of this server.
    #[must_use]
    pub fn niks3(&self) -> Command {
        let mut command = Command::new(program("niks3"));
        command
            .env("NIKS3_SERVER_URL", self.url())
            .env("NIKS3_AUTH_TOKEN_FILE", self.token_path());
        command
    }

    /// The HTTP status of an answer at a path, within a minute and a half.
    #[must_use]
    pub fn status(&self, path: &str) -> String {
        let url = format!("{}{path}", self.url());
        run(Command::new("curl").args(["-s", "-o", "/dev/null", "-m", "90", "-w", "%{http_code}", &url]))
            .stdout
    }

    /// `GET` of a path, whole.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<Vec<u8>> {
        let output = Command::new("curl")
            .args(["-fsS", &format!("{}/{path}", self.url())])
            .output()
            .unwrap();
        output.status.success().then_some(output.stdout)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let start = log.len().saturating_sub(6000);
            println!("log of the server:\n{}", log.get(start..).unwrap_or_default());
        }
    }
}

impl Server {
    /// Runs the program with arguments, without a data directory of the test's.
    #[must_use]
    pub fn try_start(arguments: &[&str]) -> Output {
        run(Command::new("timeout")
            .arg("20")
            .arg(program("niks3-server"))
            .args(arguments)
            .env_clear())
    }
}
