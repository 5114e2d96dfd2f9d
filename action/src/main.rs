//! `niks3-action`: what action/shim.js starts.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    niks3_action::run(&arguments)
}
