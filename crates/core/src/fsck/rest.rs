//! Build logs, closures and pins.

use std::collections::HashSet;

use niks3_base::error::Error;
use niks3_catalog::{CheckedPin, ClosureId, FindingId};
use niks3_nix::store_path::StorePath;
use niks3_storage::ObjectKey;

use super::check::{Check, Flaw};
use super::{Kind, Phase};
use crate::pins;
use crate::write_lock::UNDER_WRITE_LOCK;

/// Rows that are looked at together.
const PAGE: i64 = 500;

pub(super) async fn logs(check: &Check<'_>) -> Result<(), Error> {
    let Some(mut after) = check.shared.enter(Phase::Logs) else {
        return Ok(());
    };
    loop {
        let page = check.app.catalog.checked_logs(&after, PAGE).await?;
        let Some((last, _)) = page.last() else {
            return Ok(());
        };
        let last = last.clone();
        let suspects = wrong_logs(check, &page).await?;
        for suspects in suspects.chunks(UNDER_WRITE_LOCK) {
            let look = || async {
                let mut now = Vec::new();
                for (drv, _) in suspects {
                    let row = check.app.catalog.checked_log(drv).await?;
                    now.extend(row);
                }
                wrong_logs(check, &now).await
            };
            let (mut tx, wrong) = check.under_write_lock(look).await?;
            let flaws = wrong
                .into_iter()
                .map(|(drv, size)| {
                    let detail = format!("the bucket does not have the {size} bytes that it should have");
                    Flaw::new(Kind::WrongLog, format!("log/{drv}"), detail, drv)
                })
                .collect();
            let found = check.note(&mut tx, flaws).await?;
            if check.request.repair {
                // Whoever has the derivation's log brings it with its next push.
                for finding in &found {
                    tx.log_lost(&finding.flaw.of).await?;
                }
            }
            tx.commit().await?;
            if check.request.repair {
                let ids: Vec<FindingId> = found.iter().map(|finding| finding.id).collect();
                check.end(&ids, true).await?;
            }
        }
        check
            .shared
            .after(&last, |counts| counts.logs += page.len() as u64);
        after = last;
    }
}

/// Those logs that the bucket does not have with their size.
async fn wrong_logs(check: &Check<'_>, logs: &[(String, i64)]) -> Result<Vec<(String, i64)>, Error> {
    let keys = logs
        .iter()
        .map(|(drv, _)| {
            let drv: StorePath = drv.parse().map_err(|_| Error::internal("the name of a log"))?;
            Ok(ObjectKey::log(&drv))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let sizes = check.app.bucket.sizes(keys).await?;
    Ok(logs
        .iter()
        .zip(sizes)
        .filter(|((_, size), found)| *found != Some(size.unsigned_abs()))
        .map(|(log, _)| log.clone())
        .collect())
}

pub(super) async fn roots(check: &Check<'_>) -> Result<(), Error> {
    if check.shared.enter(Phase::Roots).is_none() {
        return Ok(());
    }
    closures(check).await?;
    pins(check).await
}

/// Closures without a root are few, and there is nothing to ask the bucket.
async fn closures(check: &Check<'_>) -> Result<(), Error> {
    let mut after = ClosureId::default();
    loop {
        let look = || async { Ok(check.app.catalog.rootless_closures(after, PAGE).await?) };
        let (mut tx, page) = check.under_write_lock(look).await?;
        let Some((last, _)) = page.last() else {
            return Ok(());
        };
        after = *last;
        let flaws = page
            .iter()
            .map(|(_, root)| {
                let detail = "a closure's root is not in the cache: push it again";
                Flaw::new(Kind::LostRoot, root.to_string(), detail, ())
            })
            .collect();
        let found = check.note(&mut tx, flaws).await?;
        tx.commit().await?;
        if check.request.repair {
            let ids: Vec<FindingId> = found.iter().map(|finding| finding.id).collect();
            check.end(&ids, false).await?;
        }
    }
}

async fn pins(check: &Check<'_>) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let page = check.app.catalog.checked_pins(&after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.name);
        let suspects: HashSet<String> = wrong_pins(check, page)
            .await?
            .into_iter()
            .map(|flaw| flaw.of)
            .collect();
        let suspects: Vec<String> = suspects.into_iter().collect();
        for names in suspects.chunks(UNDER_WRITE_LOCK) {
            let again =
                || async { wrong_pins(check, check.app.catalog.checked_pins_among(names).await?).await };
            let (mut tx, flaws) = check.under_write_lock(again).await?;
            let found = check.note(&mut tx, flaws).await?;
            if check.request.repair {
                for finding in found.iter().filter(|finding| finding.flaw.kind == Kind::WrongPin) {
                    tx.pin_changed(&finding.flaw.of).await?;
                }
            }
            tx.commit().await?;
            if !check.request.repair {
                continue;
            }
            for finding in found {
                match finding.flaw.kind {
                    Kind::WrongPin => {
                        let settled = pins::settle(check.app, &finding.flaw.of).await;
                        check.tried(&[finding.id], settled).await?;
                    }
                    _ => check.end(&[finding.id], false).await?,
                }
            }
        }
    }
}

async fn wrong_pins(check: &Check<'_>, page: Vec<CheckedPin>) -> Result<Vec<Flaw<String>>, Error> {
    let mut flaws = Vec::new();
    for pin in page {
        let key = ObjectKey::pin(&pin.name).map_err(Error::internal)?;
        if !pin.there {
            let detail = format!("it points at {}, which is not in the cache", pin.path);
            flaws.push(Flaw::new(
                Kind::DanglingPin,
                key.as_str(),
                detail,
                pin.name.clone(),
            ));
        }
        let expected = pins::text(check.app, &pin.path);
        let found = check.app.bucket.read_text(&key, expected.len()).await?;
        if pin.settled && found.as_deref() != Some(expected.as_bytes()) {
            let detail = format!("the bucket does not have it pointing at {}", pin.path);
            flaws.push(Flaw::new(Kind::WrongPin, key.as_str(), detail, pin.name));
        }
    }
    Ok(flaws)
}
