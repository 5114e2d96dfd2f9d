//! `niks3 whoami`.

use crate::{
    Failure,
    args::tokens::Whoami,
    output::{Output, time},
};

pub(super) async fn run(args: Whoami, output: &Output) -> Result<(), Failure> {
    let api = super::connect(args.server)?;
    let who = api
        .call(
            "asking who you are",
            |client| async move { client.whoami().await },
        )
        .await?;
    if args.json {
        return output.json(&who);
    }
    output.line_out(&format!("identity: {}", who.identity))?;
    output.line_out(&format!("scopes: {}", who.scopes.join(", ")))?;
    if let Some(end) = who.expires_at {
        output.line_out(&format!("expires: {}", time(end)))?;
    }
    for rule in &who.rules {
        output.line_out(&format!("rule: {rule}"))?;
    }
    if who.pins != ["*"] {
        output.line_out(&format!("pins: {}", who.pins.join(", ")))?;
    }
    if !who.signing_keys.is_empty() {
        output.line_out(&format!("signing keys: {}", who.signing_keys.join(", ")))?;
    }
    Ok(())
}
