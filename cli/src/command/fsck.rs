//! `niks3 fsck`.

use indicatif::BinaryBytes;
use niks3_client::{Api, types};

use super::task;
use crate::{
    Failure,
    args::Fsck,
    output::{Output, counted},
    signals::Signals,
};

/// Entries of one page of findings.
const PAGE: u32 = 1000;

pub(super) async fn run(args: Fsck, output: &Output) -> Result<(), Failure> {
    let api = super::connect(args.server)?;
    let request = types::StartFsck {
        repair: args.repair && !args.dry_run,
        contents: !args.no_contents,
        dry_run: args.dry_run,
        trust_keys: args.trust_key,
    };
    let signals = Signals::listen()?;
    let check = task::to_its_end(
        output,
        async || {
            let request = &request;
            let started = api.call("starting the check", |client| async move {
                client.start_fsck(request).await
            });
            Ok(started.await?)
        },
        async |check: &types::FsckRun| {
            let id = &check.id;
            let asked = api.call("asking how far the check is", |client| async move {
                client.get_fsck(id).await
            });
            Ok(asked.await?)
        },
    );
    let check = tokio::select! {
        check = check => check?,
        () = signals.token().cancelled() => {
            output.warning("the check goes on at the server");
            return Err(Failure::Signal(signals.received().unwrap_or(2)));
        }
    };
    let findings = findings(&api, &check.id).await?;
    if args.json {
        output.json(&serde_json::json!({ "fsck": check, "findings": findings }))?;
    } else {
        for finding in &findings {
            output.line_out(&format!(
                "{}: {}: {} ({})",
                finding.kind,
                finding.subject,
                finding.detail,
                match args.dry_run {
                    true => planned(finding),
                    false => end(finding),
                }
            ))?;
        }
    }
    let counts = &check.counts;
    output.info(&format!(
        "checked {}, {} ({} read), {} and {}: {}",
        counted(counts.paths, "path"),
        counted(counts.nars, "NAR"),
        BinaryBytes(counts.nar_bytes),
        counted(counts.logs, "build log"),
        counted(counts.objects, "object"),
        verdict(&findings)
    ));
    let left = findings.iter().filter(|finding| needs_somebody(finding)).count();
    match left {
        0 => Ok(()),
        left => Err(Failure::Failed(format!(
            "{} to be dealt with{}",
            match left {
                1 => "1 finding needs".to_owned(),
                left => format!("{left} findings need"),
            },
            if args.repair && !args.dry_run {
                ""
            } else {
                "; `niks3 fsck --repair` mends what it can"
            }
        ))),
    }
}

/// What became of a finding, for people.
fn end(finding: &types::Finding) -> String {
    let end = match finding.state {
        types::FindingEnd::Mended => "mended",
        _ if finding.left_to_gc => "a garbage collection deletes it",
        types::FindingEnd::Failed => "could not be mended",
        types::FindingEnd::Open => "not mended",
    };
    match &finding.reason {
        Some(reason) => format!("{end}: {reason}"),
        None => end.to_owned(),
    }
}

/// What a repair would do about a finding, for people.
fn planned(finding: &types::Finding) -> String {
    let plan = match finding.kind.as_str() {
        _ if finding.left_to_gc => "a garbage collection deletes it",
        "unknown-narinfo" if finding.reason.is_some() => "",
        "missing-narinfo"
        | "wrong-narinfo"
        | "bad-signature"
        | "missing-signature"
        | "missing-realisation"
        | "wrong-realisation"
        | "wrong-pin" => "would be written again",
        "missing-listing" => "would be made from the NAR",
        "missing-nar" | "wrong-size" | "wrong-hash" => {
            "the paths with this NAR would leave the cache, so that the next push brings them"
        }
        "foreign-object" | "versioned-bucket" => "would be left alone",
        kind if kind.starts_with("unknown-") => {
            "would be adopted if it belongs to a narinfo that is, or else left alone"
        }
        _ => "would be mended if that is possible without guessing",
    };
    let reason = finding.reason.as_deref().unwrap_or_default();
    match (plan, reason) {
        ("", reason) => reason.to_owned(),
        (plan, "") => plan.to_owned(),
        (plan, reason) => format!("{plan}: {reason}"),
    }
}

fn needs_somebody(finding: &types::Finding) -> bool {
    finding.state != types::FindingEnd::Mended && !finding.left_to_gc && finding.kind != "foreign-object"
}

fn verdict(findings: &[types::Finding]) -> String {
    if findings.is_empty() {
        return "bucket and database agree".to_owned();
    }
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    format!(
        "{}, {} of them mended",
        counted(findings.len(), "finding"),
        count(types::FindingEnd::Mended)
    )
}

async fn findings(api: &Api, id: &str) -> Result<Vec<types::Finding>, Failure> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = api
            .call("asking for the findings", |client| async move {
                client.list_fsck_findings(id, after, Some(PAGE)).await
            })
            .await?;
        all.extend(page.findings);
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}
