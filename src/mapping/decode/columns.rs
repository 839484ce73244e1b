//! `columns:`, where each value comes from and what is done to it.

use super::super::written::{
    Case, ChoiceMap, ColumnMapping, Literal, LookupOrigin, Origin, Parse, Stamp, Steps, TooLong,
    Written,
};
use super::super::yaml::Is;
use super::mapping::NULLS;
use super::{Decoder, Entry, Form, Settings, codes};
use crate::model::{Absent, RecordId, When};

const COLUMN: Settings = Settings {
    known: &[
        "from",
        "value",
        "stamp",
        "lookup",
        "by",
        "absent",
        "trim",
        "case",
        "parse",
        "timezone",
        "decimal",
        "thousands",
        "yes_words",
        "no_words",
        "choice",
        "choices",
        "default",
        "nulls",
        "max",
        "when",
    ],
    later: &["template"],
};

/// Where a value can come from.
const ORIGINS: &[&str] = &["from", "value", "stamp", "lookup"];

const CASES: &[(&str, Case)] = &[
    ("lower", Case::Lower),
    ("upper", Case::Upper),
    ("title", Case::Title),
];

const WHEN: &[(&str, When)] = &[
    ("create", When::Create),
    ("update", When::Update),
    ("always", When::Always),
];

impl Decoder {
    /// One line under `columns:`, short or long.
    pub(super) fn line(&mut self, entry: Entry<'_>) -> Option<ColumnMapping> {
        let target = Written {
            value: entry.name.to_owned(),
            at: entry.key.at.clone(),
        };
        if !matches!(entry.node.is, Is::Map(_)) {
            let from = self.text(entry)?;
            return Some(ColumnMapping {
                target,
                origin: Origin::From(from),
                steps: Steps::default(),
            });
        }
        let told = self.problems.len();
        let form = self.form(entry, &COLUMN)?;
        // A setting that is not known may be the origin, and has been told.
        let has_origin = ORIGINS.iter().any(|name| form.get(name).is_some());
        let origin = if !has_origin && self.problems.len() > told {
            None
        } else {
            self.origin(&form)
        };
        let steps = self.steps(&form);
        let origin = origin?;
        Some(ColumnMapping {
            target,
            origin,
            steps,
        })
    }

    fn origin(&mut self, form: &Form<'_>) -> Option<Origin> {
        let origins = ORIGINS.iter().filter_map(|name| form.get(name));
        let origins: Vec<Entry<'_>> = origins.collect();
        for second in origins.iter().skip(1) {
            self.tell(
                codes::CONFLICT,
                second.key.at.clone(),
                "a column has one origin".to_owned(),
                "beside another one",
                "Keep one of `from`, `value`, `stamp` and `lookup`; `default` is for cells that are null.",
            );
        }
        if form.get("lookup").is_none() {
            for name in ["by", "absent"] {
                if let Some(entry) = form.get(name) {
                    let title = format!("`{name}` belongs to a lookup");
                    let help = "Name the table with `lookup:`.";
                    self.tell(
                        codes::CONFLICT,
                        entry.key.at.clone(),
                        title,
                        "without `lookup`",
                        help,
                    );
                }
            }
        }
        match origins.first() {
            Some(from) if from.name == "from" => self.text(*from).map(Origin::From),
            Some(value) if value.name == "value" => self.literal(*value).map(Origin::Value),
            Some(stamp) if stamp.name == "stamp" => self
                .word(*stamp, &[("run", Stamp::Run)], &[])
                .map(Origin::Stamp),
            Some(lookup) => self.lookup(*lookup, form).map(Origin::Lookup),
            None => {
                self.required(form, "from", "Name the source column.");
                None
            }
        }
    }

    fn lookup(&mut self, table: Entry<'_>, form: &Form<'_>) -> Option<LookupOrigin> {
        const BY: &str = "Write `by: { accountnumber: source_column }`.";
        let table = self.text(table);
        let by = self.required(form, "by", BY);
        let pairs = by.and_then(|by| self.names(by, || BY.to_owned()));
        if let (Some(pairs), Some(by)) = (&pairs, by)
            && pairs.entries.is_empty()
        {
            self.bad(by, "names at least one column", BY);
            return None;
        }
        let by: Option<Vec<_>> = pairs.map(|pairs| {
            let pair = |entry: &Entry<'_>| {
                let column = Written {
                    value: entry.name.to_owned(),
                    at: entry.key.at.clone(),
                };
                self.text(*entry).map(|source| (column, source))
            };
            pairs.entries.iter().filter_map(pair).collect()
        });
        let absent = form.get("absent").map(|it| self.absent(it));
        Some(LookupOrigin {
            table: table?,
            by: by?,
            absent: match absent {
                Some(absent) => absent?,
                None => Absent::Reject,
            },
        })
    }

    fn absent(&mut self, entry: Entry<'_>) -> Option<Absent> {
        const DEFAULT: Settings = Settings {
            known: &["default"],
            later: &[],
        };
        if !matches!(entry.node.is, Is::Map(_)) {
            let words = &[("reject", Absent::Reject), ("blank", Absent::Blank)];
            let forms = ", or `{ default: GUID }`";
            let word = self.word_or(entry, words, &["create"], forms);
            return word.map(|it| it.value);
        }
        let form = self.form(entry, &DEFAULT)?;
        let default = self.required(&form, "default", "Write `absent: { default: GUID }`.")?;
        let text = self.text(default)?;
        if let Ok(id) = text.value.parse() {
            return Some(Absent::Default(RecordId(id)));
        }
        let help = "Write the GUID of the record to take instead.";
        self.bad(default, "is no GUID", help);
        None
    }

    fn steps(&mut self, form: &Form<'_>) -> Steps {
        let longs = &[("reject", TooLong::Reject), ("truncate", TooLong::Truncate)];
        Steps {
            trim: form.get("trim").and_then(|it| self.flag(it)),
            case: form.get("case").and_then(|it| self.word(it, CASES, &[])),
            parse: form.get("parse").and_then(|it| self.parse(it)),
            timezone: form.get("timezone").and_then(|it| self.text(it)),
            decimal: form.get("decimal").and_then(|it| self.character(it)),
            thousands: form.get("thousands").and_then(|it| self.character(it)),
            yes_words: form.get("yes_words").and_then(|it| self.words(it)),
            no_words: form.get("no_words").and_then(|it| self.words(it)),
            choice: form.get("choice").and_then(|it| self.choice(it)),
            split: form.get("choices").and_then(|it| self.split(it)),
            default: form.get("default").and_then(|it| self.literal(it)),
            nulls: form.get("nulls").and_then(|it| self.word(it, NULLS, &[])),
            max: form.get("max").and_then(|it| self.word(it, longs, &[])),
            when: form.get("when").and_then(|it| self.word(it, WHEN, &[])),
        }
    }

    /// What stands between the options of a cell.
    fn split(&mut self, entry: Entry<'_>) -> Option<Written<String>> {
        const CHOICES: Settings = Settings {
            known: &["split"],
            later: &[],
        };
        let form = self.form(entry, &CHOICES)?;
        let split = self.required(&form, "split", "Write `choices: { split: \";\" }`.")?;
        self.text(split)
    }

    fn parse(&mut self, entry: Entry<'_>) -> Option<Written<Parse>> {
        let text = self.text(entry)?;
        let value = match text.value.as_str() {
            "iso8601" => Parse::Iso8601,
            "epoch" => Parse::Epoch,
            "epoch_ms" => Parse::EpochMs,
            _ => Parse::Format(text.value),
        };
        Some(Written { value, at: text.at })
    }

    fn words(&mut self, entry: Entry<'_>) -> Option<Written<Vec<String>>> {
        let words = self.texts(entry)?;
        Some(entry.written(words.into_iter().map(|it| it.value).collect()))
    }

    pub(super) fn literal(&mut self, entry: Entry<'_>) -> Option<Written<Literal>> {
        match (entry.node.is_null(), entry.node.text()) {
            (true, _) => Some(entry.written(Literal::Null)),
            (false, Some(text)) => Some(entry.written(Literal::Text(text.to_owned()))),
            (false, None) => {
                self.misfit(entry, "takes one value", "Write one value after the colon.");
                None
            }
        }
    }

    fn choice(&mut self, entry: Entry<'_>) -> Option<Written<ChoiceMap>> {
        const HELP: &str = "Write `labels`, `numbers`, or pairs as `{ M: Male, F: Female }`.";
        let Is::Map(_) = &entry.node.is else {
            return match entry.node.text() {
                Some("labels") => Some(entry.written(ChoiceMap::Labels)),
                Some("numbers") => Some(entry.written(ChoiceMap::Numbers)),
                _ => {
                    self.misfit(entry, "says which cell is which option", HELP);
                    None
                }
            };
        };
        let form = self.names(entry, String::new)?;
        if form.entries.is_empty() {
            self.bad(entry, "lists at least one cell", HELP);
            return None;
        }
        let mut options = Vec::new();
        let mut otherwise = None;
        for pair in form.entries {
            let Some(option) = self.text(pair) else {
                continue;
            };
            // In quotes it is a cell that says so.
            if pair.name == "else" && matches!(pair.key.is, Is::Scalar { plain: true, .. }) {
                otherwise = Some(option);
            } else {
                let cell = Written {
                    value: pair.name.to_owned(),
                    at: pair.key.at.clone(),
                };
                options.push((cell, option));
            }
        }
        Some(entry.written(ChoiceMap::Map { options, otherwise }))
    }
}
