//! `action/gc`: collects garbage, and says what went.

use std::{
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use niks3_client::{Api, types};
use secrecy::SecretString;
use url::Url;

use crate::{
    ActionError, github,
    inputs::{flag, input, one_of, server_address, words},
    runner, secrets,
    summary::size,
    target::Target,
    tls::Tls,
};

const PATIENCE: Duration = Duration::from_secs(120);
const LAST_PAUSE: Duration = Duration::from_secs(5);
const HEARTBEAT: Duration = Duration::from_secs(30);
/// By how much the clock of the runner may be ahead of the server's: a list of the future is refused.
const CLOCK_ROOM: Duration = Duration::from_secs(60);
/// How often a collection is begun again that its server has left.
const RESTARTS: usize = 20;

/// The step.
pub(crate) async fn run() -> ExitCode {
    secrets::mask_inputs();
    match collect().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            runner::error("niks3", &trouble.0);
            ExitCode::FAILURE
        }
    }
}

async fn collect() -> Result<(), ActionError> {
    let server: Url = match input("server-url") {
        Some(text) => server_address(&text, flag("allow-http", input("allow-http"), false)?)?,
        None => {
            return Err(ActionError::new(
                "the input `server-url` is missing: give the address of your niks3 server",
            ));
        }
    };
    let request = types::StartGc {
        older_than_seconds: age("older-than", "720h")?,
        failed_uploads_older_than_seconds: age("failed-uploads-older-than", "6h")?,
        force: flag("force", input("force"), false)?,
        dry_run: flag("dry-run", input("dry-run"), false)?,
        // A wrong clock is for whoever runs the server to judge.
        accept_clock: false,
        policy: None,
        accept_policy: None,
    };
    let target = Target::new(server, input("auth-token"), input("audience"), Tls::read(input)?);
    let tokens = target.tokens()?.ok_or_else(|| {
        ActionError::new("this job has no token: add `permissions: { id-token: write }` to it, or give the input `auth-token`")
    })?;
    let api = target.api(tokens, PATIENCE)?;
    if !request.dry_run {
        state_open_pulls(&api).await;
    }
    let run = to_its_end(&api, &request).await?;
    tell(&run, request.dry_run)
}

/// Tells the server which pull requests are open. Rules that keep something until a pull request is closed need it, and
/// nothing else does: so what goes wrong is a warning.
async fn state_open_pulls(api: &Api) {
    let Some(token) = input("github-token").map(SecretString::from) else {
        return;
    };
    let repositories = match input("repositories") {
        Some(text) => words(&text.replace(',', " ")),
        None => runner::variable("GITHUB_REPOSITORY").into_iter().collect(),
    };
    for repository in repositories {
        // Before GitHub is asked, and with room for a clock that is ahead.
        let asked = SystemTime::now() - CLOCK_ROOM;
        let at = asked.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let (repository_id, numbers) = match github::open_pulls(&token, &repository).await {
            Ok(found) => found,
            Err(why) => {
                runner::warning(
                    "niks3",
                    &format!(
                        "the server does not learn which pull requests of {repository} are open: GitHub: {why}; the job needs \
                         `pull-requests: read` in its `permissions`"
                    ),
                );
                continue;
            }
        };
        let count = numbers.len();
        let list = types::OpenPulls {
            provider: None,
            repository_id,
            numbers,
            at,
        };
        let list = &list;
        let stated = api.call("stating the open pull requests", |client| async move {
            client.put_open_pulls(list).await
        });
        match stated.await {
            Ok(_) => runner::log(&format!("niks3: {count} open pull requests in {repository}")),
            Err(error) => runner::warning(
                "niks3",
                &format!("the server does not take the open pull requests of {repository}: {error}"),
            ),
        }
    }
}

fn age(name: &str, default: &str) -> Result<u64, ActionError> {
    let text = input(name).unwrap_or_else(|| default.to_owned());
    match humantime::parse_duration(&text) {
        Ok(age) if age.as_secs() <= 100 * 365 * 24 * 3600 => Ok(age.as_secs()),
        _ => Err(one_of(
            name,
            &text,
            "a length of time, as 720h, 30d, 90m or 1h30m",
        )),
    }
}

/// Starts a collection, or joins the same one, and waits until it is over.
async fn to_its_end(api: &Api, request: &types::StartGc) -> Result<types::GcRun, ActionError> {
    let trouble = |error: niks3_client::Error| ActionError(error.to_string());
    for _ in 0..RESTARTS {
        let mut run = api
            .call("starting the garbage collection", |client| async move {
                client.start_gc(request).await
            })
            .await
            .map_err(trouble)?;
        let mut pause = Duration::from_millis(200);
        let mut silent = Duration::ZERO;
        while run.state == types::TaskState::Running {
            if silent >= HEARTBEAT {
                silent = Duration::ZERO;
                runner::log(&format!("niks3: collecting garbage: {}", run.phase));
            }
            tokio::time::sleep(pause).await;
            silent += pause;
            pause = (pause * 3 / 2).min(LAST_PAUSE);
            let id = &run.id;
            run = api
                .call("asking how far the garbage collection is", |client| async move {
                    client.get_gc(id).await
                })
                .await
                .map_err(trouble)?;
        }
        match run.state {
            types::TaskState::Done => return Ok(run),
            types::TaskState::Failed => {
                let why = run.error.unwrap_or_default();
                return Err(ActionError(format!("the garbage collection failed: {why}")));
            }
            _ => runner::log("niks3: the server left the garbage collection; beginning again"),
        }
    }
    Err(ActionError::new(
        "the server left every garbage collection that was begun",
    ))
}

fn tell(run: &types::GcRun, dry_run: bool) -> Result<(), ActionError> {
    let counts = &run.counts;
    let rows = [
        ("failed-uploads-deleted", counts.failed_uploads_deleted),
        ("old-closures-deleted", counts.old_closures_deleted),
        ("objects-marked-for-deletion", counts.objects_marked_for_deletion),
        (
            "objects-deleted-after-grace-period",
            counts.objects_deleted_after_grace_period,
        ),
        ("objects-failed-to-delete", counts.objects_failed_to_delete),
        ("bytes-freed", counts.bytes_freed),
    ];
    let title = if dry_run {
        "Garbage collection would do this"
    } else {
        "Garbage collection"
    };
    let mut page = format!("## niks3\n\n{title}\n\n| | |\n|---|---|\n");
    for (name, count) in rows {
        runner::set_output(name, &count.to_string())?;
        let shown = if name == "bytes-freed" {
            size(count)
        } else {
            count.to_string()
        };
        runner::log(&format!("niks3: {name}: {shown}"));
        page += &format!("| {name} | {shown} |\n");
    }
    if let Some(retention) = &run.retention {
        for (name, count) in [
            ("released", retention.released),
            ("restored", retention.restored),
            ("waiting", retention.waiting),
        ] {
            runner::log(&format!("niks3: {name}: {count}"));
            page += &format!("| {name} | {count} |\n");
        }
        for notice in &retention.notices {
            runner::warning("niks3", notice);
        }
    }
    if counts.objects_failed_to_delete > 0 {
        runner::warning(
            "niks3",
            "some objects could not be deleted: the server's log says why, and the next collection tries again",
        );
    }
    runner::add_summary(&page)?;
    match run
        .retention
        .as_ref()
        .and_then(|retention| retention.held.as_ref())
    {
        Some(why) if dry_run => runner::warning("niks3", &format!("the collection would be held: {why}")),
        Some(why) => {
            return Err(ActionError(format!(
                "the collection is held, and nothing was released: {why}"
            )));
        }
        None => {}
    }
    Ok(())
}
