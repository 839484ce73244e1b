//! The schema as requests use it: names looked up by hash, columns by number.
//!
//! Tables and columns keep the numbers that a data file gave them, so that packed rows stay
//! readable when a schema grows. The number of one that was dropped is not given again.

pub(crate) mod collection;
pub(crate) mod numbering;
pub(crate) mod special;

use std::collections::HashMap;

pub(crate) use crate::model::collection::Collection;
use crate::model::numbering::{DROPPED, Missing, Numbering};
use crate::model::special::Special;
use crate::refusal::Refusal;
use crate::schema::{
    ColumnDef, ColumnKind, KeyIndexStatus, OnDelete, OptionDef, RequiredLevel, Schema, TableDef,
};
use crate::table::value::{Column, TableNumber, Value};

/// All tables.
pub(crate) struct Model {
    layouts: Vec<Layout>,
    by_set: HashMap<String, TableNumber>,
    by_name: HashMap<String, TableNumber>,
}

/// One table.
pub(crate) struct Layout {
    pub(crate) number: TableNumber,
    pub(crate) def: TableDef,
    pub(crate) keys: Vec<Key>,
    pub(crate) special: Special,
    /// What a create without these columns gets; sorted.
    pub(crate) defaults: Vec<(Column, Value<'static>)>,
    /// Columns that are never null.
    pub(crate) needed: Vec<Column>,
    columns: HashMap<String, Column>,
    /// Navigation properties: the lookup column and the table, one entry per table.
    navigations: HashMap<String, Vec<(Column, TableNumber)>>,
    /// Columns that repeat the owner where it is of this table.
    pub(crate) owning: Vec<(Column, TableNumber)>,
    pub(crate) collections: HashMap<String, Collection>,
    /// Lookups whose rows are found by the row that they point to.
    pub(crate) traced: Vec<Column>,
    /// Lookups of other tables to this one, and what a delete does to them.
    pub(crate) referencing: Vec<(TableNumber, Column, OnDelete)>,
}

/// An alternate key that is active.
pub(crate) struct Key {
    pub(crate) display_name: String,
    pub(crate) columns: Vec<Column>,
}

impl Model {
    pub(crate) fn new(schema: &Schema, known: &Numbering) -> Result<Self, Missing> {
        let numbers = numbering::tables(schema, known)?;
        let mut layouts = Vec::with_capacity(numbers.len());
        for (number, name) in (0..).map(TableNumber).zip(&numbers) {
            let Some(def) = schema.tables.get(name) else {
                layouts.push(Layout::new(number, numbering::dropped_table(), &numbers));
                continue;
            };
            let columns = known.iter().find(|(table, _)| table == name);
            let columns = columns.map_or(&[][..], |(_, columns)| columns);
            layouts.push(Layout::new(
                number,
                numbering::in_order(def, columns)?,
                &numbers,
            ));
        }
        collection::link(&mut layouts);
        let by = |name: fn(&Layout) -> &String| {
            let standing = layouts.iter().filter(|layout| !layout.is_dropped());
            let pairs = standing.map(|layout| (name(layout).clone(), layout.number));
            pairs.collect()
        };
        Ok(Self {
            by_set: by(|layout| &layout.def.entity_set),
            by_name: by(|layout| &layout.def.logical_name),
            layouts,
        })
    }

    pub(crate) fn numbering(&self) -> Numbering {
        self.layouts
            .iter()
            .map(|layout| {
                let columns = layout.def.columns.iter();
                let columns = columns.map(|column| column.logical_name.clone()).collect();
                (layout.def.logical_name.clone(), columns)
            })
            .collect()
    }

    /// The numbering for a schema that has become another one: what it lacks was dropped.
    pub(crate) fn renumbered(&self, schema: &Schema) -> Numbering {
        let mut numbering = self.numbering();
        for (table, columns) in &mut numbering {
            let Some(def) = schema.tables.get(table) else {
                DROPPED.clone_into(table);
                columns.clear();
                continue;
            };
            for column in columns.iter_mut().filter(|it| def.column(it).is_none()) {
                DROPPED.clone_into(column);
            }
        }
        numbering
    }

    pub(crate) fn layouts(&self) -> impl Iterator<Item = &Layout> {
        self.layouts.iter().filter(|layout| !layout.is_dropped())
    }

    /// `None` also for a table that was dropped.
    pub(crate) fn layout(&self, number: TableNumber) -> Option<&Layout> {
        let layout = self.layouts.get(usize::from(number.0))?;
        (!layout.is_dropped()).then_some(layout)
    }

    /// By entity set name; case matters.
    pub(crate) fn of_set(&self, set: &str) -> Option<&Layout> {
        self.layout(*self.by_set.get(set)?)
    }

    pub(crate) fn of_name(&self, logical_name: &str) -> Option<&Layout> {
        self.layout(*self.by_name.get(logical_name)?)
    }
}

fn owning(
    columns: &HashMap<String, Column>,
    navigations: &HashMap<String, Vec<(Column, TableNumber)>>,
) -> Vec<(Column, TableNumber)> {
    let names = ["owninguser", "owningteam"].into_iter();
    let owning = names.filter_map(|name| columns.get(name).copied());
    let targets = navigations.values().flatten();
    owning
        .filter_map(|column| targets.clone().find(|(from, _)| *from == column).copied())
        .collect()
}

impl Layout {
    fn new(number: TableNumber, def: TableDef, tables: &[String]) -> Self {
        let columns: HashMap<String, Column> = (0..)
            .map(Column)
            .zip(&def.columns)
            .filter(|(_, column)| column.logical_name != DROPPED)
            .map(|(number, column)| (column.logical_name.clone(), number))
            .collect();
        let mut navigations: HashMap<String, Vec<(Column, TableNumber)>> = HashMap::new();
        for relationship in &def.relationships {
            let target = (0..)
                .map(TableNumber)
                .zip(tables)
                .find(|(_, name)| **name == relationship.target);
            if let (Some(column), Some((target, _))) = (columns.get(&relationship.column), target) {
                let entry = navigations
                    .entry(relationship.navigation.clone())
                    .or_default();
                entry.push((*column, target));
            }
        }
        let special = Special::of(&def, &columns);
        Self {
            number,
            keys: active_keys(&def, &columns),
            traced: traced(&def, &special),
            special,
            defaults: defaults(&def),
            needed: needed(&def),
            owning: owning(&columns, &navigations),
            columns,
            navigations,
            collections: HashMap::new(),
            referencing: Vec::new(),
            def,
        }
    }

    /// Whether it only keeps the number of a table that was dropped.
    fn is_dropped(&self) -> bool {
        self.def.logical_name == DROPPED
    }

    /// The number of the column with this logical name; case matters.
    pub(crate) fn number_of(&self, name: &str) -> Option<Column> {
        self.columns.get(name).copied()
    }

    pub(crate) fn column(&self, column: Column) -> Option<&ColumnDef> {
        let def = self.def.columns.get(usize::from(column.0))?;
        (def.logical_name != DROPPED).then_some(def)
    }

    pub(crate) fn column_name(&self, column: Column) -> &str {
        self.column(column).map_or("", |def| &def.logical_name)
    }

    pub(crate) fn numbered_columns(&self) -> impl Iterator<Item = (Column, &ColumnDef)> {
        let numbered = (0..).map(Column).zip(&self.def.columns);
        numbered.filter(|(_, def)| def.logical_name != DROPPED)
    }

    /// The lookup column and tables of a navigation property; case matters.
    pub(crate) fn navigation(&self, name: &str) -> Option<&[(Column, TableNumber)]> {
        self.navigations.get(name).map(Vec::as_slice)
    }

    /// The rows of other tables that a navigation property of many holds; case matters.
    pub(crate) fn collection(&self, name: &str) -> Option<Collection> {
        self.collections.get(name).copied()
    }

    /// Refuses what clients do not do to rows of some tables, which come and go by other means.
    pub(crate) fn check_writable(&self, verb: &str) -> Result<(), Refusal> {
        if self.def.is_writable() {
            return Ok(());
        }
        Err(self.unsupported(verb))
    }

    /// Clients do not do that to rows of this table.
    pub(crate) fn unsupported(&self, verb: &str) -> Refusal {
        let table = &self.def.logical_name;
        let message = format!("The '{verb}' method does not support entities of type '{table}'.");
        Refusal::new(400, "0x80100008", message)
    }

    /// The navigation property by which a lookup that holds this table's row is read.
    pub(crate) fn navigation_of(&self, column: Column, target: TableNumber) -> Option<&str> {
        let entry = self
            .navigations
            .iter()
            .find(|(_, targets)| targets.contains(&(column, target)));
        entry.map(|(name, _)| name.as_str())
    }

    /// The tables that a lookup can point to.
    pub(crate) fn targets(&self, column: Column) -> Vec<TableNumber> {
        let all = self.navigations.values().flatten();
        all.filter(|(from, _)| *from == column)
            .map(|(_, target)| *target)
            .collect()
    }

    /// A column as it is read: `name`, or `_name_value` for a lookup.
    pub(crate) fn readable(&self, property: &str) -> Option<Column> {
        if let Some(column) = self.number_of(property) {
            return (!self.is_lookup(column)).then_some(column);
        }
        let inner = property.strip_prefix('_')?.strip_suffix("_value")?;
        let column = self.number_of(inner)?;
        self.is_lookup(column).then_some(column)
    }

    /// How a column is read: `name`, or `_name_value` for a lookup.
    pub(crate) fn property(&self, column: Column) -> String {
        let name = self.column_name(column);
        if self.is_lookup(column) {
            format!("_{name}_value")
        } else {
            name.to_owned()
        }
    }

    pub(crate) fn is_lookup(&self, column: Column) -> bool {
        let kind = self.column(column).map(|def| &def.kind);
        matches!(kind, Some(ColumnKind::Lookup { .. }))
    }

    /// The reasons, if the table has states.
    pub(crate) fn reasons(&self) -> &[OptionDef] {
        let column = self.special.status.and_then(|column| self.column(column));
        match column.map(|def| &def.kind) {
            Some(ColumnKind::Status { options }) => options,
            _ => &[],
        }
    }

    /// The states, if the table has them.
    pub(crate) fn states(&self) -> &[OptionDef] {
        let column = self.special.state.and_then(|column| self.column(column));
        match column.map(|def| &def.kind) {
            Some(ColumnKind::State { options }) => options,
            _ => &[],
        }
    }
}

/// Not those that every row has: nobody asks for all rows that a user wrote.
fn traced(def: &TableDef, special: &Special) -> Vec<Column> {
    let is_pair = def.intersect().is_some();
    let untraced = [
        special.owner,
        special.owning_business_unit,
        special.created_by,
        special.modified_by,
        special.currency,
        special.id,
    ];
    let columns = (0..).map(Column).zip(&def.columns);
    let traced = columns.filter(|(number, column)| match column.kind {
        ColumnKind::Lookup { .. } => !untraced.contains(&Some(*number)),
        ColumnKind::Guid => is_pair && Some(*number) != special.id,
        _ => false,
    });
    traced.map(|(number, _)| number).collect()
}

fn active_keys(def: &TableDef, columns: &HashMap<String, Column>) -> Vec<Key> {
    if let Some(intersect) = def.intersect() {
        // No pair stands twice.
        let sides = intersect.sides.iter();
        return vec![Key {
            display_name: intersect.schema_name.clone(),
            columns: sides
                .filter_map(|side| columns.get(&side.column).copied())
                .collect(),
        }];
    }
    def.keys
        .iter()
        .filter(|key| key.status == KeyIndexStatus::Active)
        .map(|key| Key {
            display_name: key.display_name.clone(),
            columns: key
                .columns
                .iter()
                .filter_map(|name| columns.get(name).copied())
                .collect(),
        })
        .collect()
}

fn defaults(def: &TableDef) -> Vec<(Column, Value<'static>)> {
    let mut defaults = Vec::new();
    for (number, column) in (0..).map(Column).zip(&def.columns) {
        let value = match &column.kind {
            ColumnKind::Boolean { default, .. } => Some(Value::Boolean(*default)),
            ColumnKind::Picklist { options } => options.default.map(Value::Integer),
            ColumnKind::State { options } | ColumnKind::Status { options } => {
                options.first().map(|option| Value::Integer(option.value))
            }
            _ => None,
        };
        defaults.extend(value.map(|value| (number, value)));
    }
    defaults
}

/// Those that the system requires. Those that business requires are not enforced.
fn needed(def: &TableDef) -> Vec<Column> {
    let numbered = (0..).map(Column).zip(&def.columns);
    let needed = numbered.filter(|(_, column)| {
        let is_id = column.logical_name == def.primary_id;
        column.required == RequiredLevel::System && column.creatable && !is_id
    });
    needed.map(|(number, _)| number).collect()
}
