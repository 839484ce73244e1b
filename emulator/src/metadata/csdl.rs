//! `$metadata`: the tables as an OData model in XML.
//!
//! Only what the emulator serves is in it: types and sets of tables, their properties, navigation
//! properties and alternate keys, functions and actions. Source: Microsoft Learn, "Web API types
//! and operations", "CSDL $metadata document".

mod operations;

use std::fmt::Write as _;

use crate::schema::{ColumnDef, ColumnKind, KeyIndexStatus, Ownership, Schema, TableDef};

const HEAD: &str = concat!(
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>",
    "<edmx:Edmx Version=\"4.0\" xmlns:edmx=\"http://docs.oasis-open.org/odata/ns/edmx\">",
    "<edmx:DataServices>",
    "<Schema Namespace=\"Microsoft.Dynamics.CRM\" Alias=\"mscrm\" ",
    "xmlns=\"http://docs.oasis-open.org/odata/ns/edm\">",
    "<EntityType Name=\"crmbaseentity\" Abstract=\"true\" />",
    "<EntityType Name=\"principal\" BaseType=\"mscrm.crmbaseentity\">",
    "<Key><PropertyRef Name=\"ownerid\" /></Key>",
    "<Property Name=\"ownerid\" Type=\"Edm.Guid\" /></EntityType>",
);
const TAIL: &str = "</Schema></edmx:DataServices></edmx:Edmx>";

/// The whole document.
pub(crate) fn document(schema: &Schema) -> String {
    let mut document = Document {
        schema,
        xml: String::from(HEAD),
    };
    for table in schema.tables.values() {
        document.entity_type(table);
    }
    document.operations();
    document.element(format_args!("<EntityContainer Name=\"System\">"));
    for table in schema.tables.values() {
        document.entity_set(table);
    }
    document.imports();
    document.element(format_args!("</EntityContainer>"));
    document.xml.push_str(TAIL);
    document.xml
}

/// Users and teams are told apart from other tables by the id that they inherit.
fn is_principal(table: &TableDef) -> bool {
    matches!(table.logical_name.as_str(), "systemuser" | "team")
}

struct Document<'a> {
    schema: &'a Schema,
    xml: String,
}

impl Document<'_> {
    fn element(&mut self, text: std::fmt::Arguments<'_>) {
        let written = self.xml.write_fmt(text);
        debug_assert!(written.is_ok(), "a string takes everything");
    }

    fn entity_type(&mut self, table: &TableDef) {
        let name = &table.logical_name;
        if is_principal(table) {
            self.element(format_args!(
                "<EntityType Name=\"{name}\" BaseType=\"mscrm.principal\">"
            ));
        } else {
            let id = &table.primary_id;
            self.element(format_args!(
                "<EntityType Name=\"{name}\" BaseType=\"mscrm.crmbaseentity\">\
                 <Key><PropertyRef Name=\"{id}\" /></Key>"
            ));
        }
        for column in &table.columns {
            self.property(column);
        }
        self.lookups(table);
        self.collections(table);
        self.keys(table);
        self.element(format_args!("</EntityType>"));
    }

    fn property(&mut self, column: &ColumnDef) {
        let name = &column.logical_name;
        match &column.kind {
            ColumnKind::Lookup { .. } => self.element(format_args!(
                "<Property Name=\"_{name}_value\" Type=\"Edm.Guid\" />"
            )),
            ColumnKind::Decimal { .. } | ColumnKind::Money { .. } => self.element(format_args!(
                "<Property Name=\"{name}\" Type=\"Edm.Decimal\" Scale=\"Variable\" />"
            )),
            kind => self.element(format_args!(
                "<Property Name=\"{name}\" Type=\"{}\" />",
                edm(kind)
            )),
        }
    }

    /// The lookups, by navigation property; the owner's has one for all of its tables.
    fn lookups(&mut self, table: &TableDef) {
        let mut seen: Vec<&str> = Vec::new();
        for lookup in table.relationships.iter().filter(|it| it.is_told) {
            if seen.contains(&lookup.navigation.as_str()) {
                continue;
            }
            seen.push(&lookup.navigation);
            let shared = table.relationships.iter();
            let shared = shared.filter(|other| other.navigation == lookup.navigation);
            let is_owner = table.ownership == Ownership::User && shared.count() > 1;
            let target = if is_owner {
                "principal"
            } else {
                &lookup.target
            };
            let id = self.schema.tables.get(&lookup.target);
            let id = match id {
                Some(table) if !is_owner && !is_principal(table) => table.primary_id.as_str(),
                _ => "ownerid",
            };
            self.element(format_args!(
                "<NavigationProperty Name=\"{}\" Type=\"mscrm.{target}\" Nullable=\"false\">\
                 <ReferentialConstraint Property=\"_{}_value\" ReferencedProperty=\"{id}\" />\
                 </NavigationProperty>",
                lookup.navigation, lookup.column
            ));
        }
    }

    fn collections(&mut self, table: &TableDef) {
        for referencing in self.schema.tables.values() {
            for lookup in &referencing.relationships {
                if lookup.is_told && lookup.target == table.logical_name {
                    self.element(format_args!(
                        "<NavigationProperty Name=\"{}\" Type=\"Collection(mscrm.{})\" \
                         Partner=\"{}\" />",
                        lookup.collection, referencing.logical_name, lookup.navigation
                    ));
                }
            }
        }
        for intersect in self.schema.tables.values().filter_map(TableDef::intersect) {
            let [first, second] = &intersect.sides;
            for (here, there) in [(first, second), (second, first)] {
                if here.table == table.logical_name {
                    self.element(format_args!(
                        "<NavigationProperty Name=\"{}\" Type=\"Collection(mscrm.{})\" \
                         Partner=\"{}\" />",
                        here.navigation, there.table, there.navigation
                    ));
                }
            }
        }
    }

    /// The keys that a URL may name beside the id.
    fn keys(&mut self, table: &TableDef) {
        let keys = table.keys.iter();
        let mut keys = keys
            .filter(|key| key.status == KeyIndexStatus::Active)
            .peekable();
        if keys.peek().is_none() {
            return;
        }
        self.element(format_args!(
            "<Annotation Term=\"OData.Community.Keys.V1.AlternateKeys\"><Collection>"
        ));
        for key in keys {
            self.element(format_args!(
                "<Record Type=\"OData.Community.Keys.V1.AlternateKey\">\
                 <PropertyValue Property=\"Key\"><Collection>"
            ));
            for name in &key.columns {
                let kind = table.column(name).map(|column| &column.kind);
                let property = match kind {
                    Some(ColumnKind::Lookup { .. }) => format!("_{name}_value"),
                    _ => name.clone(),
                };
                self.element(format_args!(
                    "<Record Type=\"OData.Community.Keys.V1.PropertyRef\">\
                     <PropertyValue Property=\"Alias\" String=\"{property}\" />\
                     <PropertyValue Property=\"Name\" PropertyPath=\"{property}\" /></Record>"
                ));
            }
            self.element(format_args!("</Collection></PropertyValue></Record>"));
        }
        self.element(format_args!("</Collection></Annotation>"));
    }

    fn entity_set(&mut self, table: &TableDef) {
        let (set, name) = (&table.entity_set, &table.logical_name);
        self.element(format_args!(
            "<EntitySet Name=\"{set}\" EntityType=\"Microsoft.Dynamics.CRM.{name}\">"
        ));
        let mut seen: Vec<&str> = Vec::new();
        for lookup in table.relationships.iter().filter(|it| it.is_told) {
            let target = self.schema.tables.get(&lookup.target);
            if let Some(target) = target.filter(|_| !seen.contains(&lookup.navigation.as_str())) {
                seen.push(&lookup.navigation);
                self.element(format_args!(
                    "<NavigationPropertyBinding Path=\"{}\" Target=\"{}\" />",
                    lookup.navigation, target.entity_set
                ));
            }
        }
        self.element(format_args!("</EntitySet>"));
    }
}

fn edm(kind: &ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text { .. } | ColumnKind::Memo { .. } | ColumnKind::MultiSelect { .. } => {
            "Edm.String"
        }
        ColumnKind::Integer { .. }
        | ColumnKind::Picklist { .. }
        | ColumnKind::State { .. }
        | ColumnKind::Status { .. } => "Edm.Int32",
        ColumnKind::BigInt => "Edm.Int64",
        ColumnKind::Decimal { .. } | ColumnKind::Money { .. } => "Edm.Decimal",
        ColumnKind::Double { .. } => "Edm.Double",
        ColumnKind::Boolean { .. } => "Edm.Boolean",
        ColumnKind::Date => "Edm.Date",
        ColumnKind::DateTime | ColumnKind::DateTimeIndependent => "Edm.DateTimeOffset",
        ColumnKind::Guid | ColumnKind::Lookup { .. } | ColumnKind::File { .. } => "Edm.Guid",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_a_type_and_a_set() {
        let schema = Schema::built_in().unwrap();
        let xml = document(&schema);
        for table in schema.tables.values() {
            let name = &table.logical_name;
            assert!(
                xml.contains(&format!("<EntityType Name=\"{name}\"")),
                "{name}"
            );
            assert!(xml.contains(&format!("<EntitySet Name=\"{}\"", table.entity_set)));
        }
        assert!(xml.contains(
            "<NavigationProperty Name=\"parentcustomerid_account\" Type=\"mscrm.account\" \
             Nullable=\"false\"><ReferentialConstraint Property=\"_parentcustomerid_value\" \
             ReferencedProperty=\"accountid\" /></NavigationProperty>"
        ));
        assert!(xml.contains("<NavigationProperty Name=\"ownerid\" Type=\"mscrm.principal\""));
        assert!(xml.contains("<Property Name=\"birthdate\" Type=\"Edm.Date\" />"));
    }

    /// Generic clients resolve every type that they meet, and stop at one that is not there.
    #[test]
    fn every_type_that_is_named_is_declared() {
        let xml = document(&Schema::built_in().unwrap());
        let values = |attribute: &str| -> Vec<String> {
            let marked = format!(" {attribute}=\"");
            let pieces = xml.split(&marked).skip(1);
            pieces
                .map(|piece| piece.split('"').next().unwrap().to_owned())
                .collect()
        };
        let declared = |name: &str| {
            [
                "EntityType",
                "ComplexType",
                "EnumType",
                "Function",
                "Action",
            ]
            .iter()
            .any(|element| xml.contains(&format!("<{element} Name=\"{name}\"")))
        };
        for attribute in ["Type", "BaseType", "EntityType", "Function", "Action"] {
            for value in values(attribute) {
                let bare = value
                    .trim_start_matches("Collection(")
                    .trim_end_matches(')');
                let bare = bare.replace("Microsoft.Dynamics.CRM.", "mscrm.");
                if let Some(name) = bare.strip_prefix("mscrm.") {
                    assert!(declared(name), "{value}");
                } else {
                    assert!(
                        bare.starts_with("Edm.") || bare.starts_with("OData."),
                        "{value}"
                    );
                }
            }
        }
        assert!(xml.contains("<Action Name=\"UpsertMultiple\" IsBound=\"true\">"));
        assert!(xml.contains("PropertyPath=\"accountnumber\""));
    }
}
