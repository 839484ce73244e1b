//! What is changed in a schema while the environment runs: one step each, as a data file keeps it.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::column::{self, NewColumn};
use super::written::{Labels, Pairs, WrittenColumn};
use super::{
    ColumnDef, ColumnKind, KeyIndexStatus, OnDelete, OptionSet, Schema, SchemaError, TableDef,
    build, check,
};

/// One step. Names are logical names unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Change {
    /// A table, or columns and keys of one, as a schema file writes them.
    Add(Json),
    /// A column gets other limits and labels; its type stays.
    Column {
        table: String,
        /// Its schema name.
        column: String,
        written: Json,
    },
    /// A table gets another display name.
    Rename {
        table: String,
        display: String,
    },
    /// A global choice, or other options for one that is there: options by number.
    Choices {
        name: String,
        options: Json,
    },
    DropChoices {
        name: String,
    },
    /// A reason is added to a state: one option by number.
    Reason {
        table: String,
        state: i32,
        option: Json,
    },
    /// What a delete does to the rows of a relationship.
    Delete {
        relationship: String,
        on_delete: OnDelete,
    },
    DropTable {
        table: String,
    },
    DropColumn {
        table: String,
        column: String,
    },
    DropKey {
        table: String,
        key: String,
    },
    /// The index of a key has come this far.
    Key {
        table: String,
        key: String,
        status: KeyIndexStatus,
    },
}

impl Schema {
    /// Takes one step; after a refused one the schema is unchanged.
    pub(crate) fn apply(&mut self, change: &Change) -> Result<(), SchemaError> {
        let mut changed = self.clone();
        changed.take(change)?;
        check::check(&changed)?;
        *self = changed;
        Ok(())
    }

    fn take(&mut self, change: &Change) -> Result<(), SchemaError> {
        match change {
            Change::Add(written) => return build::add(self, &written.to_string()),
            Change::Column {
                table,
                column,
                written,
            } => return self.replace(table, column, written),
            Change::Rename { table, display } => {
                display.clone_into(&mut self.table(table)?.display_name);
            }
            Change::Choices { name, options } => return self.set_choices(name, options),
            Change::Reason {
                table,
                state,
                option,
            } => return self.add_reason(table, *state, option),
            Change::DropChoices { name } => self.choices.retain(|set| set.name != *name),
            Change::Delete {
                relationship,
                on_delete,
            } => {
                let tables = self.tables.values_mut();
                let mut lookups = tables.flat_map(|table| &mut table.relationships);
                if let Some(found) = lookups.find(|it| it.schema_name == *relationship) {
                    found.on_delete = *on_delete;
                }
            }
            Change::DropTable { table } => {
                self.table(table)?;
                self.tables.remove(table);
            }
            Change::DropColumn { table, column } => {
                let table = self.table(table)?;
                table.columns.retain(|it| it.logical_name != *column);
                table.relationships.retain(|it| it.column != *column);
            }
            Change::DropKey { table, key } => {
                self.table(table)?.keys.retain(|it| it.logical_name != *key);
            }
            Change::Key { table, key, status } => {
                let mut keys = self.table(table)?.keys.iter_mut();
                if let Some(key) = keys.find(|it| it.logical_name == *key) {
                    key.status = *status;
                }
            }
        }
        Ok(())
    }

    fn table(&mut self, name: &str) -> Result<&mut TableDef, SchemaError> {
        self.tables.get_mut(name).ok_or_else(|| SchemaError::Table {
            table: name.to_owned(),
            problem: "there is no such table".to_owned(),
        })
    }

    fn replace(&mut self, table: &str, name: &str, written: &Json) -> Result<(), SchemaError> {
        let written: WrittenColumn = serde_json::from_value(written.clone())?;
        let refused = |problem: &str| SchemaError::Column {
            table: table.to_owned(),
            column: name.to_lowercase(),
            problem: problem.to_owned(),
        };
        let of_table = self.table(table)?.clone();
        let NewColumn { column: new, .. } =
            column::read(self, &of_table, name, written).map_err(|problem| refused(&problem))?;
        let mut columns = self.table(table)?.columns.iter_mut();
        let old = columns.find(|it| it.logical_name == new.logical_name);
        let old = old.ok_or_else(|| refused("there is no such column"))?;
        if std::mem::discriminant(&old.kind) != std::mem::discriminant(&new.kind) {
            return Err(refused("the type of a column cannot be changed"));
        }
        *old = ColumnDef {
            // Where a lookup points is a matter of its relationships.
            kind: match &old.kind {
                kind @ ColumnKind::Lookup { .. } => kind.clone(),
                _ => new.kind,
            },
            display_name: new.display_name,
            required: new.required,
            ..old.clone()
        };
        Ok(())
    }

    fn add_reason(&mut self, name: &str, state: i32, option: &Json) -> Result<(), SchemaError> {
        let written: Pairs<Labels> = serde_json::from_value(option.clone())?;
        let refused = |problem| SchemaError::Table {
            table: name.to_owned(),
            problem,
        };
        let mut new = column::options(written, None).map_err(refused)?;
        for option in &mut new {
            option.state = Some(state);
        }
        let columns = &mut self.table(name)?.columns;
        if let Some(reasons) = columns
            .iter_mut()
            .find_map(|column| match &mut column.kind {
                ColumnKind::Status { options } => Some(options),
                _ => None,
            })
        {
            reasons.extend(new);
        }
        Ok(())
    }

    fn set_choices(&mut self, name: &str, options: &Json) -> Result<(), SchemaError> {
        let options: Pairs<Labels> = serde_json::from_value(options.clone())?;
        let refused = |problem| SchemaError::Choice {
            name: name.to_owned(),
            problem,
        };
        let options = column::options(options, None).map_err(refused)?;
        let set = OptionSet {
            name: name.to_owned(),
            global: true,
            options,
            default: None,
        };
        for column in self.tables.values_mut().flat_map(|it| &mut it.columns) {
            if let ColumnKind::Picklist { options } | ColumnKind::MultiSelect { options } =
                &mut column.kind
                && options.global
                && options.name == name
            {
                options.options.clone_from(&set.options);
            }
        }
        self.choices.retain(|it| it.name != name);
        self.choices.push(set);
        Ok(())
    }

    /// The table that would not be whole without this one, or without this column of it.
    pub(crate) fn depends_on(&self, table: &str, column: Option<&str>) -> Option<String> {
        if let Some(column) = column {
            let keys = &self.tables.get(table)?.keys;
            let key = keys
                .iter()
                .find(|key| key.columns.iter().any(|it| it == column));
            return key.map(|key| key.logical_name.clone());
        }
        let others = self.tables.values().filter(|it| it.logical_name != table);
        let mut others = others.filter(|other| {
            let sides = other.intersect().map(|it| &it.sides);
            let mut sides = sides.into_iter().flatten();
            let mut lookups = other.relationships.iter();
            lookups.any(|it| it.target == table) || sides.any(|side| side.table == table)
        });
        others.next().map(|other| other.logical_name.clone())
    }

    /// The keys whose index is still to be built.
    pub(crate) fn unbuilt_keys(&self) -> impl Iterator<Item = (&str, &str)> {
        self.tables.values().flat_map(|table| {
            let keys = table.keys.iter();
            let pending = keys.filter(|key| key.status == KeyIndexStatus::Pending);
            pending.map(|key| (table.logical_name.as_str(), key.logical_name.as_str()))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn visits() -> Schema {
        let mut schema = Schema::built_in().unwrap();
        let table = json!({"table": "new_Visit", "name": "new_Name", "columns": {
            "new_Code": "text(20)", "new_ContactId": "lookup(contact)"},
            "keys": {"new_code_key": {"columns": ["new_code"], "status": "pending"}}});
        schema.apply(&Change::Add(table)).unwrap();
        schema
    }

    #[test]
    fn a_step_survives_being_written_down() {
        for change in [
            Change::Add(json!({"table": "new_a"})),
            Change::DropTable {
                table: "new_a".into(),
            },
            Change::Key {
                table: "new_a".into(),
                key: "k".into(),
                status: KeyIndexStatus::Failed,
            },
        ] {
            let text = serde_json::to_string(&change).unwrap();
            assert_eq!(
                serde_json::from_str::<Change>(&text).unwrap(),
                change,
                "{text}"
            );
        }
    }

    #[test]
    fn limits_and_labels_change_and_types_do_not() {
        let mut schema = visits();
        let change = |written| Change::Column {
            table: "new_visit".into(),
            column: "new_Code".into(),
            written,
        };
        let longer = json!({"type": "text(40) required", "label": "Number"});
        schema.apply(&change(longer)).unwrap();
        let column = schema.tables["new_visit"].column("new_code").unwrap();
        assert!(matches!(column.kind, ColumnKind::Text { max_length: 40 }));
        assert_eq!(column.display_name, "Number");
        assert!(schema.apply(&change(json!("integer"))).is_err());
    }

    #[test]
    fn what_others_need_is_told() {
        let schema = visits();
        assert_eq!(schema.depends_on("new_visit", None), None);
        let key = schema.depends_on("new_visit", Some("new_code"));
        assert_eq!(key.as_deref(), Some("new_code_key"));
        assert_eq!(schema.depends_on("new_visit", Some("new_contactid")), None);
        assert!(schema.depends_on("contact", None).is_some());
        assert!(schema.unbuilt_keys().eq([("new_visit", "new_code_key")]));
    }

    #[test]
    fn options_of_a_global_choice_change_wherever_it_is_used() {
        let mut schema = visits();
        let choices = |options| Change::Choices {
            name: "new_mood".into(),
            options,
        };
        schema.apply(&choices(json!({"1": "Good"}))).unwrap();
        let column = json!({"table": "new_visit", "columns": {
            "new_Mood": {"type": "choice", "global": "new_mood"}}});
        schema.apply(&Change::Add(column)).unwrap();
        schema
            .apply(&choices(json!({"1": "Good", "2": "Bad"})))
            .unwrap();
        let kind = &schema.tables["new_visit"].column("new_mood").unwrap().kind;
        assert!(matches!(kind, ColumnKind::Picklist { options } if options.options.len() == 2));
    }
}
