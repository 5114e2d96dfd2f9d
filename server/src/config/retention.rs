//! How long closures stay: the policy file, and collections that the server begins by itself.

use std::time::Duration;

use super::credential_files::read_text;
use super::{Args, UsageError};
use crate::gc::Schedule;
use crate::policy_file::{MAX_BYTES, PolicyFile};

/// Shortest time between collections: one takes minutes in a large cache.
const SHORTEST: Duration = Duration::from_secs(60);
/// Most seconds of an age: a hundred years.
const MAX_AGE: u64 = 100 * 365 * 24 * 3600;

/// The policy that `--retention-config` names.
pub(super) fn policy(args: &Args) -> Result<Option<PolicyFile>, UsageError> {
    let Some(path) = &args.retention_config else {
        return Ok(None);
    };
    let text = read_text("--retention-config", path, MAX_BYTES as u64)?;
    let read = PolicyFile::parse(text);
    let wrong = |why: String| UsageError::new(format!("--retention-config: {}: {why}", path.display()));
    read.map(Some).map_err(|error| wrong(error.to_string()))
}

/// The collections that `--gc-every` asks for.
pub(super) fn schedule(args: &Args) -> Result<Option<Schedule>, UsageError> {
    let older_than = args.gc_older_than.as_secs();
    let older_than = u32::try_from(older_than)
        .ok()
        .filter(|_| older_than <= MAX_AGE)
        .ok_or_else(|| UsageError::new("--gc-older-than: at most a hundred years"))?;
    let Some(every) = args.gc_every else {
        return Ok(None);
    };
    let every = Duration::from(every);
    if every < SHORTEST || every.as_secs() > MAX_AGE {
        return Err(UsageError::new("--gc-every: 1m to a hundred years, such as 24h"));
    }
    Ok(Some(Schedule { every, older_than }))
}
