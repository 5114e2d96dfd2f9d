//! Runs, and one of them.

use serde::Deserialize;

use super::closures::{place, place_after};
use super::{PAGE, address};
use crate::app::App;
use crate::catalog::{RunFilter, RunId};
use crate::error::Error;
use crate::http::runs;
use crate::pages;

/// Most characters of what runs are filtered by.
const MAX_FILTER: usize = 300;

#[derive(Deserialize)]
pub(super) struct Filter {
    #[serde(default)]
    repository: String,
    #[serde(default, rename = "ref")]
    git_ref: String,
    before: Option<i64>,
}

pub(super) async fn list(app: &App, query: Filter) -> Result<String, Error> {
    let text = |field: &str, text: &str| {
        let text = text.trim();
        if text.chars().count() > MAX_FILTER || text.contains('\0') {
            return Err(Error::invalid(field, "it is no name of one"));
        }
        Ok((!text.is_empty()).then(|| text.to_owned()))
    };
    let filter = RunFilter {
        repository: text("repository", &query.repository)?,
        git_ref: text("ref", &query.git_ref)?,
        ..RunFilter::default()
    };
    let rows = app
        .catalog
        .runs(&filter, None, query.before.map(RunId::from), PAGE)
        .await?;
    let (repository, git_ref) = (
        filter.repository.unwrap_or_default(),
        filter.git_ref.unwrap_or_default(),
    );
    let full = i64::try_from(rows.len()) == Ok(PAGE);
    let next = rows.last().filter(|_| full).map(|last| {
        let parameters = [
            ("repository", repository.as_str()),
            ("ref", &git_ref),
            ("before", &last.id.to_string()),
        ];
        address("/dashboard/runs", &parameters)
    });
    Ok(pages::runs::list(&rows, &repository, &git_ref, next))
}

#[derive(Deserialize)]
pub(super) struct After {
    after: Option<String>,
}

pub(super) async fn show(app: &App, id: &str, query: After) -> Result<String, Error> {
    let token = runs::token(id)?;
    let nothing = || Error::not_found("there is no such run");
    let run = app.catalog.run(token).await?.ok_or_else(nothing)?;
    let after = query.after.as_deref().map(place).transpose()?;
    let filter = RunFilter::default();
    let pushed = app.catalog.closures(&filter, Some(token), after, PAGE).await?;
    let next = place_after(&pushed, PAGE).map(|after| {
        address(
            &format!("/dashboard/runs/{}", pages::format::part(token)),
            &[("after", &after)],
        )
    });
    Ok(pages::runs::show(&run, &pushed, next))
}
