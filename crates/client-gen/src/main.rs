//! Writes crates/client/src/generated.rs from openapi/niks3.json.

fn main() {}
