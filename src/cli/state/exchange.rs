//! `segue state export` and `import`

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::super::stop::Stop;
use super::{LedgerArguments, lock, no_ledger, stop};
use crate::ledger::{LedgerError, export, exported_of, import, overview};
use crate::report::ExitCode;

#[derive(Args)]
pub(super) struct ExportArguments {
    #[command(flatten)]
    ledger: LedgerArguments,
    /// The file to write, readable by its owner only; stdout otherwise.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct ImportArguments {
    /// What `export` wrote.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    #[command(flatten)]
    ledger: LedgerArguments,
    /// Replace the ledger that is there.
    #[arg(long)]
    yes: bool,
}

pub(super) fn exported(arguments: &ExportArguments) -> Result<ExitCode, Stop> {
    let place = arguments.ledger.place()?;
    let Some(file) = &arguments.out else {
        let mut out = BufWriter::new(std::io::stdout().lock());
        let records = export(&place.folder, &place.folder, &mut out).map_err(stop)?;
        out.flush().ok();
        return records
            .map(|_| ExitCode::Done)
            .ok_or_else(|| no_ledger(&place));
    };
    let unwritable = |error: std::io::Error| {
        let text = format!("{} cannot be written: {error}", file.display());
        Stop::new(text, "Name a file that can be written.", ExitCode::Usage)
    };
    if overview(&place.folder, &place.folder)
        .map_err(stop)?
        .is_none()
    {
        return Err(no_ledger(&place));
    }
    let mut out = BufWriter::new(private(file).map_err(unwritable)?);
    let records = export(&place.folder, &place.folder, &mut out).map_err(stop)?;
    let written = out
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error);
    written
        .and_then(|file| file.sync_all())
        .map_err(unwritable)?;
    let records = records.unwrap_or_default();
    let words = format!("{records} records written to {}", file.display());
    let counts = json!({ "records": records });
    Ok(arguments.ledger.tell(&place, "export", &counts, &words))
}

fn private(file: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

pub(super) fn imported(arguments: &ImportArguments) -> Result<ExitCode, Stop> {
    let place = arguments.ledger.place()?;
    let unreadable = |error: &std::io::Error| {
        let text = format!("{} cannot be read: {error}", arguments.from.display());
        let help = "Name a file that `segue state export` wrote.";
        Stop::new(text, help, ExitCode::Usage)
    };
    let from = &arguments.from;
    let opened = File::open(from).and_then(|file| {
        let (mut text, mut first) = (BufReader::new(file), String::new());
        text.read_line(&mut first).map(|_| (first, text))
    });
    let (first, rest) = opened.map_err(|error| unreadable(&error))?;
    let coming = exported_of(from, first.as_bytes()).map_err(not_imported)?;
    let lock = lock(&place, Some(coming))?;
    let is_there = place.folder.join("catalogue.db").exists();
    if is_there && !arguments.yes {
        return Err(Stop::new(
            format!(
                "the ledger in {} would be replaced, and nobody agreed",
                place.folder.display()
            ),
            "Keep a copy with `segue state export` if you want one, then add --yes.",
            ExitCode::Usage,
        ));
    }
    let records = import(&place.folder, from, first.as_bytes().chain(rest));
    let records = records.map_err(|error| match error {
        LedgerError::Io { path, source, .. } if path == *from => unreadable(&source),
        error => not_imported(error),
    })?;
    drop(lock);
    let words = format!("the ledger holds {records} records");
    let counts = json!({ "records": records });
    Ok(arguments.ledger.tell(&place, "import", &counts, &words))
}

/// What is wrong with the file is no damage of the ledger.
fn not_imported(error: LedgerError) -> Stop {
    match error {
        LedgerError::Torn { path, what } | LedgerError::Foreign { path, what } => Stop::new(
            format!("{} cannot be imported: {what}", path.display()),
            "Take a whole file that `segue state export` wrote of this ledger; nothing was changed. To put another in its \
             place, remove this one first: `segue state reset`.",
            ExitCode::Usage,
        ),
        error => stop(error),
    }
}
