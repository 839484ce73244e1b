//! The command line: arguments, help, printing, exit codes. One file per command; no business rules.

mod check;
mod completions;
mod describe;
mod get;
mod journey;
mod logs;
mod mappings;
mod output;
mod progress;
mod push;
mod rejects;
mod retry;
mod runs;
mod sandbox;
mod settings;
mod signals;
mod state;
mod stop;
mod validate;

use clap::{ArgAction, Args, Parser, Subcommand};

use self::stop::Stop;
use crate::report::ExitCode;

/// Carries segments from a warehouse into Microsoft Dataverse and proves what it did.
#[derive(Parser)]
#[command(name = "segue", version, about, disable_help_subcommand = true, after_help = EXIT_CODES)]
struct Arguments {
    #[command(flatten)]
    loudness: Loudness,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0   done              1   done, with rejects      2   wrong usage, mapping or configuration
  3   no connection     4   a guard stopped it      5   another run holds the lock
  6   interrupted       7   the extract or the disk 70  a defect      75  unavailable, run again";

/// How much to tell on stderr.
#[derive(Args)]
#[command(next_help_heading = "On stderr")]
struct Loudness {
    /// Tell more on stderr; repeat for still more.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Tell nothing on stderr but errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// How log lines are written.
    #[arg(long, global = true, value_enum, default_value_t = logs::Shape::Text)]
    log_format: logs::Shape,
}

#[derive(Subcommand)]
enum Command {
    /// Push extracts into their tables: only what changed, every row accounted for.
    Push(push::PushArguments),
    /// Check mappings against their tables and extracts. Sends nothing.
    Validate(validate::ValidateArguments),
    /// Show one record by its GUID or an alternate key.
    Get(get::GetArguments),
    /// Check the way to a destination step by step. Changes nothing.
    Check(check::CheckArguments),
    /// List the tables, or show the columns and keys of one.
    Describe(describe::DescribeArguments),
    /// Show the history of runs, or one run in full.
    Runs(runs::RunsArguments),
    /// Show the rejected rows of a run, grouped by reason.
    Rejects(rejects::RejectsArguments),
    /// Push the rows that an earlier run rejected, with today's values, set aside or not.
    Retry(retry::RetryArguments),
    /// Show, move or mend what segue remembers of earlier runs.
    State(state::StateArguments),
    /// Print the completions of a shell.
    Completions(completions::CompletionsArguments),
    /// Serve the embedded Dataverse on a loopback port until interrupted.
    Sandbox(sandbox::SandboxArguments),
}

/// Runs the command of this process and returns its exit code.
pub fn run() -> u8 {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return output::usage(error).code(),
    };
    logs::start(&arguments.loudness);
    if arguments.loudness.quiet {
        output::be_quiet();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let help = "Look at the limits of this process and user.";
            return Stop::of(&error, help, ExitCode::Defect).tell().code();
        }
    };
    let code = output::printed(runtime.block_on(arguments.command.run()));
    // What still blocks, a read of a slow disk perhaps, has nothing to add to the exit code.
    runtime.shutdown_background();
    code.code()
}

impl Command {
    async fn run(self) -> ExitCode {
        let done = match self {
            // A push has its own say about how it failed: --json.
            Self::Push(arguments) => return push::run(arguments).await,
            Self::Validate(arguments) => return validate::run(arguments).await,
            Self::Get(arguments) => get::run(arguments).await,
            Self::Check(arguments) => check::run(arguments).await,
            Self::Describe(arguments) => describe::run(arguments).await,
            Self::Runs(arguments) => runs::run(&arguments),
            Self::Rejects(arguments) => rejects::run(&arguments),
            Self::Retry(arguments) => return retry::run(arguments).await,
            Self::State(arguments) => state::run(arguments).await,
            Self::Completions(arguments) => return completions::run(&arguments),
            Self::Sandbox(arguments) => sandbox::run(arguments).await,
        };
        done.unwrap_or_else(Stop::tell)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Arguments::command().debug_assert();
    }
}
