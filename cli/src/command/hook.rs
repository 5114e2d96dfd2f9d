//! `niks3 hook`: the post-build hook of a machine, and who pushes for it.

use std::{
    env,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use niks3_push::{LocalStore, PushOptions};
use niks3_queue::{
    Address, Ending, Engine, Folder, Lock, QueueListener, ServeOptions, ServerPusher, built_paths,
    is_post_build_hook, ring, send_paths, serve,
};

use crate::{
    Failure,
    args::hook::{Hook, Place, Send, Serve, Serving},
    output::Output,
    signals::Signals,
};

pub(super) async fn run(hook: Hook, output: &Output) -> Result<(), Failure> {
    match hook {
        Hook::Send(args) => send(args),
        Hook::Serve(args) => serve_queue(*args, output).await,
    }
}

/// Where the original's niks3-hook has its socket and its queue.
const ORIGINAL_SOCKET: &str = "/run/niks3/upload-to-cache.sock";
const ORIGINAL_QUEUE: &str = "/var/lib/niks3-hook";

fn send(args: Send) -> Result<(), Failure> {
    let paths = if !args.paths.is_empty() {
        args.paths
    } else if is_post_build_hook() {
        built_paths()
    } else {
        return Err(Failure::Usage(
            "OUT_PATHS is not set: Nix runs this command as its post-build-hook; to try it, name store paths"
                .to_owned(),
        ));
    };
    if args.place.original_places && args.place.queue.is_none() {
        let socket = args.place.socket.unwrap_or_else(|| ORIGINAL_SOCKET.into());
        if let Err(error) = send_paths(&socket, paths) {
            // A build must not fail since it cannot be pushed.
            tracing::warn!("cannot send what was built to {}: {error}", socket.display());
        }
        return Ok(());
    }
    let store = LocalStore::from_environment()?;
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let folder = folder(&args.place, "hook")?;
    folder.enqueue(store.store_dir(), &paths)?;
    let socket = args
        .place
        .socket
        .or_else(|| Address::of(&folder).map(|address| address.socket().to_owned()));
    if let Some(Err(error)) = socket.map(|socket| ring(&socket)) {
        // Whoever serves the queue looks into it anyway, sooner or later.
        tracing::debug!("nobody was woken: {error}");
    }
    Ok(())
}

/// The folder of the queue; `name` is what it is called where nobody has said where it is.
fn folder(place: &Place, name: &str) -> Result<Folder, Failure> {
    let variable = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let state = || variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
    let path = place
        .queue
        .clone()
        .or_else(|| variable("STATE_DIRECTORY"))
        .or_else(|| place.original_places.then(|| ORIGINAL_QUEUE.into()))
        .or_else(|| Some(state()?.join("niks3").join(name)))
        .ok_or_else(|| Failure::Usage("no queue: give --queue or set NIKS3_HOOK_QUEUE".to_owned()))?;
    Folder::create(&path)
        .map_err(|error| Failure::Failed(format!("cannot use the queue {}: {error}", path.display())))
}

async fn serve_queue(mut args: Serve, output: &Output) -> Result<(), Failure> {
    let place = &mut args.serving.place;
    if let Some(database) = args.db_path.take() {
        let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty());
        place.queue = Some(folder.unwrap_or(Path::new(".")).to_owned());
    }
    if place.original_places && place.socket.is_none() {
        place.socket = Some(ORIGINAL_SOCKET.into());
    }
    let idle_exit = match args.idle_exit_timeout {
        Some(age) => Some(age.seconds).filter(|seconds| *seconds > 0),
        None => args.idle_exit.map(|age| age.seconds),
    };
    let queue = Queue::open(args.serving, "hook")?;
    output.info(&format!(
        "serving the queue {}",
        queue.engine.folder.path().display()
    ));
    queue.serve(idle_exit.map(Duration::from_secs)).await
}

/// A queue that this process alone serves.
pub(super) struct Queue {
    pub(super) engine: Engine<ServerPusher>,
    signals: Signals,
    listener: QueueListener,
    /// The socket, if nobody else has made it.
    bound: Option<Address>,
    _lock: Lock,
}

impl Queue {
    /// Opens the queue in the folder that the arguments name, or else in the one with this name.
    pub(super) fn open(args: Serving, name: &str) -> Result<Self, Failure> {
        let folder = folder(&args.place, name)?;
        let lock = folder.try_lock()?.ok_or_else(|| {
            Failure::Failed(format!(
                "another process serves the queue {}",
                folder.path().display()
            ))
        })?;
        // Before anybody can see that it serves, and stop it.
        let signals = Signals::listen()?;
        let (listener, bound) = listen(&folder, args.place.socket)?;
        let pusher = ServerPusher {
            api: super::connect_patiently(args.server)?,
            store: LocalStore::from_environment()?,
            options: PushOptions {
                leave_substituted: true,
                skip_upstream: args.upstreams.chosen().map_err(Failure::Usage)?,
                verify_integrity: args.verify_s3_integrity,
                max_concurrent_uploads: args.max_concurrent_uploads.into(),
                ..PushOptions::default()
            },
            sent: Arc::new(AtomicU64::new(0)),
        };
        let engine = Engine {
            folder,
            pusher,
            journal: false,
            filter: None,
            batch: args.batch_size.into(),
        };
        Ok(Self {
            engine,
            signals,
            listener,
            bound,
            _lock: lock,
        })
    }

    /// Pushes what is in the queue, and what comes, until a signal comes or nothing for so long.
    pub(super) async fn serve(self, idle_exit: Option<Duration>) -> Result<(), Failure> {
        let engine = self.engine;
        let options = |listener, idle_exit| ServeOptions {
            listener,
            store_dir: Some(engine.pusher.store.store_dir().clone()),
            idle_exit,
            stop: self.signals.token().clone(),
            sent: Arc::clone(&engine.pusher.sent),
            ..ServeOptions::default()
        };
        let mut ended = serve(&engine, options(Some(self.listener), idle_exit)).await;
        // Whoever rang while the socket was being closed is not forgotten; who rings from now on wakes the next.
        if matches!(ended, Ok(Ending::Idle)) {
            ended = serve(&engine, options(None, Some(Duration::ZERO))).await;
        }
        if let Some(address) = self.bound {
            address.remove();
        }
        ended?;
        Ok(())
    }
}

/// Listens on the socket from systemd, or on one that is made.
fn listen(folder: &Folder, socket: Option<PathBuf>) -> Result<(QueueListener, Option<Address>), Failure> {
    if let Some(listener) = QueueListener::from_systemd()? {
        return Ok((listener, None));
    }
    let address = match socket {
        Some(socket) => Address::at(folder, socket)?,
        None => Address::choose(folder, &[env::temp_dir()])?,
    };
    let listener = QueueListener::bind(address.socket()).map_err(|error| {
        Failure::Failed(format!(
            "cannot listen on {}: {error}",
            address.socket().display()
        ))
    })?;
    Ok((listener, Some(address)))
}
