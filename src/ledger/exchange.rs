//! A ledger as text: one JSON object a line, the first about the ledger, each other about a key.
//!
//! The first line names the format, so that a later segue can read what this one wrote, and the number of keys, so
//! that a file that was cut short is recognised. Digests are hexadecimal. The secret is in it: without it the digests
//! mean nothing, and with it the file is to be kept as the ledger itself.

use std::io::{self, BufRead, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::LedgerError;
use super::catalogue::{Catalogue, Stored};
use super::disk::{self, Disk};
use super::files::{refuse_later, remove_generation, tidy};
use super::format::{KeyRow, RowKind};
use super::identity::Owner;
use super::layout::{Layout, LayoutColumn};
use super::replace::Replacement;
use super::reset::{beside, remove, reset_on, sync_above};
use super::snapshot::Snapshot;
use crate::model::{
    ColumnState, DigestSecret, KeyDigest, LogicalName, RecordId, SourceDigest, StandingFlags,
};

/// The newest format of such a file. In the first one the digests of rows and columns were longer.
const VERSION: u32 = 2;

/// What its first line begins with, whatever its format.
const BEGINNING: &str = "{\"schema\":\"segue.ledger/";

/// The first line.
#[derive(Serialize, Deserialize)]
struct Head {
    schema: String,
    organisation: Uuid,
    table: String,
    key: String,
    mapping: String,
    secret: String,
    columns: Vec<Column>,
    records: u64,
}

#[derive(Serialize, Deserialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    type_tag: String,
}

/// Each other line.
#[derive(Serialize, Deserialize)]
struct Line {
    key: String,
    source: String,
    id: Option<Uuid>,
    run: u32,
    flags: u8,
    columns: Vec<String>,
}

/// Writes the ledger in `folder`; tells how many keys it has, or `None` if there is no ledger. Takes no lock: what is
/// written is the ledger as it stood at one instant. `spill` is a folder for temporary files.
///
/// # Errors
/// If the ledger is damaged or cannot be read, or `out` cannot be written.
pub fn export(
    folder: &Path,
    spill: &Path,
    out: &mut impl Write,
) -> Result<Option<u64>, LedgerError> {
    let Some((owner, snapshot)) = Snapshot::read_whole(folder, spill)? else {
        return Ok(None);
    };
    let [high, low] = halves_of(&snapshot.secret().0);
    let columns = snapshot.layout().columns.iter().map(|column| Column {
        name: column.name.to_string(),
        type_tag: column.type_tag.clone(),
    });
    let head = Head {
        schema: format!("segue.ledger/{VERSION}"),
        organisation: owner.organisation,
        table: owner.table,
        key: owner.key,
        mapping: owner.mapping,
        secret: format!("{high:032x}{low:032x}"),
        columns: columns.collect(),
        records: snapshot.len(),
    };
    put(out, &head)?;
    let mut keys = snapshot.generation().keys(0, snapshot.len());
    keys.advance()?;
    while let Some((slot, row)) = keys.current() {
        let states = snapshot.standing(*slot)?.columns;
        let line = Line {
            key: format!("{:032x}", u128::from_be_bytes(row.key.0)),
            source: format!("{:016x}", row.source.0),
            id: row.id.map(|id| id.0),
            run: row.run,
            flags: row.flags.to_bits(),
            columns: states
                .iter()
                .map(|state| format!("{:012x}", state.to_bits()))
                .collect(),
        };
        put(out, &line)?;
        keys.advance()?;
    }
    Ok(Some(snapshot.len()))
}

fn put(out: &mut impl Write, line: &impl Serialize) -> Result<(), LedgerError> {
    let written = serde_json::to_writer(&mut *out, line).map_err(io::Error::from);
    written
        .and_then(|()| out.write_all(b"\n"))
        .map_err(|source| LedgerError::io("write", Path::new("the exported ledger"), source))
}

/// The organisation and the table of what [`export`] wrote: whoever imports it keeps runs of that table out.
///
/// # Errors
/// As [`import`].
pub fn exported_of(file: &Path, text: impl BufRead) -> Result<(Uuid, LogicalName), LedgerError> {
    let import = Import::begin(file, &mut text.lines())?;
    let table = LogicalName::parse(&import.owner.table);
    let table = table.map_err(|_| LedgerError::foreign(file, "its table's name cannot be read"))?;
    Ok((import.owner.organisation, table))
}

/// Makes the ledger in `folder` hold what [`export`] wrote, in place of what it holds; tells how many keys it has.
/// Stopped at any instant, there is the one ledger or the other. Only one that is damaged goes before the other is there.
///
/// `file` is what the text is called in errors.
///
/// # Errors
/// If the text is no exported ledger, is cut short or of a newer format, is of another table or organisation than the
/// ledger that is there, or if the disk refuses; then nothing changed.
pub fn import(folder: &Path, file: &Path, text: impl BufRead) -> Result<u64, LedgerError> {
    import_on(&Disk::Steady, folder, file, text)
}

pub(super) fn import_on(
    disk: &Disk,
    folder: &Path,
    file: &Path,
    text: impl BufRead,
) -> Result<u64, LedgerError> {
    let mut lines = text.lines();
    let import = Import::begin(file, &mut lines)?;
    let aside = beside(folder, "imported");
    // What an import that was stopped left behind.
    remove(disk, &aside)?;
    remove(disk, &beside(folder, "removed"))?;
    if let Some(there) = in_force(folder)? {
        import.refuse_other(&there.owner)?;
        let records = import.write(disk, folder, there.generation, lines)?;
        tidy(remove_generation(disk, folder, there.generation));
        return Ok(records);
    }
    let records = match import.write(disk, &aside, 0, lines) {
        Ok(records) => records,
        Err(error) => {
            tidy(remove(disk, &aside));
            return Err(error);
        }
    };
    reset_on(disk, folder)?;
    disk.rename(&aside, folder)?;
    sync_above(disk, folder)?;
    Ok(records)
}

/// What the ledger in the folder is; `None` if there is none, or one that has no say since it is damaged. One of a newer
/// format, or that the disk does not give, may be whole.
fn in_force(folder: &Path) -> Result<Option<Stored>, LedgerError> {
    let read = || {
        let Some(catalogue) = Catalogue::open_to_read(folder)? else {
            return Ok(None);
        };
        let stored = catalogue.stored()?;
        if let Some(stored) = &stored {
            refuse_later(folder, stored.generation)?;
        }
        Ok(stored)
    };
    match read() {
        Err(LedgerError::Torn { .. } | LedgerError::Foreign { .. }) => Ok(None),
        read => read,
    }
}

/// An exported ledger whose first line was read.
struct Import<'a> {
    file: &'a Path,
    owner: Owner,
    secret: DigestSecret,
    layout: Layout,
    records: u64,
}

impl<'a> Import<'a> {
    fn begin(
        file: &'a Path,
        lines: &mut impl Iterator<Item = io::Result<String>>,
    ) -> Result<Self, LedgerError> {
        let first = lines.next().transpose();
        let first = first.map_err(|source| LedgerError::io("read", file, source))?;
        let head = head(file, &first.unwrap_or_default())?;
        let foreign = |what: &str| LedgerError::foreign(file, what.to_owned());
        let secret = secret(&head.secret).ok_or_else(|| foreign("its secret cannot be read"))?;
        let columns = head.columns.iter().map(|column| {
            Some(LayoutColumn {
                name: LogicalName::parse(&column.name).ok()?,
                type_tag: column.type_tag.clone(),
            })
        });
        let columns = columns.collect::<Option<Vec<_>>>();
        Ok(Self {
            file,
            owner: Owner {
                organisation: head.organisation,
                table: head.table,
                key: head.key,
                mapping: head.mapping,
            },
            secret,
            layout: Layout {
                columns: columns.ok_or_else(|| foreign("a column's name cannot be read"))?,
            },
            records: head.records,
        })
    }

    /// A ledger that can be read is not replaced by one of something else.
    fn refuse_other(&self, held: &Owner) -> Result<(), LedgerError> {
        let owner = &self.owner;
        if held.table == owner.table && held.organisation == owner.organisation {
            return Ok(());
        }
        let what = format!(
            "it is of table `{}` in organisation {}, and the ledger that is there of `{}` in {}",
            owner.table, owner.organisation, held.table, held.organisation
        );
        Err(LedgerError::foreign(self.file, what))
    }

    /// Puts the records in force in a folder whose ledger has that generation; 0 where there is none.
    fn write(
        &self,
        disk: &Disk,
        folder: &Path,
        generation: u32,
        lines: impl Iterator<Item = io::Result<String>>,
    ) -> Result<u64, LedgerError> {
        disk::create_folder(folder)?;
        let mut catalogue = Catalogue::open(folder)?;
        catalogue.make(&self.owner, &self.secret)?;
        catalogue.keep_layout(&self.layout)?;
        let mut replacement =
            Replacement::begin(folder, generation + 1, &self.layout, &self.secret)?;
        self.take(&mut replacement, lines)?;
        replacement.put_in_force(disk, &catalogue, &self.owner)
    }

    fn take(
        &self,
        replacement: &mut Replacement,
        lines: impl Iterator<Item = io::Result<String>>,
    ) -> Result<(), LedgerError> {
        let mut read = 0;
        for line in lines {
            let line = line.map_err(|source| LedgerError::io("read", self.file, source))?;
            read += 1;
            let (row, states) = row(&line).ok_or_else(|| {
                LedgerError::torn(self.file, format!("line {} is not about a key", read + 1))
            })?;
            replacement.add(row, &states)?;
        }
        if read != self.records {
            let what = format!("it has {read} of {} records", self.records);
            return Err(LedgerError::torn(self.file, what));
        }
        Ok(())
    }
}

fn head(file: &Path, line: &str) -> Result<Head, LedgerError> {
    #[derive(Deserialize)]
    struct Named {
        schema: String,
    }
    let foreign = || LedgerError::foreign(file, "it is no exported ledger");
    let named: Named = serde_json::from_str(line).map_err(|_| {
        if line.starts_with(BEGINNING) {
            LedgerError::torn(file, "it ends in its first line")
        } else {
            foreign()
        }
    })?;
    let version = named.schema.strip_prefix("segue.ledger/");
    let version: u32 = version.and_then(|it| it.parse().ok()).ok_or_else(foreign)?;
    if version > VERSION {
        return Err(LedgerError::NewerFormat {
            path: file.to_owned(),
            version,
            known: VERSION,
        });
    }
    serde_json::from_str(line).map_err(|error| LedgerError::torn(file, error.to_string()))
}

fn row(line: &str) -> Option<(KeyRow, Vec<ColumnState>)> {
    let line: Line = serde_json::from_str(line).ok()?;
    let digest = |hex: &str| -> Option<[u8; 16]> {
        let number = u128::from_str_radix(hex, 16).ok()?;
        (hex.len() == 32).then_some(number.to_be_bytes())
    };
    // In the first version the digest of a row was twice as long.
    let source = match line.source.len() {
        16 => SourceDigest(u64::from_str_radix(&line.source, 16).ok()?),
        _ => SourceDigest::of_wide(digest(&line.source)?),
    };
    let states = line.columns.iter().map(|hex| {
        let bits = u64::from_str_radix(hex, 16).ok()?;
        Some(ColumnState::from_bits(bits))
    });
    let row = KeyRow {
        key: KeyDigest(digest(&line.key)?),
        source,
        id: line.id.map(RecordId),
        run: line.run,
        flags: StandingFlags::from_bits(line.flags),
        kind: RowKind::Standing,
    };
    Some((row, states.collect::<Option<_>>()?))
}

fn halves_of(secret: &[u8; 32]) -> [u128; 2] {
    let (halves, _) = secret.as_chunks::<16>();
    match halves {
        [high, low] => [u128::from_be_bytes(*high), u128::from_be_bytes(*low)],
        _ => [0, 0],
    }
}

fn secret(hex: &str) -> Option<DigestSecret> {
    let (high, low) = hex
        .split_at_checked(32)
        .filter(|(_, low)| low.len() == 32)?;
    let half = |hex| u128::from_str_radix(hex, 16).ok().map(u128::to_be_bytes);
    let mut secret = [0; 32];
    secret.copy_from_slice([half(high)?, half(low)?].as_flattened());
    Some(DigestSecret(secret))
}
