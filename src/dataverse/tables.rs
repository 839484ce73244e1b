//! The list of tables: one request, no columns.
//!
//! Source: Microsoft Learn, "Query table definitions using the Web API".

use serde::Deserialize;

use super::address::BASE;
use super::http::{Http, Request};
use super::{DataverseError, attributes, metadata};

/// A table by its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    /// `contact`
    pub logical_name: String,
    /// `contacts`, as URLs write it; tables that cannot be asked for have none.
    pub entity_set: Option<String>,
    /// The label that people see, where the service has one.
    pub display_name: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    value: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    #[serde(rename = "LogicalName")]
    logical: String,
    entity_set_name: Option<String>,
    display_name: Option<attributes::LabelSet>,
}

/// All tables, by logical name.
pub(super) async fn tables(http: &Http) -> Result<Vec<TableName>, DataverseError> {
    let path = format!("{BASE}/EntityDefinitions?$select=LogicalName,EntitySetName,DisplayName");
    let answer = http
        .read_patiently(&Request::Get { path, prefer: None })
        .await?;
    let page: Page = metadata::parse(&answer, "the list of tables")?;
    let mut tables: Vec<TableName> = page.value.into_iter().map(Listed::named).collect();
    tables.sort_by(|a, b| a.logical_name.cmp(&b.logical_name));
    Ok(tables)
}

impl Listed {
    fn named(self) -> TableName {
        TableName {
            logical_name: self.logical,
            entity_set: self.entity_set_name,
            display_name: self
                .display_name
                .as_ref()
                .and_then(attributes::LabelSet::text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::loopback::{Loopback, json};
    use super::*;

    #[tokio::test]
    async fn tables_come_sorted_with_the_names_that_they_have() {
        let body = r#"{"value":[{"LogicalName":"b","EntitySetName":"bs","DisplayName":
            {"LocalizedLabels":[{"Label":"Bee","LanguageCode":1033}],"UserLocalizedLabel":null}},
            {"LogicalName":"a","EntitySetName":null,"DisplayName":null}]}"#;
        let server = Loopback::environment(move |_, _| json("200 OK", body)).await;
        let tables = tables(&server.http()).await.unwrap();
        assert_eq!(tables[0].logical_name, "a");
        assert_eq!(tables[0].entity_set, None);
        assert_eq!(tables[1].display_name.as_deref(), Some("Bee"));
        assert_eq!(server.asked_of_environment().len(), 1);
    }
}
