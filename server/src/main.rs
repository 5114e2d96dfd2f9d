//! niks3-server.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};
use niks3_server::config::{Cli, Command, Config, Import, Storage};
use niks3_server::{import_command, open_files, start, start_error};
use tokio::runtime::Runtime;

/// A commit makes and drops millions of small texts.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Cli { args, command } = match parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            return usage(&niks3_arguments::sentence(error, "niks3-server"));
        }
        Err(error) => {
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
    };
    if let Some(what) = args.generate {
        let written = what
            .text()
            .and_then(|text| std::io::stdout().lock().write_all(&text));
        return written.map_or_else(|error| fail(&error.to_string()), |()| ExitCode::SUCCESS);
    }
    if let Some(Command::Import(options)) = command {
        return run_import(*options);
    }
    if let Err(why) = start::init_log(&args) {
        return usage(&format!("--log: {why}"));
    }
    warn_of_client_variable();
    if let Err(line) = open_files::enough() {
        return fail(&line);
    }
    let config = match Config::resolve(args) {
        Ok(config) => config,
        Err(error) => return usage(&error.to_string()),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string()),
    };
    let ended = runtime.block_on(start::run(config));
    // Work on files cannot be cut off, only left: what it had not finished counts for nothing.
    runtime.shutdown_timeout(start::LAST_WORK);
    exit_code(ended)
}

fn parse() -> Result<Cli, clap::Error> {
    let matches = niks3_arguments::matches(Cli::command(), std::env::args_os())?;
    Cli::from_arg_matches(&matches)
}

/// Who sets the variable of the client for the server means another one.
fn warn_of_client_variable() {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if is_set("NIKS3_SERVER_URL") && !is_set("NIKS3_PUBLIC_URL") {
        tracing::warn!(
            "NIKS3_SERVER_URL is for clients and ignored here: the server's address is NIKS3_PUBLIC_URL"
        );
    }
}

/// Bytes of the stack of a worker: checks and commits call deeply, and a stack that overflows ends the process.
const WORKER_STACK: usize = 8 << 20;

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(WORKER_STACK)
        .enable_all()
        .build()
}

fn exit_code(ended: Result<(), start_error::StartError>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(start_error::StartError::Usage(line)) => usage(&line),
        Err(start_error::StartError::Failed(line)) => fail(&line),
    }
}

fn run_import(options: Import) -> ExitCode {
    if let Err(why) = start::init_log(&options.server) {
        return usage(&format!("--log: {why}"));
    }
    let storage = match Storage::resolve(&options.server) {
        Ok(storage) => storage,
        Err(error) => return usage(&error.to_string()),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string()),
    };
    let imported = runtime.block_on(import_command::run(
        &storage,
        &options.from_niks3,
        options.source_is_stopped,
    ));
    exit_code(imported.map(|summary| {
        let _ = writeln!(std::io::stdout(), "{summary}");
    }))
}

fn usage(line: &str) -> ExitCode {
    report(line);
    ExitCode::from(2)
}

fn fail(line: &str) -> ExitCode {
    report(line);
    ExitCode::from(1)
}

fn report(line: &str) {
    let line = niks3_arguments::without_error_numbers(line);
    let _ = writeln!(std::io::stderr(), "niks3-server: {line}");
}
