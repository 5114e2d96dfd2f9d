//! What closures look like on the wire.

use poem_openapi::Object;

use super::App;
use crate::catalog::{ClosureRow, ClosureSize};

/// Paths that a closure refers to, and that its pushes have left out since another cache has them.
#[derive(Debug, Object)]
#[oai(rename = "LeftToCache")]
pub(super) struct LeftTo {
    /// Address of that cache; none if the pushes named none.
    #[oai(skip_serializing_if_is_none)]
    pub cache: Option<String>,
    /// How many, without what these refer to in turn.
    pub paths: u64,
}

/// A root that was pushed, with all it refers to.
#[derive(Debug, Object)]
#[oai(rename = "ClosureInfo")]
pub(super) struct Closure {
    /// Store path of the root.
    pub path: String,
    /// Unix time of its first push.
    pub created_at: i64,
    /// Unix time of its last push.
    pub pushed_at: i64,
    /// Unix time at which a run last reported that it used it.
    #[oai(skip_serializing_if_is_none)]
    pub used_at: Option<i64>,
    /// Unix time since when nothing keeps it: it is deleted once the undo time is over.
    #[oai(skip_serializing_if_is_none)]
    pub released_at: Option<i64>,
    /// Its paths that are in the cache.
    pub paths: u64,
    /// Bytes of their NARs.
    pub nar_bytes: u64,
    /// Bytes of them in the bucket; equal contents count once.
    pub file_bytes: u64,
    /// What is missing in this cache on purpose: its readers need the other caches as substituters, too.
    pub left_to: Vec<LeftTo>,
}

impl Closure {
    pub(super) fn of(app: &App, row: &ClosureRow, size: ClosureSize) -> Self {
        Self {
            path: app.store_dir.display(&row.root),
            created_at: row.created_at,
            pushed_at: row.pushed_at,
            used_at: (row.used_at != 0).then_some(row.used_at),
            released_at: (row.released_at != 0).then_some(row.released_at),
            paths: size.paths,
            nar_bytes: size.nar_bytes,
            file_bytes: size.file_bytes,
            left_to: size
                .left_to
                .into_iter()
                .map(|(cache, paths)| LeftTo {
                    cache: Some(cache).filter(|cache| !cache.is_empty()),
                    paths,
                })
                .collect(),
        }
    }
}

/// A root that needs paths of a deleted closure.
#[derive(Debug, Object)]
pub(super) struct KeepingRoot {
    /// Store path of the root.
    pub path: String,
    /// So many of those paths, without those that a root before it in the list needs.
    pub paths: u64,
}

/// What has become of a request to delete a closure.
#[derive(Debug, Object)]
pub(super) struct DeletedClosures {
    /// Store paths of the roots that were released.
    pub released: Vec<String>,
    /// Nothing was released: the path is no root, and these closures contain it.
    pub contained_in: Vec<String>,
    /// That list has more entries.
    pub more: bool,
    /// Unix time from which a garbage collection deletes them.
    #[oai(skip_serializing_if_is_none)]
    pub delete_from: Option<i64>,
    /// With `now`: the garbage collection that deletes them.
    #[oai(skip_serializing_if_is_none)]
    pub gc: Option<String>,
    /// Paths of the closures stay, since these roots need them; those that need most come first.
    pub kept_by: Vec<KeepingRoot>,
}

/// A page of closures.
#[derive(Debug, Object)]
pub(super) struct Closures {
    /// From the one pushed last to the one not pushed for longest.
    pub closures: Vec<Closure>,
    /// Where the next page begins, if there is one.
    #[oai(skip_serializing_if_is_none)]
    pub next: Option<String>,
}
