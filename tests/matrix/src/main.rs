//! niks3 on every S3 service: a row a scenario, a column a service, and in each cell whether that works.
//!
//! Every cell is a process of its own, on a bucket of its own, that can fail or hang without the others.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people, which says what goes wrong and panics where it cannot go on"
)]

mod cell;
mod ceph;
mod scenarios;
mod service;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use cell::Outcome;
use scenarios::{SCENARIOS, Scenario};
use service::{Kind, Service};

/// Runs niks3 on S3 services and prints what works on each.
#[derive(Debug, Parser)]
struct Args {
    /// Only this service; may be given several times
    #[arg(long, value_name = "SERVICE")]
    service: Vec<Kind>,
    /// Only this scenario; may be given several times
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// The long scenarios too
    #[arg(long)]
    long: bool,
    /// Put what was found into docs/services.md; cells that did not run stay
    #[arg(long)]
    write: bool,
    /// Folder for the data of the services, and for the logs of cells that fail, which stay
    #[arg(long, value_name = "DIR", default_value = "target/matrix")]
    folder: PathBuf,
    /// What a cell does, in a process of its own
    #[arg(long, hide = true, num_args = 2, value_names = ["FILE", "NAME"])]
    cell: Option<Vec<String>>,
}

impl Args {
    fn scenarios(&self) -> Vec<&'static Scenario> {
        let chosen = |scenario: &&Scenario| match self.scenario.as_slice() {
            [] => self.long || !scenario.long,
            names => names.iter().any(|name| name == scenario.name),
        };
        SCENARIOS.iter().filter(chosen).collect()
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some([file, name]) = args.cell.as_deref() {
        return cell::run(file.as_ref(), name);
    }
    let known = |name: &String| SCENARIOS.iter().any(|scenario| scenario.name == name);
    if let Some(unknown) = args.scenario.iter().find(|name| !known(name)) {
        let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        eprintln!(
            "niks3-matrix: there is no scenario {unknown:?}, but {}",
            names.join(", ")
        );
        return ExitCode::from(2);
    }
    let kinds = match args.service.as_slice() {
        [] => Kind::ALL.to_vec(),
        kinds => kinds.to_vec(),
    };
    std::fs::create_dir_all(&args.folder).unwrap();
    let folder = args.folder.canonicalize().unwrap();
    let mut columns = Vec::new();
    for kind in kinds {
        let service = Service::start(kind, &folder);
        let mut cells = Vec::new();
        for scenario in args.scenarios() {
            let outcome = cell::start(&service, scenario, &folder);
            eprintln!("{}: {}: {outcome}", kind.name(), scenario.name);
            cells.push((scenario.name, outcome));
        }
        columns.push((kind, cells));
    }
    print!("{}", table::of(&columns));
    if args.write {
        table::write(&columns);
    }
    let fails = |outcome: &Outcome| matches!(outcome, Outcome::Fails(_));
    let failed = columns
        .iter()
        .flat_map(|(_, cells)| cells)
        .any(|(_, outcome)| fails(outcome));
    ExitCode::from(u8::from(failed))
}
