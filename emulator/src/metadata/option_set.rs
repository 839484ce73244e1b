//! The options of a choice as a definition.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::parts::{id, label, labels, no_label};
use crate::schema::{ColumnDef, OptionDef, OptionSet, Schema, TableDef, is_custom};

/// A set of options.
#[derive(Debug, Clone)]
pub(super) enum Choices<'a> {
    Options {
        set: &'a OptionSet,
        display_name: &'a str,
    },
    YesNo {
        name: String,
        display_name: &'a str,
        yes: &'a str,
        no: &'a str,
    },
    State {
        name: String,
        display_name: &'a str,
        states: &'a [OptionDef],
        reasons: &'a [OptionDef],
    },
    Status {
        name: String,
        display_name: &'a str,
        reasons: &'a [OptionDef],
    },
}

/// The global choices, each once.
pub(super) fn global(schema: &Schema) -> Vec<Choices<'_>> {
    let sets = schema.option_sets().filter(|set| set.global);
    let by_name: BTreeMap<&str, &OptionSet> = sets.map(|set| (set.name.as_str(), set)).collect();
    by_name
        .into_values()
        .map(|set| Choices::of_set(set, &set.name))
        .collect()
}

impl<'a> Choices<'a> {
    pub(super) fn of_set(set: &'a OptionSet, display_name: &'a str) -> Self {
        let display_name = if set.global { &set.name } else { display_name };
        Self::Options { set, display_name }
    }

    pub(super) fn yes_no(
        table: &TableDef,
        column: &'a ColumnDef,
        yes: &'a str,
        no: &'a str,
    ) -> Self {
        Self::YesNo {
            name: local(table, column),
            display_name: &column.display_name,
            yes,
            no,
        }
    }

    pub(super) fn state(
        table: &TableDef,
        column: &'a ColumnDef,
        states: &'a [OptionDef],
        reasons: &'a [OptionDef],
    ) -> Self {
        let display_name = &column.display_name;
        Self::State {
            name: local(table, column),
            display_name,
            states,
            reasons,
        }
    }

    pub(super) fn status(
        table: &TableDef,
        column: &'a ColumnDef,
        reasons: &'a [OptionDef],
    ) -> Self {
        Self::Status {
            name: local(table, column),
            display_name: &column.display_name,
            reasons,
        }
    }

    pub(super) fn is_global(&self) -> bool {
        matches!(self, Self::Options { set, .. } if set.global)
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Options { set, .. } => &set.name,
            Self::YesNo { name, .. } | Self::State { name, .. } | Self::Status { name, .. } => name,
        }
    }

    pub(super) fn path(&self) -> String {
        format!("choice/{}", self.name())
    }

    fn display_name(&self) -> &str {
        match self {
            Self::Options { display_name, .. }
            | Self::YesNo { display_name, .. }
            | Self::State { display_name, .. }
            | Self::Status { display_name, .. } => display_name,
        }
    }

    /// A property of `OptionSetMetadata` or `BooleanOptionSetMetadata`.
    pub(super) fn given(&self, name: &str) -> Option<Value> {
        Some(match name {
            "MetadataId" => json!(id(&self.path())),
            "Name" => json!(self.name()),
            "DisplayName" => label(self.display_name(), &self.path()),
            "IsGlobal" => json!(self.is_global()),
            "OptionSetType" => json!(match self {
                Self::Options { .. } => "Picklist",
                Self::YesNo { .. } => "Boolean",
                Self::State { .. } => "State",
                Self::Status { .. } => "Status",
            }),
            "Options" => Value::Array(self.options()),
            "TrueOption" => self.yes_or_no(1)?,
            "FalseOption" => self.yes_or_no(0)?,
            _ => return None,
        })
    }

    fn options(&self) -> Vec<Value> {
        match self {
            Self::Options { set, .. } => set.options.iter().map(|o| self.option(o)).collect(),
            Self::YesNo { .. } => Vec::new(),
            Self::State {
                states, reasons, ..
            } => states
                .iter()
                .map(|state| self.state_option(state, reasons))
                .collect(),
            Self::Status { reasons, .. } => reasons
                .iter()
                .map(|reason| self.status_option(reason))
                .collect(),
        }
    }

    fn option(&self, option: &OptionDef) -> Value {
        json!({
            "Value": option.value,
            "Label": labels(&option.labels, &format!("{}/{}", self.path(), option.value)),
            "Description": no_label(),
            "Color": null,
            "IsManaged": !is_custom(self.name()),
            "ExternalValue": null,
            "ParentValues": [],
            "Tag": null,
            "IsHidden": false,
            "MetadataId": null,
            "HasChanged": null,
        })
    }

    fn state_option(&self, state: &OptionDef, reasons: &[OptionDef]) -> Value {
        let default = reasons
            .iter()
            .find(|reason| reason.state == Some(state.value));
        let invariant: Option<String> = state
            .labels
            .get(&1033)
            .map(|label| label.chars().filter(char::is_ascii_alphanumeric).collect());
        with(
            self.option(state),
            [
                (
                    "@odata.type",
                    json!("#Microsoft.Dynamics.CRM.StateOptionMetadata"),
                ),
                ("DefaultStatus", json!(default.map(|reason| reason.value))),
                ("InvariantName", json!(invariant)),
            ],
        )
    }

    fn status_option(&self, reason: &OptionDef) -> Value {
        with(
            self.option(reason),
            [
                (
                    "@odata.type",
                    json!("#Microsoft.Dynamics.CRM.StatusOptionMetadata"),
                ),
                ("State", json!(reason.state)),
                ("TransitionData", Value::Null),
            ],
        )
    }

    fn yes_or_no(&self, value: i32) -> Option<Value> {
        let Self::YesNo { yes, no, .. } = self else {
            return None;
        };
        let text = if value == 1 { yes } else { no };
        let labels = BTreeMap::from([(1033, (*text).to_owned())]);
        Some(self.option(&OptionDef {
            value,
            labels,
            state: None,
        }))
    }
}

fn local(table: &TableDef, column: &ColumnDef) -> String {
    format!("{}_{}", table.logical_name, column.logical_name)
}

fn with(mut object: Value, members: [(&str, Value); 3]) -> Value {
    if let Some(object) = object.as_object_mut() {
        object.extend(members.map(|(name, value)| (name.to_owned(), value)));
    }
    object
}
