//! PostgreSQL on a socket in a temporary folder.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Running, run, share};

/// A cluster of its own, which can go away and come back.
#[derive(Debug)]
pub struct Postgres {
    directory: TempDir,
    process: Option<Running>,
}

fn programs() -> PathBuf {
    if let Some(folder) = std::env::var_os("NIKS3_TEST_PG_BIN") {
        return folder.into();
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders
        .pop()
        .expect("no PostgreSQL in /usr/lib/postgresql: run scripts/setup --postgres")
}

fn is_root() -> bool {
    run(Command::new("id").arg("-u")).stdout.trim() == "0"
}

/// A command of PostgreSQL; root becomes its user, since it refuses to run as root.
fn command(name: &str) -> Command {
    as_postgres(programs().join(name), "KILL")
}

/// A program that refuses to run as root, or has to reach what belongs to PostgreSQL's user; it gets a signal when the test
/// ends.
pub(crate) fn as_postgres(program: PathBuf, signal: &str) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"])
        // Changing the user undoes what whoever starts it asked for: it ends with the test.
        .args(["--pdeathsig", signal])
        .arg(program);
    command
}

/// Makes a folder that of PostgreSQL's user.
pub fn give_to_postgres(directory: &Path) {
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).unwrap();
    if is_root() {
        let user = |flag| {
            run(Command::new("id").args([flag, "postgres"]))
                .stdout
                .trim()
                .parse()
                .unwrap()
        };
        chown(directory, Some(user("-u")), Some(user("-g"))).unwrap();
    }
}

fn initialise(directory: &Path) {
    give_to_postgres(directory);
    let arguments = [
        "--auth",
        "trust",
        "--username",
        "postgres",
        "--no-sync",
        "--encoding",
        "UTF8",
        "--locale",
        "C",
    ];
    let _ = run(command("initdb")
        .args(arguments)
        .arg("-D")
        .arg(directory.join("data")))
    .ok();
}

fn server(directory: &Path) -> Command {
    let mut command = command("postgres");
    command
        .arg("-D")
        .arg(directory.join("data"))
        .arg("-k")
        .arg(directory);
    command.args([
        "-c",
        "listen_addresses=",
        "-c",
        "fsync=off",
        "-c",
        "max_connections=300",
        "-c",
        "max_wal_size=64MB",
        "-c",
        "min_wal_size=32MB",
    ]);
    command
}

fn psql(directory: &Path, statement: &str) -> bool {
    let mut command = Command::new(programs().join("psql"));
    command
        .args(["-U", "postgres", "-d", "postgres", "-qc", statement])
        .arg("-h")
        .arg(directory);
    run(&mut command).code == 0
}

fn wait(directory: &Path) {
    let up = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        psql(directory, "SELECT 1")
    });
    assert!(up, "PostgreSQL does not answer");
}

fn url(directory: &Path, name: &str) -> String {
    format!(
        "postgres://postgres@localhost/{name}?host={}",
        directory.display()
    )
}

/// What a statement gives in a database, a line a row.
pub(crate) fn query(url: &str, statement: &str) -> String {
    run(Command::new(programs().join("psql")).args(["-v", "ON_ERROR_STOP=1", "-Atc", statement, url])).ok()
}

/// URL of an empty database, in a cluster that the tests of this process share.
#[must_use]
pub fn database() -> String {
    database_with("")
}

/// The same with options of `CREATE DATABASE`.
#[must_use]
pub fn database_with(options: &str) -> String {
    static CLUSTER: OnceLock<PathBuf> = OnceLock::new();
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let directory = CLUSTER.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap().keep();
        initialise(&directory);
        // At once, and with all its processes.
        share(&server(&directory), &directory, "QUIT");
        wait(&directory);
        directory
    });
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    assert!(
        psql(directory, &format!("CREATE DATABASE {name} {options}")),
        "a database"
    );
    url(directory, &name)
}

impl Postgres {
    /// Starts a cluster.
    #[must_use]
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        initialise(directory.path());
        let mut cluster = Self {
            directory,
            process: None,
        };
        cluster.resume();
        cluster
    }

    /// Starts a standby of another cluster, which follows it.
    #[must_use]
    pub fn standby_of(primary: &Self) -> Self {
        let directory = tempfile::tempdir().unwrap();
        give_to_postgres(directory.path());
        let arguments = [
            "--write-recovery-conf",
            "--no-sync",
            "--checkpoint=fast",
            "--username=postgres",
            "--host",
        ];
        let _ = run(command("pg_basebackup")
            .args(arguments)
            .arg(primary.directory.path())
            .arg("--pgdata")
            .arg(directory.path().join("data")))
        .ok();
        let mut standby = Self {
            directory,
            process: None,
        };
        standby.resume();
        standby
    }

    /// Makes a standby a primary.
    pub fn promote(&self) {
        assert_eq!(self.ask("SELECT pg_promote()"), "t\n");
    }

    /// Folder of its socket.
    #[must_use]
    pub fn socket_folder(&self) -> &Path {
        self.directory.path()
    }

    /// URL of its database.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.directory.path(), "postgres")
    }

    /// Goes away at once, as in a power cut.
    pub fn stop(&mut self) {
        let pid = self.pid();
        let _ = run(Command::new("kill").args(["-QUIT", &pid]));
        if let Some(mut running) = self.process.take() {
            let _ = running.0.wait();
        }
    }

    /// Keeps what the cluster holds at this moment, as a snapshot of its disk would.
    pub fn save(&self) {
        let data = self.directory.path().join("data");
        let saved = self.directory.path().join("saved");
        let _ = std::fs::remove_dir_all(&saved);
        // What it has acknowledged is in its files, and none of them changes while it is copied.
        self.signal("STOP");
        let copied = run(Command::new("cp").arg("-a").args([&data, &saved]));
        self.signal("CONT");
        assert!(copied.code == 0, "{}", copied.stderr);
    }

    /// Goes away at once and comes back with what it held at the last [`Postgres::save`], as a replica that
    /// had not received the rest yet: what was acknowledged since is lost.
    pub fn restore(&mut self) {
        let data = self.directory.path().join("data");
        let saved = self.directory.path().join("saved");
        self.stop();
        std::fs::remove_dir_all(&data).unwrap();
        std::fs::rename(&saved, &data).unwrap();
        let _ = std::fs::remove_file(data.join("postmaster.pid"));
        self.resume();
    }

    fn psql(&self, statement: &str) -> Command {
        let mut command = Command::new(programs().join("psql"));
        command
            .args(["-U", "postgres", "-d", "postgres", "-qtAc", statement, "-h"])
            .arg(self.directory.path());
        command
    }

    /// What a statement answers, without its decoration.
    #[must_use]
    pub fn ask(&self, statement: &str) -> String {
        run(&mut self.psql(statement)).ok()
    }

    /// Begins statements that go on, all of them in one transaction.
    #[must_use]
    pub fn session(&self, statements: &str) -> Running {
        let mut command = self.psql(statements);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Running(command.spawn().unwrap())
    }

    /// Sends a signal to all its processes: `STOP` makes it hang, `CONT` lets it go on.
    pub fn signal(&self, name: &str) {
        let pid = self.pid();
        let children = run(Command::new("ps").args(["-o", "pid=", "--ppid", &pid])).stdout;
        // Who answers first, then who would start another.
        let all = children.split_whitespace().chain([pid.as_str()]);
        let _ = run(Command::new("kill").arg(format!("-{name}")).args(all));
    }

    fn pid(&self) -> String {
        let file = std::fs::read_to_string(self.directory.path().join("data/postmaster.pid"));
        file.unwrap_or_default()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    /// Comes back.
    pub fn resume(&mut self) {
        let mut command = server(self.directory.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.process = Some(Running(command.spawn().unwrap()));
        wait(self.directory.path());
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}
