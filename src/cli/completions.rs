//! `segue completions`

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Arguments, output};
use crate::report::ExitCode;

/// Arguments of `segue completions`.
#[derive(Args)]
pub(super) struct CompletionsArguments {
    /// The shell that will read them.
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(arguments: &CompletionsArguments) -> ExitCode {
    // Written into memory first: a reader that goes away is not an error of ours.
    let mut script = Vec::new();
    let mut command = Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "segue", &mut script);
    output::print(String::from_utf8_lossy(&script).trim_end());
    ExitCode::Done
}
