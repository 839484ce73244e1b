//! The columns of a table that the service fills in or watches.

use std::collections::HashMap;

use crate::schema::{ColumnKind, LookupFlavor, TableDef};
use crate::table::value::Column;

/// Columns that the service fills in or watches.
#[derive(Default)]
pub(crate) struct Special {
    pub(crate) id: Option<Column>,
    pub(crate) name: Option<Column>,
    pub(crate) created_on: Option<Column>,
    pub(crate) overridden_created_on: Option<Column>,
    pub(crate) created_by: Option<Column>,
    pub(crate) modified_on: Option<Column>,
    pub(crate) modified_by: Option<Column>,
    pub(crate) owner: Option<Column>,
    pub(crate) owning_business_unit: Option<Column>,
    pub(crate) version: Option<Column>,
    pub(crate) state: Option<Column>,
    pub(crate) status: Option<Column>,
    pub(crate) currency: Option<Column>,
    pub(crate) exchange_rate: Option<Column>,
    /// First, middle and last name, where the primary name is made of them.
    pub(crate) full_name: Option<[Option<Column>; 3]>,
    /// The customer of a contact, and what repeats it: the account, or the contact.
    pub(crate) parents: Option<(Column, [(&'static str, Column); 2])>,
    /// Money columns with their amount in the base currency.
    pub(crate) money: Vec<(Column, Column)>,
    /// Columns that hold files, each with that of the file's name.
    pub(crate) files: Vec<(Column, Column)>,
    pub(crate) ticket: Option<Column>,
    /// Where the rows of an elastic table live.
    pub(crate) partition: Option<Column>,
    /// After how many seconds the rows of an elastic table go by themselves.
    pub(crate) time_to_live: Option<Column>,
}

impl Special {
    pub(crate) fn of(def: &TableDef, columns: &HashMap<String, Column>) -> Self {
        let named = |name: &str| columns.get(name).copied();
        let first = |wanted: fn(&ColumnKind) -> bool| {
            let place = def.columns.iter().position(|column| wanted(&column.kind));
            place
                .and_then(|place| u16::try_from(place).ok())
                .map(Column)
        };
        let parts = ["firstname", "middlename", "lastname"].map(named);
        Self {
            id: named(&def.primary_id),
            name: def.primary_name.as_deref().and_then(named),
            created_on: named("createdon"),
            overridden_created_on: named("overriddencreatedon"),
            created_by: named("createdby"),
            modified_on: named("modifiedon"),
            modified_by: named("modifiedby"),
            owner: first(|kind| {
                let flavor = LookupFlavor::Owner;
                matches!(kind, ColumnKind::Lookup { flavor: f } if *f == flavor)
            }),
            owning_business_unit: named("owningbusinessunit"),
            version: named("versionnumber"),
            state: first(|kind| matches!(kind, ColumnKind::State { .. })),
            status: first(|kind| matches!(kind, ColumnKind::Status { .. })),
            currency: named("transactioncurrencyid"),
            exchange_rate: named("exchangerate"),
            full_name: match parts {
                [Some(_), _, Some(_)] if def.primary_name.as_deref() == Some("fullname") => {
                    Some(parts)
                }
                _ => None,
            },
            parents: parents(def, columns),
            money: money_with_base(def, columns),
            files: files_with_name(def, columns),
            ticket: named("ticketnumber"),
            partition: named("partitionid").filter(|_| def.is_elastic()),
            time_to_live: named("ttlinseconds").filter(|_| def.is_elastic()),
        }
    }
}

fn parents(
    def: &TableDef,
    columns: &HashMap<String, Column>,
) -> Option<(Column, [(&'static str, Column); 2])> {
    let named = |name: &str| columns.get(name).copied();
    let customer = named("parentcustomerid").filter(|_| def.logical_name == "contact")?;
    let repeated = [
        ("account", named("accountid")?),
        ("contact", named("parentcontactid")?),
    ];
    Some((customer, repeated))
}

fn files_with_name(def: &TableDef, columns: &HashMap<String, Column>) -> Vec<(Column, Column)> {
    let files = (0..).map(Column).zip(&def.columns);
    let files = files.filter(|(_, column)| matches!(column.kind, ColumnKind::File { .. }));
    let named = files.filter_map(|(number, column)| {
        let name = columns.get(&format!("{}_name", column.logical_name))?;
        Some((number, *name))
    });
    named.collect()
}

fn money_with_base(def: &TableDef, columns: &HashMap<String, Column>) -> Vec<(Column, Column)> {
    let mut pairs = Vec::new();
    for (number, column) in (0..).map(Column).zip(&def.columns) {
        let base = columns.get(&format!("{}_base", column.logical_name));
        if let (ColumnKind::Money { .. }, Some(base)) = (&column.kind, base) {
            pairs.push((number, *base));
        }
    }
    pairs
}
