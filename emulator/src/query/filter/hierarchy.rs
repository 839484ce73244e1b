//! The functions that follow a hierarchy, and those of the caller's teams and of whom it manages.
//!
//! A table is a hierarchy if a lookup of it leads to itself. Source: Microsoft Learn, "Query
//! hierarchical data" and "Web API Query Function Reference".

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::functions::{Arguments, compared, not};
use super::{Filter, Operator, Parser};
use crate::model::Layout;
use crate::refusal::Refusal;
use crate::table::value::{Column, TableNumber, Value};
use crate::table::{Rows, fold_value};

/// What the language of every user is.
const LANGUAGE: i32 = 1033;

impl Parser<'_> {
    /// The condition of such a function; `None` if the name is of another kind.
    pub(super) fn hierarchy(
        &self,
        name: &str,
        arguments: &Arguments,
    ) -> Result<Option<Filter>, Refusal> {
        let column = arguments.column;
        let user = self.ground.context.identity.user;
        let ids = match name {
            "Above" | "AboveOrEqual" | "Under" | "UnderOrEqual" | "NotUnder" => {
                let ids = self.related_by(name, arguments)?;
                let filter = self.is_among(column, &ids);
                let is_negated = name == "NotUnder";
                return Ok(Some(if is_negated { not(filter) } else { filter }));
            }
            "EqualUserTeams" => self.teams(user),
            "EqualUserOrUserTeams" => &self.teams(user) | &BTreeSet::from([user]),
            "EqualUserOrUserHierarchy" => self.managed(user),
            "EqualUserOrUserHierarchyAndTeams" => &self.managed(user) | &self.teams(user),
            "EqualUserLanguage" => {
                let language = Value::Integer(LANGUAGE);
                return Ok(Some(compared(column, Operator::Equal, language)));
            }
            _ => return Ok(None),
        };
        Ok(Some(self.is_among(column, &ids)))
    }

    /// Whether the row, or the one that a lookup of it points to, is one of these.
    fn is_among(&self, column: Column, ids: &BTreeSet<Uuid>) -> Filter {
        if Some(column) == self.layout.special.id {
            return Filter::Ids(ids.clone());
        }
        let collation = self.ground.engine.collation;
        // Only the ids count, whatever table a lookup leads to.
        let table = TableNumber(u16::MAX);
        let values = ids.iter().map(|id| Value::Reference { table, id: *id });
        let values: Vec<_> = values.collect();
        let folded = values.iter().map(|value| fold_value(collation, value));
        Filter::In {
            column,
            folded: folded.collect(),
            values,
        }
    }

    fn related_by(&self, name: &str, arguments: &Arguments) -> Result<BTreeSet<Uuid>, Refusal> {
        let [text] = arguments.values.as_slice() else {
            return Err(self.words.syntax());
        };
        let begin = crate::odata::address::guid(text).ok_or_else(|| self.mismatch(text))?;
        let model = self.ground.context.model;
        let layout = if Some(arguments.column) == self.layout.special.id {
            Some(self.layout)
        } else {
            match self.layout.targets(arguments.column).as_slice() {
                [target] => model.layout(*target),
                _ => None,
            }
        };
        let found = layout.and_then(|layout| Some((layout, parent(layout)?)));
        let Some((layout, parent)) = found else {
            let column = self.layout.column_name(arguments.column);
            let message = format!("The attribute '{column}' is not of a hierarchy.");
            return Err(Refusal::new(400, "0x80040203", message));
        };
        let mut ids = if name.starts_with("Above") {
            self.above(layout, parent, begin)
        } else {
            self.under(layout, parent, begin)
        };
        if name.ends_with("OrEqual") {
            ids.insert(begin);
        } else {
            ids.remove(&begin);
        }
        Ok(ids)
    }

    fn above(&self, layout: &Layout, parent: Column, begin: Uuid) -> BTreeSet<Uuid> {
        let mut found = BTreeSet::new();
        let mut at = begin;
        while let Some(row) = self.ground.engine.row(layout, at) {
            match row.cells.get(parent) {
                Some(Value::Reference { id, .. }) if found.insert(id) => at = id,
                _ => break,
            }
        }
        found
    }

    fn under(&self, layout: &Layout, parent: Column, begin: Uuid) -> BTreeSet<Uuid> {
        let mut children: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
        for (id, row) in self.rows_of(layout) {
            if let Some(Value::Reference { id: above, .. }) = row.cells.get(parent) {
                children.entry(above).or_default().push(id);
            }
        }
        let mut found = BTreeSet::new();
        let mut open = vec![begin];
        while let Some(id) = open.pop() {
            let below = children.get(&id).into_iter().flatten();
            open.extend(below.filter(|id| found.insert(**id)));
        }
        found
    }

    /// The user and all whom it manages, directly or not.
    fn managed(&self, user: Uuid) -> BTreeSet<Uuid> {
        let users = self.ground.context.model.of_name("systemuser");
        let users = users.and_then(|users| Some((users, parent(users)?)));
        let mut found = users.map_or_else(BTreeSet::new, |(users, manager)| {
            self.under(users, manager, user)
        });
        found.insert(user);
        found
    }

    fn teams(&self, user: Uuid) -> BTreeSet<Uuid> {
        let pairs = self.ground.context.model.of_name("teammembership");
        let columns = pairs.and_then(|pairs| {
            let column = |name| pairs.number_of(name);
            Some((pairs, column("teamid")?, column("systemuserid")?))
        });
        let Some((pairs, team, member)) = columns else {
            return BTreeSet::new();
        };
        let rows = self.rows_of(pairs);
        let of_user = rows.filter(|(_, row)| row.cells.get(member) == Some(Value::Guid(user)));
        of_user
            .filter_map(|(_, row)| match row.cells.get(team) {
                Some(Value::Guid(id)) => Some(id),
                _ => None,
            })
            .collect()
    }

    fn rows_of(&self, layout: &Layout) -> impl Iterator<Item = (Uuid, &crate::table::Row)> {
        let rows = self.ground.engine.rows(layout).into_iter();
        rows.flat_map(|rows: &Rows| rows.after(None))
    }
}

/// The lookup by which rows of a table stand above each other.
fn parent(layout: &Layout) -> Option<Column> {
    let name = &layout.def.logical_name;
    let to_itself = layout
        .def
        .relationships
        .iter()
        .filter(|it| it.target == *name);
    let mut columns: Vec<&str> = to_itself.map(|it| it.column.as_str()).collect();
    // A merged row points to the one that is left, which stands not above it.
    columns.retain(|column| *column != "masterid");
    columns.sort_by_key(|column| !column.starts_with("parent"));
    layout.number_of(columns.first()?)
}
