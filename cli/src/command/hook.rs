//! `niks3 hook`: the post-build hook of a machine, and who pushes for it.

use std::{
    env,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use niks3_push::{LocalStore, PushOptions};
use niks3_queue::{
    Address, Ending, Engine, Folder, QueueListener, ServeOptions, ServerPusher, built_paths, ring, serve,
};

use crate::{
    Failure,
    args::hook::{Hook, Place, Send, Serve},
    output::Output,
    signals::Signals,
};

pub(super) async fn run(hook: Hook, output: &Output) -> Result<(), Failure> {
    match hook {
        Hook::Send(args) => send(args),
        Hook::Serve(args) => serve_queue(*args, output).await,
    }
}

fn send(args: Send) -> Result<(), Failure> {
    let store = LocalStore::from_environment()?;
    let paths = if args.paths.is_empty() {
        built_paths()
    } else {
        args.paths
    };
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let folder = folder(&args.place)?;
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

fn folder(place: &Place) -> Result<Folder, Failure> {
    let variable = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let path = place
        .queue
        .clone()
        .or_else(|| variable("STATE_DIRECTORY"))
        .or_else(|| Some(variable("XDG_STATE_HOME")?.join("niks3/hook")))
        .or_else(|| Some(variable("HOME")?.join(".local/state/niks3/hook")))
        .ok_or_else(|| Failure::Usage("no queue: give --queue or set NIKS3_HOOK_QUEUE".to_owned()))?;
    Folder::create(&path)
        .map_err(|error| Failure::Failed(format!("cannot use the queue {}: {error}", path.display())))
}

async fn serve_queue(args: Serve, output: &Output) -> Result<(), Failure> {
    let folder = folder(&args.place)?;
    let _lock = folder.try_lock()?.ok_or_else(|| {
        Failure::Failed(format!(
            "another process serves the queue {}",
            folder.path().display()
        ))
    })?;
    // Before anybody can see that it serves, and stop it.
    let signals = Signals::listen()?;
    let (listener, bound) = match QueueListener::from_systemd()? {
        Some(listener) => (listener, None),
        None => {
            let address = match args.place.socket {
                Some(socket) => Address::at(&folder, socket)?,
                None => Address::choose(&folder, &[env::temp_dir()])?,
            };
            let listener = QueueListener::bind(address.socket()).map_err(|error| {
                Failure::Failed(format!(
                    "cannot listen on {}: {error}",
                    address.socket().display()
                ))
            })?;
            (listener, Some(address))
        }
    };
    let store = LocalStore::from_environment()?;
    let store_dir = Some(store.store_dir().clone());
    let sent = Arc::new(AtomicU64::new(0));
    let pusher = ServerPusher {
        api: super::connect_patiently(args.server)?,
        store,
        options: PushOptions {
            leave_substituted: true,
            skip_upstream: args.upstreams.chosen().map_err(Failure::Usage)?,
            ..PushOptions::default()
        },
        sent: Arc::clone(&sent),
    };
    let engine = Engine {
        folder,
        pusher,
        journal: false,
        filter: None,
    };
    output.info(&format!("serving the queue {}", engine.folder.path().display()));
    let options = ServeOptions {
        listener: Some(listener),
        store_dir: store_dir.clone(),
        idle_exit: args.idle_exit.map(|age| Duration::from_secs(age.seconds)),
        stop: signals.token().clone(),
        sent: Arc::clone(&sent),
        ..ServeOptions::default()
    };
    let mut ended = serve(&engine, options).await;
    // Whoever rang while the socket was being closed is not forgotten; who rings from now on wakes the next.
    if matches!(ended, Ok(Ending::Idle)) {
        let options = ServeOptions {
            store_dir,
            idle_exit: Some(Duration::ZERO),
            stop: signals.token().clone(),
            sent,
            ..ServeOptions::default()
        };
        ended = serve(&engine, options).await;
    }
    if let Some(address) = bound {
        address.remove();
    }
    ended?;
    Ok(())
}
