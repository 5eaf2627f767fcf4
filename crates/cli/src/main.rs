//! The `pair2score` program.

use std::process::ExitCode;

use pair2score_cli::Invocation;

fn main() -> ExitCode {
    let arguments = std::env::args_os().collect();
    ExitCode::from(pair2score_cli::main(Invocation { program: std::env::current_exe().ok(), arguments }))
}
