//! What one identity may have under way.

use super::{App, Identity, Problem};
use crate::catalog::{Push, WriteTx};

/// Seconds after which a push of the same identity may have ended.
const RETRY_AFTER: u32 = 5;

/// Most references of all paths that a push claims, 8 bytes each in the database and in memory: a million
/// paths with ten references each are 10 million.
const MAX_PUSH_REFERENCES: u64 = 16_000_000;
/// Most references of all paths that the pushes of an identity claim together.
const MAX_IDENTITY_REFERENCES: u64 = 2 * MAX_PUSH_REFERENCES;

/// Lets somebody open another push.
pub(super) async fn admit(app: &App, who: &Identity, tx: &mut WriteTx) -> Result<(), Problem> {
    let Some(most) = who.limits(app.limits).pushes else {
        return Ok(());
    };
    let under_way = tx.pushes_under_way(&who.name()).await?;
    if under_way < most {
        return Ok(());
    }
    Err(Problem::too_many(
        format!(
            "{} has {under_way} pushes under way and may have {most}: wait for one to end",
            who.name()
        ),
        RETRY_AFTER,
    ))
}

/// Looks whether somebody may claim what they have just claimed; otherwise the transaction must not be committed.
pub(super) async fn check(app: &App, who: &Identity, push: &Push, tx: &mut WriteTx) -> Result<(), Problem> {
    references(who, push, tx).await?;
    let Some(most) = who.limits(app.limits).claimed_bytes else {
        return Ok(());
    };
    let (of_push, of_all) = tx.claimed_bytes(push).await?;
    if of_push > most {
        return Err(Problem::too_large(format!(
            "this push would bring {of_push} bytes, and {} may bring {most} at once: push fewer paths at a time",
            who.name()
        )));
    }
    if of_all > most {
        return Err(Problem::too_many(
            format!(
                "all pushes of {} together would bring {of_all} bytes, and may bring {most} at once: wait for one to end",
                who.name()
            ),
            RETRY_AFTER,
        ));
    }
    Ok(())
}

/// Bounds the references of what is claimed: the commit of a push holds them all in memory.
async fn references(who: &Identity, push: &Push, tx: &mut WriteTx) -> Result<(), Problem> {
    let (of_push, of_all) = tx.claimed_references(push).await?;
    if of_push > MAX_PUSH_REFERENCES {
        return Err(Problem::too_large(format!(
            "the paths of this push would have {of_push} references, and a push may have {MAX_PUSH_REFERENCES}: \
             push fewer paths at a time"
        )));
    }
    if of_all > MAX_IDENTITY_REFERENCES {
        return Err(Problem::too_many(
            format!(
                "the paths of all pushes of {} together would have {of_all} references, and may have \
                 {MAX_IDENTITY_REFERENCES}: wait for a push to end",
                who.name()
            ),
            RETRY_AFTER,
        ));
    }
    Ok(())
}
