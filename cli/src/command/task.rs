//! Waiting for a task of the server.

use std::time::Duration;

use niks3_client::{
    Api,
    types::{self, TaskState},
};

use crate::{Failure, output::Output};

/// How often the server is asked how far it is.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// How often a task is begun again that its server has left.
const RESTARTS: usize = 20;

/// Something that the server does while its clients wait, or do not.
pub(super) trait Task: Clone {
    /// What it is, in words.
    const WHAT: &str;

    fn state(&self) -> TaskState;
    fn phase(&self) -> String;
    fn error(&self) -> Option<String>;
}

impl Task for types::GcRun {
    const WHAT: &str = "garbage collection";

    fn state(&self) -> TaskState {
        self.state
    }

    fn phase(&self) -> String {
        self.phase.to_string()
    }

    fn error(&self) -> Option<String> {
        self.error.clone()
    }
}

impl Task for types::FsckRun {
    const WHAT: &str = "check";

    fn state(&self) -> TaskState {
        self.state
    }

    fn phase(&self) -> String {
        self.phase.to_string()
    }

    fn error(&self) -> Option<String> {
        self.error.clone()
    }
}

/// Waits for the end of a garbage collection that somebody has begun.
pub(super) async fn finished(api: &Api, id: &str, output: &Output) -> Result<types::GcRun, Failure> {
    let ask = |id: String| async move {
        let id = id.as_str();
        let asked = api.call("asking how far the garbage collection is", |client| async move {
            client.get_gc(id).await
        });
        asked.await.map_err(Failure::from)
    };
    to_its_end(
        output,
        async || ask(id.to_owned()).await,
        async |run: &types::GcRun| ask(run.id.clone()).await,
    )
    .await
}

/// Starts a task, or joins the same one, and waits until it is over; one that its server
/// left is begun again, and goes on where it ended.
pub(super) async fn to_its_end<T: Task>(
    output: &Output,
    begin: impl AsyncFn() -> Result<T, Failure>,
    ask: impl AsyncFn(&T) -> Result<T, Failure>,
) -> Result<T, Failure> {
    for _ in 0..RESTARTS {
        let mut task = begin().await?;
        let mut pause = FIRST_PAUSE;
        let mut phase = None;
        while task.state() == TaskState::Running {
            if phase.as_ref() != Some(&task.phase()) {
                tracing::info!("phase: {}", task.phase());
                phase = Some(task.phase());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(LAST_PAUSE);
            task = ask(&task).await?;
        }
        match task.state() {
            TaskState::Done => return Ok(task),
            TaskState::Failed => {
                let why = task.error().unwrap_or_default();
                return Err(Failure::Failed(format!("the {} failed: {why}", T::WHAT)));
            }
            _ => output.warning(&format!("the server left the {}; beginning again", T::WHAT)),
        }
    }
    Err(Failure::Failed(format!(
        "the server left every {} that was begun",
        T::WHAT
    )))
}
