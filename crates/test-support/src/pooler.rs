//! Connection poolers before a cluster of PostgreSQL.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::postgres::{Postgres, as_postgres, give_to_postgres, query};
use crate::process::{Running, free_port, run};

/// A pooler that is running.
#[derive(Debug)]
pub struct Pooler {
    process: Running,
    _folder: TempDir,
    port: u16,
}

impl Pooler {
    /// PgBouncer, with more lines of its configuration.
    #[must_use]
    pub fn pgbouncer(postgres: &Postgres, settings: &str) -> Self {
        let configuration = |port| {
            format!(
                "[databases]\n* = host={} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
                 unix_socket_dir =\nauth_type = any\n{settings}\n",
                postgres.socket_folder().display()
            )
        };
        Self::start("pgbouncer", configuration, &[])
    }

    /// pgpool-II with one server, in a mode.
    #[must_use]
    pub fn pgpool(postgres: &Postgres, mode: &str) -> Self {
        let configuration = |port| {
            format!(
                "backend_clustering_mode = '{mode}'\nlisten_addresses = '127.0.0.1'\nport = {port}\npcp_port = {}\n\
                 backend_hostname0 = '{}'\nbackend_port0 = 5432\nenable_pool_hba = off\nnum_init_children = 20\n\
                 sr_check_user = 'postgres'\npid_file_name = 'pid'\nlogdir = '.'\nsocket_dir = ''\npcp_socket_dir = ''\n",
                free_port(),
                postgres.socket_folder().display()
            )
        };
        Self::start(
            "pgpool",
            configuration,
            &["-n", "-F", "pcp.conf", "-a", "hba.conf", "-f"],
        )
    }

    fn start(name: &str, configuration: impl Fn(u16) -> String, arguments: &[&str]) -> Self {
        let program = PathBuf::from("/usr/sbin").join(name);
        assert!(program.exists(), "no {name}: run scripts/setup --postgres");
        let folder = tempfile::tempdir().unwrap();
        give_to_postgres(folder.path());
        let port = free_port();
        // Relative names in a configuration begin where it is.
        let text = configuration(port)
            .replace("'pid'", &format!("'{}'", folder.path().join("pid").display()))
            .replace(
                "socket_dir = ''",
                &format!("socket_dir = '{}'", folder.path().display()),
            );
        std::fs::write(folder.path().join("configuration"), text).unwrap();
        for empty in ["pcp.conf", "hba.conf"] {
            std::fs::write(folder.path().join(empty), "").unwrap();
        }
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = as_postgres(program, "INT");
        command
            .args(arguments)
            .arg("configuration")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let pooler = Self {
            process: Running(command.spawn().unwrap()),
            port,
            _folder: folder,
        };
        let up = (0..600).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        assert!(up, "{name} does not answer");
        assert_eq!(query(&pooler.url(), "SELECT 1"), "1\n");
        pooler
    }

    /// URL of the database behind it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // With its children, which a process that is killed leaves.
        let _ = run(Command::new("kill").args(["-INT", &self.process.0.id().to_string()]));
        let ended = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            !matches!(self.process.0.try_wait(), Ok(None))
        });
        assert!(ended || std::thread::panicking(), "a pooler does not end");
    }
}
