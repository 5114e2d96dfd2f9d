//! Searching by store path, hash or name.

use niks3_nix::store_path::StorePath;
use serde::Deserialize;

use super::{PAGE, address};
use crate::app::App;
use crate::catalog::{Found, PathId};
use crate::error::Error;
use crate::pages;

/// Most characters of what is searched for: no name is longer.
const MAX_QUERY: usize = 300;
/// Characters of the hash part of a store path.
const HASH: usize = 32;
/// Fewest characters that are taken for the beginning of a hash.
const BEGINNING: usize = 6;

#[derive(Deserialize)]
pub(super) struct Query {
    #[serde(default)]
    q: String,
    before: Option<i64>,
}

pub(super) async fn show(app: &App, query: Query) -> Result<String, Error> {
    let asked = query.q.trim();
    if asked.chars().count() > MAX_QUERY || asked.contains('\0') {
        return Err(Error::invalid("q", "no store path and no name is like that"));
    }
    let found = look(app, asked, query.before.map(PathId::from)).await?;
    let next = found.before.map(|before| {
        address(
            "/dashboard/search",
            &[("q", asked), ("before", &before.to_string())],
        )
    });
    Ok(pages::search::show(asked, &found.paths, next))
}

async fn look(app: &App, asked: &str, before: Option<PathId>) -> Result<Found, Error> {
    let name = asked
        .strip_prefix(app.store_dir.as_str())
        .map_or(asked, |rest| rest.trim_start_matches('/'));
    // What is inside of a path, or its narinfo, stands for the path.
    let name = name.split('/').next().unwrap_or_default();
    let name = name.strip_suffix(".narinfo").unwrap_or(name);
    if name.is_empty() {
        return Ok(Found::default());
    }
    if let Ok(path) = name.parse::<StorePath>() {
        let path = app
            .catalog
            .member(&path)
            .await?
            .map(|member| member.path.to_string());
        return Ok(Found {
            paths: path.into_iter().collect(),
            before: None,
        });
    }
    let is_hash = (BEGINNING..=HASH).contains(&name.len()) && name.bytes().all(niks3_nix::base32::is_digit);
    let mut by_hash = Vec::new();
    if is_hash && before.is_none() {
        by_hash = app.catalog.paths_by_hash(name, PAGE).await?;
    }
    if name.len() == HASH && !by_hash.is_empty() {
        return Ok(Found {
            paths: by_hash,
            before: None,
        });
    }
    let mut found = app.catalog.paths_by_name(name, before, PAGE).await?;
    found.paths.retain(|path| !by_hash.contains(path));
    by_hash.append(&mut found.paths);
    Ok(Found {
        paths: by_hash,
        ..found
    })
}
