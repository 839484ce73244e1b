//! The compiled mapping: rows in, records and digests out.
//!
//! Owns the one way from a row to a key, so that the survey's digest, the record that is sent and a key that is read
//! back from Dataverse agree. Leaves to others what a difference means and when a row is due.

use std::sync::Arc;

use uuid::Uuid;

use super::convert::{Cell, CellColumn, Conversion, Refusal};
use super::digest::{About, Digester, Parts, ROOM};
use super::plan_lookup::PlannedLookup;
use super::{Duplicates, Guard, Mode, Removal};
use crate::model::{
    Collation, DigestSecret, Fault, KeyDigest, Position, Record, RecordId, Rows, Target, Value,
};

/// A mapping compiled against a table and the header of an extract. It re-checks nothing and cannot fail as a whole:
/// each row becomes a [`Record`] or a [`Reject`](crate::model::Reject).
///
/// Every [`Rows`] that it is given must have the columns of [`Plan::source_columns`], in that order.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) target: Arc<Target>,
    /// One per target column, in the same order.
    pub(super) columns: Vec<PlannedColumn>,
    /// Indexes of the columns to read; a *slot* is an index in this list, and in each batch.
    pub(super) sources: Vec<usize>,
    /// The slots that some column besides the key reads, ascending, and that of the mark.
    pub(super) digested: Vec<usize>,
    /// Digest of everything that the mapping does to cells.
    pub(super) program: [u8; 16],
    pub(super) collation: Collation,
    pub(super) organisation: Uuid,
    pub(super) mapping: String,
    pub(super) mode: Mode,
    pub(super) duplicates: Duplicates,
    /// The slot that tells which of several rows is the newest.
    pub(super) newest: Option<usize>,
    /// The slot whose yes words mark a record for deletion.
    pub(super) mark: Option<usize>,
    pub(super) removal: Removal,
    pub(super) guard: Guard,
}

/// Where a target column's values come from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum PlannedColumn {
    /// The same for every row.
    Constant(Value),
    /// A cell and its steps.
    Cell {
        /// The cell's place in each batch.
        slot: usize,
        conversion: Conversion,
        /// Stands for a null.
        default: Option<Value>,
    },
    /// A record of another table, found by some cells.
    Lookup(PlannedLookup),
}

impl PlannedColumn {
    /// The slots that it reads.
    pub(super) fn slots(&self) -> Vec<usize> {
        match self {
            Self::Constant(_) => Vec::new(),
            Self::Cell { slot, .. } => vec![*slot],
            Self::Lookup(lookup) => lookup.slots().collect(),
        }
    }
}

impl Plan {
    /// Where the records go.
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Which columns of the extract both readings need, as indexes into its columns, in the order of the batches.
    pub fn source_columns(&self) -> &[usize] {
        &self.sources
    }

    /// Which writes are allowed.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether rows have anything but their key that may tell one from another.
    pub fn reads_more_than_keys(&self) -> bool {
        !self.digested.is_empty()
    }

    /// What becomes of rows with the same key.
    pub fn duplicates(&self) -> &Duplicates {
        &self.duplicates
    }

    /// What becomes of records that are not in the extract any more.
    pub fn removal(&self) -> &Removal {
        &self.removal
    }

    /// What stops a run before anything is sent.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// The digest of a key by its values, in the key's order: the same as [`Plan::digest`] gives a row that has that
    /// key, however the values are spelt. For keys that Dataverse returned.
    pub fn key_digest(&self, values: &[Value], secret: &DigestSecret) -> KeyDigest {
        let mut digester = Digester::new(secret, About::Key);
        let mut folded = Vec::with_capacity(ROOM);
        self.push_key_values(digester.start(), values, &mut folded);
        KeyDigest(digester.wide())
    }

    /// Where the cells of the key stand in each batch, in the key's order; `None` where a part is the same for
    /// every row.
    pub fn key_slots(&self) -> Vec<Option<usize>> {
        self.key_columns()
            .map(|column| match column {
                PlannedColumn::Constant(_) | PlannedColumn::Lookup(_) => None,
                PlannedColumn::Cell { slot, .. } => Some(*slot),
            })
            .collect()
    }

    /// The columns of the key, in its order.
    pub(super) fn key_columns(&self) -> impl Iterator<Item = &PlannedColumn> {
        let indexes = self.target.key.iter();
        indexes.filter_map(|index| self.columns.get(*index))
    }

    fn push_key_values<'v>(
        &self,
        parts: &mut Parts,
        values: impl IntoIterator<Item = &'v Value>,
        folded: &mut Vec<u8>,
    ) {
        for value in values {
            parts.push_key(&value.into(), self.collation, folded);
        }
    }

    /// The GUID that a create of this record carries, derived from organisation, mapping, table and key: the same on
    /// every attempt and every run. The primary id itself where that is the key.
    pub fn derived_id(&self, record: &Record) -> RecordId {
        if let Some(id) = record.primary_id(&self.target) {
            return id;
        }
        let mut name = Parts::roomy();
        name.push(b'm', self.mapping.as_bytes());
        name.push(b'e', self.target.table.as_str().as_bytes());
        let mut folded = Vec::with_capacity(ROOM);
        self.push_key_values(&mut name, record.key(&self.target), &mut folded);
        RecordId(Uuid::new_v5(&self.organisation, &name.0))
    }
}

pub(super) fn faults_of(rows: &Rows, row: usize) -> &[Fault] {
    let from = rows.faults.partition_point(|fault| fault.row < row);
    let to = rows.faults.partition_point(|fault| fault.row <= row);
    rows.faults.get(from..to).unwrap_or_default()
}

pub(super) fn cell_of(rows: &Rows, slot: usize, row: usize) -> Result<Cell<'_>, Refusal> {
    let array = rows.batch.columns().get(slot);
    CellColumn::of(array.ok_or(Refusal::CellUnsupported)?).at(row)
}

pub(super) fn position_of(rows: &Rows, index: usize) -> Position {
    let position = rows.positions.get(index).copied();
    position.unwrap_or(Position::new(0, 0))
}

#[cfg(test)]
mod tests {
    use arrow_array::{
        ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array,
        LargeStringArray, StringArray, TimestampMillisecondArray,
    };
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::super::digest::ColumnDigester;
    use super::*;
    use crate::mapping::fixture::{
        CONTEXT, compile, contact, from, header, literal, mapping, name, project, rows, value,
        with, written,
    };
    use crate::mapping::{Case, ChoiceMap, ColumnMapping, Mapping, Parse, TooLong};
    use crate::model::{FaultKind, KeyReading, Reject, RejectCode, RowDigest, SourceDigest};

    const SECRET: DigestSecret = DigestSecret([42; 32]);

    fn plan(key: &[&str], columns: Vec<ColumnMapping>, names: &[&str]) -> Plan {
        compile(&mapping(key, columns), names).unwrap_or_else(|it| panic!("{it:#?}"))
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    fn digests(plan: &Plan, rows: &Rows) -> Vec<RowDigest> {
        let mut out = Vec::new();
        plan.digest(rows, &SECRET, &mut out);
        out
    }

    /// A record, whose digests are those of its values.
    #[expect(clippy::result_large_err, reason = "it is looked at once")]
    fn record(plan: &Plan, rows: &Rows, row: usize) -> Result<Record, Reject> {
        plan.over(rows).record(row)
    }

    fn key_of(plan: &Plan, record: &Record) -> KeyDigest {
        let values: Vec<Value> = record.key(plan.target()).cloned().collect();
        plan.key_digest(&values, &SECRET)
    }

    /// Keyed by e-mail, with a name that may be cut and a number of children.
    fn people() -> Plan {
        let columns = vec![
            from("emailaddress1", "email"),
            with("firstname", "name", |it| {
                it.max = Some(written(TooLong::Truncate));
            }),
            from("numberofchildren", "children"),
        ];
        plan(&["emailaddress1"], columns, &["name", "email", "children"])
    }

    #[test]
    fn a_row_becomes_a_record() {
        let columns = vec![
            from("externaluseridentifier", "key"),
            from("birthdate", "born"),
            from("annualincome", "income"),
            with("gendercode", "gender", |it| {
                let option =
                    |cell: &str, to: &str| (written(cell.to_owned()), written(to.to_owned()));
                it.choice = Some(written(ChoiceMap::Map {
                    options: vec![option("M", "Male"), option("F", "2")],
                    otherwise: None,
                }));
            }),
            from("donotbulkemail", "mail"),
            with("jobtitle", "title", |it| {
                it.default = Some(written(literal("none")));
            }),
            value("description", literal("from the warehouse")),
        ];
        let names = ["key", "born", "income", "gender", "mail", "title"];
        let plan = plan(&["externaluseridentifier"], columns, &names);
        let rows = rows(
            &plan,
            &[&[
                "21596444800",
                "1945-12-30 00:00:00.000",
                "40000.0000",
                "M",
                "0",
                "",
            ]],
        );
        let record = record(&plan, &rows, 0).unwrap();
        assert_eq!(
            record.values,
            [
                text("21596444800"),
                Value::Date(jiff::civil::date(1945, 12, 30)),
                Value::Decimal(Decimal::from(40_000)),
                Value::Choice(1),
                Value::Boolean(false),
                text("none"),
                text("from the warehouse"),
            ]
        );
    }

    #[test]
    fn only_columns_in_use_are_read() {
        let plan = people();
        assert_eq!(plan.source_columns(), [1, 0, 2]);
        let columns = plan.layout().columns;
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["emailaddress1", "firstname", "numberofchildren"]);
        assert_eq!(columns.last(), Some(&(name("numberofchildren"), "integer")));
    }

    #[test]
    fn the_first_fault_in_the_order_of_the_columns_decides() {
        let plan = people();
        let rows = rows(
            &plan,
            &[&["Ada\u{7}", "ada@example.com", "2.5"], &["", "", "2.5"]],
        );
        let reject = record(&plan, &rows, 0).unwrap_err();
        assert_eq!(reject.code, RejectCode("text_invalid_character"));
        assert_eq!(reject.column.as_deref(), Some("firstname"));
        assert_eq!(reject.position, Position::new(0, 2));
        assert!(
            reject
                .reason
                .contains("`Ada\\u{7}` has the character U+0007"),
            "{reject:?}"
        );
        let reject = record(&plan, &rows, 1).unwrap_err();
        assert_eq!(reject.code, RejectCode("key_null"));
        assert_eq!(reject.column.as_deref(), Some("emailaddress1"));
    }

    #[test]
    fn rejects_name_the_value_and_the_limit() {
        let plan = plan(
            &["emailaddress1"],
            vec![
                from("emailaddress1", "email"),
                from("numberofchildren", "cell"),
                with("gendercode", "cell", |it| {
                    it.choice = Some(written(ChoiceMap::Labels));
                }),
            ],
            &["email", "cell"],
        );
        let rows = rows(&plan, &[&["a", "-1"], &["b", "7"]]);
        let reasons = [0, 1].map(|row| record(&plan, &rows, row).unwrap_err().reason);
        assert_eq!(
            reasons,
            [
                "`-1` is outside of 0 to 1000000000; also gendercode: `-1` is no label of an option (1 Male, 2 Female)",
                "`7` is no label of an option (1 Male, 2 Female)",
            ]
        );
    }

    #[test]
    fn keys_that_cannot_be_keys_are_refused_in_both_readings() {
        let plan = people();
        let long = "x".repeat(101);
        let rows = rows(
            &plan,
            &[
                &["a", "", ""],
                &["b", "  ", ""],
                &["c", &long, ""],
                &["d", "\u{301}", ""],
            ],
        );
        assert!(
            digests(&plan, &rows)
                .iter()
                .all(|it| it.key == KeyReading::Refused)
        );
        let codes = [0, 1, 2, 3].map(|row| record(&plan, &rows, row).unwrap_err().code.0);
        assert_eq!(codes, ["key_null", "key_null", "key_too_long", "key_null"]);
    }

    #[test]
    fn a_key_that_is_no_value_of_its_column_may_be_any_key() {
        let plan = plan(
            &["numberofchildren"],
            vec![from("numberofchildren", "n")],
            &["n"],
        );
        let rows = rows(&plan, &[&["many"], &["3"], &["3.0"]]);
        let keys: Vec<KeyReading> = digests(&plan, &rows).iter().map(|it| it.key).collect();
        assert_eq!(keys[0], KeyReading::Unreadable);
        assert_eq!(keys[1], keys[2]);
        assert_eq!(
            keys[1],
            KeyReading::Known(plan.key_digest(&[Value::Integer(3)], &SECRET))
        );
    }

    #[test]
    fn faults_of_the_reader_are_rejects() {
        let plan = people();
        let cells: [ArrayRef; 3] = [
            Arc::new(StringArray::from(vec![None, Some("b"), None, Some("d")])),
            Arc::new(StringArray::from(vec![
                None,
                Some("b@x"),
                Some("c@x"),
                None,
            ])),
            Arc::new(StringArray::from(vec![None::<&str>; 4])),
        ];
        let encoding = "windows-1252";
        let fault = |row, column, kind| Fault { row, column, kind };
        let ragged = FaultKind::Ragged {
            cells: 7,
            expected: 24,
            raw: Vec::new(),
        };
        let faults = vec![
            fault(0, None, ragged),
            // In the batch, `email` comes first and `name` second.
            fault(2, Some(1), FaultKind::Undecodable { encoding }),
            fault(3, Some(0), FaultKind::Undecodable { encoding }),
        ];
        let rows = project(&plan, &cells, faults);
        let digests = digests(&plan, &rows);
        assert_eq!(digests[0].key, KeyReading::Unreadable);
        assert!(matches!(digests[2].key, KeyReading::Known(_)));
        assert_eq!(digests[3].key, KeyReading::Unreadable);
        assert!(record(&plan, &rows, 1).is_ok());
        let reject = record(&plan, &rows, 0).unwrap_err();
        assert_eq!(reject.code, RejectCode("row_ragged"));
        assert_eq!(reject.reason, "the row has 7 cells, the header has 24");
        let reject = record(&plan, &rows, 2).unwrap_err();
        assert_eq!(reject.code, RejectCode("cell_undecodable"));
        assert_eq!(reject.column.as_deref(), Some("firstname"));
        assert!(reject.reason.contains(encoding));
    }

    #[test]
    fn the_source_digest_sees_every_cell_but_the_key() {
        let plan = people();
        let rows = rows(
            &plan,
            &[
                &["Ada", "ada@x", "1"],
                &["Ada", "ADA@X ", "1"],
                &["Ada", "bob@x", "1"],
                &["Ada", "ada@x", "2"],
                &["ada", "ada@x", "1"],
                &["", "ada@x", "1"],
            ],
        );
        let source: Vec<SourceDigest> = digests(&plan, &rows).iter().map(|it| it.source).collect();
        assert_eq!(source[0], source[1]);
        assert_eq!(source[0], source[2]);
        for other in 3..6 {
            assert_ne!(source[0], source[other]);
        }
    }

    fn source_digest(mapping: &Mapping) -> SourceDigest {
        let plan = compile(mapping, &["email", "name"]).unwrap();
        let rows = rows(&plan, &[&["ada@x", "Ada"]]);
        digests(&plan, &rows)[0].source
    }

    #[test]
    fn the_source_digest_sees_what_the_mapping_does() {
        let of = |lines: Vec<ColumnMapping>| {
            let mut columns = vec![from("emailaddress1", "email")];
            columns.extend(lines);
            mapping(&["emailaddress1"], columns)
        };
        let case = |case| with("firstname", "name", |it| it.case = Some(written(case)));
        let choice = |to: &str| {
            with("gendercode", "name", |it| {
                it.choice = Some(written(ChoiceMap::Map {
                    options: vec![(written("M".to_owned()), written(to.to_owned()))],
                    otherwise: None,
                }));
            })
        };
        let mut mappings = vec![
            of(vec![]),
            of(vec![from("firstname", "name")]),
            of(vec![from("lastname", "name")]),
            of(vec![case(Case::Lower)]),
            of(vec![case(Case::Upper)]),
            of(vec![
                from("firstname", "name"),
                value("jobtitle", literal("a")),
            ]),
            of(vec![
                from("firstname", "name"),
                value("jobtitle", literal("b")),
            ]),
            of(vec![choice("1")]),
            of(vec![choice("2")]),
        ];
        let mut create = of(vec![from("firstname", "name")]);
        create.mode = Mode::Create;
        mappings.push(create);
        let digests: Vec<u64> = mappings.iter().map(|it| source_digest(it).0).collect();
        let distinct: std::collections::HashSet<_> = digests.iter().collect();
        assert_eq!(distinct.len(), digests.len());
        // A label and the number that it names are the same program.
        assert_eq!(source_digest(&of(vec![choice("Male")])).0, digests[7]);
    }

    #[test]
    fn a_key_is_one_key_however_it_is_typed() {
        let names = ["key"];
        let of = |column: &str, array: ArrayRef| {
            let mapping = mapping(&[column], vec![from(column, "key")]);
            let mut header = header(&names);
            header[0].data_type = array.data_type().clone();
            let plan = mapping.compile(&contact(), &header, &CONTEXT).unwrap();
            let rows = project(&plan, &[array], Vec::new());
            let digest = digests(&plan, &rows)[0];
            let record = record(&plan, &rows, 0).unwrap();
            assert_eq!(digest.key, KeyReading::Known(key_of(&plan, &record)));
            digest.key
        };
        let spelt = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
        let number: ArrayRef = Arc::new(Int64Array::from(vec![3003]));
        let wide: ArrayRef = Arc::new(LargeStringArray::from(vec!["3003"]));
        let float: ArrayRef = Arc::new(Float64Array::from(vec![3003.0]));
        let decimal = Decimal128Array::from(vec![300_300]).with_precision_and_scale(10, 2);
        let decimal: ArrayRef = Arc::new(decimal.unwrap());
        let user = "externaluseridentifier";
        for typed in [&number, &wide, &float] {
            assert_eq!(of(user, typed.clone()), of(user, spelt("3003")));
        }
        for typed in [&number, &wide, &float, &decimal] {
            assert_eq!(
                of("numberofchildren", typed.clone()),
                of("numberofchildren", spelt("3003.0"))
            );
        }
        let time: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![1_714_593_600_000]));
        let campaign = "lastusedincampaign";
        assert_eq!(
            of(campaign, time),
            of(campaign, spelt("2024-05-01 22:00+02:00"))
        );
        assert_eq!(
            of("gendercode", Arc::new(Int64Array::from(vec![2]))),
            of("gendercode", spelt("2"))
        );
    }

    #[test]
    fn typed_cells_become_values() {
        let columns = vec![
            from("emailaddress1", "key"),
            from("donotbulkemail", "flag"),
            from("birthdate", "day"),
            from("firstname", "day"),
        ];
        let mapping = mapping(&["emailaddress1"], columns);
        let cells: [ArrayRef; 3] = [
            Arc::new(StringArray::from(vec!["ada@x"])),
            Arc::new(BooleanArray::from(vec![true])),
            Arc::new(Date32Array::from(vec![-8767])),
        ];
        let mut header = header(&["key", "flag", "day"]);
        for (column, array) in header.iter_mut().zip(&cells) {
            column.data_type = array.data_type().clone();
        }
        let plan = mapping.compile(&contact(), &header, &CONTEXT).unwrap();
        let record = record(&plan, &project(&plan, &cells, Vec::new()), 0).unwrap();
        let day = jiff::civil::date(1945, 12, 31);
        let expected = [
            text("ada@x"),
            Value::Boolean(true),
            Value::Date(day),
            text("1945-12-31"),
        ];
        assert_eq!(record.values, expected);
    }

    #[test]
    fn the_derived_id_follows_the_key_and_not_its_spelling() {
        let plan = people();
        let rows = rows(
            &plan,
            &[
                &["a", "ada@x", ""],
                &["b", "ÀDA@x", "3"],
                &["c", "bob@x", ""],
            ],
        );
        let ids = [0, 1, 2].map(|row| plan.derived_id(&record(&plan, &rows, row).unwrap()));
        assert_eq!(ids[0], ids[1]);
        assert_ne!(ids[0], ids[2]);
        assert_eq!(ids[0].0.get_version_num(), 5);
    }

    #[test]
    fn the_derived_id_never_changes_between_versions() {
        let plan = people();
        let rows = rows(&plan, &[&["a", "Ada@Example.com", ""]]);
        let id = plan.derived_id(&record(&plan, &rows, 0).unwrap());
        assert_eq!(id.to_string(), "a8278d81-29dc-5e34-bf2b-4cbde1451f76");
    }

    #[test]
    fn the_primary_id_as_key_is_the_id() {
        let plan = plan(&["contactid"], vec![from("contactid", "id")], &["id"]);
        let guid = "{0F8FAD5B-D9CB-469F-A165-70867728950E}";
        let rows = rows(&plan, &[&[guid], &["00000000-0000-0000-0000-000000000000"]]);
        assert!(plan.target().key_is_primary_id);
        let id = plan.derived_id(&record(&plan, &rows, 0).unwrap());
        assert_eq!(id.to_string(), "0f8fad5b-d9cb-469f-a165-70867728950e");
        // Dataverse takes the nil GUID for none.
        assert_eq!(
            record(&plan, &rows, 1).unwrap_err().code,
            RejectCode("key_null")
        );
        assert_eq!(digests(&plan, &rows)[1].key, KeyReading::Refused);
    }

    #[test]
    fn column_digests_tell_values_apart() {
        let plan = people();
        let rows = rows(
            &plan,
            &[&["Ada", "a", "1"], &["Ada", "a", "1.0"], &["ada", "a", ""]],
        );
        let of = |row| {
            let record = record(&plan, &rows, row).unwrap();
            let mut digester = ColumnDigester::new(&SECRET);
            let digests = record.values.iter().map(|value| digester.of(value));
            digests.collect::<Vec<_>>()
        };
        assert_eq!(of(0), of(1));
        assert_ne!(of(0)[1], of(2)[1]);
        assert_ne!(of(0)[2], of(2)[2]);
    }

    #[test]
    fn a_row_that_is_not_there_is_a_reject() {
        let plan = people();
        let rows = rows(&plan, &[&["Ada", "a", "1"]]);
        assert!(record(&plan, &rows, 1).is_err());
    }

    /// A column of each type, all from the same cell.
    fn everything(key: &str, collation: Collation) -> Plan {
        let mut table = contact();
        table.collation = collation;
        let mut columns = vec![from(key, "key")];
        for target in [
            "firstname",
            "description",
            "birthdate",
            "lastusedincampaign",
            "new_opens",
            "annualincome",
            "numberofchildren",
            "new_visits",
            "new_score",
            "address1_latitude",
            "gendercode",
            "donotbulkemail",
            "new_guid",
        ] {
            if target != key {
                columns.push(from(target, "cell"));
            }
        }
        let header = header(&["key", "cell"]);
        mapping(&[key], columns)
            .compile(&table, &header, &CONTEXT)
            .unwrap()
    }

    /// Each column alone, so that the fault of one does not hide the others.
    fn one_by_one() -> Vec<Plan> {
        let targets = everything("emailaddress1", Collation::AccentInsensitive);
        let columns = targets.target().columns.iter().skip(1);
        columns
            .map(|column| {
                let line = from(column.name.as_str(), "cell");
                plan(
                    &["emailaddress1"],
                    vec![from("emailaddress1", "key"), line],
                    &["key", "cell"],
                )
            })
            .collect()
    }

    fn cell() -> impl Strategy<Value = String> {
        prop_oneof![
            "\\PC{0,12}",
            any::<String>(),
            "[-+]?[0-9.,e]{1,12}",
            "(17|19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]([T ][0-2][0-9]:[0-5][0-9](:[0-5][0-9])?(Z|[+-][01][0-9]:00)?)?",
            "[aAàÀeéÉsSßẞiIİıσςΣ ]{0,4}",
        ]
    }

    proptest! {
        #[test]
        fn no_cell_makes_it_panic(key in cell(), cell in cell()) {
            for plan in one_by_one() {
                let rows = rows(&plan, &[&[&key, &cell]]);
                prop_assert_eq!(digests(&plan, &rows).len(), 1);
                if let Err(reject) = record(&plan, &rows, 0) {
                    prop_assert!(!reject.reason.chars().any(char::is_control));
                }
            }
        }

        #[test]
        fn both_readings_agree_on_every_key(key in cell(), target in 0_usize..6) {
            let keys = ["emailaddress1", "numberofchildren", "gendercode", "lastusedincampaign", "externaluseridentifier", "contactid"];
            for case in [None, Some(Case::Lower), Some(Case::Upper), Some(Case::Title)] {
                let line = with(keys[target], "key", |it| if target % 4 == 0 { it.case = case.map(written); });
                let plan = plan(&[keys[target]], vec![line], &["key"]);
                let rows = rows(&plan, &[&[&key]]);
                let expected = record(&plan, &rows, 0).ok().map(|record| key_of(&plan, &record));
                let known = match digests(&plan, &rows)[0].key {
                    KeyReading::Known(key) => Some(key),
                    KeyReading::Refused | KeyReading::Unreadable => None,
                };
                prop_assert_eq!(known, expected);
            }
        }

        #[test]
        fn keys_are_equal_exactly_if_they_fold_to_the_same(one in "[aAàÀeéÉßσΣ ]{1,4}", other in "[aAàÀeéÉßσΣ ]{1,4}") {
            for collation in [Collation::AccentInsensitive, Collation::AccentSensitive] {
                let plan = everything("emailaddress1", collation);
                let rows = rows(&plan, &[&[&one, ""], &[&other, ""]]);
                let keys: Vec<KeyReading> = digests(&plan, &rows).iter().map(|it| it.key).collect();
                let fold = |text: &str| {
                    let mut folded = Vec::new();
                    super::super::fold::fold(text.trim(), collation, &mut folded);
                    folded
                };
                prop_assert_eq!(keys[0] == keys[1], fold(&one) == fold(&other));
            }
        }

        #[test]
        fn parts_of_a_composite_key_do_not_run_together(one in "[ab]{1,3}", other in "[ab]{1,3}") {
            let lines = vec![
                from("lastname", "name"),
                from("new_score", "score"),
                with("birthdate", "born", |it| it.parse = Some(written(Parse::Format("%Y%m%d".to_owned())))),
            ];
            let plan = plan(&["lastname", "new_score", "birthdate"], lines, &["name", "score", "born"]);
            let rows = rows(&plan, &[&[&one, "1.50", "20240501"], &[&other, "1.5", "20240501"]]);
            let digests = digests(&plan, &rows);
            prop_assert_eq!(digests[0].key == digests[1].key, one == other);
            prop_assert_eq!(digests[0].key, KeyReading::Known(key_of(&plan, &record(&plan, &rows, 0).unwrap())));
        }
    }
}
