//! `GET /usage`

use super::types::{GroupBy, Usage, UsageGroup};
use super::{App, Error};
use crate::retention::usage::{self, Group, Groups};

pub(super) async fn usage(app: &App, by: Option<GroupBy>) -> Result<Usage, Error> {
    let groups = match by {
        None => Groups::None,
        Some(GroupBy::Rule) => Groups::Rules,
        Some(GroupBy::Repository) => Groups::Repositories,
    };
    let found = usage::usage(app, groups).await?;
    let group = |group: Group| UsageGroup {
        name: group.name,
        closures: group.closures,
        bytes: group.bytes,
        only_bytes: group.only_bytes,
    };
    Ok(Usage {
        closures: found.closures,
        bytes: found.bytes,
        released_closures: found.released_closures,
        released_bytes: found.released_bytes,
        quota: found.quota,
        groups: found.groups.into_iter().map(group).collect(),
        more: found.more,
    })
}
