//! From the mapping as written to a [`Plan`]: everything is checked against the table and the extract's header, and
//! all problems are told at once.

use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use super::digest::Parts;
use super::layout::type_tag;
use super::plan::{Plan, PlannedColumn};
use super::{Duplicates, Mapping, Mode, Origin, Problem, ProblemCode, Problems, Removal};
use crate::model::{LogicalName, Nulls, SourceColumn, Table, Target, TargetColumn, Value, When};

/// What compiling needs to know besides the table and the extract.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CompileContext<'a> {
    /// The organisation that the records go to: part of the ids that creates carry.
    pub organisation: Uuid,
    /// When the run began: what stamps say.
    pub started: Timestamp,
    /// The tables of [`Mapping::references`].
    pub referenced: &'a [Table],
}

impl Mapping {
    /// The tables that the mapping's lookups name, each once.
    pub fn references(&self) -> Vec<&str> {
        let lookups = self
            .columns
            .iter()
            .filter_map(|column| match &column.origin {
                Origin::Lookup(lookup) => Some(lookup.table.value.as_str()),
                Origin::From(_) | Origin::Value(_) | Origin::Stamp(_) => None,
            });
        let mut names: Vec<&str> = lookups.collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Checks the mapping against the table and the header of the extract.
    ///
    /// # Errors
    /// Every problem there is, sorted by place.
    pub fn compile(
        &self,
        table: &Table,
        source: &[SourceColumn],
        context: &CompileContext<'_>,
    ) -> Result<Plan, Problems> {
        let mut compiler = Compiler {
            mapping: self,
            table,
            referenced: context.referenced,
            source,
            started: context.started,
            sources: Vec::new(),
            problems: self.problems.clone(),
        };
        let mut columns = compiler.columns();
        compiler.fit_states(&columns);
        compiler.complete_state(&mut columns);
        let removal = compiler.removal(&mut columns);
        let key = compiler.key();
        let newest = match &self.duplicates {
            Duplicates::Newest(column) => compiler.slot(column),
            Duplicates::Reject | Duplicates::First | Duplicates::Last => None,
        };
        let mark = self.delete_when.as_ref().and_then(|it| compiler.slot(it));
        let sources = compiler.sources;
        let (Some(key), Some(removal), true) = (key, removal, compiler.problems.is_empty()) else {
            return Err(self.told(compiler.problems));
        };
        let plan = self.plan(table, context, &key, columns, sources);
        let mut digested = plan.digested;
        // Where a column reads the mark too it is digested twice: a row without marks is another row.
        digested.extend(mark);
        Ok(Plan {
            digested,
            newest,
            mark,
            removal,
            ..plan
        })
    }

    pub(super) fn told(&self, mut problems: Vec<Problem>) -> Problems {
        problems.sort_by_key(|problem| problem.at.start);
        Problems {
            file: self.file.display().to_string(),
            text: self.text.clone(),
            problems,
        }
    }

    fn plan(
        &self,
        table: &Table,
        context: &CompileContext<'_>,
        key: &TargetKey,
        columns: Vec<(TargetColumn, PlannedColumn)>,
        sources: Vec<usize>,
    ) -> Plan {
        let program = program(self.mode, &columns);
        let (target_columns, planned): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let place = |name: &LogicalName| target_columns.iter().position(|it| it.name == *name);
        let key_places: Vec<usize> = key.columns.iter().filter_map(place).collect();
        let mut digested: Vec<usize> = planned
            .iter()
            .enumerate()
            .filter(|(place, _)| !key_places.contains(place))
            .flat_map(|(_, column)| column.slots())
            .collect();
        digested.sort_unstable();
        digested.dedup();
        Plan {
            target: Arc::new(Target {
                table: table.name.clone(),
                entity_set: table.entity_set.clone(),
                primary_id: table.primary_id.clone(),
                columns: target_columns,
                key: key_places,
                key_is_primary_id: key.is_primary_id,
            }),
            columns: planned,
            sources,
            digested,
            program,
            collation: table.collation,
            organisation: context.organisation,
            mapping: self.name.clone(),
            mode: self.mode,
            duplicates: self.duplicates.clone(),
            newest: None,
            mark: None,
            removal: Removal::Keep,
            guard: self.guard.clone(),
        }
    }
}

/// The key that a mapping names.
pub(super) struct TargetKey {
    /// In the order in which the table defines the key.
    pub(super) columns: Vec<LogicalName>,
    pub(super) is_primary_id: bool,
}

/// Gathers what it finds while it goes through a mapping.
pub(super) struct Compiler<'a> {
    pub(super) mapping: &'a Mapping,
    pub(super) table: &'a Table,
    pub(super) referenced: &'a [Table],
    pub(super) source: &'a [SourceColumn],
    pub(super) started: Timestamp,
    /// The source columns in use, by index, in the order in which they were met.
    pub(super) sources: Vec<usize>,
    pub(super) problems: Vec<Problem>,
}

impl Compiler<'_> {
    /// Notes a problem: what is wrong, words beside the caret, and what to do.
    pub(super) fn tell(
        &mut self,
        code: ProblemCode,
        at: &Range<usize>,
        title: String,
        label: impl Into<String>,
        help: String,
    ) {
        self.problems.push(Problem {
            code,
            title,
            at: at.clone(),
            label: label.into(),
            help: Some(help),
            other: None,
        });
    }

    /// Whether the column, by its logical name, is part of the mapping's key.
    pub(super) fn is_key(&self, column: &str) -> bool {
        self.mapping.key.iter().any(|name| name.value == column)
    }
}

/// Digest of what the mapping does to cells. Two mappings with the same program turn the same row into the same
/// record and write it in the same way.
fn program(mode: Mode, columns: &[(TargetColumn, PlannedColumn)]) -> [u8; 16] {
    let mut parts = Parts::default();
    parts.push(
        b'm',
        match mode {
            Mode::Upsert => b"upsert",
            Mode::Create => b"create",
            Mode::Update => b"update",
            Mode::UpdateOrSkip => b"update or skip",
        },
    );
    // What only a return carries changes no record that is there.
    let usual = columns.iter().filter(|it| it.0.when != When::Return);
    for (target, planned) in usual {
        parts.push(b'n', target.name.as_str().as_bytes());
        parts.push(b'k', type_tag(&target.kind).as_bytes());
        parts.push(
            b'o',
            match target.nulls {
                Nulls::Owned => b"owned",
                Nulls::Clear => b"clear",
                Nulls::Skip => b"skip",
            },
        );
        match target.when {
            When::Always => {}
            When::Create => parts.push(b'w', b"create"),
            When::Update => parts.push(b'w', b"update"),
            When::Return => {}
        }
        match planned {
            // Each run has its own.
            PlannedColumn::Constant(_) if target.is_stamp => parts.push(b'r', b"run"),
            PlannedColumn::Constant(value) => parts.push_value(value),
            PlannedColumn::Lookup(lookup) => {
                let mut steps = String::new();
                lookup.describe(&mut steps);
                parts.push(b'l', steps.as_bytes());
            }
            PlannedColumn::Cell {
                slot,
                conversion,
                default,
            } => {
                let mut steps = format!("{slot} ");
                conversion.describe(&mut steps);
                parts.push(b's', steps.as_bytes());
                parts.push_value(default.as_ref().unwrap_or(&Value::Null));
            }
        }
    }
    xxh3_128(&parts.0).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::fixture::{
        compile, contact, from, header, literal, mapping, option, value, with, written,
    };
    use crate::mapping::{Case, ChoiceMap, ColumnMapping, Literal, Parse, Steps, TooLong};
    use crate::model::ColumnKind;

    const HEADER: &[&str] = &["email", "first_name", "born", "income", "gender", "id"];

    /// Problems of a mapping keyed by e-mail, as `SG0107 title | label | help`.
    fn told(lines: Vec<ColumnMapping>) -> Vec<String> {
        let mut columns = vec![from("emailaddress1", "email")];
        columns.extend(lines);
        told_of(&mapping(&["emailaddress1"], columns))
    }

    fn told_of(mapping: &Mapping) -> Vec<String> {
        let Err(problems) = compile(mapping, HEADER) else {
            return Vec::new();
        };
        assert!(problems.problems.is_sorted_by_key(|it| it.at.start));
        let line = |it: &Problem| {
            let help = it.help.as_deref().unwrap_or_default();
            format!("{} {} | {} | {help}", it.code, it.title, it.label)
        };
        problems.problems.iter().map(line).collect()
    }

    /// The only problem of one more column.
    fn one(line: ColumnMapping) -> String {
        let problems = told(vec![line]);
        assert_eq!(problems.len(), 1, "{problems:#?}");
        problems[0].clone()
    }

    fn step(target: &str, steps: impl FnOnce(&mut Steps)) -> ColumnMapping {
        with(target, "id", steps)
    }

    #[test]
    fn a_mapping_of_nothing_but_the_key_is_sound() {
        let plan = compile(
            &mapping(&["emailaddress1"], vec![from("emailaddress1", "email")]),
            HEADER,
        )
        .unwrap();
        assert_eq!(plan.source_columns(), [0]);
        assert_eq!(plan.target().key, [0]);
        assert!(!plan.target().key_is_primary_id);
    }

    #[test]
    fn all_problems_are_told_at_once_in_the_order_of_the_file() {
        let problems = told(vec![
            from("firstnam", "first_name"),
            from("lastname", "last_name"),
            from("fullname", "first_name"),
            from("parentcustomerid", "id"),
            step("birthdate", |it| it.decimal = Some(written(','))),
            step("birthdate", |it| {
                it.timezone = Some(written("Mars/Base".to_owned()));
            }),
            value("numberofchildren", literal("many")),
        ]);
        let codes: Vec<&str> = problems.iter().filter_map(|it| it.get(..6)).collect();
        let expected = [
            "SG0107", "SG0105", "SG0125", "SG0104", "SG0101", "SG0108", "SG0110", "SG0113",
        ];
        assert_eq!(codes, expected, "{problems:#?}");
    }

    #[test]
    fn an_unknown_column_gets_the_closest_one_with_its_type() {
        assert_eq!(
            one(from("emailadress2", "email")),
            "SG0107 table `contact` has no column `emailadress2` | not in the table's schema | did you mean \
             `emailaddress2` (text, at most 100 characters)?"
        );
        assert!(one(from("shoesize", "email")).contains("logical name"));
    }

    #[test]
    fn an_unknown_source_column_gets_the_closest_one_or_the_header() {
        assert_eq!(
            one(from("firstname", "FirstName")),
            "SG0101 the extract has no column `FirstName` | not in the header | did you mean `first_name`?"
        );
        assert!(
            one(from("firstname", "shoe size")).ends_with(
                "The extract has `email`, `first_name`, `born`, `income`, `gender`, `id`."
            )
        );
    }

    #[test]
    fn a_name_that_the_header_has_twice_cannot_be_used() {
        let mapping = mapping(&["emailaddress1"], vec![from("emailaddress1", "email")]);
        let problems = compile(&mapping, &["email", "email"]).unwrap_err();
        assert_eq!(problems.problems[0].code.to_string(), "SG0102");
    }

    #[test]
    fn a_column_that_is_set_twice_shows_both_places() {
        let lines = vec![
            from("emailaddress1", "email"),
            from("firstname", "id"),
            from("firstname", "first_name"),
        ];
        let problems = compile(&mapping(&["emailaddress1"], lines), HEADER).unwrap_err();
        assert_eq!(problems.problems.len(), 1);
        assert_eq!(problems.problems[0].at.start, 30);
        assert_eq!(problems.problems[0].other.as_ref().unwrap().0.start, 20);
    }

    #[test]
    fn columns_that_dataverse_fills_are_refused() {
        assert_eq!(
            one(from("fullname", "first_name")),
            "SG0105 column `fullname` cannot be written | set by Dataverse itself | Map `firstname` and \
             `lastname`; Dataverse makes it of them."
        );
        assert!(one(from("contactid", "id")).starts_with("SG0122"));
        let mut update = mapping(&["contactid"], vec![from("contactid", "id")]);
        update.mode = Mode::Update;
        assert!(told_of(&update).is_empty());
    }

    #[test]
    fn types_of_later_versions_are_refused() {
        assert!(one(from("parentcustomerid", "id")).starts_with("SG0125"));
        assert!(one(from("entityimage", "id")).contains("of the type ImageType"));
    }

    #[test]
    fn steps_must_fit_the_type() {
        let format = || Some(written(Parse::Iso8601));
        let misfits = [
            step("firstname", |it| it.parse = format()),
            step("firstname", |it| it.decimal = Some(written(','))),
            step("firstname", |it| {
                it.choice = Some(written(ChoiceMap::Labels));
            }),
            step("birthdate", |it| it.decimal = Some(written(','))),
            step("birthdate", |it| it.max = Some(written(TooLong::Reject))),
            step("annualincome", |it| it.case = Some(written(Case::Upper))),
            step("annualincome", |it| it.trim = Some(written(false))),
            step("gendercode", |it| it.yes_words = Some(written(Vec::new()))),
            step("new_guid", |it| it.case = Some(written(Case::Upper))),
        ];
        for line in misfits {
            let told = one(line);
            assert!(told.starts_with("SG0108"), "{told}");
        }
        assert!(
            told(vec![
                step("annualincome", |it| it.trim = Some(written(true)))
            ])
            .is_empty()
        );
    }

    #[test]
    fn a_fixed_value_takes_no_steps() {
        let mut line = value("firstname", literal("Ada"));
        line.steps.case = Some(written(Case::Upper));
        assert!(one(line).starts_with("SG0108"));
        let mut line = value("firstname", Literal::Null);
        line.steps.nulls = Some(written(Nulls::Clear));
        assert!(told(vec![line]).is_empty());
    }

    #[test]
    fn a_date_format_is_tried() {
        let format = |format: &str| {
            let parse = Parse::Format(format.to_owned());
            step("birthdate", |it| it.parse = Some(written(parse)))
        };
        assert!(told(vec![format("%d.%m.%Y")]).is_empty());
        assert!(one(format("%d.%m")).starts_with("SG0109"));
        assert!(one(format("dd/mm/yyyy")).starts_with("SG0109"));
    }

    #[test]
    fn a_time_zone_must_exist_and_matter() {
        let zone = |target: &str, zone: &str, parse: Option<Parse>| {
            step(target, |it| {
                it.timezone = Some(written(zone.to_owned()));
                it.parse = parse.map(written);
            })
        };
        let amsterdam = "Europe/Amsterdam";
        assert!(told(vec![zone("lastusedincampaign", amsterdam, None)]).is_empty());
        assert!(told(vec![zone("birthdate", amsterdam, Some(Parse::Epoch))]).is_empty());
        assert!(
            one(zone("lastusedincampaign", "Europe/Amsterdm", None))
                .ends_with("did you mean `Europe/Amsterdam`?")
        );
        let zoned = || Some(Parse::Format("%F %T %z".to_owned()));
        let bare = || Some(Parse::Format("%F".to_owned()));
        assert!(one(zone("lastusedincampaign", amsterdam, zoned())).starts_with("SG0108"));
        assert!(
            one(zone("lastusedincampaign", amsterdam, Some(Parse::Epoch))).starts_with("SG0108")
        );
        assert!(one(zone("new_opens", amsterdam, None)).starts_with("SG0108"));
        assert!(one(zone("birthdate", amsterdam, bare())).starts_with("SG0108"));
    }

    #[test]
    fn separators_must_differ() {
        let separators = |decimal: Option<char>, thousands: Option<char>| {
            step("annualincome", |it| {
                it.decimal = decimal.map(written);
                it.thousands = thousands.map(written);
            })
        };
        assert!(told(vec![separators(Some(','), Some('.'))]).is_empty());
        assert!(one(separators(Some(','), Some(','))).starts_with("SG0111"));
        assert!(one(separators(None, Some('.'))).starts_with("SG0111"));
        assert!(one(separators(Some('5'), None)).starts_with("SG0111"));
    }

    #[test]
    fn yes_words_and_no_words_must_differ() {
        let words = |yes: Option<&[&str]>, no: Option<&[&str]>| {
            let list = |words: &[&str]| written(words.iter().map(|it| (*it).to_owned()).collect());
            step("donotbulkemail", |it| {
                it.yes_words = yes.map(list);
                it.no_words = no.map(list);
            })
        };
        assert!(told(vec![words(Some(&["ja"]), Some(&["nein"]))]).is_empty());
        assert!(told(vec![words(Some(&["ja"]), None)]).is_empty());
        assert!(one(words(Some(&["ja", "X"]), Some(&["x"]))).starts_with("SG0112"));
        assert!(one(words(Some(&["0"]), None)).contains("Name `no_words` too"));
        assert!(one(words(None, Some(&[""]))).starts_with("SG0112"));
    }

    #[test]
    fn literals_must_be_values_of_the_column() {
        for (target, good, bad) in [
            ("firstname", "Ada", "\u{7}"),
            ("birthdate", "1815-12-10", "10.12.1815"),
            ("annualincome", "12.50", "12,50"),
            ("numberofchildren", "3", "-1"),
            ("donotbulkemail", "yes", "maybe"),
        ] {
            assert!(
                told(vec![value(target, literal(good))]).is_empty(),
                "{target}"
            );
            assert!(
                one(value(target, literal(bad))).starts_with("SG0113"),
                "{target}"
            );
            let default = |text: &str| step(target, |it| it.default = Some(written(literal(text))));
            assert!(told(vec![default(good)]).is_empty(), "{target}");
            assert!(one(default(bad)).starts_with("SG0113"), "{target}");
        }
        assert!(told(vec![value("gendercode", literal("vrouw"))]).is_empty());
        assert!(one(value("gendercode", literal("3"))).starts_with("SG0114"));
    }

    #[test]
    fn a_literal_that_cannot_be_read_is_told_how_it_is_written() {
        for (target, bad, help) in [
            ("birthdate", "31.12.2025", "; write it as `2025-12-31`."),
            ("annualincome", "45.000,50", "as `45000.5`."),
            (
                "numberofchildren",
                "two",
                "; write digits alone, as `45000`.",
            ),
            ("donotbulkemail", "ja", "; write `true` or `false`."),
            // It can be read, and does not fit.
            ("numberofchildren", "-1", "0 to 1000000000."),
        ] {
            let told = one(value(target, literal(bad)));
            assert!(told.ends_with(help), "{told}");
        }
    }

    #[test]
    fn a_default_may_be_written_as_a_cell_or_plainly() {
        for text in ["0,5", "0.5"] {
            let line = step("annualincome", |it| {
                it.decimal = Some(written(','));
                it.default = Some(written(literal(text)));
            });
            assert!(told(vec![line]).is_empty(), "{text}");
        }
    }

    fn gender(options: &[(&str, &str)], otherwise: Option<&str>) -> ColumnMapping {
        let word = |text: &str| written(text.to_owned());
        let map = ChoiceMap::Map {
            options: options
                .iter()
                .map(|(cell, to)| (word(cell), word(to)))
                .collect(),
            otherwise: otherwise.map(word),
        };
        with("gendercode", "gender", |it| it.choice = Some(written(map)))
    }

    #[test]
    fn options_are_named_by_number_or_by_a_label_in_any_language() {
        assert!(
            told(vec![gender(
                &[("M", "man"), ("F", "2"), ("V", "Female")],
                Some("1")
            )])
            .is_empty()
        );
        assert_eq!(
            one(gender(&[("M", "Malle")], None)),
            "SG0114 column `gendercode` has no option `Malle` | neither number nor label of an option | did you \
             mean `Male`?"
        );
        assert!(one(gender(&[("M", "7")], None)).contains("`1 Male`, `2 Female`"));
        assert!(one(gender(&[], Some("Other"))).starts_with("SG0114"));
        assert!(one(gender(&[("M", "1"), (" M ", "2")], None)).starts_with("SG0116"));
        assert!(one(gender(&[("", "1")], None)).starts_with("SG0116"));
    }

    #[test]
    fn a_label_of_two_options_is_a_problem() {
        let mut table = contact();
        for column in &mut table.columns {
            if let ColumnKind::Choice { options } = &mut column.kind {
                options.push(option(3, &["MALE"]));
            }
        }
        let codes = |line: ColumnMapping| {
            let mapping = mapping(
                &["emailaddress1"],
                vec![from("emailaddress1", "email"), line],
            );
            let context = crate::mapping::fixture::CONTEXT;
            let result = mapping.compile(&table, &header(HEADER), &context);
            let problems = result.map_or_else(|it| it.problems, |_| Vec::new());
            problems
                .iter()
                .map(|it| it.code.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(codes(gender(&[("M", "Male")], None)), ["SG0115"]);
        assert!(codes(gender(&[("M", "1")], None)).is_empty());
        let labels = with("gendercode", "gender", |it| {
            it.choice = Some(written(ChoiceMap::Labels));
        });
        assert_eq!(codes(labels), ["SG0115"]);
    }

    #[test]
    fn a_required_column_cannot_be_cleared() {
        let clear = step("donotbulkemail", |it| {
            it.nulls = Some(written(Nulls::Clear));
        });
        assert!(one(clear).starts_with("SG0121"));
        assert!(one(value("donotbulkemail", Literal::Null)).starts_with("SG0121"));
        let mut whole = mapping(
            &["emailaddress1"],
            vec![from("emailaddress1", "email"), from("donotbulkemail", "id")],
        );
        whole.nulls = Nulls::Clear;
        assert_eq!(told_of(&whole).len(), 1);
    }

    #[test]
    fn the_key_must_be_a_key_of_the_table() {
        let keyed = |key: &[&str]| {
            let lines = key.iter().map(|column| from(column, "id")).collect();
            told_of(&mapping(key, lines))
        };
        assert!(keyed(&["emailaddress1"]).is_empty());
        assert!(keyed(&["contactid"]).is_empty());
        assert!(keyed(&["lastname", "new_score", "birthdate"]).is_empty());
        assert!(keyed(&["jobtitle"])[0].contains("its index is being built"));
        assert!(
            keyed(&["emailadress1"])
                .iter()
                .all(|it| it.starts_with("SG0107"))
        );
        assert!(keyed(&["description"])[0].starts_with("SG0120"));
        let told = keyed(&["firstname"]);
        assert_eq!(told.len(), 1);
        for part in [
            "SG0117 table `contact` has no key of `firstname`",
            "[emailaddress1] (active)",
            "[jobtitle] (being built)",
            "[new_score, birthdate, lastname] (active)",
            "`contactid`",
            "Tables > Contact > Keys > New key",
        ] {
            assert!(told[0].contains(part), "{part} in {told:?}");
        }
    }

    #[test]
    fn a_composite_key_stands_in_the_order_of_the_table() {
        let lines = ["birthdate", "lastname", "new_score"].map(|column| from(column, "id"));
        let plan = compile(
            &mapping(&["lastname", "birthdate", "new_score"], lines.to_vec()),
            HEADER,
        );
        assert_eq!(plan.unwrap().target().key, [2, 0, 1]);
    }

    #[test]
    fn key_columns_come_from_the_extract_as_they_are() {
        assert!(told_of(&mapping(&["emailaddress1"], Vec::new()))[0].starts_with("SG0118"));
        let loose = [
            value("emailaddress1", literal("a@b.c")),
            with("emailaddress1", "email", |it| {
                it.default = Some(written(literal("x")));
            }),
            with("emailaddress1", "email", |it| {
                it.nulls = Some(written(Nulls::Skip));
            }),
            with("emailaddress1", "email", |it| {
                it.max = Some(written(TooLong::Truncate));
            }),
        ];
        for line in loose {
            let told = told_of(&mapping(&["emailaddress1"], vec![line]));
            assert_eq!(told.len(), 1);
            assert!(told[0].starts_with("SG0119"), "{told:?}");
        }
    }
}
