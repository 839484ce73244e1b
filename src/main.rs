//! The `segue` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(segue::cli::run())
}
