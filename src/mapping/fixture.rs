//! Tables, mappings and rows for the tests of this room.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{
    ColumnMapping, CompileContext, Duplicates, Guard, Literal, Mapping, Missing, Mode, Origin,
    Plan, Problems, Steps, Written,
};
use crate::model::{
    AlternateKey, ChoiceOption, Collation, Column, ColumnKind, CsvDialect, DateTimeBehavior,
    EntitySetName, ExtractSpec, Fault, KeyStatus, Label, LogicalName, Nulls, Position, Required,
    Rows, SourceColumn, Table,
};

pub(super) const CONTEXT: CompileContext<'_> = CompileContext {
    referenced: &[],
    organisation: Uuid::from_u128(0x0f8f_ad5b_d9cb_469f_a165_7086_7728_950e),
    started: jiff::Timestamp::UNIX_EPOCH,
};

pub(super) fn name(name: &str) -> LogicalName {
    LogicalName::parse(name).unwrap()
}

pub(super) fn column(logical: &str, kind: ColumnKind) -> Column {
    Column {
        name: name(logical),
        display_name: None,
        kind,
        creatable: true,
        updatable: true,
        required: Required::No,
    }
}

pub(super) fn text(max_length: usize) -> ColumnKind {
    ColumnKind::Text { max_length }
}

pub(super) fn option(value: i32, labels: &[&str]) -> ChoiceOption {
    let label = |(language, text): (u32, &&str)| Label {
        language,
        text: (*text).to_owned(),
    };
    ChoiceOption {
        value,
        labels: (1033..).zip(labels).map(label).collect(),
        state: None,
    }
}

fn key(columns: &[&str], status: KeyStatus) -> AlternateKey {
    AlternateKey {
        name: format!("{}_key", columns.join("_")),
        columns: columns.iter().map(|column| name(column)).collect(),
        status,
    }
}

/// A contact with a column of every type.
pub(super) fn contact() -> Table {
    let mut columns = plain_columns();
    columns.extend(numeric_columns());
    for column in &mut columns {
        match column.name.as_str() {
            "fullname" => (column.creatable, column.updatable) = (false, false),
            "contactid" => column.updatable = false,
            "donotbulkemail" => column.required = Required::System,
            _ => {}
        }
    }
    Table {
        name: name("contact"),
        entity_set: EntitySetName::parse("contacts").unwrap(),
        display_name: Some("Contact".to_owned()),
        primary_id: name("contactid"),
        primary_name: Some(name("fullname")),
        columns,
        keys: vec![
            key(&["emailaddress1"], KeyStatus::Active),
            key(&["externaluseridentifier"], KeyStatus::Active),
            key(&["jobtitle"], KeyStatus::InProgress),
            key(&["new_score", "birthdate", "lastname"], KeyStatus::Active),
            key(&["numberofchildren"], KeyStatus::Active),
            key(&["gendercode"], KeyStatus::Active),
            key(&["lastusedincampaign"], KeyStatus::Active),
            key(&["description"], KeyStatus::Active),
        ],
        collation: Collation::AccentInsensitive,
        relationships: Vec::new(),
    }
}

fn plain_columns() -> Vec<Column> {
    let time = |behavior| ColumnKind::DateTime { behavior };
    let gender = vec![option(1, &["Male", "Man"]), option(2, &["Female", "Vrouw"])];
    let yes_no = ColumnKind::Boolean {
        yes: Vec::new(),
        no: Vec::new(),
    };
    let targets = vec![name("account"), name("contact")];
    vec![
        column("contactid", ColumnKind::Guid),
        column("fullname", text(160)),
        column("firstname", text(50)),
        column("lastname", text(50)),
        column("emailaddress1", text(100)),
        column("emailaddress2", text(100)),
        column("externaluseridentifier", text(50)),
        column("jobtitle", text(100)),
        column("description", ColumnKind::Memo { max_length: 2000 }),
        column("birthdate", ColumnKind::Date),
        column("lastusedincampaign", time(DateTimeBehavior::UserLocal)),
        column("new_opens", time(DateTimeBehavior::TimeZoneIndependent)),
        column("gendercode", ColumnKind::Choice { options: gender }),
        column("donotbulkemail", yes_no),
        column("new_guid", ColumnKind::Guid),
        column("parentcustomerid", ColumnKind::Lookup { targets }),
        column("entityimage", ColumnKind::Other("ImageType".to_owned())),
    ]
}

fn numeric_columns() -> Vec<Column> {
    let money = ColumnKind::Money {
        min: Decimal::ZERO,
        max: Decimal::from(100_000_000_000_000_i64),
        precision: 4,
    };
    let children = ColumnKind::Integer {
        min: 0,
        max: 1_000_000_000,
    };
    let score = ColumnKind::Decimal {
        min: Decimal::from(-1000),
        max: Decimal::from(1000),
        precision: 2,
    };
    let latitude = ColumnKind::Float {
        min: -90.0,
        max: 90.0,
        precision: 5,
    };
    vec![
        column("annualincome", money),
        column("numberofchildren", children),
        column("new_visits", ColumnKind::BigInt),
        column("new_score", score),
        column("address1_latitude", latitude),
    ]
}

/// A setting somewhere in the file; tests that care for the place give their own.
pub(super) fn written<T>(value: T) -> Written<T> {
    Written {
        value,
        at: 500..501,
    }
}

pub(super) fn from(target: &str, source: &str) -> ColumnMapping {
    with(target, source, |_| {})
}

/// A column with steps, which `steps` fills in.
pub(super) fn with(target: &str, source: &str, steps: impl FnOnce(&mut Steps)) -> ColumnMapping {
    let mut line = ColumnMapping {
        target: written(target.to_owned()),
        origin: Origin::From(written(source.to_owned())),
        steps: Steps::default(),
    };
    steps(&mut line.steps);
    line
}

pub(super) fn value(target: &str, literal: Literal) -> ColumnMapping {
    ColumnMapping {
        target: written(target.to_owned()),
        origin: Origin::Value(written(literal)),
        steps: Steps::default(),
    }
}

pub(super) fn literal(text: &str) -> Literal {
    Literal::Text(text.to_owned())
}

/// A mapping to contacts whose lines stand ten bytes apart: line 0 at 10, line 1 at 20. The key stands before them.
pub(super) fn mapping(key: &[&str], mut columns: Vec<ColumnMapping>) -> Mapping {
    for (line, column) in (1..).zip(&mut columns) {
        column.target.at = line * 10..line * 10 + 1;
    }
    Mapping {
        file: PathBuf::from("contacts.yaml"),
        text: String::new(),
        name: "contacts".to_owned(),
        destination: None,
        tags: Vec::new(),
        partial: false,
        source: ExtractSpec {
            path: "contacts.csv".to_owned(),
            base: PathBuf::new(),
            format: None,
            csv: CsvDialect::default(),
        },
        source_at: 0..0,
        table: written("contact".to_owned()),
        key: key
            .iter()
            .zip(0..)
            .map(|(column, at)| Written {
                value: (*column).to_owned(),
                at: at..at + 1,
            })
            .collect(),
        key_at: 0..key.len(),
        mode: Mode::default(),
        duplicates: Duplicates::default(),
        missing: written(Missing::default()),
        delete_when: None,
        nulls: Nulls::Owned,
        columns,
        guard: Guard::default(),
        problems: Vec::new(),
        unread: Vec::new(),
        write: crate::mapping::Write::default(),
    }
}

pub(super) fn header(names: &[&str]) -> Vec<SourceColumn> {
    names
        .iter()
        .map(|name| SourceColumn {
            name: (*name).to_owned(),
            data_type: DataType::Utf8,
        })
        .collect()
}

/// Compiles against contacts and an extract of text columns.
pub(super) fn compile(mapping: &Mapping, names: &[&str]) -> Result<Plan, Problems> {
    mapping.compile(&contact(), &header(names), &CONTEXT)
}

/// Batches as a reader would give them to the plan: of all columns of the extract those that it asks for.
pub(super) fn project(plan: &Plan, columns: &[ArrayRef], faults: Vec<Fault>) -> Rows {
    let wanted: Vec<ArrayRef> = plan
        .source_columns()
        .iter()
        .map(|index| columns[*index].clone())
        .collect();
    let fields: Vec<Field> = wanted
        .iter()
        .zip(0..)
        .map(|(array, at)| Field::new(format!("c{at}"), array.data_type().clone(), true))
        .collect();
    let rows = wanted.first().map_or(0, Array::len);
    Rows {
        batch: RecordBatch::try_new(Arc::new(Schema::new(fields)), wanted).unwrap(),
        positions: (0..rows)
            .map(|row| Position::new(0, row as u64 + 2))
            .collect(),
        faults,
    }
}

/// Rows of text cells, in the header's order; an empty text is a null, as the reader gives it.
pub(super) fn rows(plan: &Plan, cells: &[&[&str]]) -> Rows {
    let width = cells.first().map_or(0, |row| row.len());
    let columns: Vec<ArrayRef> = (0..width)
        .map(|at| {
            let column = cells
                .iter()
                .map(|row| Some(row[at]).filter(|it| !it.is_empty()));
            Arc::new(column.collect::<StringArray>()) as ArrayRef
        })
        .collect();
    project(plan, &columns, Vec::new())
}
