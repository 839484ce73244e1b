//! `segue retry`

use clap::Args;

use super::mappings::MappingArguments;
use super::output;
use super::progress::Show;
use super::push::{self, PatienceArguments, PushArguments, ROW_MEMORY_MIB, Selection};
use super::rejects::not_kept;
use super::runs::{chosen, none_yet};
use super::settings::SettingsArguments;
use super::stop::Stop;
use crate::ledger::mapping_file;
use crate::push::PushError;
use crate::report::{ExitCode, RunResults};

/// Arguments of `segue retry`.
#[derive(Args)]
pub(super) struct RetryArguments {
    /// The run whose rejected rows are pushed, as `segue runs` lists it [default: the latest that read rows].
    run: Option<String>,
    #[command(flatten)]
    settings: SettingsArguments,
    #[command(flatten)]
    patience: PatienceArguments,
    /// Tell what would happen, write nothing to Dataverse or the ledger.
    #[arg(long)]
    dry_run: bool,
    /// Write to a destination that is marked as production without being asked.
    #[arg(long)]
    yes: bool,
    /// Print one JSON object instead of the summary.
    #[arg(long)]
    json: bool,
    /// Whether to show progress on stderr.
    #[arg(long, value_enum, default_value_t = Show::Auto)]
    progress: Show,
}

pub(super) async fn run(arguments: RetryArguments) -> ExitCode {
    let is_json = arguments.json;
    match prepare(arguments) {
        Ok(Prepared::Push(arguments)) => push::run(*arguments).await,
        Ok(Prepared::Nothing { run }) => {
            output::say(&format!("{run} has no rejects."));
            if is_json {
                output::print_json(&push::nothing(ExitCode::Done, Vec::new()));
            }
            ExitCode::Done
        }
        Err(stop) => {
            if is_json {
                output::print_json(&push::nothing(stop.code(), vec![stop.to_json()]));
            }
            stop.tell()
        }
    }
}

/// What there is to do.
enum Prepared {
    Push(Box<PushArguments>),
    Nothing { run: String },
}

fn prepare(arguments: RetryArguments) -> Result<Prepared, Stop> {
    let config = arguments.settings.read()?;
    let Some(run) = chosen(
        config.state(),
        arguments.run.as_deref(),
        &arguments.settings,
    )?
    else {
        return Err(Stop::new(
            format!("there are {}", none_yet(&arguments.settings)),
            "Push first: `segue push --mapping FILE`.",
            ExitCode::Usage,
        ));
    };
    as_named(&arguments.settings, &run)?;
    let Some(rejects) = &run.rejects.file else {
        return Ok(Prepared::Nothing { run: run.run });
    };
    let folder = config.state().join(&run.destination).join(&run.mapping);
    let Some(mapping) = mapping_file(&folder).map_err(PushError::from)? else {
        return Err(Stop::new(
            format!(
                "nothing tells which file `{}` was: it has no ledger",
                run.mapping
            ),
            "Push the mapping itself: without a ledger every rejected row is due.",
            ExitCode::Usage,
        ));
    };
    if !std::path::Path::new(rejects).exists() {
        return Err(not_kept(&run.run));
    }
    let file = config.base().join(mapping);
    if !file.exists() {
        return Err(Stop::new(
            format!(
                "{} was made with the mapping {}, which is not there any more",
                run.run,
                file.display()
            ),
            "Bring the file back, or push the mapping that took its place: rejected rows are due whenever it is pushed.",
            ExitCode::Usage,
        ));
    }
    let arguments = PushArguments {
        mappings: MappingArguments::of(file),
        settings: arguments.settings.to(&run.destination),
        selection: Selection::default(),
        patience: arguments.patience,
        dry_run: arguments.dry_run,
        full_refresh: false,
        yes: arguments.yes,
        json: arguments.json,
        row_memory: ROW_MEMORY_MIB,
        progress: arguments.progress,
        rejects_of: Some(rejects.into()),
    };
    Ok(Prepared::Push(Box::new(arguments)))
}

/// A run that went elsewhere is not tried again by mistake.
fn as_named(settings: &SettingsArguments, run: &RunResults) -> Result<(), Stop> {
    match settings.named() {
        Some(named) if named != run.destination => Err(Stop::new(
            format!(
                "{} went to `{}`, not to `{named}`",
                run.run, run.destination
            ),
            "Name a run to that destination, as `segue runs` lists it, or leave the destination out.",
            ExitCode::Usage,
        )),
        _ => Ok(()),
    }
}
