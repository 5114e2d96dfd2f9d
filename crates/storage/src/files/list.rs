//! Listing keys in order. A listing of many pages reads the folders once: the next
//! page goes on in the same snapshot.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{FileBucket, Result};

/// How long a snapshot serves further pages.
const FRESH: Duration = Duration::from_secs(300);

/// The keys under a prefix, in order.
#[derive(Debug)]
struct Snapshot {
    prefix: String,
    keys: Vec<String>,
    made: Instant,
}

/// The snapshot of the listing that is under way.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Option<Arc<Snapshot>>>);

impl Cache {
    fn get(&self, prefix: &str) -> Option<Arc<Snapshot>> {
        let cached = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        cached.filter(|snapshot| snapshot.prefix == prefix && snapshot.made.elapsed() < FRESH)
    }

    fn set(&self, snapshot: Arc<Snapshot>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(snapshot);
    }
}

impl FileBucket {
    /// Up to `limit` keys that begin with `prefix` and come after `after`, in order.
    pub(crate) async fn list_keys(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>> {
        let (prefix, after) = (prefix.to_owned(), after.to_owned());
        self.blocking(move |inner| {
            let cached = if after.is_empty() {
                None
            } else {
                inner.listing.get(&prefix)
            };
            let snapshot = match cached {
                Some(snapshot) => snapshot,
                None => {
                    let mut keys = Vec::new();
                    // Only the folder that the prefix names can hold what begins with it.
                    let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
                    let place = match folder {
                        "" => Some(inner.objects.clone()),
                        // What is no key has none below it.
                        folder => inner.path(folder).ok(),
                    };
                    if let Some(place) = place {
                        walk(&place, folder, &mut keys)?;
                    }
                    keys.retain(|key| key.starts_with(&prefix));
                    keys.sort_unstable();
                    let snapshot = Arc::new(Snapshot {
                        prefix,
                        keys,
                        made: Instant::now(),
                    });
                    inner.listing.set(snapshot.clone());
                    snapshot
                }
            };
            let start = snapshot.keys.partition_point(|key| *key <= after);
            Ok(snapshot.keys[start..].iter().take(limit).cloned().collect())
        })
        .await
    }
}

fn walk(folder: &Path, prefix: &str, keys: &mut Vec<String>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if super::absent(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        // A name that is not text was not written by this store.
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let key = match prefix {
            "" => name,
            half if half.ends_with('~') => format!("{}{name}", half.trim_end_matches('~')),
            folder => format!("{folder}/{name}"),
        };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), &key, keys)?;
        } else if kind.is_file() {
            keys.push(key);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

    use super::*;

    #[tokio::test]
    async fn no_prefix_leads_out_of_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), "x").unwrap();
        let bucket =
            FileBucket::open(&folder.path().join("store"), "niks3", "key", &"secret".into()).unwrap();
        bucket.put("nar/one", "x".into()).await.unwrap();
        let absolute = outside.display();
        for prefix in [
            format!("{absolute}/"),
            format!("/{absolute}/"),
            format!("nar/{absolute}/"),
            "../../outside/".into(),
            "nar/../../../outside/".into(),
            "//".into(),
            "nar//".into(),
            "./".into(),
            "nar/./".into(),
            "nar/\0/".into(),
        ] {
            let found = bucket.list_keys(&prefix, "", 10).await.unwrap();
            assert!(found.is_empty(), "{prefix}: {found:?}");
        }
        for prefix in ["", "n", "nar", "nar/", "nar/o"] {
            assert_eq!(
                bucket.list_keys(prefix, "", 10).await.unwrap(),
                ["nar/one"],
                "{prefix}"
            );
        }
    }
}
