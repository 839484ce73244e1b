//! Business rules that refuse chosen rows, as a plug-in of the customer would.
//!
//! Source: Microsoft Learn, "Handle exceptions in plug-ins": the text is the rule's own.

use std::str::FromStr;

use crate::chaos::OperationFault;
use crate::chaos::chance::ChaosError;
use crate::engine::Written;
use crate::error::EmulatorError;
use crate::model::{Layout, Model};
use crate::refusal::Refusal;
use crate::render;

/// Refuses every write of one value to one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Logical name; without it every table that has the column.
    table: Option<String>,
    /// Logical name.
    column: String,
    /// As the column reads back.
    value: String,
}

impl FromStr for Rule {
    type Err = ChaosError;

    fn from_str(text: &str) -> Result<Self, ChaosError> {
        let wrong = || ChaosError::Rule {
            value: text.to_owned(),
        };
        let (column, value) = text.split_once(':').ok_or_else(wrong)?;
        let (table, column) = match column.split_once('.') {
            Some((table, column)) => (Some(table), column),
            None => (None, column),
        };
        if column.is_empty() || table.is_some_and(str::is_empty) {
            return Err(wrong());
        }
        Ok(Self {
            table: table.map(str::to_owned),
            column: column.to_owned(),
            value: value.to_owned(),
        })
    }
}

impl Rule {
    /// A rule for a column that no table has would never strike.
    pub(crate) fn check(&self, model: &Model) -> Result<(), EmulatorError> {
        let has = |layout: &Layout| layout.number_of(&self.column).is_some();
        let is_known = match &self.table {
            Some(table) => model.of_name(table).is_some_and(has),
            None => model.layouts().any(has),
        };
        if is_known {
            return Ok(());
        }
        let name = match &self.table {
            Some(table) => format!("{table}.{}", self.column),
            None => self.column.clone(),
        };
        Err(EmulatorError::NoColumn { name })
    }

    fn refuses(&self, layout: &Layout, written: &Written) -> bool {
        let table = self.table.as_ref();
        table.is_none_or(|table| *table == layout.def.logical_name)
            && written.iter().any(|(column, value)| {
                let value = value.as_ref();
                layout.column_name(*column) == self.column
                    && value.is_some_and(|value| render::plain(value) == self.value)
            })
    }
}

/// Asks every rule whether a row may get these values.
pub(crate) fn admit(rules: &[Rule], layout: &Layout, written: &Written) -> Result<(), Refusal> {
    let refusing = rules.iter().find(|rule| rule.refuses(layout, written));
    refusing.map_or(Ok(()), |rule| {
        let message = format!(
            "A business rule does not allow the value '{}' in the column '{}'.",
            rule.value, rule.column
        );
        Err(OperationFault::Rule { message }.refusal())
    })
}
