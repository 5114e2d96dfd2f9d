//! `niks3 info`: what the cache has of a path.

use indicatif::BinaryBytes;
use niks3_client::types;

use super::contents::closure_root;
use crate::{
    Failure,
    args::runs::Info,
    output::{Output, time},
};

pub(super) async fn run(args: Info, output: &Output) -> Result<(), Failure> {
    let path = closure_root(&args.path)?;
    let api = super::connect(args.server)?;
    let path = path.as_str();
    let found = api
        .call("asking for the path", |client| async move {
            client.get_path(path).await
        })
        .await?;
    if args.json {
        return output.json(&found);
    }
    lines(&found).iter().try_for_each(|line| output.line_out(line))
}

fn lines(found: &types::CachedPath) -> Vec<String> {
    let stored = found.file_bytes.map_or_else(
        || found.compression.clone(),
        |bytes| format!("{}, {}", BinaryBytes(bytes), found.compression),
    );
    let mut lines = vec![
        format!("path: {}", found.path),
        format!("NAR: {}, {}", BinaryBytes(found.nar_bytes), found.nar_hash),
        format!("stored: {stored}, {}", found.url),
    ];
    lines.extend(
        found
            .deriver
            .as_ref()
            .map(|deriver| format!("deriver: {deriver}")),
    );
    lines.extend(found.ca.as_ref().map(|ca| format!("content address: {ca}")));
    lines.push(match found.pushed_at {
        Some(pushed) => format!("pushed: {}", time(pushed)),
        None => "pushed: as part of other closures".to_owned(),
    });
    if !found.pins.is_empty() {
        lines.push(format!("pins: {}", found.pins.join(", ")));
    }
    lines.extend(
        found
            .signatures
            .iter()
            .map(|signature| format!("signature: {signature}")),
    );
    lines.extend(
        found
            .references
            .iter()
            .map(|reference| format!("reference: {reference}")),
    );
    lines
}
