//! What is particular to elastic tables, intersects and the service's own tables.

use super::column;
use super::written::{Pairs, WrittenBetween, WrittenColumn, WrittenTable};
use super::{
    IntersectDef, IntersectSide, KeyDef, KeyIndexStatus, Schema, SchemaError, TableDef,
    TableNature, is_custom,
};

/// The one key of every elastic table. Microsoft Learn, "Create and use elastic tables".
const ELASTIC_KEY: &str = "KeyForNoSqlEntityWithPKPartitionId";

/// The nature of a new table, and whether it takes bulk messages.
pub(super) fn of(
    schema: &Schema,
    written: &WrittenTable,
) -> Result<(TableNature, bool), SchemaError> {
    let elastic = written.elastic == Some(true);
    let internal = written.internal == Some(true);
    let nature = match (&written.between, elastic, internal) {
        (None, false, false) => TableNature::Standard,
        (None, true, false) => TableNature::Elastic,
        (None, false, true) => TableNature::Internal,
        (Some(between), false, false) => {
            TableNature::Intersect(Box::new(intersect(schema, written, between)?))
        }
        _ => {
            let problem = "it can only be one of elastic, internal and between";
            return Err(refused(written, problem));
        }
    };
    let is_written = matches!(nature, TableNature::Standard | TableNature::Elastic);
    let usual = elastic || is_custom(&written.table);
    let bulk = is_written && written.bulk.unwrap_or(usual);
    Ok((nature, bulk))
}

fn refused(written: &WrittenTable, problem: &str) -> SchemaError {
    SchemaError::Table {
        table: written.table.to_lowercase(),
        problem: problem.to_owned(),
    }
}

fn intersect(
    schema: &Schema,
    written: &WrittenTable,
    between: &WrittenBetween,
) -> Result<IntersectDef, SchemaError> {
    let side = |(table, navigation): &(String, String)| {
        let target = schema.tables.get(table).ok_or_else(|| {
            let problem = format!("it is between `{table}`, which does not exist");
            refused(written, &problem)
        })?;
        Ok::<_, SchemaError>(IntersectSide {
            table: table.clone(),
            column: target.primary_id.clone(),
            navigation: navigation.clone(),
        })
    };
    let [first, second] = between.tables.0.as_slice() else {
        return Err(refused(written, "it must be between two tables"));
    };
    Ok(IntersectDef {
        schema_name: between.relationship.clone(),
        sides: [side(first)?, side(second)?],
    })
}

/// The columns that follow from the nature.
pub(super) fn columns(nature: &TableNature) -> Pairs<WrittenColumn> {
    let column = |name: &str, phrase: &str| {
        let written = WrittenColumn {
            phrase: phrase.to_owned(),
            ..WrittenColumn::default()
        };
        (name.to_owned(), written)
    };
    Pairs(match nature {
        TableNature::Standard | TableNature::Internal => Vec::new(),
        TableNature::Elastic => vec![
            column("PartitionId", "text(100) create-only"),
            column("TTLInSeconds", "integer(0..2147483647)"),
        ],
        TableNature::Intersect(intersect) => {
            let sides = intersect.sides.iter();
            sides
                .map(|side| column(&side.column, "guid read-only"))
                .collect()
        }
    })
}

/// The key that elastic tables have.
pub(super) fn keys(table: &TableDef) -> Vec<KeyDef> {
    if !table.is_elastic() {
        return Vec::new();
    }
    vec![KeyDef {
        logical_name: ELASTIC_KEY.to_lowercase(),
        schema_name: ELASTIC_KEY.to_owned(),
        display_name: column::words(ELASTIC_KEY),
        columns: vec![table.primary_id.clone(), "partitionid".to_owned()],
        status: KeyIndexStatus::Active,
    }]
}
