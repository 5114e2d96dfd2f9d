//! A whole site, in whose every connection something can go wrong.

use std::process::{Child, Command, Stdio};

use crate::process::free_port;
use crate::{Backend, FaultProxy, Output, Server, ServerOptions, Store, check_bucket, garage_bucket, run};

/// Runs each test on SQLite with the embedded store, and on PostgreSQL with Garage.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() { super::$name($crate::Backend::Embedded).await; })+
        }
        mod services {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() { super::$name($crate::Backend::Services).await; })+
        }
    };
}

/// A store, and a server whose clients come through a proxy, to it and to its object
/// store; with services, the server goes to its object store through that one too.
#[derive(Debug)]
pub struct Site {
    /// Where paths are built.
    pub store: Store,
    /// The server.
    pub server: Server,
    /// Before the server.
    pub api: FaultProxy,
    /// Before the object store.
    pub s3: FaultProxy,
}

impl Site {
    /// Starts one with nothing special.
    pub async fn new(backend: Backend) -> Self {
        Self::with(backend, ServerOptions::default()).await
    }

    /// Starts one; store directory and addresses are its own, and the bucket, unless one is given.
    pub async fn with(backend: Backend, mut options: ServerOptions) -> Self {
        let store = Store::default();
        options.store_dir = Some(store.dir());
        let port = free_port();
        let api = FaultProxy::before(&format!("http://127.0.0.1:{port}")).await;
        options.port = Some(port);
        let s3 = if backend == Backend::Services {
            let bucket = options.bucket.take().unwrap_or_else(garage_bucket);
            let s3 = FaultProxy::before(&bucket.endpoint).await;
            options.s3_endpoint = Some(s3.url());
            options.bucket = Some(bucket);
            s3
        } else {
            // The embedded store is reached as the server is.
            options.server_url = Some(api.url());
            api.clone()
        };
        let server = Server::with(backend, options);
        Self {
            store,
            server,
            api,
            s3,
        }
    }

    /// The command that pushes a path through the proxies.
    #[must_use]
    pub fn command(&self, path: &str) -> Command {
        let mut command = self.server.niks3();
        self.store.prepare(
            command
                .args(["push", "--json", path])
                .env("NIKS3_SERVER_URL", self.api.url()),
        );
        command
    }

    /// Pushes a path.
    #[must_use]
    pub fn push(&self, path: &str) -> Output {
        run(&mut self.command(path))
    }

    /// Begins to push a path.
    #[must_use]
    pub fn spawn(&self, path: &str) -> Child {
        spawn(&mut self.command(path))
    }

    /// The closure is there, whole, and comes back.
    pub fn whole(&self, path: &str) {
        let closure = self.store.closure(path);
        let found = check_bucket(&self.server, &self.store.dir(), &closure, &[]);
        assert_eq!(found.len(), closure.len());
        self.store
            .substitutes(&self.server.url(), self.server.public_key(), path);
    }

    /// However much of the closure is there, what is there holds together; how much it is.
    pub fn consistent(&self, path: &str) -> usize {
        check_bucket(&self.server, &self.store.dir(), &self.store.closure(path), &[]).len()
    }
}

/// Starts a command whose output is waited for with [`finish`].
#[must_use]
pub fn spawn(command: &mut Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Waits for a program's end.
#[must_use]
pub fn finish(child: Child) -> Output {
    let output = child.wait_with_output().unwrap();
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
