//! Writes `crates/client/src/generated.rs` from `openapi/niks3.json`; `--check` only compares the two.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context as _, anyhow, bail};
use progenitor::{GenerationSettings, Generator, HooksMode, InterfaceStyle, TagStyle};

const HEADER: &str =
    "// Generated from openapi/niks3.json by `cargo run -p niks3-client-gen`; do not edit.\n\n";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the one place where this program speaks")]
fn complain(error: &anyhow::Error) {
    eprintln!("client-gen: {error:#}");
}

fn run() -> anyhow::Result<()> {
    let check = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => bail!("usage: client-gen [--check]"),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let document = root.join("openapi/niks3.json");
    let target = root.join("crates/client/src/generated.rs");

    let text = fs::read_to_string(&document).with_context(|| format!("reading {}", document.display()))?;
    let generated = generate(&text).context("openapi/niks3.json")?;
    if !check {
        return fs::write(&target, generated).with_context(|| format!("writing {}", target.display()));
    }
    if fs::read_to_string(&target).unwrap_or_default() != generated {
        bail!(
            "crates/client/src/generated.rs does not match openapi/niks3.json; \
             run `cargo run -p niks3-client-gen` and commit the result"
        );
    }
    Ok(())
}

fn generate(document: &str) -> anyhow::Result<String> {
    let mut document: serde_json::Value = serde_json::from_str(document)?;
    call_problems_json(&mut document);
    let spec: openapiv3::OpenAPI = serde_json::from_value(document)?;
    let mut settings = GenerationSettings::default();
    settings
        .with_interface(InterfaceStyle::Positional)
        .with_tag(TagStyle::Merged)
        .with_derive("PartialEq")
        .with_inner_type(
            "crate::session::Session"
                .parse()
                .map_err(|error| anyhow!("{error}"))?,
        )
        // Without these the token and the protocol version would not be sent.
        .with_hooks(HooksMode::Expected);
    let tokens = Generator::new(&settings).generate_tokens(&spec)?;
    let code = prettyplease::unparse(&syn::parse2(tokens)?);
    Ok(format!("{HEADER}{code}"))
}

/// progenitor gives types to `application/json` only; the body of a problem is JSON like any other.
fn call_problems_json(value: &mut serde_json::Value) {
    if let Some(object) = value.as_object_mut() {
        if let Some(problem) = object.remove("application/problem+json") {
            object.insert("application/json".to_owned(), problem);
        }
        object.values_mut().for_each(call_problems_json);
    } else if let Some(array) = value.as_array_mut() {
        array.iter_mut().for_each(call_problems_json);
    }
}
