//! `niks3 retention`.

use indicatif::BinaryBytes;
use niks3_client::types;

use super::contents::{closure_root, name_of};
use crate::{
    Failure,
    args::retention::{By, Du, Explain, Retention},
    output::{self, Output, table::Table},
};

pub(super) async fn run(command: Retention, output: &Output) -> Result<(), Failure> {
    match command {
        Retention::Explain(args) => explain(args, output).await,
    }
}

async fn explain(args: Explain, output: &Output) -> Result<(), Failure> {
    let path = closure_root(&args.path)?;
    let api = super::connect(args.server)?;
    let name = path.as_str();
    let explained = api
        .call("explaining what keeps the path", |client| async move {
            client.explain_retention(name).await
        })
        .await?;
    if args.json {
        return output.json(&explained);
    }
    if explained.policy.is_none() {
        output.warning("the server has no retention policy: closures are judged by the default of 30 days");
    }
    for pin in &explained.pins {
        output.line_out(&format!("the pin {pin} keeps it"))?;
    }
    if explained.closures.is_empty() && explained.pins.is_empty() {
        return output
            .line_out("no closure and no pin holds it: the next garbage collection marks it for deletion");
    }
    for closure in &explained.closures {
        tell(closure, output)?;
    }
    if explained.more {
        output.warning("more closures hold it");
    }
    Ok(())
}

fn tell(closure: &types::ExplainedClosure, output: &Output) -> Result<(), Failure> {
    output.line_out(&format!("{}  {}", name_of(&closure.path), closure.path))?;
    output.line_out(&format!("  {}", closure.reason))?;
    if let Some(at) = closure.released_at {
        output.line_out(&format!("  released {}", output::time(at)))?;
    }
    let next = match (closure.next.as_str(), closure.delete_from) {
        ("wait", Some(at)) => format!(
            "it is deleted from {} on if nothing keeps it until then",
            output::time(at)
        ),
        ("release", Some(at)) => format!(
            "the next garbage collection releases it; it is deleted from {} on if nothing keeps it until then",
            output::time(at)
        ),
        ("delete", _) => "the next garbage collection deletes it".to_owned(),
        ("restore", _) => "the next garbage collection takes its release back".to_owned(),
        _ => "it stays".to_owned(),
    };
    output.line_out(&format!("  {next}"))?;
    if closure.uses.is_empty() {
        return Ok(());
    }
    let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let mut table = Table::new(["REPOSITORY", "REF", "JOB", "WHAT", "WHEN", "RULE", "KEEPS"]);
    for link in &closure.uses {
        table.row([
            or(&link.repository),
            or(&link.ref_),
            or(&link.job),
            if link.used { "used" } else { "pushed" }.to_owned(),
            output::time(link.at),
            link.rule.clone().unwrap_or_else(|| "(default)".to_owned()),
            link.keeps.clone().unwrap_or_else(|| "no".to_owned()),
        ]);
    }
    table.print()?;
    if closure.more_uses {
        output.warning("it has older pushes and uses");
    }
    Ok(())
}

/// `niks3 du`.
pub(super) async fn du(args: Du, output: &Output) -> Result<(), Failure> {
    let api = super::connect(args.server)?;
    let by = args.by.map(|by| match by {
        By::Rule => types::GroupBy::Rule,
        By::Repository => types::GroupBy::Repository,
    });
    let usage = api
        .call("asking how much closures hold", |client| async move {
            client.get_usage(by).await
        })
        .await?;
    if args.json {
        return output.json(&usage);
    }
    let mut table = Table::new(["NAME", "CLOSURES", "STORED", "ONLY THERE"]);
    for group in &usage.groups {
        table.row([
            group.name.clone(),
            group.closures.to_string(),
            BinaryBytes(group.bytes).to_string(),
            BinaryBytes(group.only_bytes).to_string(),
        ]);
    }
    table.row([
        "(all)".to_owned(),
        usage.closures.to_string(),
        BinaryBytes(usage.bytes).to_string(),
        BinaryBytes(usage.bytes).to_string(),
    ]);
    table.print()?;
    if usage.released_closures > 0 {
        output.info(&format!(
            "{} released; {} are free once their undo time is over",
            match usage.released_closures {
                1 => "1 closure is".to_owned(),
                count => format!("{count} closures are"),
            },
            BinaryBytes(usage.released_bytes)
        ));
    }
    if let Some(quota) = usage.quota {
        output.info(&format!("the quota is {}", BinaryBytes(quota)));
    }
    if usage.more {
        output.warning("only the 100 largest groups are listed");
    }
    Ok(())
}
