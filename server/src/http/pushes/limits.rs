//! What one identity may have in progress, and how many bytes a claim lets it bring.

use super::{App, Error, Identity};
use crate::catalog::{Push, WriteTx};

/// Seconds after which a push of the same identity may have ended.
const RETRY_AFTER: u32 = 5;
/// Seconds after which an upload in parts of the same identity may have ended.
const RETRY_MULTIPART_AFTER: u32 = 30;

/// What a compressed NAR may have more than the NAR: zstd adds three bytes to each block of up to 128 KiB that it cannot
/// compress, and a header to each frame. Compressors that write smaller blocks find room here, too.
const NAR_OVERHEAD: u64 = 64 << 10;
/// The same, as a share of the NAR.
const NAR_OVERHEAD_SHARE: u64 = 128;

/// Bytes of a listing for each byte of the NAR: a name takes six times its bytes where JSON escapes each, and
/// the rest of an entry has fewer bytes in JSON than in the NAR.
const LISTING_SHARE: u64 = 6;
/// Bytes of a listing of nothing.
const LISTING_OVERHEAD: u64 = 1 << 10;

/// Most bytes of the compressed NAR that a push may bring for a NAR of so many bytes.
pub(super) fn largest_nar(nar_size: i64) -> u64 {
    let size = nar_size.unsigned_abs();
    size.saturating_add(size / NAR_OVERHEAD_SHARE)
        .saturating_add(NAR_OVERHEAD)
}

/// Lets a compressed NAR through that has no more bytes than one of that claim can have.
pub(super) fn nar(field: &str, size: i64, nar_size: i64) -> Result<(), Error> {
    match size.unsigned_abs() <= largest_nar(nar_size) {
        true => Ok(()),
        false => Err(too_large_nar(field, nar_size)),
    }
}

/// 422: a compressed NAR has more bytes than its claim allows.
pub(super) fn too_large_nar(field: &str, nar_size: i64) -> Error {
    Error::invalid(
        field,
        format!(
            "the push claims a NAR of {nar_size} bytes, which has at most {} bytes compressed",
            largest_nar(nar_size)
        ),
    )
}

/// The same for a listing.
pub(super) fn listing(field: &str, size: i64, nar_size: i64) -> Result<(), Error> {
    let most = nar_size
        .unsigned_abs()
        .saturating_mul(LISTING_SHARE)
        .saturating_add(LISTING_OVERHEAD);
    if size.unsigned_abs() <= most {
        return Ok(());
    }
    let detail = format!("the push claims a NAR of {nar_size} bytes, whose listing has at most {most} bytes");
    Err(Error::invalid(field, detail))
}

/// Most references of all paths that a push claims, 8 bytes each in the database and in memory: a million
/// paths with ten references each are 10 million.
const MAX_PUSH_REFERENCES: u64 = 16_000_000;
/// Most references of all paths that the pushes of an identity claim together.
const MAX_IDENTITY_REFERENCES: u64 = 2 * MAX_PUSH_REFERENCES;

/// Lets somebody open another push.
pub(super) async fn admit(app: &App, who: &Identity, tx: &mut WriteTx) -> Result<(), Error> {
    let Some(most) = who.limits(app.limits).pushes else {
        return Ok(());
    };
    let open = tx.pushes_under_way(&who.name()).await?;
    if open < most {
        return Ok(());
    }
    Err(Error::too_many(
        format!(
            "{} has {open} pushes in progress and may have {most}: wait for one to end",
            who.name()
        ),
        RETRY_AFTER,
    ))
}

/// Lets somebody begin another upload in parts, of a NAR of so many bytes.
pub(super) async fn admit_multipart(
    app: &App,
    who: &Identity,
    nar_size: i64,
    mut tx: WriteTx,
) -> Result<WriteTx, Error> {
    let limits = who.limits(app.limits);
    if limits.multiparts.is_none() && limits.claimed_bytes.is_none() {
        return Ok(tx);
    }
    let (unfinished, bytes) = tx.unfinished_multiparts(&who.name()).await?;
    if let Some(most) = limits.multiparts.filter(|most| unfinished >= *most) {
        return Err(Error::too_many(
            format!(
                "{} has {unfinished} unfinished uploads in parts and may have {most}: finish one of them, or wait for a \
                 garbage collection to end those that were left",
                who.name()
            ),
            RETRY_MULTIPART_AFTER,
        ));
    }
    let bytes = bytes.saturating_add(nar_size.unsigned_abs());
    if let Some(most) = limits.claimed_bytes.filter(|most| bytes > *most) {
        return Err(Error::too_many(
            format!(
                "with this one, the unfinished uploads in parts of {} would have {bytes} bytes, and may have {most}: \
                 finish one of them, or wait for a garbage collection to end those that were left",
                who.name()
            ),
            RETRY_MULTIPART_AFTER,
        ));
    }
    Ok(tx)
}

/// Looks whether somebody may bring what they have just claimed or announced; otherwise the transaction must not be
/// committed.
pub(super) async fn check(app: &App, who: &Identity, push: &Push, tx: &mut WriteTx) -> Result<(), Error> {
    references(who, push, tx).await?;
    let Some(most) = who.limits(app.limits).claimed_bytes else {
        return Ok(());
    };
    let (of_push, of_all) = tx.claimed_bytes(push).await?;
    if of_push > most {
        return Err(Error::too_large(format!(
            "this push would bring {of_push} bytes, and {} may bring {most} at once: push fewer paths at a time",
            who.name()
        )));
    }
    if of_all > most {
        return Err(Error::too_many(
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
async fn references(who: &Identity, push: &Push, tx: &mut WriteTx) -> Result<(), Error> {
    let (of_push, of_all) = tx.claimed_references(push).await?;
    if of_push > MAX_PUSH_REFERENCES {
        return Err(Error::too_large(format!(
            "the paths of this push would have {of_push} references, and a push may have {MAX_PUSH_REFERENCES}: \
             push fewer paths at a time"
        )));
    }
    if of_all > MAX_IDENTITY_REFERENCES {
        return Err(Error::too_many(
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

    use super::*;

    #[test]
    fn what_zstd_makes_of_noise_is_within_the_bound() {
        for size in [1, 216, 100_000, 9 << 20] {
            let noise: Vec<u8> = (0..size / 32 + 1)
                .flat_map(|number: u64| *niks3_nix::hash::FileHash::of(&number.to_le_bytes()).as_bytes())
                .take(usize::try_from(size).unwrap())
                .collect();
            let packed = zstd::encode_all(&noise[..], 3).unwrap().len();
            let size = i64::try_from(size).unwrap();
            nar("size", i64::try_from(packed).unwrap(), size).unwrap();
            nar("size", i64::try_from(largest_nar(size)).unwrap() + 1, size).unwrap_err();
        }
    }
}
