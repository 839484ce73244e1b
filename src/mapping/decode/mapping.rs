//! The mapping file as a whole.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::Path;

use super::super::written::{
    ColumnMapping, Duplicates, Guard, Literal, Mapping, Missing, Mode, Ours, Threshold, Write,
    Written,
};
use super::super::yaml::{Is, Node};
use super::{Decoder, Entry, Form, Settings};
use crate::model::{Envelopes, ExtractSpec, Format, Nulls};

const MAPPING: Settings = Settings {
    known: &[
        "version",
        "name",
        "destination",
        "tags",
        "partial",
        "source",
        "target",
        "mode",
        "duplicates",
        "missing",
        "delete_when",
        "nulls",
        "columns",
        "guard",
        "write",
    ],
    later: &[],
};
const SOURCE: Settings = Settings {
    known: &["path", "format", "csv"],
    later: &["where"],
};
const TARGET: Settings = Settings {
    known: &["table", "key"],
    later: &[],
};
const GUARD: Settings = Settings {
    known: &["min_rows", "max_rejects", "max_changes", "max_deletes"],
    later: &[],
};
const WRITE: Settings = Settings {
    known: &["envelope", "batch_size"],
    later: &["duplicate_detection", "bypass", "run_as"],
};
/// What `nulls:` takes, for the mapping and for a column.
pub(super) const NULLS: &[(&str, Nulls)] = &[
    ("owned", Nulls::Owned),
    ("clear", Nulls::Clear),
    ("skip", Nulls::Skip),
];

/// The mapping, unless the decoder has a problem to tell.
pub(in crate::mapping) fn decode(
    decoder: &mut Decoder,
    root: &Node,
    file: &Path,
    text: &str,
) -> Option<Mapping> {
    let form = decoder.file(root, &MAPPING)?;
    decoder.version(&form);
    let name = form.get("name").and_then(|it| decoder.name(it));
    let destination = form.get("destination").and_then(|it| decoder.text(it));
    let tags = form.get("tags").and_then(|it| decoder.texts(it));
    let partial = form.get("partial").and_then(|it| decoder.flag(it));
    let source = decoder.source(&form, file);
    let target = decoder.target(&form);
    let mode = form.get("mode").and_then(|it| decoder.mode(it));
    let duplicates = form.get("duplicates").and_then(|it| decoder.duplicates(it));
    let missing = form.get("missing").and_then(|it| decoder.missing(it));
    let delete_when = form.get("delete_when").and_then(|it| decoder.text(it));
    let nulls = form
        .get("nulls")
        .and_then(|it| decoder.word(it, NULLS, &[]));
    let columns = decoder.lines(&form);
    let guard = form.get("guard").and_then(|it| decoder.guard(it));
    let write = form.get("write").and_then(|it| decoder.write(it));

    let (source, source_at) = source?;
    let columns = columns?;
    let (table, key, key_at) = target?;
    Some(Mapping {
        file: file.to_owned(),
        text: text.to_owned(),
        name: name.map_or_else(|| stem(file), |it| it.value),
        destination,
        tags: tags.into_iter().flatten().map(|it| it.value).collect(),
        partial: partial.is_some_and(|it| it.value),
        source,
        source_at,
        table,
        key,
        key_at,
        mode: mode.unwrap_or_default(),
        duplicates: duplicates.unwrap_or_default(),
        missing: missing.unwrap_or(Written {
            value: Missing::Keep,
            at: 0..0,
        }),
        delete_when,
        nulls: nulls.map_or(Nulls::Owned, |it| it.value),
        columns: columns.lines,
        guard: guard.unwrap_or_default(),
        write: write.unwrap_or_default(),
        problems: Vec::new(),
        unread: columns.unread,
    })
}

fn stem(file: &Path) -> String {
    file.file_stem().map_or_else(
        || "mapping".to_owned(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}

/// What stands under `columns:`.
#[derive(Default)]
struct Lines {
    lines: Vec<ColumnMapping>,
    /// Target columns whose line cannot be read.
    unread: Vec<String>,
}

/// `target:` as table, key and the place of the key.
type TargetSetting = (Written<String>, Vec<Written<String>>, Range<usize>);

impl Decoder {
    /// The name of a mapping is also the name of folders in the state.
    fn name(&mut self, entry: Entry<'_>) -> Option<Written<String>> {
        let name = self.text(entry)?;
        let taken = |c: char| !c.is_control() && !r#"/\:*?"<>|"#.contains(c);
        let is_folder = name.value.chars().all(taken) && !name.value.starts_with('.');
        // A file's name has 255 bytes, and a run's begins with its time.
        if is_folder && name.value.len() <= 200 {
            return Some(name);
        }
        let help = "Take letters, digits and dashes: the name is a folder of the state too.";
        self.bad(entry, "cannot be the name of a folder", help);
        None
    }

    /// `version: 1`, in a mapping and in `segue.yaml`.
    pub(in crate::mapping) fn version(&mut self, form: &Form<'_>) {
        if let Some(entry) = self.required(form, "version", "Write `version: 1`.") {
            self.word(entry, &[("1", ())], &[]);
        }
    }

    fn source(&mut self, form: &Form<'_>, file: &Path) -> Option<(ExtractSpec, Range<usize>)> {
        let help = "Write `source: { path: extracts/contacts-*.csv }`.";
        let entry = self.required(form, "source", help)?;
        let form = self.form(entry, &SOURCE)?;
        let path = self.required(&form, "path", "Name a file, a folder or a glob.");
        let path = path.and_then(|it| self.text(it));
        let formats = &[
            ("csv", Format::Csv),
            ("tsv", Format::Tsv),
            ("parquet", Format::Parquet),
        ];
        let later = &["ndjson", "jsonl", "arrow"];
        let format = form
            .get("format")
            .and_then(|it| self.word(it, formats, later));
        let csv = form.get("csv").and_then(|it| self.csv(it));
        let path = path?;
        let spec = ExtractSpec {
            path: path.value,
            base: file.parent().map(Path::to_owned).unwrap_or_default(),
            format: format.map(|it| it.value),
            csv: csv.unwrap_or_default(),
        };
        Some((spec, path.at))
    }

    fn target(&mut self, form: &Form<'_>) -> Option<TargetSetting> {
        let help = "Write `target: { table: contact, key: [emailaddress1] }`.";
        let entry = self.required(form, "target", help)?;
        let form = self.form(entry, &TARGET)?;
        let table = self.required(&form, "table", "Name the table, as in `table: contact`.");
        let table = table.and_then(|it| self.text(it));
        let help = "Name the columns of an alternate key, or the primary id.";
        let key = self.required(&form, "key", help)?;
        let columns = self.texts(key)?;
        if columns.is_empty() || columns.iter().any(|it| it.value.trim().is_empty()) {
            self.bad(key, "names at least one column", help);
            return None;
        }
        Some((table?, columns, key.place()))
    }

    fn mode(&mut self, entry: Entry<'_>) -> Option<Mode> {
        const UPDATE: Settings = Settings {
            known: &["update"],
            later: &[],
        };
        if matches!(entry.node.is, Is::Map(_)) {
            let form = self.form(entry, &UPDATE)?;
            let update = self.required(&form, "update", "Write `mode: { update: skip }`.")?;
            let mode = self.word(update, &[("skip", Mode::UpdateOrSkip)], &[]);
            return mode.map(|it| it.value);
        }
        let modes = &[
            ("upsert", Mode::Upsert),
            ("create", Mode::Create),
            ("update", Mode::Update),
        ];
        let forms = ", or `{ update: skip }`";
        self.word_or(entry, modes, &[], forms).map(|it| it.value)
    }

    fn duplicates(&mut self, entry: Entry<'_>) -> Option<Duplicates> {
        const NEWEST: Settings = Settings {
            known: &["newest"],
            later: &[],
        };
        if matches!(entry.node.is, Is::Map(_)) {
            let form = self.form(entry, &NEWEST)?;
            let newest = self.required(&form, "newest", "Name the source column that tells.")?;
            return self.text(newest).map(Duplicates::Newest);
        }
        let words = &[("reject", 0), ("first", 1), ("last", 2), ("newest", 3)];
        let forms = ": `{ newest: COLUMN }`";
        let word = self.word_or(entry, words, &[], forms)?;
        Some(match word.value {
            0 => Duplicates::Reject,
            1 => Duplicates::First,
            2 => Duplicates::Last,
            _ => {
                let help = "Write `duplicates: { newest: COLUMN }`, a column of the extract.";
                self.bad(entry, "does not say which column tells", help);
                return None;
            }
        })
    }

    fn missing(&mut self, entry: Entry<'_>) -> Option<Written<Missing>> {
        const ACTIONS: Settings = Settings {
            known: &["deactivate", "delete", "set"],
            later: &[],
        };
        const HELP: &str =
            "Write `missing: keep`, `deactivate`, `delete` or `{ set: { column: value } }`.";
        let at = entry.place();
        if !matches!(entry.node.is, Is::Map(_)) {
            let words = &[("keep", 0), ("deactivate", 1), ("delete", 2), ("set", 3)];
            let forms = ": `{ set: { column: value } }`; also `{ delete: written }`, `{ deactivate: REASON }`";
            let word = self.word_or(entry, words, &[], forms)?;
            let value = match word.value {
                0 => Missing::Keep,
                1 => Missing::Deactivate(None),
                2 => Missing::Delete(Ours::Created),
                _ => {
                    self.bad(entry, "does not say what to set", HELP);
                    return None;
                }
            };
            return Some(Written { value, at });
        }
        let form = self.form(entry, &ACTIONS)?;
        let written = ACTIONS.known.iter().filter_map(|name| form.get(name));
        let written: Vec<Entry<'_>> = written.collect();
        let [action] = written.as_slice() else {
            self.bad(entry, "says one thing", HELP);
            return None;
        };
        let value = match action.name {
            "deactivate" => Missing::Deactivate(Some(self.text(*action)?)),
            "delete" => {
                let words = &[("created", Ours::Created), ("written", Ours::Written)];
                Missing::Delete(self.word(*action, words, &[])?.value)
            }
            _ => Missing::Set(self.set_values(*action)?),
        };
        Some(Written { value, at })
    }

    fn set_values(&mut self, entry: Entry<'_>) -> Option<Vec<(Written<String>, Written<Literal>)>> {
        const HELP: &str = "Write `{ set: { donotbulkemail: true } }`.";
        let entries = self.names(entry, || HELP.to_owned())?.entries;
        if entries.is_empty() {
            self.bad(entry, "sets at least one column", HELP);
            return None;
        }
        let mut values = Vec::new();
        for entry in &entries {
            let name = Written {
                value: entry.name.to_owned(),
                at: entry.key.at.clone(),
            };
            values.push((name, self.literal(*entry)?));
        }
        Some(values)
    }

    fn lines(&mut self, form: &Form<'_>) -> Option<Lines> {
        let help = "List the table's columns, each with the source column it comes from.";
        let entry = self.required(form, "columns", help)?;
        let entries = self.names(entry, || help.to_owned())?.entries;
        if entries.is_empty() {
            self.bad(entry, "lists at least the key", help);
        }
        let mut lines = Lines::default();
        for entry in entries {
            match self.line(entry) {
                Some(line) => lines.lines.push(line),
                None => lines.unread.push(entry.name.to_owned()),
            }
        }
        Some(lines)
    }

    fn guard(&mut self, entry: Entry<'_>) -> Option<Guard> {
        let form = self.form(entry, &GUARD)?;
        Some(Guard {
            min_rows: form.get("min_rows").and_then(|it| self.count(it)),
            max_rejects: form.get("max_rejects").and_then(|it| self.threshold(it)),
            max_changes: form.get("max_changes").and_then(|it| self.threshold(it)),
            max_deletes: form.get("max_deletes").and_then(|it| self.threshold(it)),
        })
    }

    fn write(&mut self, entry: Entry<'_>) -> Option<Write> {
        let envelopes = &[
            ("batch", Envelopes::Batch),
            ("bulk", Envelopes::Bulk),
            ("single", Envelopes::Single),
            ("auto", Envelopes::Auto),
        ];
        let form = self.form(entry, &WRITE)?;
        let envelopes = form
            .get("envelope")
            .and_then(|it| self.word(it, envelopes, &[]));
        Some(Write {
            envelopes: envelopes.map_or(Envelopes::Batch, |it| it.value),
            batch_size: form.get("batch_size").and_then(|it| self.batch_size(it)),
        })
    }

    fn batch_size(&mut self, entry: Entry<'_>) -> Option<NonZeroUsize> {
        let size = self.count(entry)?;
        let taken = usize::try_from(size).ok().filter(|size| *size <= 1000);
        let taken = taken.and_then(NonZeroUsize::new);
        if taken.is_none() {
            let help = "Dataverse takes 1,000 records in one request at most.";
            self.bad(entry, "is a number from 1 to 1000", help);
        }
        taken
    }

    fn threshold(&mut self, entry: Entry<'_>) -> Option<Threshold> {
        const HELP: &str = "Write a count as `25`, or a share as `2%`.";
        let Some(text) = entry.node.text().filter(|_| !entry.node.is_null()) else {
            self.misfit(entry, "takes a count or a percentage", HELP);
            return None;
        };
        let threshold = match text.strip_suffix('%') {
            Some(share) => percentage(share.trim_end()).map(Threshold::Percent),
            None => text.parse().ok().map(Threshold::Count),
        };
        if threshold.is_none() {
            self.bad(entry, "takes a count or a percentage up to 100%", HELP);
        }
        threshold
    }
}

fn percentage(text: &str) -> Option<f64> {
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    let share: f64 = text.chars().all(digits).then(|| text.parse().ok())??;
    (0.0..=100.0).contains(&share).then_some(share)
}
