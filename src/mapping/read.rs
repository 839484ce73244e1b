//! Reading a mapping file: all its problems at once, or the mapping as written.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::decode::{Decoder, decode};
use super::problem::codes;
use super::{Mapping, Problem, Problems, yaml};

/// Why a mapping or `segue.yaml` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Io {
        /// The file, as the user named it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file was read, and is not right.
    #[error(transparent)]
    Problems(#[from] Problems),
    /// A flag names a destination that there is not.
    #[error("there is no destination `{name}`")]
    UnknownDestination {
        /// As it was written.
        name: String,
        /// Those that there are.
        names: String,
    },
    /// Nobody says which destination.
    #[error("there are several destinations: {names}")]
    Several {
        /// Those that there are.
        names: String,
    },
    /// The environment names half a destination.
    #[error("the environment describes a destination, but {missing} is not set")]
    HalfSet {
        /// The variables.
        missing: String,
    },
    /// A variable of the environment cannot be used.
    #[error("the environment variable {name} {what}")]
    BadVariable {
        /// Its name.
        name: &'static str,
        /// What is wrong with it; the value itself is not repeated.
        what: &'static str,
        /// What to write.
        help: &'static str,
    },
}

impl MappingError {
    /// What to do about it.
    pub fn help(&self) -> Cow<'static, str> {
        let help = match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "Check the path; it is relative to the working folder."
            }
            Self::Io { .. } => "Check that it is a file and that you may read it.",
            Self::Problems(_) => "Mend what is shown; every problem of the file is listed.",
            Self::UnknownDestination { names, .. } => {
                return format!("Name one of {names}, or add it to segue.yaml.").into();
            }
            Self::Several { .. } => "Name one with --destination, or in the mapping.",
            Self::HalfSet { .. } => "Set all of them, or unset SEGUE_URL and its companions.",
            Self::BadVariable { help, .. } => help,
        };
        help.into()
    }
}

impl Mapping {
    /// Reads a mapping file. What is wrong with its settings is kept in [`Mapping::problems`], as long as it names
    /// table, key and extract: then the table can be asked what else is wrong.
    ///
    /// # Errors
    /// If the file cannot be read, or with every problem that it has.
    pub fn read(path: &Path) -> Result<Self, MappingError> {
        let text = read_text(path)?;
        Ok(Self::parse(path, &text)?)
    }

    /// Reads the text of a mapping file, as [`Mapping::read`] does.
    ///
    /// # Errors
    /// Every problem there is, sorted by place.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Problems> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut decoder = Decoder::default();
        let root = yaml::read(text, &mut decoder.problems);
        let mapping = root.and_then(|root| decode(&mut decoder, &root, file, text));
        match mapping {
            Some(mapping) => Ok(Self {
                problems: decoder.problems,
                ..mapping
            }),
            None => Err(told(file, text, decoder.problems)),
        }
    }

    /// The mapping, if reading it found nothing wrong.
    ///
    /// # Errors
    /// Every problem there is, sorted by place.
    pub fn sound(self) -> Result<Self, Problems> {
        if self.problems.is_empty() {
            return Ok(self);
        }
        Err(self.told(self.problems.clone()))
    }
}

/// The problems of a file, sorted by place.
pub(super) fn told(file: &Path, text: &str, mut problems: Vec<Problem>) -> Problems {
    problems.sort_by_key(|problem| problem.at.start);
    Problems {
        file: file.display().to_string(),
        text: text.to_owned(),
        problems,
    }
}

/// The text of a file that people write.
pub(super) fn read_text(path: &Path) -> Result<String, MappingError> {
    let bytes = fs::read(path).map_err(|source| MappingError::Io {
        path: path.to_owned(),
        source,
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        let problem = Problem {
            code: codes::NOT_TEXT,
            title: "the file is not UTF-8 text".to_owned(),
            at: place..place,
            label: "the first byte that is not".to_owned(),
            help: Some("Save it as UTF-8.".to_owned()),
            other: None,
        };
        let text = String::from_utf8_lossy(error.as_bytes());
        told(path, &text, vec![problem]).into()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mapping::{
        Case, ChoiceMap, Duplicates, Literal, Mode, Origin, Paint, Parse, Threshold, TooLong,
    };
    use crate::model::{Format, Header, Nulls, Ragged};

    const SMALL: &str = "version: 1\nsource: { path: a.csv }\ntarget: { table: contact, key: emailaddress1 }\ncolumns:\n  emailaddress1: email\n";

    fn parse(text: &str) -> Result<Mapping, Problems> {
        Mapping::parse(Path::new("mappings/contacts.yaml"), text).and_then(Mapping::sound)
    }

    /// Problems as `SG0004 3:1 title | help`.
    fn problems(text: &str) -> Vec<String> {
        let problems = parse(text).expect_err("the mapping is not right");
        assert!(problems.problems.is_sorted_by_key(|it| it.at.start));
        let data = problems.to_json();
        let line = |it: &serde_json::Value| {
            let text = |name: &str| it[name].as_str().unwrap_or_default().to_owned();
            let (code, title, help) = (text("code"), text("title"), text("help"));
            format!("{code} {}:{} {title} | {help}", it["line"], it["column"])
        };
        data.as_array().unwrap().iter().map(line).collect()
    }

    /// The only problem of the small mapping with more lines.
    fn one(more: &str) -> String {
        let told = problems(&format!("{SMALL}{more}"));
        assert_eq!(told.len(), 1, "{told:#?}");
        told[0].clone()
    }

    #[test]
    fn a_small_mapping_has_the_defaults() {
        let mapping = parse(SMALL).unwrap();
        assert_eq!(mapping.name, "contacts");
        assert_eq!(mapping.table.value, "contact");
        assert_eq!(mapping.key[0].value, "emailaddress1");
        assert_eq!(mapping.source.base, Path::new("mappings"));
        assert_eq!(SMALL.get(mapping.source_at.clone()), Some("a.csv"));
        assert_eq!(
            (mapping.mode, mapping.duplicates),
            (Mode::Upsert, Duplicates::Reject)
        );
        assert_eq!(mapping.nulls, Nulls::Owned);
        assert_eq!(mapping.text, SMALL);
        assert!(!mapping.partial);
    }

    #[test]
    fn every_setting_is_read() {
        let mapping = parse(include_str!("decode/complete.yaml")).unwrap();
        assert_eq!(mapping.name, "people");
        assert_eq!(mapping.destination.unwrap().value, "sandbox");
        assert_eq!(mapping.tags, ["daily", "crm"]);
        assert!(mapping.partial);
        let csv = &mapping.source.csv;
        assert_eq!(mapping.source.format, Some(Format::Tsv));
        assert_eq!((csv.delimiter, csv.quote), (Some(b'|'), None));
        assert_eq!((csv.escape, csv.comment), (Some(b'\\'), Some(b'#')));
        assert_eq!(
            csv.header,
            Header::Names(vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(csv.null_text, ["", "NULL"]);
        assert_eq!((csv.skip_rows, csv.ragged), (2, Ragged::Pad));
        assert_eq!(csv.encoding, "windows-1252");
        assert_eq!(mapping.key.len(), 2);
        assert_eq!(mapping.mode, Mode::UpdateOrSkip);
        assert_eq!(mapping.duplicates, Duplicates::First);
        assert_eq!(mapping.nulls, Nulls::Skip);
        assert_eq!(mapping.guard.min_rows, Some(1000));
        assert_eq!(mapping.guard.max_rejects, Some(Threshold::Percent(2.5)));
        assert_eq!(mapping.guard.max_changes, Some(Threshold::Count(50)));
        let steps = |place: usize| mapping.columns[place].steps.clone();
        assert!(!steps(1).trim.unwrap().value);
        assert_eq!(steps(1).case.unwrap().value, Case::Title);
        assert_eq!(steps(1).max.unwrap().value, TooLong::Truncate);
        assert_eq!(
            steps(2).parse.unwrap().value,
            Parse::Format("%m/%d/%Y".to_owned())
        );
        assert_eq!(steps(3).parse.unwrap().value, Parse::Iso8601);
        assert_eq!(steps(3).timezone.unwrap().value, "Europe/Amsterdam");
        assert_eq!(steps(4).decimal.unwrap().value, ',');
        assert_eq!(steps(4).thousands.unwrap().value, '.');
        let Some(ChoiceMap::Map { options, otherwise }) = steps(5).choice.map(|it| it.value) else {
            panic!()
        };
        assert_eq!(options[1].0.value, "V");
        assert_eq!(options[1].1.value, "2");
        assert_eq!(otherwise.unwrap().value, "Other");
        assert_eq!(steps(6).choice.unwrap().value, ChoiceMap::Labels);
        let Some(ChoiceMap::Map { options, otherwise }) = steps(7).choice.map(|it| it.value) else {
            panic!()
        };
        assert_eq!((options[0].0.value.as_str(), otherwise), ("else", None));
        assert_eq!(steps(8).yes_words.unwrap().value, ["ja", "y"]);
        assert_eq!(steps(8).no_words.unwrap().value, ["nee"]);
        assert_eq!(
            steps(8).default.unwrap().value,
            Literal::Text("no".to_owned())
        );
        let Origin::Value(value) = &mapping.columns[9].origin else {
            panic!()
        };
        assert_eq!(value.value, Literal::Text("012".to_owned()));
    }

    #[test]
    fn eight_mistakes_show_eight_carets() {
        let text = include_str!("decode/eight_mistakes.yaml");
        let shown = parse(text).unwrap_err().render(Paint::Plain);
        assert_eq!(
            shown.trim_end(),
            include_str!("decode/eight_mistakes.txt").trim_end()
        );
        let carets = |line: &&str| line.trim_start_matches([' ', '|']).starts_with('^');
        assert_eq!(shown.lines().filter(carets).count(), 8);
    }

    #[test]
    fn unknown_settings_get_the_closest_one() {
        assert_eq!(
            one("duplicate: first\n"),
            "SG0004 6:1 there is no setting `duplicate` here | did you mean `duplicates`?"
        );
        assert!(one("  x: { from: a, trimm: true }\n").ends_with("did you mean `trim`?"));
        assert!(one("guard: { shoes: 1 }\n").contains("There are `min_rows`"));
    }

    #[test]
    fn a_setting_that_is_set_twice_shows_both_places() {
        let problems = parse(&format!("{SMALL}mode: create\nmode: update\n")).unwrap_err();
        assert_eq!(problems.problems[0].code, codes::SET_TWICE);
        let (first, _) = problems.problems[0].other.clone().unwrap();
        assert_eq!(problems.text.get(first), Some("mode"));
        assert!(one("  emailaddress1: other\n").starts_with("SG0005 6:3"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let told = problems("name: x\n");
        let missing = ["version", "source", "target", "columns"];
        assert_eq!(told.len(), 4, "{told:?}");
        for (line, name) in told.iter().zip(missing) {
            assert!(
                line.starts_with(&format!("SG0007 1:1 `{name}` is missing")),
                "{line}"
            );
        }
        assert!(one("  x: { trim: true }\n").contains("`from` is missing"));
    }

    #[test]
    fn values_of_the_wrong_shape_are_told() {
        assert!(one("name: [a]\n").starts_with("SG0006 6:7 `name` takes one text"));
        assert!(one("guard: high\n").contains("`guard` holds settings of its own"));
        assert!(one("  x:\n").starts_with("SG0006 6:3 `x` takes one text"));
        assert!(one("partial:\n  - true\n").starts_with("SG0006 6:1"));
        assert!(one("tags: [a, [b]]\n").starts_with("SG0006 6:11"));
    }

    #[test]
    fn bad_values_list_the_good_ones() {
        assert_eq!(
            one("mode: upsrt\n"),
            "SG0008 6:7 `mode` cannot be `upsrt` | did you mean `upsert`? It takes `upsert`, `create`, `update`, or `{ update: skip }`."
        );
        for more in [
            "guard: { min_rows: -1 }\n",
            "guard: { max_rejects: 101% }\n",
            "guard: { max_rejects: NaN% }\n",
            "partial: yes\n",
            "write: { envelope: paper }\n",
            "write: { batch_size: 0 }\n",
            "write: { batch_size: 1001 }\n",
            "mode: { update: keep }\n",
            "  x: { from: a, decimal: \"..\" }\n",
            "  x: { from: \"\" }\n",
            "  x: { from: a, choice: {} }\n",
        ] {
            assert!(one(more).starts_with("SG0008"), "{more}");
        }
    }

    #[test]
    fn a_name_that_is_no_text_is_told_at_its_place() {
        for (more, place) in [
            ("? a: b\n: c\n", "4:3"),
            ("? - a\n: c\n", "4:5"),
            ("? [a]\n: c\n", "4:3"),
        ] {
            let told = problems(&SMALL.replace("columns", &format!("{more}columns")));
            assert_eq!(told.len(), 1, "{told:?}");
            let begin = format!("SG0006 {place} the name of a setting is text");
            assert!(told[0].starts_with(&begin), "{told:?}");
        }
    }

    #[test]
    fn the_language_of_later_versions_is_refused_at_its_place() {
        for more in [
            "write: { bypass: [flows] }\n",
            "  x: { template: \"{{ a }}\" }\n",
            "  x: { lookup: account, by: { a: b }, absent: create }\n",
        ] {
            let told = one(more);
            assert!(told.starts_with("SG0009 6:"), "{told}");
            assert!(told.contains("not supported by this version"), "{told}");
        }
    }

    #[test]
    fn where_braces_may_stand_for_a_word_the_help_says_so() {
        for (more, form) in [
            ("mode: merge\n", "`{ update: skip }`"),
            ("duplicates: oldest\n", "`{ newest: COLUMN }`"),
            ("missing: remove\n", "`{ set: { column: value } }`"),
            (
                "  x: { lookup: account, by: { a: b }, absent: null_it }\n",
                "`{ default: GUID }`",
            ),
        ] {
            let told = one(more);
            assert!(told.starts_with("SG0008") && told.contains(form), "{told}");
        }
    }

    #[test]
    fn a_template_without_quotes_gets_advice() {
        assert!(one("  x: {{ a }}\n").contains("in quotes"));
        assert!(one("  x: {{ a }} b\n").contains("in quotes"));
        assert!(one("name: {{ a }}\n").contains("in quotes"));
    }

    #[test]
    fn merge_keys_and_anchors_are_refused() {
        assert!(one("  <<: email\n").starts_with("SG0002"));
        let told = problems(&SMALL.replace("email\n", "&e email\n  x: *e\n"));
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told.iter().all(|it| it.starts_with("SG0002")));
    }

    #[test]
    fn two_origins_are_one_too_many() {
        assert!(one("  x: { from: a, value: b }\n").starts_with("SG0011 6:17"));
    }

    #[test]
    fn the_delimiter_is_a_character_of_its_own() {
        let csv =
            |csv: &str| problems(&SMALL.replace("a.csv }", &format!("a.csv, csv: {{ {csv} }} }}")));
        for bad in [
            "delimiter: \"\"",
            "delimiter: é",
            "delimiter: \"\\n\"",
            "delimiter: \"'\", quote: \"'\"",
            "quote: ab",
            "ragged: maybe",
        ] {
            let told = csv(bad);
            assert_eq!(told.len(), 1, "{bad} {told:?}");
            assert!(told[0].starts_with("SG0008"), "{told:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        assert_eq!(parse(&format!("\u{feff}{SMALL}")), parse(SMALL));
    }

    #[test]
    fn a_file_is_read_and_names_what_is_wrong_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("contacts.yaml");
        let error = Mapping::read(&path).unwrap_err();
        assert!(matches!(error, MappingError::Io { .. }));
        assert!(error.help().starts_with("Check the path"));
        fs::write(&path, b"name: \xe9\n").unwrap();
        let Err(MappingError::Problems(problems)) = Mapping::read(&path) else {
            panic!()
        };
        assert_eq!(problems.problems[0].code, codes::NOT_TEXT);
        fs::write(&path, SMALL).unwrap();
        assert_eq!(Mapping::read(&path).unwrap().table.value, "contact");
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in any::<String>()) {
            if let Err(problems) = parse(&text) {
                prop_assert!(!problems.problems.is_empty());
                problems.render(Paint::Plain);
                problems.to_json();
            }
        }

        #[test]
        fn a_mapping_that_is_cut_or_changed_never_panics(
            cut in 0_usize..1500,
            put in "[a:{}\\[\\]\"'&*!,|>~\t\n -é]{0,3}",
        ) {
            let text = include_str!("decode/complete.yaml");
            let (head, tail) = text.split_at(text.floor_char_boundary(cut.min(text.len())));
            for text in [format!("{head}{put}{tail}"), format!("{head}{put}")] {
                if let Err(problems) = parse(&text) {
                    prop_assert!(!problems.problems.is_empty());
                    prop_assert!(problems.render(Paint::Plain).contains("SG00"));
                }
            }
        }
    }
}
