//! `RetrieveMetadataChanges`: definitions by a query in JSON, and what changed since.
//!
//! The schema of a running environment does not change, so a client that knows the current stamp
//! learns of nothing new, and every other stamp has expired. Source: Microsoft Learn, "Query schema
//! definitions" and "Cache schema data".

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Answer;
use super::node::{Linked, Node};
use super::refusal::Refusal;
use super::types::{ENTITY, Link};
use crate::schema::Schema;

/// `EntityQueryExpression`, and the queries inside it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Query {
    criteria: Option<Criteria>,
    properties: Option<Properties>,
    #[serde(rename = "AttributeQuery")]
    attributes: Option<Box<Query>>,
    #[serde(rename = "RelationshipQuery")]
    relationships: Option<Box<Query>>,
    #[serde(rename = "KeyQuery")]
    keys: Option<Box<Query>>,
    #[serde(rename = "LabelQuery")]
    labels: Option<LabelQuery>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Criteria {
    filter_operator: Option<Joined>,
    conditions: Vec<Condition>,
    filters: Vec<Criteria>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Joined {
    And,
    Or,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Condition {
    property_name: String,
    #[serde(rename = "ConditionOperator")]
    operator: Operator,
    value: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Operator {
    Equals,
    NotEquals,
    In,
    NotIn,
    GreaterThan,
    LessThan,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Properties {
    all_properties: bool,
    property_names: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct LabelQuery {
    filter_languages: Vec<u32>,
}

/// Answers `RetrieveMetadataChanges(Query=@p1,…)?@p1=…`; `arguments` stand in its parentheses.
/// Both are decoded.
pub(crate) fn answer(
    schema: &Schema,
    base_url: &str,
    arguments: &str,
    aliases: &HashMap<String, String>,
) -> Answer {
    match changes(schema, base_url, arguments, aliases) {
        Ok(body) => Answer { status: 200, body },
        Err(refusal) => refusal.into(),
    }
}

fn changes(
    schema: &Schema,
    base_url: &str,
    arguments: &str,
    aliases: &HashMap<String, String>,
) -> Result<Value, Refusal> {
    let stamp = format!("{:010}!segue", schema.fingerprint());
    let mut query = Query::default();
    let mut known: Option<String> = None;
    for argument in arguments.split(',').filter(|argument| !argument.is_empty()) {
        let (name, value) = argument.split_once('=').ok_or_else(unreadable)?;
        let value = aliases.get(value.trim()).map_or(value, String::as_str);
        match name.trim() {
            "Query" => {
                query = serde_json::from_str(value)
                    .map_err(|error| Refusal::syntax(format!("The query is not valid. {error}")))?;
            }
            "ClientVersionStamp" if value == "null" => {}
            "ClientVersionStamp" => known = Some(value.trim_matches('\'').to_owned()),
            "DeletedMetadataFilters" | "AppModuleId" | "RetrieveAllSettings" => {}
            _ => return Err(unreadable()),
        }
    }
    let tables = match known {
        None => tables(schema, &query)?,
        Some(known) if known == stamp => Vec::new(),
        Some(_) => return Err(Refusal::expired()),
    };
    Ok(json!({
        "@odata.context":
            format!("{base_url}/$metadata#Microsoft.Dynamics.CRM.RetrieveMetadataChangesResponse"),
        "ServerVersionStamp": stamp,
        "DeletedMetadata": {"Count": 0, "IsReadOnly": false, "Keys": [], "Values": []},
        "EntityMetadata": tables,
    }))
}

fn unreadable() -> Refusal {
    Refusal::syntax("Bad Request - Error in query syntax.")
}

fn tables(schema: &Schema, query: &Query) -> Result<Vec<Value>, Refusal> {
    let mut found = Vec::new();
    for table in schema.tables.values() {
        let node = Node::Entity(table);
        if !query.holds(schema, &node)? {
            continue;
        }
        let mut object = query.shown(schema, &node)?;
        for (name, link) in ENTITY.links {
            if query.wants(name) {
                let inner = query.inner(*link);
                object.insert((*name).to_owned(), linked(schema, &node, *link, inner)?);
            }
        }
        let mut value = Value::Object(object);
        if let Some(labels) = &query.labels {
            labels.cut(&mut value);
        }
        found.push(value);
    }
    Ok(found)
}

fn linked(
    schema: &Schema,
    node: &Node<'_>,
    link: Link,
    query: Option<&Query>,
) -> Result<Value, Refusal> {
    let Linked::Many(nodes) = node.follow(schema, link) else {
        return Ok(Value::Null);
    };
    let all = Query {
        properties: Some(Properties {
            all_properties: true,
            property_names: Vec::new(),
        }),
        ..Query::default()
    };
    let query = query.unwrap_or(&all);
    let mut shown = Vec::new();
    for node in nodes {
        if query.holds(schema, &node)? {
            let mut object = query.shown(schema, &node)?;
            let kind = format!("#Microsoft.Dynamics.CRM.{}", node.type_of().name);
            object.insert("@odata.type".to_owned(), kind.into());
            for (name, link) in node.type_of().links {
                if query.wants(name)
                    && let Linked::One(Some(choices)) = node.follow(schema, *link)
                {
                    let choices = all.shown(schema, &choices)?;
                    object.insert((*name).to_owned(), choices.into());
                }
            }
            shown.push(Value::Object(object));
        }
    }
    Ok(Value::Array(shown))
}

impl Query {
    fn inner(&self, link: Link) -> Option<&Query> {
        match link {
            Link::Attributes => self.attributes.as_deref(),
            Link::Keys => self.keys.as_deref(),
            Link::ManyToOne | Link::OneToMany | Link::ManyToMany => self.relationships.as_deref(),
            Link::OptionSet | Link::GlobalOptionSet => None,
        }
    }

    fn wants(&self, name: &str) -> bool {
        let wanted = |properties: &Properties| {
            properties.all_properties || properties.property_names.iter().any(|p| p == name)
        };
        self.properties.as_ref().is_some_and(wanted)
    }

    fn holds(&self, schema: &Schema, node: &Node<'_>) -> Result<bool, Refusal> {
        match &self.criteria {
            Some(criteria) => criteria.holds(schema, node),
            None => Ok(true),
        }
    }

    /// The properties that were asked for; id and name always come.
    fn shown(&self, schema: &Schema, node: &Node<'_>) -> Result<Map<String, Value>, Refusal> {
        let kind = node.type_of();
        let mut object = Map::new();
        let asked = self.properties.as_ref();
        for name in asked.iter().flat_map(|asked| &asked.property_names) {
            let is_link = kind.link(name).is_some();
            if kind.property(name).is_none() && !is_link && !known_elsewhere(name) {
                return Err(Refusal::property(name, kind.name));
            }
        }
        for name in kind.names() {
            let is_name = matches!(
                name,
                "MetadataId" | "LogicalName" | "SchemaName" | "HasChanged"
            );
            if is_name || self.wants(name) {
                object.insert(name.to_owned(), node.property(schema, name));
            }
        }
        Ok(object)
    }
}

/// Columns of different types are asked for the properties of all of them.
fn known_elsewhere(name: &str) -> bool {
    super::types::CASTS
        .iter()
        .any(|cast| cast.property(name).is_some() || cast.link(name).is_some())
}

impl Criteria {
    fn holds(&self, schema: &Schema, node: &Node<'_>) -> Result<bool, Refusal> {
        let mut verdicts = Vec::new();
        for condition in &self.conditions {
            verdicts.push(condition.holds(schema, node)?);
        }
        for filter in &self.filters {
            verdicts.push(filter.holds(schema, node)?);
        }
        Ok(match self.filter_operator.unwrap_or(Joined::And) {
            Joined::And => verdicts.iter().all(|holds| *holds),
            Joined::Or => verdicts.is_empty() || verdicts.iter().any(|holds| *holds),
        })
    }
}

impl Condition {
    fn holds(&self, schema: &Schema, node: &Node<'_>) -> Result<bool, Refusal> {
        let kind = node.type_of();
        if kind.property(&self.property_name).is_none() && !known_elsewhere(&self.property_name) {
            return Err(Refusal::property(&self.property_name, kind.name));
        }
        let actual = plain(&node.property(schema, &self.property_name));
        let wanted = self.wanted();
        let is_among = || wanted.contains(&actual);
        let number = |value: Option<&String>| value.and_then(|value| value.parse::<f64>().ok());
        let pair = (
            number(actual.as_ref()),
            number(wanted.first().and_then(Option::as_ref)),
        );
        Ok(match self.operator {
            Operator::Equals | Operator::In => is_among(),
            Operator::NotEquals | Operator::NotIn => !is_among(),
            Operator::GreaterThan => matches!(pair, (Some(left), Some(right)) if left > right),
            Operator::LessThan => matches!(pair, (Some(left), Some(right)) if left < right),
        })
    }

    /// `{"Type": "System.String", "Value": "contact"}`, a list of such texts, or null.
    fn wanted(&self) -> Vec<Option<String>> {
        let Some(value) = &self.value else {
            return vec![None];
        };
        let inner = value.get("Value").unwrap_or(value);
        match inner {
            Value::Array(list) => list.iter().map(plain).collect(),
            Value::String(text) if text.starts_with('[') => {
                let list = text.trim_matches(['[', ']']).split(',');
                list.map(|item| Some(item.trim().trim_matches(['"', '\'']).to_owned()))
                    .collect()
            }
            other => vec![plain(other)],
        }
    }
}

/// A value as bare text; managed properties are what they hold. Null is none.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some("true".to_owned()),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some("false".to_owned()),
        Value::String(text) => Some(text.clone()),
        Value::Object(object) => plain(object.get("Value")?),
        other => Some(other.to_string()),
    }
}

impl LabelQuery {
    /// Leaves only the labels of the languages that were asked for.
    fn cut(&self, value: &mut Value) {
        if self.filter_languages.is_empty() {
            return;
        }
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.cut(item)),
            Value::Object(members) => {
                for (name, member) in members.iter_mut() {
                    if name == "LocalizedLabels"
                        && let Value::Array(labels) = member
                    {
                        labels.retain(|label| {
                            let language = label["LanguageCode"].as_u64();
                            let language = language.and_then(|code| u32::try_from(code).ok());
                            language.is_some_and(|code| self.filter_languages.contains(&code))
                        });
                    }
                    self.cut(member);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(query: &Value, stamp: Option<&str>) -> Answer {
        let schema = Schema::built_in().unwrap();
        let mut aliases = HashMap::from([("@p1".to_owned(), query.to_string())]);
        let mut arguments = "Query=@p1".to_owned();
        if let Some(stamp) = stamp {
            arguments.push_str(",ClientVersionStamp=@p2");
            aliases.insert("@p2".to_owned(), format!("'{stamp}'"));
        }
        answer(&schema, "http://x", &arguments, &aliases)
    }

    #[test]
    fn columns_come_with_what_is_particular_to_them() {
        let condition = json!({"PropertyName": "LogicalName", "ConditionOperator": "Equals",
            "Value": {"Type": "System.String", "Value": "contact"}});
        let column = json!({"PropertyName": "LogicalName", "ConditionOperator": "In",
            "Value": {"Type": "System.String[]", "Value": "['lastname','gendercode']"}});
        let query = json!({
            "Properties": {"PropertyNames": ["LogicalName", "Attributes"]},
            "Criteria": {"FilterOperator": "And", "Conditions": [condition]},
            "AttributeQuery": {
                "Properties": {"PropertyNames": ["MaxLength", "OptionSet", "DisplayName"]},
                "Criteria": {"Conditions": [column]},
            },
            "LabelQuery": {"FilterLanguages": [1031], "MissingLabelBehavior": 0},
        });
        let Answer { status, body } = ask(&query, None);
        assert_eq!(status, 200, "{body}");
        let tables = body["EntityMetadata"].as_array().unwrap();
        assert_eq!(tables.len(), 1);
        let columns = tables[0]["Attributes"].as_array().unwrap();
        assert_eq!(columns.len(), 2);
        let named = |name: &str| columns.iter().find(|c| c["LogicalName"] == name).unwrap();
        assert_eq!(named("lastname")["MaxLength"], 50);
        assert_eq!(
            named("lastname")["@odata.type"],
            "#Microsoft.Dynamics.CRM.StringAttributeMetadata"
        );
        let option = &named("gendercode")["OptionSet"]["Options"][0];
        let labels = option["Label"]["LocalizedLabels"].as_array().unwrap();
        assert_eq!(labels.len(), 1);
        assert_eq!(labels[0]["LanguageCode"], 1031);
    }

    #[test]
    fn a_known_stamp_has_nothing_new_and_another_has_expired() {
        let body = ask(&json!({}), None).body;
        let stamp = body["ServerVersionStamp"].as_str().unwrap();
        let again = ask(&json!({}), Some(stamp));
        assert_eq!(again.body["EntityMetadata"], json!([]));
        let expired = ask(&json!({}), Some("1!x"));
        assert_eq!(expired.status, 400);
        assert_eq!(expired.body["error"]["code"], "0x80044352");
    }

    #[test]
    fn what_is_no_query_is_refused() {
        for query in [
            json!({"Criteria": {"FilterOperator": "Xor"}}),
            json!({"Properties": {"PropertyNames": ["Nothing"]}}),
            json!([1]),
        ] {
            assert_eq!(ask(&query, None).status, 400, "{query}");
        }
    }
}
