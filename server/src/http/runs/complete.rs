//! `PATCH /runs/{id}`

use super::statement::{checked_number, checked_text, checked_url};
use super::types::{CompleteRun, Run};
use super::{App, Error, token, unknown};
use crate::auth::Identity;
use crate::catalog::RunCompletion;
use crate::runs::may_complete;

pub(super) async fn complete(app: &App, who: &Identity, id: &str, body: CompleteRun) -> Result<Run, Error> {
    let id = token(id)?;
    let text =
        |field: &str, value: Option<String>| value.map(|value| checked_text(field, Some(value))).transpose();
    let completion = RunCompletion {
        job: text("job", body.job)?,
        conclusion: text("conclusion", body.conclusion)?,
        job_url: body
            .job_url
            .map(|url| checked_url("job_url", Some(url)))
            .transpose()?,
        url: body.url.map(|url| checked_url("url", Some(url))).transpose()?,
        pull_request: body
            .pull_request
            .map(|number| checked_number("pull_request", Some(number)))
            .transpose()?,
    };
    let mut tx = app.catalog.write().await?;
    let run = tx.run(id).await?.ok_or_else(|| unknown(id))?;
    if !may_complete(who, &run.identity, &run.facts) {
        return Err(Error::forbidden(format!(
            "{} is not in the run {id}, so it cannot complete it",
            who.name()
        )));
    }
    let other = |field: &str, claim: &str| {
        Error::invalid(
            field,
            format!("the verified claims of the run say {claim}, which stays"),
        )
    };
    if run.pull_request_claimed
        && completion
            .pull_request
            .is_some_and(|number| number != run.facts.pull_request)
    {
        return Err(other("pull_request", &run.facts.pull_request.to_string()));
    }
    if run.url_claimed && completion.url.as_ref().is_some_and(|url| *url != run.facts.url) {
        return Err(other("url", &run.facts.url));
    }
    tx.complete_run(&run, &completion).await?;
    let run = tx.run(id).await?.ok_or_else(|| unknown(id))?;
    tx.commit().await?;
    Ok(Run::of(run))
}
