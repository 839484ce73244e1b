//! A table's schema, in two requests: the table with its columns and keys, then one `$batch` of what each type of
//! column adds, and the environment's language.
//!
//! Source: Microsoft Learn, "Query table definitions using the Web API".

use serde::Deserialize;

use super::DataverseError;
use super::address::BASE;
use super::attributes::{self, Details, TypeDetails};
use super::codes;
use super::http::{Answer, Http, Request};
use super::questions::{self, Told};
use super::said::Said;
use crate::model::{
    AlternateKey, Cause, Collation, EntitySetName, KeyStatus, LogicalName, Relationship, Table,
};

/// The types of columns that have properties of their own, and what to ask of each. The properties that all
/// columns have come with the table; the enumerations' common parent cannot be asked for.
const TYPES: [(&str, &str); 13] = [
    ("String", "LogicalName,MaxLength"),
    ("Memo", "LogicalName,MaxLength"),
    ("Integer", "LogicalName,MinValue,MaxValue"),
    ("Decimal", "LogicalName,MinValue,MaxValue,Precision"),
    ("Double", "LogicalName,MinValue,MaxValue,Precision"),
    ("Money", "LogicalName,MinValue,MaxValue,Precision"),
    ("DateTime", "LogicalName,DateTimeBehavior"),
    ("Picklist", OPTIONS),
    ("MultiSelectPicklist", OPTIONS),
    ("State", OPTIONS),
    ("Status", OPTIONS),
    ("Boolean", OPTIONS),
    ("Lookup", "LogicalName,Targets"),
];

/// A set of options is the column's own or one that several columns share.
const OPTIONS: &str = "LogicalName&$expand=OptionSet,GlobalOptionSet";

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
struct Relationships {
    many_to_one_relationships: Vec<ManyToOne>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ManyToOne {
    referencing_attribute: Option<String>,
    referenced_entity: Option<String>,
    referencing_entity_navigation_property_name: Option<String>,
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
    let answer = http
        .read_patiently(&Request::Get { path, prefer: None })
        .await?;
    if says_no_table(&answer.said()) {
        return Ok(None);
    }
    parse(&answer, name.as_str()).map(Some)
}

/// `QueryBuilderNoEntity`, `InvalidEntityLogicalName`
fn says_no_table(said: &Said) -> bool {
    match said.error.status {
        404 => !said.is_from_elsewhere(),
        400 => matches!(
            codes::number(&said.error.code),
            Some(0x8004_1102 | 0x8007_2493)
        ),
        _ => false,
    }
}

/// The list of tables is long: it is asked for only when a name is not a logical name.
async fn by_set_name(http: &Http, name: &str) -> Result<Definition, DataverseError> {
    let path = format!("{BASE}/EntityDefinitions?$select=LogicalName,EntitySetName");
    let answer = http
        .read_patiently(&Request::Get { path, prefer: None })
        .await?;
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
    let columns = format!("{BASE}/EntityDefinitions(LogicalName='{table}')/Attributes");
    let of_type = |(name, select): &(&str, &str)| {
        format!("{columns}/Microsoft.Dynamics.CRM.{name}AttributeMetadata?$select={select}")
    };
    let mut paths: Vec<String> = TYPES.iter().map(of_type).collect();
    paths.push(format!("{BASE}/organizations?$select=languagecode"));
    let told = questions::ask(http, &paths).await?;
    let mut details = Details::new();
    for ((type_name, _), told) in TYPES.iter().zip(&told) {
        for column in type_details(table, type_name, told)? {
            details.insert(column.name().to_owned(), column);
        }
    }
    Ok((details, collation(told.last())))
}

/// A type that the environment does not know leaves its columns without details; nothing else may.
fn type_details(
    table: &LogicalName,
    type_name: &str,
    told: &Told,
) -> Result<Vec<TypeDetails>, DataverseError> {
    let about = format!("the {type_name} columns of `{table}`");
    if told.status == 200 {
        return serde_json::from_slice::<Page<TypeDetails>>(&told.body)
            .map(|page| page.value)
            .map_err(|error| unexpected(&about, &error.to_string()));
    }
    let said = Said::read(told.status, None, &told.body);
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
fn collation(told: Option<&Told>) -> Collation {
    let language = told
        .filter(|told| told.status == 200)
        .and_then(|told| serde_json::from_slice::<Page<Organization>>(&told.body).ok())
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
        display_name: definition
            .display_name
            .as_ref()
            .and_then(attributes::LabelSet::text),
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
        relationships: Vec::new(),
        name,
        columns,
        collation,
    })
}

/// Where the lookup columns of a table point, and how they are written.
pub(super) async fn relationships(
    http: &Http,
    table: &LogicalName,
) -> Result<Vec<Relationship>, DataverseError> {
    let path = format!(
        "{BASE}/EntityDefinitions(LogicalName='{table}')?$select=LogicalName\
         &$expand=ManyToOneRelationships($select=SchemaName,ReferencingAttribute,ReferencedEntity,\
         ReferencedAttribute,ReferencingEntityNavigationPropertyName)"
    );
    let answer = http
        .read_patiently(&Request::Get { path, prefer: None })
        .await?;
    let found: Relationships = parse(&answer, table.as_str())?;
    let found = found.many_to_one_relationships.into_iter();
    Ok(found.filter_map(relationship).collect())
}

/// One without a navigation property cannot be written.
fn relationship(found: ManyToOne) -> Option<Relationship> {
    let name = |name: Option<String>| LogicalName::parse(&name?).ok();
    Some(Relationship {
        column: name(found.referencing_attribute)?,
        table: name(found.referenced_entity)?,
        navigation: found.referencing_entity_navigation_property_name?,
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

pub(super) fn parse<T: for<'a> Deserialize<'a>>(
    answer: &Answer,
    about: &str,
) -> Result<T, DataverseError> {
    if answer.status != 200 {
        return Err(DataverseError::from_said(answer.said()));
    }
    serde_json::from_slice(&answer.body).map_err(|error| {
        if answer.said().is_from_elsewhere() {
            DataverseError::from_said(answer.said())
        } else {
            unexpected(about, &error.to_string())
        }
    })
}

fn unexpected(about: &str, why: &str) -> DataverseError {
    DataverseError::Unexpected {
        about: about.to_owned(),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::super::loopback::{Asked, Loopback, batch, json, response};
    use super::super::{DataverseErrorKind, RefusalCause};
    use super::*;
    use crate::model::{ColumnKind, DateTimeBehavior, Label, Required};

    const DEFINITION: &str = r##"{"@odata.context":"x","MetadataId":"m","LogicalName":"contact","EntitySetName":"contacts","PrimaryIdAttribute":"contactid","PrimaryNameAttribute":"fullname",
      "DisplayName":{"LocalizedLabels":[{"Label":"Kontakt","LanguageCode":1031,"IsManaged":true}],"UserLocalizedLabel":{"Label":"Contact","LanguageCode":1033}},
      "Attributes":[
        {"@odata.type":"#Microsoft.Dynamics.CRM.UniqueIdentifierAttributeMetadata","LogicalName":"contactid","AttributeType":"Uniqueidentifier","AttributeTypeName":{"Value":"UniqueidentifierType"},"AttributeOf":null,"IsValidForCreate":true,"IsValidForUpdate":false,"RequiredLevel":{"Value":"SystemRequired","CanBeChanged":false}},
        {"LogicalName":"lastname","AttributeType":"String","AttributeTypeName":{"Value":"StringType"},"IsValidForCreate":true,"IsValidForUpdate":true,"RequiredLevel":{"Value":"ApplicationRequired"},"DisplayName":{"LocalizedLabels":[],"UserLocalizedLabel":null}},
        {"LogicalName":"fullname","AttributeType":"String","AttributeTypeName":{"Value":"StringType"},"IsValidForCreate":false,"IsValidForUpdate":false,"RequiredLevel":{"Value":"None"}},
        {"LogicalName":"description","AttributeType":"Memo","AttributeTypeName":{"Value":"MemoType"}},
        {"LogicalName":"numberofchildren","AttributeType":"Integer","AttributeTypeName":{"Value":"IntegerType"}},
        {"LogicalName":"versionnumber","AttributeType":"BigInt","AttributeTypeName":{"Value":"BigIntType"}},
        {"LogicalName":"exchangerate","AttributeType":"Decimal","AttributeTypeName":{"Value":"DecimalType"}},
        {"LogicalName":"latitude","AttributeType":"Double","AttributeTypeName":{"Value":"DoubleType"}},
        {"LogicalName":"creditlimit","AttributeType":"Money","AttributeTypeName":{"Value":"MoneyType"}},
        {"LogicalName":"birthdate","AttributeType":"DateTime","AttributeTypeName":{"Value":"DateTimeType"}},
        {"LogicalName":"lastonholdtime","AttributeType":"DateTime","AttributeTypeName":{"Value":"DateTimeType"}},
        {"LogicalName":"new_local","AttributeType":"DateTime","AttributeTypeName":{"Value":"DateTimeType"}},
        {"LogicalName":"gendercode","AttributeType":"Picklist","AttributeTypeName":{"Value":"PicklistType"}},
        {"LogicalName":"new_global","AttributeType":"Picklist","AttributeTypeName":{"Value":"PicklistType"}},
        {"LogicalName":"new_interests","AttributeType":"Virtual","AttributeTypeName":{"Value":"MultiSelectPicklistType"}},
        {"LogicalName":"statecode","AttributeType":"State","AttributeTypeName":{"Value":"StateType"}},
        {"LogicalName":"statuscode","AttributeType":"Status","AttributeTypeName":{"Value":"StatusType"}},
        {"LogicalName":"donotemail","AttributeType":"Boolean","AttributeTypeName":{"Value":"BooleanType"}},
        {"LogicalName":"parentcustomerid","AttributeType":"Customer","AttributeTypeName":{"Value":"CustomerType"}},
        {"LogicalName":"parentcustomeridname","AttributeType":"String","AttributeTypeName":{"Value":"StringType"},"AttributeOf":"parentcustomerid"},
        {"LogicalName":"entityimage","AttributeType":"Virtual","AttributeTypeName":{"Value":"ImageType"}},
        {"LogicalName":"new_lost","AttributeType":"String","AttributeTypeName":{"Value":"StringType"}}
      ],
      "Keys":[{"LogicalName":"new_extid_key","SchemaName":"x","KeyAttributes":["lastname","numberofchildren"],"EntityKeyIndexStatus":"Active","MetadataId":"k"},
              {"LogicalName":"new_other","KeyAttributes":["lastname"],"EntityKeyIndexStatus":"Failed"}]}"##;

    const OPTION_SET: &str = r#"{"Options":[{"Value":1,"Label":{"LocalizedLabels":[{"Label":"Male","LanguageCode":1033,"HasChanged":null},{"Label":"Mann","LanguageCode":1031}],"UserLocalizedLabel":{"Label":"Male","LanguageCode":1033}},"Color":null,"State":0}]}"#;

    fn details_of(type_name: &str) -> String {
        let set = OPTION_SET;
        let value = match type_name {
            "String" => r#"{"LogicalName":"lastname","MaxLength":50,"MetadataId":"x"},{"LogicalName":"fullname","MaxLength":-1}"#.to_owned(),
            "Memo" => r#"{"LogicalName":"description","MaxLength":2000}"#.to_owned(),
            "Integer" => r#"{"LogicalName":"numberofchildren","MinValue":0,"MaxValue":1000000000}"#.to_owned(),
            "Decimal" => r#"{"LogicalName":"exchangerate","MinValue":0.0000000001,"MaxValue":100000000000.0,"Precision":10}"#.to_owned(),
            "Double" => r#"{"LogicalName":"latitude","MinValue":-90.0,"MaxValue":9E+1,"Precision":5}"#.to_owned(),
            "Money" => r#"{"LogicalName":"creditlimit","MinValue":null,"MaxValue":922337203685477.0,"Precision":2,"PrecisionSource":2}"#.to_owned(),
            "DateTime" => r#"{"LogicalName":"birthdate","DateTimeBehavior":{"Value":"DateOnly"}},{"LogicalName":"lastonholdtime","DateTimeBehavior":{"Value":"UserLocal"}},{"LogicalName":"new_local","DateTimeBehavior":{"Value":"TimeZoneIndependent"}}"#.to_owned(),
            "Picklist" => format!(r#"{{"LogicalName":"gendercode","OptionSet":{set},"GlobalOptionSet":null}},{{"LogicalName":"new_global","OptionSet":null,"GlobalOptionSet":{set}}}"#),
            "MultiSelectPicklist" => format!(r#"{{"LogicalName":"new_interests","OptionSet":{set}}}"#),
            "State" => format!(r#"{{"LogicalName":"statecode","OptionSet":{set}}}"#),
            "Status" => format!(r#"{{"LogicalName":"statuscode","OptionSet":{set}}}"#),
            "Boolean" => r#"{"LogicalName":"donotemail","OptionSet":{"TrueOption":{"Value":1,"Label":{"LocalizedLabels":[{"Label":"Do Not Allow","LanguageCode":1033}]}},"FalseOption":{"Value":0,"Label":{"LocalizedLabels":[{"Label":"Allow","LanguageCode":1033}]}}}}"#.to_owned(),
            "Lookup" => r#"{"LogicalName":"parentcustomerid","Targets":["account","contact"]}"#.to_owned(),
            other => panic!("{other}"),
        };
        format!(r#"{{"@odata.context":"x","value":[{value}]}}"#)
    }

    fn whole(language: &str) -> Vec<u8> {
        let mut bodies: Vec<String> = TYPES.iter().map(|(name, _)| details_of(name)).collect();
        bodies.push(format!(r#"{{"value":[{{"languagecode":{language}}}]}}"#));
        let parts: Vec<_> = bodies
            .iter()
            .map(|body| ("200 OK", "", body.as_str()))
            .collect();
        batch(&parts)
    }

    fn definition_or(asked: &Asked, otherwise: impl Fn() -> Vec<u8>) -> Vec<u8> {
        if asked
            .line
            .contains("EntityDefinitions(LogicalName='contact')")
        {
            json("200 OK", DEFINITION)
        } else if asked.line.starts_with("POST") {
            otherwise()
        } else if asked.line.contains("EntityDefinitions?") {
            json(
                "200 OK",
                r#"{"value":[{"LogicalName":"contact","EntitySetName":"contacts"},{"LogicalName":"contract","EntitySetName":"contracts"},{"LogicalName":"account","EntitySetName":null}]}"#,
            )
        } else {
            json(
                "404 Not Found",
                r#"{"error":{"code":"0x80060888","message":"Could not find an entity"}}"#,
            )
        }
    }

    fn label(language: u32, text: &str) -> Label {
        Label {
            language,
            text: text.to_owned(),
        }
    }

    async fn contact() -> Table {
        let server = Loopback::environment(|asked, _| definition_or(asked, || whole("1033"))).await;
        let table = table(&server.http(), "contact").await.unwrap();
        assert_eq!(server.asked_of_environment().len(), 2);
        table
    }

    #[tokio::test]
    async fn a_table_is_put_together_from_two_requests() {
        let table = contact().await;
        assert_eq!(table.name.as_str(), "contact");
        assert_eq!(table.entity_set.as_str(), "contacts");
        assert_eq!(table.primary_id.as_str(), "contactid");
        assert_eq!(table.primary_name.unwrap().as_str(), "fullname");
        assert_eq!(table.display_name.as_deref(), Some("Contact"));
        assert_eq!(table.collation, Collation::AccentInsensitive);
        assert_eq!(table.keys.len(), 2);
        assert_eq!(table.keys[0].status, KeyStatus::Active);
        assert_eq!(table.keys[0].columns[1].as_str(), "numberofchildren");
        assert_eq!(table.keys[1].status, KeyStatus::Failed);
    }

    #[tokio::test]
    async fn each_column_has_its_type_and_limits() {
        let table = contact().await;
        let kind = |name: &str| table.column(name).unwrap().kind.clone();
        let number = |text: &str| Decimal::from_str_exact(text).unwrap();
        assert_eq!(kind("contactid"), ColumnKind::Guid);
        assert_eq!(kind("lastname"), ColumnKind::Text { max_length: 50 });
        assert_eq!(kind("description"), ColumnKind::Memo { max_length: 2000 });
        assert_eq!(
            kind("numberofchildren"),
            ColumnKind::Integer {
                min: 0,
                max: 1_000_000_000
            }
        );
        assert_eq!(kind("versionnumber"), ColumnKind::BigInt);
        assert_eq!(
            kind("exchangerate"),
            ColumnKind::Decimal {
                min: number("0.0000000001"),
                max: number("100000000000"),
                precision: 10
            }
        );
        assert_eq!(
            kind("latitude"),
            ColumnKind::Float {
                min: -90.0,
                max: 90.0,
                precision: 5
            }
        );
        assert_eq!(
            kind("creditlimit"),
            ColumnKind::Money {
                min: number("-922337203685477"),
                max: number("922337203685477"),
                precision: 2
            }
        );
    }

    #[tokio::test]
    async fn types_without_numbers_have_their_details() {
        let table = contact().await;
        let kind = |name: &str| table.column(name).unwrap().kind.clone();
        assert_eq!(kind("birthdate"), ColumnKind::Date);
        assert_eq!(
            kind("lastonholdtime"),
            ColumnKind::DateTime {
                behavior: DateTimeBehavior::UserLocal
            }
        );
        assert_eq!(
            kind("new_local"),
            ColumnKind::DateTime {
                behavior: DateTimeBehavior::TimeZoneIndependent
            }
        );
        assert_eq!(
            kind("donotemail"),
            ColumnKind::Boolean {
                yes: vec![label(1033, "Do Not Allow")],
                no: vec![label(1033, "Allow")]
            }
        );
        let ColumnKind::Lookup { targets } = kind("parentcustomerid") else {
            panic!()
        };
        assert_eq!(targets[0].as_str(), "account");
        assert_eq!(
            kind("entityimage"),
            ColumnKind::Other("ImageType".to_owned())
        );
        assert_eq!(kind("new_lost"), ColumnKind::Other("StringType".to_owned()));
        assert_eq!(kind("fullname"), ColumnKind::Other("StringType".to_owned()));
        assert!(table.column("parentcustomeridname").is_none());
        assert_eq!(table.columns.len(), 21);
    }

    #[tokio::test]
    async fn options_have_their_labels_in_every_language() {
        let table = contact().await;
        for name in [
            "gendercode",
            "new_global",
            "new_interests",
            "statecode",
            "statuscode",
        ] {
            let options = match &table.column(name).unwrap().kind {
                ColumnKind::Choice { options }
                | ColumnKind::Choices { options }
                | ColumnKind::State { options }
                | ColumnKind::Status { options } => options,
                other => panic!("{other:?}"),
            };
            assert_eq!(options.len(), 1);
            assert_eq!(options[0].value, 1);
            assert_eq!(options[0].state, Some(0));
            assert_eq!(
                options[0].labels,
                [label(1033, "Male"), label(1031, "Mann")]
            );
        }
    }

    #[tokio::test]
    async fn a_column_tells_what_may_carry_it() {
        let table = contact().await;
        let column = |name: &str| table.column(name).unwrap();
        assert!(column("contactid").creatable && !column("contactid").updatable);
        assert!(!column("fullname").creatable && !column("fullname").updatable);
        assert_eq!(column("contactid").required, Required::System);
        assert_eq!(column("lastname").required, Required::Business);
        assert_eq!(column("fullname").required, Required::No);
    }

    #[tokio::test]
    async fn a_table_is_also_known_by_its_set() {
        let server = Loopback::environment(|asked, _| definition_or(asked, || whole("1053"))).await;
        let table = table(&server.http(), "contacts").await.unwrap();
        assert_eq!(table.name.as_str(), "contact");
        assert_eq!(table.collation, Collation::AccentSensitive);
    }

    #[tokio::test]
    async fn an_unknown_table_is_answered_with_close_names() {
        let server = Loopback::environment(|asked, _| definition_or(asked, || whole("1033"))).await;
        let error = table(&server.http(), "contcat").await.unwrap_err();
        assert_eq!(error.kind(), DataverseErrorKind::Contract);
        let DataverseError::NoSuchTable { close, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(close.first().map(String::as_str), Some("contact"));
        let error = table(&server.http(), "x/y' or 1 eq 1").await.unwrap_err();
        assert!(matches!(error, DataverseError::NoSuchTable { close, .. } if close.is_empty()));
        assert!(
            server
                .asked()
                .iter()
                .all(|asked| !asked.line.contains("x/y"))
        );
    }

    #[tokio::test]
    async fn an_unknown_type_leaves_only_its_columns_out() {
        let missing =
            r#"{"error":{"code":"0x8006088a","message":"Resource not found for the segment"}}"#;
        let server = Loopback::environment(move |asked, _| {
            definition_or(asked, || {
                let mut bodies: Vec<_> = TYPES
                    .iter()
                    .map(|(name, _)| ("200 OK", details_of(name)))
                    .collect();
                bodies[8] = ("404 Not Found", missing.to_owned());
                bodies.push(("403 Forbidden", String::new()));
                let parts: Vec<_> = bodies
                    .iter()
                    .map(|(status, body)| (*status, "", body.as_str()))
                    .collect();
                batch(&parts)
            })
        })
        .await;
        let table = table(&server.http(), "contact").await.unwrap();
        let kind = |name: &str| table.column(name).unwrap().kind.clone();
        assert_eq!(
            kind("new_interests"),
            ColumnKind::Other("MultiSelectPicklistType".to_owned())
        );
        assert_eq!(kind("lastname"), ColumnKind::Text { max_length: 50 });
        assert_eq!(table.collation, Collation::AccentInsensitive);
    }

    #[tokio::test]
    async fn who_answers_in_the_environment_s_place_does_not_know_its_tables() {
        const PAGE: &str = "<html><head><title>Sign in</title></head></html>";
        for status in [
            "200 OK",
            "302 Found",
            "403 Forbidden",
            "404 Not Found",
            "405 Not Allowed",
        ] {
            for in_batch in [false, true] {
                let server = Loopback::environment(move |asked, _| {
                    if in_batch {
                        definition_or(asked, || response(status, "", PAGE))
                    } else {
                        response(status, "", PAGE)
                    }
                })
                .await;
                let error = table(&server.http(), "contact").await.unwrap_err();
                let DataverseError::Refused { cause, error: said } = &error else {
                    panic!("{status}: {error}")
                };
                assert_eq!(*cause, RefusalCause::Interposed, "{status}");
                assert_eq!(said.message, "Sign in");
                assert_eq!(error.kind(), DataverseErrorKind::Connection);
            }
        }
    }

    #[tokio::test]
    async fn half_an_answer_is_no_schema() {
        for answer in [
            batch(&[("200 OK", "", r#"{"value":[]}"#)]),
            batch(&[("429 Too Many Requests", "Retry-After: 3\r\n", ""); 14]),
            batch(&[("200 OK", "", r#"{"value":7}"#); 14]),
            response("503 Service Unavailable", "", ""),
            response("200 OK", "", "<html>"),
        ] {
            let server =
                Loopback::environment(move |asked, _| definition_or(asked, || answer.clone()))
                    .await;
            table(&server.http(), "contact").await.unwrap_err();
        }
    }

    #[tokio::test]
    async fn a_definition_without_what_is_needed_is_told() {
        for body in [
            r#"{"LogicalName":"contact"}"#,
            r#"{"LogicalName":"contact","EntitySetName":"contacts","PrimaryIdAttribute":"contactid","Attributes":[]}"#,
            r#"{"LogicalName":"contact","EntitySetName":"con tacts","PrimaryIdAttribute":"contactid"}"#,
            "[]",
        ] {
            let server = Loopback::environment(move |asked, _| {
                if asked.line.starts_with("POST") {
                    whole("1033")
                } else {
                    json("200 OK", body)
                }
            })
            .await;
            let error = table(&server.http(), "contact").await.unwrap_err();
            assert!(
                matches!(error, DataverseError::Unexpected { .. }),
                "{error}"
            );
        }
    }
}
