//! What the ledger keeps of a plan's columns.

use super::Plan;
use crate::model::{ColumnKind, DateTimeBehavior, LogicalName, When};

/// The names and types of a plan's target columns, in their order: what a ledger's states belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutNames {
    /// Each column's name and the tag of its type. Digests made under different tags cannot be compared.
    pub columns: Vec<(LogicalName, &'static str)>,
}

impl Plan {
    /// Names and type tags of the target columns, for the ledger.
    pub fn layout(&self) -> LayoutNames {
        // What only a return carries has no history: it stands behind the others.
        let columns = self.target.columns.iter();
        let columns = columns.filter(|column| column.when != When::Return);
        LayoutNames {
            columns: columns
                .map(|column| (column.name.clone(), type_tag(&column.kind)))
                .collect(),
        }
    }
}

/// How values of the type become digests.
pub(super) fn type_tag(kind: &ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text { .. } | ColumnKind::Memo { .. } => "text",
        ColumnKind::Integer { .. } | ColumnKind::BigInt => "integer",
        ColumnKind::Decimal { .. } | ColumnKind::Money { .. } => "decimal",
        ColumnKind::Float { .. } => "float",
        ColumnKind::Boolean { .. } => "boolean",
        ColumnKind::Date => "date",
        ColumnKind::DateTime {
            behavior: DateTimeBehavior::UserLocal,
        } => "instant",
        ColumnKind::DateTime {
            behavior: DateTimeBehavior::TimeZoneIndependent,
        } => "wall_clock",
        ColumnKind::Choice { .. } => "choice",
        ColumnKind::Guid => "guid",
        ColumnKind::Choices { .. } => "choices",
        ColumnKind::State { .. } => "state",
        ColumnKind::Status { .. } => "status",
        ColumnKind::Lookup { .. } => "lookup",
        ColumnKind::Other(_) => "other",
    }
}
