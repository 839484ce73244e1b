//! A table's schema, in two requests: the table with its columns and keys, then one `$batch` of what each type of
//! column adds, and the environment's language.
//!
//! Source: Microsoft Learn, "Query table definitions using the Web API".

use serde::Deserialize;

use super::DataverseError;
use super::address::BASE;
use super::attributes::{self, Details, TypeDetails};
use super::batch::BatchBody;
use super::http::{Answer, Http, Intent, Request};
use super::multipart::{self, Part};
use super::said::Said;
use crate::model::{AlternateKey, Cause, Collation, EntitySetName, KeyStatus, LogicalName, Table};

/// The types of columns that have properties of their own, and what to ask of each. The properties that all
/// columns have come with the table; the enumerations' common parent cannot be asked for.
const TYPES: [(&str, &str); 13] = [
    ("String", "MaxLength"),
    ("Memo", "MaxLength"),
    ("Integer", "MinValue,MaxValue"),
    ("Decimal", "MinValue,MaxValue,Precision"),
    ("Double", "MinValue,MaxValue,Precision"),
    ("Money", "MinValue,MaxValue,Precision"),
    ("DateTime", "DateTimeBehavior"),
    ("Picklist", OPTIONS),
    ("MultiSelectPicklist", OPTIONS),
    ("State", OPTIONS),
    ("Status", OPTIONS),
    ("Boolean", OPTIONS),
    ("Lookup", "Targets"),
];

/// Stands for what is expanded rather than selected.
const OPTIONS: &str = "";

/// At most so many names are offered for one that does not exist.
const MOST_SUGGESTIONS: usize = 5;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    logical_name: String,
    entity_set_name: Option<String>,
    primary_id_attribute: Option<String>,
    primary_name_attribute: Option<String>,
    display_name: Option<attributes::LabelSet>,
    attributes: Option<Vec<attributes::Attribute>>,
    keys: Option<Vec<Key>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Key {
    logical_name: String,
    #[serde(rename = "KeyAttributes")]
    columns: Vec<String>,
    #[serde(rename = "EntityKeyIndexStatus")]
    status: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    logical_name: String,
    entity_set_name: Option<String>,
}

#[derive(Deserialize)]
struct Page<T> {
    value: Vec<T>,
}

#[derive(Deserialize)]
struct Organization {
    languagecode: u32,
}

/// The schema of a table, asked for by its logical name or its entity set name.
pub(super) async fn table(http: &Http, name: &str) -> Result<Table, DataverseError> {
    let definition = match LogicalName::parse(name) {
        Ok(name) => definition(http, &name).await?,
        Err(_) => None,
    };
    let definition = match definition {
        Some(definition) => definition,
        None => by_set_name(http, name).await?,
    };
    let logical = parsed(&definition.logical_name, name)?;
    let (details, collation) = details(http, &logical).await?;
    assemble(definition, logical, &details, collation)
}

/// `None` if there is no table of that logical name.
async fn definition(http: &Http, name: &LogicalName) -> Result<Option<Definition>, DataverseError> {
    let path = format!(
        "{BASE}/EntityDefinitions(LogicalName='{name}')\
         ?$select=LogicalName,EntitySetName,PrimaryIdAttribute,PrimaryNameAttribute,DisplayName\
         &$expand=Attributes($select=LogicalName,DisplayName,AttributeType,AttributeTypeName,AttributeOf,\
         IsValidForCreate,IsValidForUpdate,RequiredLevel),\
         Keys($select=LogicalName,KeyAttributes,EntityKeyIndexStatus)"
    );
    let answer = http.read(&Request::Get { path, prefer: None }).await?;
    if answer.status == 404 {
        return Ok(None);
    }
    parse(&answer, name.as_str()).map(Some)
}

/// The list of tables is long: it is asked for only when a name is not a logical name.
async fn by_set_name(http: &Http, name: &str) -> Result<Definition, DataverseError> {
    let path = format!("{BASE}/EntityDefinitions?$select=LogicalName,EntitySetName");
    let answer = http.read(&Request::Get { path, prefer: None }).await?;
    let tables: Page<Listed> = parse(&answer, "the list of tables")?;
    let same_set = tables
        .value
        .iter()
        .find(|table| table.entity_set_name.as_deref() == Some(name))
        .and_then(|table| LogicalName::parse(&table.logical_name).ok());
    let found = match same_set {
        Some(logical) => definition(http, &logical).await?,
        None => None,
    };
    found.ok_or_else(|| DataverseError::NoSuchTable {
        name: name.to_owned(),
        close: close_names(name, &tables.value),
    })
}

fn close_names(name: &str, tables: &[Listed]) -> Vec<String> {
    let name = name.to_ascii_lowercase();
    let likeness = |other: &str| strsim::jaro_winkler(&name, other);
    let mut close: Vec<(f64, &str)> = tables
        .iter()
        .map(|table| {
            let set = table.entity_set_name.as_deref().unwrap_or_default();
            let best = likeness(&table.logical_name).max(likeness(set));
            (best, table.logical_name.as_str())
        })
        .filter(|(likeness, _)| *likeness > 0.8)
        .collect();
    close.sort_by(|a, b| b.0.total_cmp(&a.0));
    close
        .into_iter()
        .take(MOST_SUGGESTIONS)
        .map(|(_, name)| name.to_owned())
        .collect()
}

/// What the types add, by column, and how the environment compares text.
async fn details(http: &Http, table: &LogicalName) -> Result<(Details, Collation), DataverseError> {
    let mut batch = BatchBody::new();
    for (type_name, properties) in TYPES {
        let what = if properties == OPTIONS {
            "LogicalName&$expand=OptionSet,GlobalOptionSet".to_owned()
        } else {
            format!("LogicalName,{properties}")
        };
        batch.get(&format!(
            "{BASE}/EntityDefinitions(LogicalName='{table}')/Attributes/Microsoft.Dynamics.CRM.{type_name}AttributeMetadata?$select={what}"
        ));
    }
    batch.get(&format!("{BASE}/organizations?$select=languagecode"));
    let answer = http.read(&batch.finish(Intent::Read)).await?;
    let content_type = answer.header(reqwest::header::CONTENT_TYPE);
    let Some(parts) = multipart::parts(content_type.unwrap_or_default(), &answer.body) else {
        return Err(DataverseError::from_said(answer.said()));
    };
    if parts.len() != TYPES.len() + 1 {
        return Err(unexpected(
            table.as_str(),
            "it has not one part per question",
        ));
    }
    let mut details = Details::new();
    for ((type_name, _), part) in TYPES.iter().zip(&parts) {
        for column in type_details(table, type_name, part.as_ref())? {
            details.insert(column.name().to_owned(), column);
        }
    }
    Ok((details, collation(parts.last().and_then(Option::as_ref))))
}

/// A type that the environment does not know leaves its columns without details; nothing else may.
fn type_details(
    table: &LogicalName,
    type_name: &str,
    part: Option<&Part<'_>>,
) -> Result<Vec<TypeDetails>, DataverseError> {
    let about = || format!("the {type_name} columns of `{table}`");
    let Some(part) = part else {
        return Err(unexpected(&about(), "its part is not an HTTP response"));
    };
    if part.status == 200 {
        return serde_json::from_slice::<Page<TypeDetails>>(part.body)
            .map(|page| page.value)
            .map_err(|error| unexpected(&about(), &error.to_string()));
    }
    let said = Said::read(part.status, part.retry_after, part.body);
    match said.cause(None) {
        Cause::Contract | Cause::Row(_) => {
            tracing::warn!(table = %table, columns = type_name, error = %said.error, "limits of columns are not known");
            Ok(Vec::new())
        }
        Cause::Throttled { .. } | Cause::Transient | Cause::TooLarge | Cause::Credential => {
            Err(DataverseError::from_said(said))
        }
    }
}

/// How an environment of that base language compares text. Case never counts; in the languages below accents do.
///
/// Source: Microsoft Learn, "Dataverse language collations".
fn collation(part: Option<&Part<'_>>) -> Collation {
    let language = part
        .filter(|part| part.status == 200)
        .and_then(|part| serde_json::from_slice::<Page<Organization>>(part.body).ok())
        .and_then(|page| {
            page.value
                .first()
                .map(|organization| organization.languagecode)
        });
    match language {
        Some(
            1035 | 1048 | 1050 | 1051 | 1053 | 1054 | 1057 | 1058 | 1060 | 1061 | 1062 | 1063
            | 1066 | 1069 | 1081 | 1086 | 1087 | 1110 | 2055 | 2064 | 2074 | 3079 | 3081,
        ) => Collation::AccentSensitive,
        Some(_) => Collation::AccentInsensitive,
        None => {
            tracing::warn!(
                "the environment's language cannot be read; accents do not tell keys apart"
            );
            Collation::AccentInsensitive
        }
    }
}

fn assemble(
    definition: Definition,
    name: LogicalName,
    details: &Details,
    collation: Collation,
) -> Result<Table, DataverseError> {
    let about = name.to_string();
    let needed = |value: Option<String>, what: &str| {
        value
            .filter(|value| !value.is_empty())
            .ok_or_else(|| unexpected(&about, &format!("it has no {what}")))
    };
    let entity_set = needed(definition.entity_set_name, "entity set")?;
    let primary_id = needed(definition.primary_id_attribute, "primary id")?;
    let mut columns = Vec::new();
    for attribute in definition.attributes.iter().flatten() {
        // A shadow column: the name of a lookup's record, a choice's label.
        if attribute.shadow_of.is_none() {
            columns.push(
                attributes::column(attribute, details)
                    .map_err(|name| unexpected(&about, &name.to_string()))?,
            );
        }
    }
    if columns.is_empty() {
        return Err(unexpected(&about, "it has no columns"));
    }
    Ok(Table {
        entity_set: EntitySetName::parse(&entity_set)
            .map_err(|error| unexpected(&about, &error.to_string()))?,
        display_name: definition.display_name.and_then(attributes::LabelSet::text),
        primary_id: parsed(&primary_id, &about)?,
        primary_name: definition
            .primary_name_attribute
            .and_then(|name| LogicalName::parse(&name).ok()),
        keys: definition
            .keys
            .into_iter()
            .flatten()
            .map(|key| alternate_key(key, &about))
            .collect::<Result<_, _>>()?,
        name,
        columns,
        collation,
    })
}

fn alternate_key(key: Key, table: &str) -> Result<AlternateKey, DataverseError> {
    Ok(AlternateKey {
        columns: key
            .columns
            .iter()
            .map(|column| parsed(column, table))
            .collect::<Result<_, _>>()?,
        // A key of which nothing is told is not one to rely on.
        status: match key.status.as_deref() {
            Some("Active") => KeyStatus::Active,
            Some("InProgress") => KeyStatus::InProgress,
            Some("Failed") => KeyStatus::Failed,
            Some(_) | None => KeyStatus::Pending,
        },
        name: key.logical_name,
    })
}

fn parsed(name: &str, table: &str) -> Result<LogicalName, DataverseError> {
    LogicalName::parse(name).map_err(|error| unexpected(table, &error.to_string()))
}

fn parse<T: for<'a> Deserialize<'a>>(answer: &Answer, about: &str) -> Result<T, DataverseError> {
    if answer.status != 200 {
        return Err(DataverseError::from_said(answer.said()));
    }
    serde_json::from_slice(&answer.body).map_err(|error| unexpected(about, &error.to_string()))
}

fn unexpected(about: &str, why: &str) -> DataverseError {
    DataverseError::Unexpected {
        about: about.to_owned(),
        why: why.to_owned(),
    }
}
