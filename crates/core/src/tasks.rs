//! Work that goes on without a request: begun once per database, with its progress, its
//! end and its history in the database, so that any server can tell.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use niks3_base::error::Error;
use niks3_catalog::{NewTask, TaskId, TaskKind, TaskRow, TaskState, now};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::lease::{Lease, LeaseLost};

/// Seconds without a sign of life after which a task counts as abandoned.
const LEASE: i64 = 20;
/// How often it gives one.
const REPORT: Duration = Duration::from_secs(1);
/// Seconds after its end for which a task is gone on with.
const RESUMABLE: i64 = 24 * 3600;

/// Progress that the work writes and a reporter reads.
#[derive(Debug, Clone, Default)]
pub struct Shared<P>(Arc<Mutex<P>>);

impl<P: Clone + Serialize> Shared<P> {
    fn new(progress: P) -> Self {
        Self(Arc::new(Mutex::new(progress)))
    }

    /// Changes it.
    pub fn change<T>(&self, change: impl FnOnce(&mut P) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// As it is now.
    #[must_use]
    pub fn get(&self) -> P {
        self.change(|progress| progress.clone())
    }

    fn json(&self) -> String {
        serde_json::to_string(&self.get()).unwrap_or_default()
    }
}

/// Whether a request for one task, as JSON, keeps another from beginning.
pub type Excludes = fn(&str) -> bool;

/// What is to be begun.
#[derive(Debug)]
pub struct Start<'a> {
    /// What it does.
    pub kind: TaskKind,
    /// Who asks.
    pub identity: &'a str,
    /// What is asked for, as JSON; equal texts are equal requests.
    pub request: String,
    /// The task during which it does not begin, if the request for that one says so.
    pub not_during: Option<(TaskKind, Excludes)>,
    /// Go on where the last one of the same request was cut off.
    pub resume: bool,
    /// How many are remembered.
    pub history: i64,
}

/// Begins a task, or joins the one under way when it is the same. The work gets the id
/// of its row, and what it says of its progress from then on.
///
/// # Errors
/// `Conflict` when another one of this kind is under way.
pub async fn start<P, W, F>(app: &Arc<App>, start: Start<'_>, work: W) -> Result<TaskRow, Error>
where
    P: Default + Clone + Serialize + DeserializeOwned + std::fmt::Debug + Send + 'static,
    W: FnOnce(Arc<App>, TaskId, Shared<P>) -> F,
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let kind = start.kind;
    let token = niks3_nix::base32::encode(&rand::random::<[u8; 20]>());
    let mut tx = app.catalog.write().await?;
    let mut progress = P::default();
    let mut before = None;
    if let Some((other, excludes)) = start.not_during
        && let Some(last) = tx.last_task(other).await?
        && last.is_running()
        && excludes(&last.request)
    {
        return Err(Error::conflict(format!(
            "a {} that repairs is in progress, {}: wait for its end",
            other.words(),
            last.token
        )));
    }
    if let Some(last) = tx.last_task(kind).await? {
        if last.abandoned() {
            tx.end_task(last.id, TaskState::Cancelled, None, "its server went away")
                .await?;
        } else if last.state == TaskState::Running {
            if last.request == start.request {
                return Ok(last);
            }
            return Err(Error::conflict(format!(
                "another {} is under way, {}, with other options: wait for its end",
                kind.words(),
                last.token
            )));
        }
        let recent = last.finished_at == 0 || last.finished_at > now() - RESUMABLE;
        // What was looked at before a repair was needed has to be looked at again.
        let recent = recent && last.id > tx.repair_after().await?;
        if start.resume && recent && last.state != TaskState::Done && last.request == start.request {
            progress = serde_json::from_str(&last.progress).unwrap_or_default();
            before = Some(last.id);
        }
    }
    let shared = Shared::new(progress);
    let id = tx
        .begin_task(&NewTask {
            kind,
            token: &token,
            identity: start.identity,
            request: &start.request,
            progress: &shared.json(),
            lease: LEASE,
        })
        .await?;
    if let Some(before) = before {
        tx.inherit_findings(before, id).await?;
    }
    tx.trim_tasks(kind, start.history).await?;
    tx.commit().await?;
    tracing::info!(
        task = token,
        kind = kind.as_str(),
        identity = start.identity,
        request = start.request,
        resumed = before.is_some(),
        "task started"
    );
    let row = app
        .catalog
        .task(kind, &token)
        .await?
        .ok_or_else(|| Error::internal("a task is gone"))?;
    // It is large, and would be moved into each future around it.
    let work = Box::pin(work(app.clone(), id, shared.clone()));
    app.tasks.spawn(supervise(app.clone(), id, token, shared, work));
    Ok(row)
}

/// Does the work, says how far it is, and writes down how it ended.
async fn supervise<P: Clone + Serialize + std::fmt::Debug>(
    app: Arc<App>,
    id: TaskId,
    token: String,
    shared: Shared<P>,
    work: impl Future<Output = Result<(), Error>>,
) {
    let lease = Lease {
        length: Duration::from_secs(LEASE.unsigned_abs()),
        every: REPORT,
        ended_by_work: false,
        kind: "task",
        name: &token,
    };
    let (catalog, shared) = (&app.catalog, &shared);
    let report = || async move { catalog.report_task(id, &shared.json(), LEASE).await };
    let (state, error) = tokio::select! {
        result = lease.hold(report, work) => match result {
            Ok(Ok(())) => (TaskState::Done, String::new()),
            Ok(Err(problem)) => (TaskState::Failed, problem.text().to_owned()),
            Err(LeaseLost::Taken) => {
                (TaskState::Failed, "it took too long without a sign of life, and another one took over".to_owned())
            }
            Err(LeaseLost::Expired) => (TaskState::Failed, "the database does not answer".to_owned()),
        },
        () = app.stop.cancelled() => (TaskState::Cancelled, "the server stopped; the next one goes on".to_owned()),
    };
    let end = async {
        let mut tx = app.catalog.write().await?;
        tx.end_task(id, state, Some(&shared.json()), &error).await?;
        tx.commit().await
    };
    if let Err(problem) = end.await {
        tracing::warn!(task = token, error = %problem, "the end of a task could not be written");
    }
    let progress = shared.get();
    if state == TaskState::Failed {
        tracing::error!(task = token, %error, ?progress, "task failed");
    } else {
        tracing::info!(task = token, ?state, ?progress, "task ended");
    }
}
