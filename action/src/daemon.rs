//! The process that pushes while the job builds.

use std::{
    io::{Read as _, Write as _},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use niks3_push::LocalStore;
use niks3_queue::{Address, Engine, Folder, Process, QueueListener, Request, ServeOptions, ask, serve};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    ActionError, job,
    netrc::{Netrc, Token},
    runner::variable,
    state::{Doing, State},
    target::Target,
};

const READY: Duration = Duration::from_secs(20);
/// A token that cannot be renewed now is asked for again.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(10);
/// No job is that long: what serves one without an end in sight ends then.
const LONGEST_JOB: Duration = Duration::from_secs(6 * 24 * 3600);
/// What is done waits so long for post to look at it, when nothing says how long the job lives.
const LINGER: Duration = Duration::from_secs(120);

/// What it is told through its standard input: the token is in it.
#[derive(Serialize, Deserialize)]
struct Orders {
    directory: PathBuf,
    target: Target,
    /// What is queued is pushed with everything it refers to, also with what was substituted. Nothing is pushed if this
    /// is none.
    whole_closures: Option<bool>,
    netrc: Option<NetrcOrders>,
    until: Option<Process>,
}

/// The netrc file, and the token that is in it.
#[derive(Serialize, Deserialize)]
struct NetrcOrders {
    netrc: Netrc,
    token: String,
    issued_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
}

impl NetrcOrders {
    fn new(netrc: &Netrc, token: &Token) -> Self {
        Self {
            netrc: netrc.clone(),
            token: token.secret.expose_secret().to_owned(),
            issued_at: token.issued_at,
            expires_at: token.expires_at,
        }
    }
}

/// What keeps a netrc file up to date; it ends with this.
fn keep_netrc(orders: NetrcOrders, target: &Target) -> Result<AbortOnDropHandle<()>, ActionError> {
    let tokens = target
        .tokens()?
        .ok_or_else(|| ActionError::new("this job has no token any more"))?;
    let api = target.api(tokens, TOKEN_TIMEOUT)?;
    Ok(AbortOnDropHandle::new(tokio::spawn(async move {
        let token = Token {
            secret: orders.token.into(),
            issued_at: orders.issued_at,
            expires_at: orders.expires_at,
        };
        match orders.netrc.keep(&api, token).await {}
    })))
}

/// Starts one that pushes nothing and keeps the netrc file up to date.
pub(crate) fn start_keeping(
    state: &State,
    target: &Target,
    netrc: &Netrc,
    token: &Token,
) -> Result<(), ActionError> {
    let orders = Orders {
        directory: state.directory().to_owned(),
        target: target.clone(),
        whole_closures: None,
        netrc: Some(NetrcOrders::new(netrc, token)),
        until: job::runner_process(),
    };
    spawn(state, &orders).map_err(|error| ActionError::io("start the process that renews the token", &error))
}

/// Starts it, and waits until it listens.
pub(crate) async fn start(
    state: &State,
    target: &Target,
    doing: Doing,
    netrc: Option<&(Netrc, Token)>,
) -> Result<Folder, ActionError> {
    let folder = state.queue()?;
    let shallow: Vec<PathBuf> = variable("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .into_iter()
        .chain([PathBuf::from("/tmp")])
        .collect();
    let address = Address::choose(&folder, &shallow)
        .map_err(|error| ActionError::io("find a place for a socket", &error))?;
    let orders = Orders {
        directory: state.directory().to_owned(),
        target: target.clone(),
        whole_closures: Some(doing == Doing::Paths),
        netrc: netrc.map(|(netrc, token)| NetrcOrders::new(netrc, token)),
        until: job::runner_process(),
    };
    spawn(state, &orders).map_err(|error| ActionError::io("start the process that pushes", &error))?;
    let begun = Instant::now();
    loop {
        if ask(address.socket(), &Request::Status).await.is_ok() {
            return Ok(folder);
        }
        if begun.elapsed() > READY {
            let log = std::fs::read_to_string(state.log_path()).unwrap_or_default();
            return Err(ActionError(format!(
                "the process that pushes did not start: {}",
                log.trim()
            )));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn spawn(state: &State, orders: &Orders) -> std::io::Result<()> {
    let log = std::fs::File::create(state.log_path())?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("daemon")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        // A signal for the step is not one for the job.
        .process_group(0);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("INPUT_") {
            command.env_remove(name);
        }
    }
    let mut child = command.spawn()?;
    let mut orders = serde_json::to_vec(orders)?;
    orders.push(b'\n');
    match child.stdin.take() {
        Some(mut stdin) => stdin.write_all(&orders),
        None => Ok(()),
    }
}

/// Is it.
pub(crate) async fn run() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        // It would complain on standard error that it cannot write there, and panic.
        .log_internal_errors(false)
        .with_target(false)
        .init();
    match serve_job().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            tracing::error!("{trouble}");
            ExitCode::FAILURE
        }
    }
}

async fn serve_job() -> Result<(), ActionError> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| ActionError::io("read what to do", &error))?;
    let orders: Orders =
        serde_json::from_str(&text).map_err(|_| ActionError::new("cannot understand what to do"))?;
    let state = State::at(orders.directory);
    let _keeping = orders
        .netrc
        .map(|netrc| keep_netrc(netrc, &orders.target))
        .transpose()?;
    if let Some(whole_closures) = orders.whole_closures {
        push_for_job(&state, &orders.target, whole_closures, orders.until.as_ref()).await?;
        wait_for_post(&state, orders.until.as_ref(), LINGER).await;
    } else {
        wait_for_post(&state, orders.until.as_ref(), LONGEST_JOB).await;
    }
    // Post has done so already, unless it was killed.
    state.remove();
    Ok(())
}

async fn push_for_job(
    state: &State,
    target: &Target,
    whole_closures: bool,
    until: Option<&Process>,
) -> Result<(), ActionError> {
    let folder = Folder::at(&state.queue_path());
    let lock = folder
        .try_lock()
        .map_err(|error| ActionError::io("lock the queue", &error))?
        .ok_or_else(|| ActionError::new("another process serves this queue"))?;
    let address = Address::of(&folder).ok_or_else(|| ActionError::new("the queue has no address"))?;
    let listener = QueueListener::bind(address.socket())
        .map_err(|error| ActionError::io("listen on a socket", &error))?;
    let store = LocalStore::from_environment().map_err(|error| ActionError(error.to_string()))?;
    let sent = Arc::new(AtomicU64::new(0));
    let mut pusher = target.pusher(&sent)?;
    pusher.options.leave_substituted = !whole_closures;
    let engine = Engine {
        folder,
        pusher,
        journal: true,
        // What is named is pushed whatever its name.
        filter: target.push_filter()?.filter(|_| !whole_closures),
        batch: niks3_queue::DEFAULT_BATCH,
    };
    let options = ServeOptions {
        listener: Some(listener),
        store_dir: Some(store.store_dir().clone()),
        idle_exit: Some(LONGEST_JOB),
        until: until.cloned(),
        sent,
        ..ServeOptions::default()
    };
    let ending = serve(&engine, options).await;
    address.remove();
    drop(lock);
    let ending = ending.map_err(|error| ActionError::io("read the queue", &error))?;
    tracing::info!("done: {ending:?}");
    Ok(())
}

/// Waits until post has read the journal, or is not going to: for as long as `linger`, if nothing says how long the job
/// lives.
async fn wait_for_post(state: &State, until: Option<&Process>, linger: Duration) {
    let begun = Instant::now();
    let over = || match until {
        Some(process) => !process.is_alive(),
        None => begun.elapsed() > linger,
    };
    while state.directory().is_dir() && !over() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
